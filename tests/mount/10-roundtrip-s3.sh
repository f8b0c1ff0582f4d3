#!/bin/bash
# cp -a in, everything in the bucket under its path and nothing else, a lost cache, every byte back.
. "$(dirname "$0")/../support/lib.sh"

start_rgw
make_tree "$T/tree" --files 400 --bytes 20000000
touch -d '2024-02-03 04:05:06.789012345' "$T/tree/accounts"
start_mount
cp -a "$T/tree/." "$MNT"
expect_same_tree "$T/tree" "$MNT"
wait_uploaded "$T/tree"
stop_mount
start_mount # the same cache
expect_same_tree "$T/tree" "$MNT"
cold_mount
expect_eq "$(cd "$MNT" && find . | sort)" "$(cd "$T/tree" && find . | sort)" "names after the cache was lost"
expect_same_content "$T/tree" "$MNT"
wait_uploaded "$T/tree"
