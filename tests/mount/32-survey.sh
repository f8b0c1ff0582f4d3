#!/bin/bash
# The background survey fills in the whole tree: afterwards find and stat ask the bucket nothing. The mount does not wait
# for it.
. "$(dirname "$0")/../support/lib.sh"

start_rgw
start_proxy
make_tree "$T/tree" --files 300 --bytes 600000
s3 putdir "$T/tree"
faults 'GET list-type latency=300'
start_mount
faults
surveyed() { grep -qiE 'survey.*(done|end|complete|finish)' "$LOG"; }
wait_for 60 surveyed
forget_requests
expect_eq "$(cd "$MNT" && find . -type f -printf '%P %s\n' | sort)" \
	"$(cd "$T/tree" && find . -type f -printf '%P %s\n' | sort)" "names and sizes after the survey"
expect_eq "$(requests '*' .)" 0 "requests for find after the survey"
