#!/bin/bash
# ro: everything can be read, nothing can be changed, nothing is sent.
. "$(dirname "$0")/../support/lib.sh"

start_rgw
start_proxy
make_tree "$T/tree" --files 15 --bytes 200000
s3 putdir "$T/tree"
start_mount -o ro
expect_same_content "$T/tree" "$MNT"
file=$(find "$MNT" -type f | sed -n 1p)
for change in "touch $MNT/new" "rm $file" "mkdir $MNT/d" "truncate -s 0 $file" "mv $file $MNT/x" "chmod 600 $file" \
	"ln $file $MNT/l" "ln -s x $MNT/s"; do
	if err=$($change 2>&1); then fail "worked on a read-only mount: $change"; fi
	expect_text "$err" 'read-only' "$change"
done
stop_mount
expect_eq "$(requests 'PUT|POST|DELETE' .)" 0 "requests that write"
