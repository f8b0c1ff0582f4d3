#!/bin/bash
# A directory is listed when first touched, once, and from then on nothing about it needs the bucket: no missing name,
# no stat, no readdir (promise: no network on the metadata path).
. "$(dirname "$0")/../support/lib.sh"

start_rgw
start_proxy
make_tree "$T/tree" --files 60 --bytes 600000
s3 putdir "$T/tree"
start_mount -o survey=off
forget_requests
file=$(cd "$T/tree" && find . -path '*/files/*/original/*' -type f | sort | sed -n 1p)
depth=$(tr -dc / <<<"$file" | wc -c)
stat "$MNT/$file" >/dev/null
expect_le "$(requests GET list-type)" "$depth" "listings for the first look at $file"
expect_eq "$(requests GET 'list-type.*delimiter')" "$(requests GET list-type)" "listings with a delimiter"
forget_requests
for _ in 1 2 3; do
	stat "$MNT/$file" "$MNT/$(dirname "$file")" >/dev/null
	! stat "$MNT/$file.gz" 2>/dev/null || fail "a name that is not there"
	ls -l "$(dirname "$MNT/$file")" >/dev/null
done
chmod 600 "$MNT/$file"
touch -d 2020-01-01 "$MNT/$file"
mkdir "$(dirname "$MNT/$file")/new"
! stat "$(dirname "$MNT/$file")/new/x" 2>/dev/null || fail "a name in a new folder"
expect_eq "$(requests "*" . query)" "" "requests once the directory is known"
stop_mount
forget_requests
start_mount -o survey=off
forget_requests
stat "$MNT/$file" >/dev/null
! stat "$MNT/$file.gz" 2>/dev/null || fail "a name that is not there"
expect_eq "$(requests GET list-type)" 0 "listings for a known directory after a restart"
