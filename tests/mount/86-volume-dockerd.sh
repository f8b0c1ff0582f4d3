#!/bin/bash
# The volume plugin with a real dockerd: images' files are copied up, containers share a volume, and go on while the plugin,
# the filesystem and dockerd end and begin again.
TEST_SECONDS=180
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT/dockerd.sh"
. "$SUPPORT/plugin.sh"

requires_root
requires dockerd docker containerd runc busybox curl
DRIVER=tootfs-test-$$
PLUGIN_SOCKET=/run/docker/plugins/$DRIVER.sock
mkdir -p /run/docker/plugins
on_exit "rm -f $PLUGIN_SOCKET"
step() { say "$SECONDS s: $*"; }
step plugin and dockerd
start_plugin
start_dockerd
make_image base "$T/base"
mkdir "$T/base/data"
echo from-image >"$T/base/data/default"
chown -R 991:991 "$T/base/data" && chmod 750 "$T/base/data"
make_image content "$T/base"
rm -r "$T/base"
run() { docker run --network none "$@"; }
volume() { # NAME [OPTION=VALUE]…
	local name=$1 options=()
	shift
	mkdir -p "$T/bucket.$name"
	for option in "$@"; do options+=(-o "$option"); done
	docker volume create -d "$DRIVER" -o "bucket=file://$T/bucket.$name" "${options[@]}" "$name" >/dev/null
}

step hostile names and options
said=$(docker volume create -d "$DRIVER" -o bucket=b -o uplods=3 x 2>&1) && fail "an unknown option"
expect_text "$said" 'did you mean "uploads"' "what docker says"
said=$(docker volume create -d "$DRIVER" -o bucket=b -o secret_key=s x 2>&1) && fail "a secret as an option"
expect_text "$said" 'env_file=FILE' "what docker says"
for name in .. ../x .x 'x y'; do
	said=$(docker volume create -d "$DRIVER" -o "bucket=file://$T/b" "$name" 2>&1) && fail "the name $name"
done
said=$(run --rm --mount "type=volume,src=../y,dst=/data,volume-driver=$DRIVER,volume-opt=bucket=b" base true 2>&1) && fail "src=../y"
expect_eq "$(ls "$MOUNTS" "$STATE/volumes")" "$(printf '%s:\n\n%s:' "$MOUNTS" "$STATE/volumes")" "volumes of refused calls"

step copy-up into an empty volume
volume media
expect_eq "$(run --rm -v media:/data content cat /data/default)" from-image "copied up"
expect_eq "$(cat "$T/bucket.media/default")" from-image "in the bucket"
expect_eq "$(docker volume inspect -f "{{.Mountpoint}}" media)" "$MOUNTS/media" Mountpoint
expect_eq "$(run --rm -v media:/data base stat -c '%u:%g %a' /data)" '991:991 750' "the root, as in the image"

step a writer and a reader
# /written has what was acknowledged
write='i=0; while :; do i=$((i + 1)); if { echo $i >/data/$1.$i; } 2>/dev/null; then echo $i >>/written; else sleep 0.2; fi; usleep 20000; done'
run -d --stop-timeout 1 --name writer -v media:/data base sh -c "$write" sh writer >/dev/null
count() { docker exec "$1" sh -c 'wc -l </written' 2>/dev/null || echo 0; }
writes_on() { # CONTAINER: some more come
	local before
	before=$(count "$1")
	wait_for 40 eval "[ \"\$(count $1)\" -gt $((before + 5)) ]"
}
writes_on writer
expect_eq "$(run --rm -u 991:991 -v media:/data base cat /data/writer.3)" 3 "in another container"
docker cp writer:/data/writer.3 "$T/copied"
sleep $((WARM + 1))
writes_on writer
pid=$(daemon_pid "$MOUNTS/media")

step the plugin restarts, and is killed
stop_plugin
start_plugin
writes_on writer
kill_plugin
writes_on writer
start_plugin
sleep $((WARM + 1))
writes_on writer
expect_eq "$(daemon_pid "$MOUNTS/media")" "$pid" "filesystem"

step the filesystem is killed
kill -9 "$pid"
writes_on writer
all_there() { # CONTAINER FOLDER: each that was acknowledged
	docker cp "$1:/written" - | tar -xO | while read -r i; do
		[ "$(cat "$2/$1.$i")" = "$i" ] || fail "$1.$i is not what was acknowledged"
	done
}
docker pause writer
all_there writer "$MOUNTS/media"
docker unpause writer

step dockerd restarts with live-restore, also after kill -9
run -d --stop-timeout 1 --name always --restart always -v media:/data base sh -c "$write" sh "always.$$" >/dev/null
stop_dockerd
start_dockerd --live-restore
docker start writer >/dev/null
writes_on writer
writes_on always
kill_dockerd
start_dockerd --live-restore
writes_on writer
writes_on always
stop_dockerd
expect_eq "$(daemon_pid "$MOUNTS/media" | wc -l)" 1 "filesystems while dockerd is away"

step 50 volumes when dockerd starts
start_dockerd --live-restore
for i in $(seq 50); do
	mkdir "$T/bucket.n$i"
	echo "{\"Name\":\"n$i\",\"Driver\":\"$DRIVER\",\"DriverOpts\":{\"bucket\":\"file://$T/bucket.n$i\"}}"
done >"$T/fifty"
while read -r body; do
	echo "next"
	echo "url=http://d/volumes/create"
	echo "unix-socket=$DOCKER_FOLDER/docker.sock"
	echo 'header="Content-Type: application/json"'
	echo "data=\"${body//\"/\\\"}\""
	echo "output=/dev/null"
	echo 'write-out="%{http_code}\n"'
done <"$T/fifty" | tail -n +2 >"$T/curl.config"
expect_eq "$(curl -s -K "$T/curl.config" | sort | uniq -c | tr -s ' ')" ' 50 201' "answers to 50 creations"
stop_dockerd
begun=$SECONDS
start_dockerd --live-restore
expect_le $((SECONDS - begun)) $((14 * PATIENCE)) "seconds until dockerd serves with 51 volumes"
expect_eq "$(docker volume ls -q -f "driver=$DRIVER" | wc -l)" 51 "volumes known"
writes_on writer

step prune and rm
docker volume prune -f >/dev/null
expect_eq "$(ls "$STATE/volumes" | wc -l)" 51 "definitions after a prune"
docker stop -t 1 writer always >/dev/null
all_there writer "$T/bucket.media" # the end of the last container waited for it
docker rm writer always >/dev/null
docker volume rm media >/dev/null
is_gone media || fail "still mounted after rm"
expect_eq "$(cat "$T/bucket.media/writer.3")" 3 "in the bucket after rm"
expect_eq "$(cat "$T/bucket.media/default")" from-image "in the bucket after rm"
step end
