#!/bin/bash
# What objects are sent with: Content-Type by extension, Cache-Control, ACL; backups are private whatever is set.
. "$(dirname "$0")/../support/lib.sh"

start_rgw
start_proxy
forever='public, max-age=315576000, immutable'
start_mount
mkdir -p "$MNT/backups/dumps" "$MNT/m"
while read -r extension type; do
	echo "$extension" >"$MNT/m/x.$extension"
	echo "$type" >"$T/type.$extension"
done <<'TYPES'
png image/png
jpg image/jpeg
jpeg image/jpeg
gif image/gif
webp image/webp
mp4 video/mp4
mp3 audio/mpeg
PNG image/png
unknown application/octet-stream
TYPES
: >"$MNT/m/empty.png"
echo zip >"$MNT/backups/dumps/archive.zip"
wait_uploaded
for file in "$T"/type.*; do
	expect_eq "$(s3 head "m/x.${file##*.}" content-type)" "$(cat "$file")" "content-type of .${file##*.}"
done
expect_eq "$(s3 head m/empty.png content-type)" image/png "content-type of an empty file"
expect_eq "$(s3 head m/x.png cache-control)" "$forever" cache-control
expect_eq "$(s3 acl m/x.png)" public-read acl
expect_eq "$(s3 head backups/dumps/archive.zip content-type)" application/zip "type of a backup"
expect_eq "$(s3 acl backups/dumps/archive.zip)" private "acl of a backup"
expect_eq "$(s3 head m/x.png | grep -c x-amz-meta || :)" 0 "metadata without attrs=object"
expect_eq "$(requests PUT 'x.png$' signed)" "$(requests PUT 'x.png$' signed | grep 'content-type.*x-amz-acl')" signed
expect_eq "$(requests PUT 'x.png$' | grep -c checksum || :)" 0 "checksum headers"
stop_mount

rm -rf "$CACHE"
printf '%s\n' '# rules' '*.gif content_type=image/x-gif cache_control="max-age=5, private"' \
	'hidden/ acl=private' >"$T/rules"
start_mount -o "attrs=object,acl=none,cache_control=max-age=7,rules=$T/rules"
mkdir "$MNT/hidden" "$MNT/n"
echo x >"$MNT/n/a.gif"
echo x >"$MNT/n/a.png"
echo x >"$MNT/hidden/a.png"
chmod 640 "$MNT/n/a.png"
touch -d @1234567890.5 "$MNT/n/a.png"
wait_for 30 object_is n/a.gif "$MNT/n/a.gif"
wait_for 30 object_is hidden/a.png "$MNT/hidden/a.png"
wait_for 30 object_is n/a.png "$MNT/n/a.png"
expect_eq "$(s3 head n/a.gif content-type) $(s3 head n/a.gif cache-control)" 'image/x-gif max-age=5, private' rules
expect_eq "$(s3 head n/a.png cache-control)" max-age=7 cache_control=
expect_eq "$(requests PUT '/n/a.png$' x-amz-acl | sort -u)" "" "acl header with acl=none"
expect_eq "$(s3 acl hidden/a.png)" private "acl by a rule"
meta() { [ "$(s3 head n/a.png "x-amz-meta-$1")" = "$2" ]; }
wait_for 30 meta mode $((0100640))
wait_for 30 meta uid "$(id -u)"
wait_for 30 eval "s3 head n/a.png x-amz-meta-mtime | grep -q ^1234567890"
cold_mount -o attrs=object
expect_eq "$(cat "$MNT/n/a.png")" x # a listing has no metadata; the first read does
expect_eq "$(stat -c '%a %Y' "$MNT/n/a.png")" '640 1234567890' "mode and mtime after the cache was lost"
