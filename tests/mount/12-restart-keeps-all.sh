#!/bin/bash
# What a restart must not change: inode numbers, times, modes, owners, xattrs, links, symlinks, empty folders.
. "$(dirname "$0")/../support/lib.sh"

use_folder
make_tree "$T/tree" --files 60 --bytes 1000000
mkdir -p "$T/tree/e/m/p/t/y"
ln "$(find "$T/tree" -type f | sed -n 1p)" "$T/tree/hard"
ln -s ../somewhere "$T/tree/symbolic"
[ "$(id -u)" != 0 ] || chown -R 991:992 "$T/tree/e"
start_mount
cp -a "$T/tree/." "$MNT"
python3 -c 'import os, sys; os.setxattr(sys.argv[1], "user.k", b"v\0w")' "$MNT/hard"
facts() { (cd "$MNT" && find . -printf '%P %i %m %U:%G %T@ %C@ %n %l\n' | sort); }
before=$(facts)
for _ in 1 2 3; do
	stop_mount
	start_mount
	expect_eq "$(facts)" "$before" "what find says after a restart"
done
expect_eq "$(python3 -c 'import os, sys; print(os.getxattr(sys.argv[1], "user.k"))' "$MNT/hard")" "b'v\\x00w'" xattr
expect_same_content "$T/tree" "$MNT"
