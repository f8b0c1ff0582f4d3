#!/bin/bash
# The request took effect, the answer got lost: PUT, CompleteMultipartUpload, DeleteObjects and copy settle it right.
. "$(dirname "$0")/../support/lib.sh"

start_rgw
start_proxy
noise "$T/large" 12000000
start_mount -o part_size=5M
mkdir "$MNT/d"
faults 'PUT /d/p first=2 reset=after'
echo put >"$MNT/d/p"
wait_for 30 object_is d/p "$MNT/d/p"
faults 'POST uploadId= first=1 reset=after'
cp "$T/large" "$MNT/d/large"
wait_for 60 object_is d/large "$T/large"
faults 'PUT /d/(copied|moved) first=2 reset=after' 'POST delete first=1 reset=after'
mv "$MNT/d/large" "$MNT/d/moved"
rm "$MNT/d/p"
wait_uploaded
cmp "$MNT/d/moved" "$T/large"
faults
stop_mount
expect_eq "$(s3 uploads)" "" "uploads left over"
expect_eq "$(s3 ls)" d/moved keys
