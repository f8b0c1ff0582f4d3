#!/bin/bash
# Two mounts of one bucket with shared=1: each sees what the other did after a while.
. "$(dirname "$0")/../support/lib.sh"

start_rgw
start_mount -o shared=1
MNT2=$T/mnt2
MNT=$MNT2 CACHE=$T/cache2
start_mount -o shared=1
MNT=$T/mnt
mkdir "$MNT/d"
echo one >"$MNT/d/f"
wait_for 30 object_is d/f "$MNT/d/f"
same() { [ "$(cat "$MNT2/d/f" 2>/dev/null)" = "$1" ]; }
wait_for 30 same one
echo "two, longer" >"$MNT/d/f"
wait_for 30 object_is d/f "$MNT/d/f"
wait_for 30 same "two, longer"
rm "$MNT/d/f"
wait_for 30 object_gone d/f
wait_for 30 eval "! test -e $MNT2/d/f"
