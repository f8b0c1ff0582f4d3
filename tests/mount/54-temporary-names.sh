#!/bin/bash
# rsync writes to .NAME.XXXXXX and renames: the bucket sees the final name only, sent once.
. "$(dirname "$0")/../support/lib.sh"

requires rsync
start_rgw
start_proxy
make_tree "$T/tree" --files 150 --bytes 6000000
start_mount
rsync -a "$T/tree/" "$MNT/"
expect_same_tree "$T/tree" "$MNT"
wait_uploaded "$T/tree"
# A rename after a checkpoint may cost a DELETE of what never was there.
for method in PUT POST; do
	expect_eq "$(requests $method '/\.[^/]*\.[A-Za-z0-9]{6}(\?|$)')" 0 "$method requests with a temporary name"
done
expect_eq "$(requests PUT .)" 150 "PUT requests for 150 files"
expect_eq "$(rsync -a --itemize-changes "$T/tree/" "$MNT/")" "" "what a second rsync finds to do"
