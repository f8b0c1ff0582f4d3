#!/bin/bash
# Many readers of one object that is not here cause one download; each small object is fetched whole, once.
. "$(dirname "$0")/../support/lib.sh"

start_rgw
start_proxy
noise "$T/file" 3000000
s3 put d/file.png "$T/file"
start_mount
ls "$MNT/d" >/dev/null
faults 'GET file.png latency=500'
pids=()
for _ in 1 2 3 4 5 6; do
	cmp "$MNT/d/file.png" "$T/file" &
	pids+=($!)
done
for pid in "${pids[@]}"; do wait "$pid"; done
cmp "$MNT/d/file.png" "$T/file"
expect_eq "$(requests GET 'file.png$' got | awk '{ s += $1 } END { print s }')" 3000000 "bytes downloaded"
expect_eq "$(requests GET 'file.png$')" 1 "downloads"
stop_mount
start_mount
cmp "$MNT/d/file.png" "$T/file"
expect_eq "$(requests GET 'file.png$')" 1 "downloads after a restart"
