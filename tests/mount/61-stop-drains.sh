#!/bin/bash
# Unmounting straight after the copy: when the daemon has ended, everything is in the bucket.
. "$(dirname "$0")/../support/lib.sh"

start_rgw
start_proxy
make_tree "$T/tree" --files 150 --bytes 6000000
faults 'PUT . latency=300'
start_mount
cp -a "$T/tree/." "$MNT"
stop_mount
bucket_diff "$T/tree" || fail "the daemon ended before everything was in the bucket"
