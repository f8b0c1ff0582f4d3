#!/bin/bash
# The same round trip with a folder as the bucket, with links and strange names in the tree.
. "$(dirname "$0")/../support/lib.sh"

use_folder
make_tree "$T/tree" --files 150 --bytes 6000000
mkdir "$T/tree/odd names"
for name in 'a b' 'ä+%41' '<&>' 'new
line' '-rf' '~' '#?'; do echo "$name" >"$T/tree/odd names/$name"; done
ln "$T/tree/odd names/a b" "$T/tree/odd names/hard"
: >"$T/tree/empty"
start_mount
cp -a "$T/tree/." "$MNT"
expect_same_tree "$T/tree" "$MNT"
expect_eq "$(stat -c %h "$MNT/odd names/hard")" 2 "links of a hard link"
wait_uploaded "$T/tree"
cold_mount
expect_same_content "$T/tree" "$MNT"
