#!/bin/bash
# A cache folder that cannot be written, is in use, or belongs to another bucket.
. "$(dirname "$0")/../support/lib.sh"

use_folder
: >"$T/file"
expect_refused 'file' "$BUCKET" "$MNT" -o "cache=$T/file"
expect_refused 'file' "$BUCKET" "$MNT" -o "cache=$T/file/below"
if [ "$(id -u)" = 0 ]; then
	expect_refused 'nope' "$BUCKET" "$MNT" -o cache=/proc/nope
else
	mkdir -m 500 "$T/closed"
	expect_refused 'closed' "$BUCKET" "$MNT" -o "cache=$T/closed"
fi

start_mount
echo mine >"$MNT/f"
mkdir "$T/mnt2" "$T/bucket2"
expect_refused 'use|another|lock' "$BUCKET" "$T/mnt2" -o "cache=$CACHE"
expect_eq "$(cat "$MNT/f")" mine "the first mount, undisturbed"
expect_eq "$(find "$CACHE" -type d ! -perm 700 -o -type f ! -perm 600)" "" "what others could read in the cache"
wait_uploaded
stop_mount

expect_refused 'another|other|different|made for' "file://$T/bucket2" "$MNT" -o "cache=$CACHE"
start_mount
expect_eq "$(cat "$MNT/f")" mine "the cache after it was refused to another bucket"
