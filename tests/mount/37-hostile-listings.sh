#!/bin/bash
# Listings that are cut off, garbage or 100 MB long: an error in bounded time and memory, and right again later.
. "$(dirname "$0")/../support/lib.sh"

start_rgw
start_proxy
for d in a b c d; do echo x | s3 put "$d/f" -; done
start_mount -o survey=off,io_timeout=5s
ls "$MNT" >/dev/null
pid=${DAEMON[$MNT]}
refuse() { # RULE FOLDER
	faults "$1"
	if ls "$MNT/$2" >"$T/got" 2>&1; then fail "listed with: $1: $(head -3 "$T/got")"; fi
	faults
	wait_for 40 eval "ls $MNT/$2 >/dev/null 2>&1" # a breaker may want its time
	expect_eq "$(ls "$MNT/$2")" f "after: $1"
}
refuse 'GET list-type shorten=-60' a
refuse 'GET list-type status=200 body=garbage' b
refuse 'GET list-type status=500' c
refuse 'GET list-type xml=100M' d
expect_le "$(awk '/VmHWM/ { print $2 }' "/proc/$pid/status")" $((128 * 1024 * (PATIENCE > 1 ? 8 : 1))) "peak KiB"
