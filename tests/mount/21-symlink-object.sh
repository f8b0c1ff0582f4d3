#!/bin/bash
# A symlink is an object as s3fs keeps it, target as body and type in x-amz-meta-mode, so that a lost index loses none.
. "$(dirname "$0")/../support/lib.sh"

start_rgw
start_mount
mkdir "$MNT/d"
echo content >"$MNT/d/file"
ln -s d/file "$MNT/to-file"
ln -s "/absolute/with ä" "$MNT/d/absolute"
ln -s d "$MNT/to-folder"
wait_uploaded
expect_eq "$(s3 get to-file)" d/file "body of a symlink's object"
mode=$(s3 head to-file x-amz-meta-mode)
expect_eq $((mode & 0170000)) $((0120000)) "type in x-amz-meta-mode ($mode)"
cold_mount
# A listing does not tell a symlink from a file: it shows when it is opened, and from then on.
expect_eq "$(cat "$MNT/to-file")" content "through a symlink that was not known as one"
! cat "$MNT/d/absolute" 2>/dev/null || fail "opened a symlink to nowhere"
! cat "$MNT/to-folder" 2>/dev/null || fail "opened a folder"
expect_eq "$(readlink "$MNT/to-file")" d/file
expect_eq "$(readlink "$MNT/d/absolute")" "/absolute/with ä"
expect_eq "$(cat "$MNT/to-folder/file")" content "through a symlink to a folder"
expect_eq "$(find "$MNT" -type l | wc -l)" 3 "symlinks that find sees"
rm "$MNT/to-file"
wait_for 30 object_gone to-file
