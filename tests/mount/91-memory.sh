#!/bin/bash
# The daemon's memory does not grow with the number of files: copied in, listed, read.
. "$(dirname "$0")/../support/lib.sh"

! grep -qa __asan_init "$TOOTFS" || skip "sanitizers have memory of their own"
! grep -qa __tsan_init "$TOOTFS" || skip "sanitizers have memory of their own"
use_folder
make_tree "$T/tree" --files 3000 --bytes 20000000
start_mount
pid=${DAEMON[$MNT]}
peak() { awk '/VmHWM/ { print $2 }' "/proc/$pid/status"; }
cp -a "$T/tree/." "$MNT"
wait_uploaded
find "$MNT" -type f -exec cat {} + | wc -c >/dev/null
say "peak $(peak) KiB"
expect_le "$(peak)" $((128 * 1024)) "peak KiB"
