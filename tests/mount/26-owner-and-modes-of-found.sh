#!/bin/bash
# uid, gid, file_mode and dir_mode say whose the nodes are that came from the bucket; new ones are their maker's.
. "$(dirname "$0")/../support/lib.sh"

requires_root
start_rgw
echo x | s3 put d/found -
start_mount -o uid=991,gid=992,file_mode=640,dir_mode=750
expect_eq "$(stat -c '%u:%g %a' "$MNT/d/found")" '991:992 640' "a found file"
expect_eq "$(stat -c '%u:%g %a' "$MNT/d")" '991:992 750' "a found folder"
echo x >"$MNT/d/new"
expect_eq "$(stat -c '%u:%g %a' "$MNT/d/new")" '0:0 644' "a new file"
