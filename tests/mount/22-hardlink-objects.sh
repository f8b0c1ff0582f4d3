#!/bin/bash
# Every name of a hard link is an object of its own; each follows the content, and goes with its name only.
. "$(dirname "$0")/../support/lib.sh"

start_rgw
start_mount
mkdir "$MNT/d"
echo one >"$MNT/a"
ln "$MNT/a" "$MNT/d/b"
wait_uploaded
object_is d/b "$MNT/a"
echo 'two, changed through the other name' >"$MNT/d/b"
wait_for 30 object_is a "$MNT/a"
wait_for 30 object_is d/b "$MNT/a"
ln "$MNT/a" "$MNT/c" # of content that is in the bucket already
wait_for 30 object_is c "$MNT/a"
rm "$MNT/a"
wait_for 30 object_gone a
object_is d/b "$MNT/c"
object_is c "$MNT/c"
mv "$MNT/c" "$MNT/e"
wait_uploaded
object_is e "$MNT/d/b"
cold_mount
expect_eq "$(cat "$MNT/d/b" "$MNT/e" | sort -u)" 'two, changed through the other name' "content of both"
