#!/bin/bash
# The calls that Mastodon's attachment code makes, as they were traced: store, replace, reprocess under the same name,
# delete, move, suspend. The bucket ends as the tree is, and the calls after close cost no request.
. "$(dirname "$0")/../support/lib.sh"

start_rgw
start_proxy
start_mount
python3 "$SUPPORT/mastodon.py" "$MNT"
wait_uploaded
bucket_diff "$MNT"
stop_mount
expect_le "$(requests PUT . x-amz-copy-source | grep -c . || :)" 1 "copies (there is one rename inside)"
twice=$(requests PUT . path | sort | uniq -d)
expect_eq "$(grep -v reprocessed <<<"$twice")" "" "files sent more than once"
