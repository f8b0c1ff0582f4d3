#!/bin/bash
# 403 on every upload: the sender stops and says so, pending work is kept, also over a restart, and goes out once
# the bucket takes it.
. "$(dirname "$0")/../support/lib.sh"

start_rgw
start_proxy
make_tree "$T/tree" --files 40 --bytes 1000000
start_mount -o stop_timeout=3s
faults 'PUT|POST . status=403 code=AccessDenied'
cp -a "$T/tree/." "$MNT"
wait_for 30 grep -qiE '403|denied|refused|EACCES' "$LOG"
sleep 3
expect_le "$(requests 'PUT|POST' .)" 60 "requests in 3 s to a bucket that refuses"
expect_same_tree "$T/tree" "$MNT"
started=$SECONDS
stop_mount
expect_le $((SECONDS - started)) $((12 * PATIENCE)) "seconds to stop with stop_timeout=3s"
expect_text "$(cat "$LOG")" 'pending|left|later|not uploaded' "what the log says of what is left"
start_mount -o stop_timeout=3s
expect_same_tree "$T/tree" "$MNT"
faults
wait_uploaded "$T/tree"
