#!/bin/bash
# tests/support/posix_names.py on the mount; afterwards bucket and mount agree, also for one who has only the bucket.
. "$(dirname "$0")/../support/lib.sh"

start_rgw
start_mount
python3 "$SUPPORT/posix_names.py" "$MNT"
wait_uploaded
bucket_diff "$MNT"
tree_sums "$MNT" >"$T/sums"
cold_mount
(cd "$MNT" && md5sum --check --quiet "$T/sums") || fail "a cold mount shows other content"
