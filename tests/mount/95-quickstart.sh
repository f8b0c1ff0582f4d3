#!/bin/bash
# tools/quickstart with the program that is built: a made-up tree and one of the user's own; nothing is left behind.
. "$(dirname "$0")/../support/lib.sh"

export TOOTFS_BUILD=${TOOTFS_BUILD:-$SOURCE/build} TMPDIR=$T QUICKSTART_FILES=200
out=$("$SOURCE/tools/quickstart")
expect_text "$out" '^  read back, nothing in the cache +200 ' "the table"
expect_text "$out" 'all equal'
make_tree "$T/own" --files 30 --bytes 300000
ln -s x "$T/own/link"
out=$("$SOURCE/tools/quickstart" "$T/own")
expect_text "$out" '^  cp -a into the mount +31 ' "the table"
expect_eq "$(find "$T" -maxdepth 1 -name 'tootfs-quickstart*')" "" "what quickstart left behind"
expect_fails "$SOURCE/tools/quickstart" "$T/no-such-folder"
