#!/bin/bash
# tests/support/posix_attrs.py on the mount; afterwards bucket and mount agree, also for one who has only the bucket.
. "$(dirname "$0")/../support/lib.sh"

start_rgw
start_mount
python3 "$SUPPORT/posix_attrs.py" "$MNT"
wait_uploaded
bucket_diff "$MNT"
(cd "$MNT" && find . -type f -print0 | xargs -0r md5sum | sort -k2) >"$T/sums"
cold_mount
expect_eq "$(tree_sums "$MNT")" "$(cat "$T/sums")" "sums of what a cold mount shows"
