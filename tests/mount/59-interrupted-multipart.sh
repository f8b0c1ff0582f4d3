#!/bin/bash
# A daemon killed in the middle of a multipart upload: the next one finishes it; nobody else's uploads are touched.
. "$(dirname "$0")/../support/lib.sh"

start_rgw
start_proxy
noise "$T/large" 26000000
s3 multipart foreign.mp4 "$T/large" 9000000 open >/dev/null
s3 multipart large.mp4 "$T/large" 9000000 open >/dev/null # of our key, but not of our making
start_mount -o part_size=5M
faults 'PUT partNumber=[345] latency=60000'
cp "$T/large" "$MNT/large.mp4"
wait_for 30 eval '[ $(s3 uploads | grep -c large) -ge 2 ]'
kill_mount
faults
start_mount -o part_size=5M
cmp "$MNT/large.mp4" "$T/large"
wait_for 60 object_is large.mp4 "$T/large"
expect_only_foreign() { [ "$(s3 uploads | cut -d' ' -f1 | sort | tr '\n' ' ')" = 'foreign.mp4 large.mp4 ' ]; }
wait_for 30 expect_only_foreign
