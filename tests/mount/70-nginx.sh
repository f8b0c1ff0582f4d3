#!/bin/bash
# nginx in front of the mount, with Mastodon's settings: whole files, ranges, gzip_static's probes, 0600 refused, and the
# same ETag and Last-Modified after a restart.
. "$(dirname "$0")/../support/lib.sh"

requires_root
requires nginx curl
start_rgw
start_proxy
make_tree "$T/tree" --files 60 --bytes 3000000
noise "$T/tree/video.mp4" 9000000
start_mount -o allow_other
cp -a "$T/tree/." "$MNT"
wait_uploaded "$T/tree"
chmod 755 "$T"
read -r port < <(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat >"$T/nginx.conf" <<NGINX
user www-data;
worker_processes 2;
pid $T/nginx.pid;
error_log $T/log.nginx;
events {}
http {
	access_log off;
	client_body_temp_path $T/ngx1; proxy_temp_path $T/ngx2; fastcgi_temp_path $T/ngx3;
	uwsgi_temp_path $T/ngx4; scgi_temp_path $T/ngx5;
	types { image/png png; image/jpeg jpeg jpg; video/mp4 mp4; }
	sendfile on;
	gzip_static on;
	server {
		listen 127.0.0.1:$port;
		location /system/ { alias $MNT/; }
	}
}
NGINX
nginx -c "$T/nginx.conf"
on_exit 'kill "$(cat $T/nginx.pid)"; for _ in $(seq 50); do [ -e "$T/nginx.pid" ] || break; sleep 0.1; done'
url=http://127.0.0.1:$port/system
forget_requests
while read -r file; do
	[ "$(stat -c %a "$T/tree/$file")" = 644 ] || continue
	curl -sSf "$url/${file//@/%40}" | cmp - "$T/tree/$file"
done < <(cd "$T/tree" && find . -type f | cut -c3-)
expect_eq "$(curl -sS -r 5000000-5000999 "$url/video.mp4" | md5sum)" \
	"$(head -c 5001000 "$T/tree/video.mp4" | tail -c 1000 | md5sum)" "a range"
expect_eq "$(requests '*' .)" 0 "requests to the bucket for files that are in the cache"
expect_eq "$(curl -so /dev/null -w '%{http_code}' "$url/no-such.png")" 404
chmod 600 "$MNT/video.mp4"
expect_eq "$(curl -so /dev/null -w '%{http_code}' "$url/video.mp4")" 403 "a suspended account's file"
chmod 644 "$MNT/video.mp4"
expect_eq "$(curl -so /dev/null -w '%{http_code}' "$url/cache/")" 403 "a folder is not listed"
tags() { curl -sSI "$url/video.mp4" | grep -iE '^(etag|last-modified)'; }
before=$(tags)
stop_mount
start_mount -o allow_other
expect_eq "$(tags)" "$before" "ETag and Last-Modified after a restart"
