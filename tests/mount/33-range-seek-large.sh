#!/bin/bash
# A seek in a large object does not wait for the whole of it, and what was read stays read over a restart.
. "$(dirname "$0")/../support/lib.sh"

start_rgw
start_proxy
noise "$T/video" $((48 << 20))
s3 multipart big/video.mp4 "$T/video" $((8 << 20)) >/dev/null
start_mount
faults 'GET video throttle=4M' # 12 s for all of it on one connection
piece() { dd if="$1" bs=64K iflag=skip_bytes,count_bytes skip="$2" count=$((64 << 10)) status=none | md5sum; }
started=$(date +%s%N)
for offset in $((40 << 20)) 1000 $((20 << 20)); do
	expect_eq "$(piece "$MNT/big/video.mp4" $offset)" "$(piece "$T/video" $offset)" "64 KiB at $offset"
done
ms=$((($(date +%s%N) - started) / 1000000))
expect_le $ms $((8000 * PATIENCE)) "ms for three seeks"
expect_eq "$(requests GET 'video.mp4$' range | grep -v bytes)" "" "GETs without a Range"
expect_eq "$(requests GET 'video.mp4$' if-match | grep -c '^$' || :)" 0 "GETs without If-Match"
faults
stop_mount
forget_requests
start_mount
expect_eq "$(piece "$MNT/big/video.mp4" $((40 << 20)))" "$(piece "$T/video" $((40 << 20)))"
expect_eq "$(requests GET video)" 0 "GETs of what was read before the restart"
cmp "$MNT/big/video.mp4" "$T/video"
