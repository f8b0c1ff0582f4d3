#!/bin/bash
# A file larger than a part goes out in parts while it is still being written; smaller ones in one PUT.
. "$(dirname "$0")/../support/lib.sh"

start_rgw
start_proxy
noise "$T/large" 31000000
noise "$T/small" 5000000
start_mount -o part_size=5M
mkdir "$MNT/m"
{
	head -c 22000000 "$T/large"
	wait_for 30 eval '[ $(requests PUT "large.mp4.*partNumber=") -ge 2 ]' # before the end is written
	tail -c +22000001 "$T/large"
} >"$MNT/m/large.mp4"
cp "$T/small" "$MNT/m/small.mp4"
wait_for 60 object_is m/large.mp4 "$T/large"
wait_for 60 object_is m/small.mp4 "$T/small"
stop_mount
expect_eq "$(requests PUT 'small.mp4.*partNumber')" 0 "parts of the small file"
expect_eq "$(requests PUT 'large.mp4.*partNumber' query | grep -o 'partNumber=[0-9]*' | sort -u | wc -l)" 6 "parts"
expect_eq "$(s3 head m/large.mp4 content-type) $(s3 acl m/large.mp4)" "video/mp4 public-read"
expect_eq "$(s3 head m/large.mp4 cache-control)" 'public, max-age=315576000, immutable'
expect_eq "$(s3 uploads)" "" "uploads left over"
cold_mount
cmp "$MNT/m/large.mp4" "$T/large"
