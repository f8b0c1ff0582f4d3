#!/bin/bash
# A cache full of what cannot be uploaded: the writer gets ENOSPC after a while, what was acknowledged stays, and all
# of it arrives when the bucket is back.
. "$(dirname "$0")/../support/lib.sh"

start_rgw
start_proxy
start_mount -o cache_size=64M,full_timeout=2s
faults 'PUT|POST . status=503 code=SlowDown'
mkdir "$T/tree"
for i in $(seq 100); do
	noise "$T/tree/f$i" 1000000
	cp "$T/tree/f$i" "$MNT" 2>"$T/err" || break
done
expect_text "$(cat "$T/err")" 'no space' "what cp said when the cache was full"
rm -f "$T/tree/f$i" "$MNT/f$i"
expect_ge "$i" 40 "files of 1 MB taken by a cache of 64 MB"
expect_same_content "$T/tree" "$MNT"
mkdir "$MNT/metadata-goes-on"
rm -r "$MNT/metadata-goes-on"
faults
UPLOAD_SECONDS=100 wait_uploaded "$T/tree"
cp "$T/tree/f1" "$MNT/again"
