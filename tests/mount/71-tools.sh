#!/bin/bash
# rsync, tar, find, du, cp, mv, install, sort -o, sed -i, dd, truncate, git: as on a local filesystem.
. "$(dirname "$0")/../support/lib.sh"

requires rsync tar git
use_folder
make_tree "$T/tree" --files 80 --bytes 1500000
start_mount
mkdir "$MNT/rsync" "$MNT/tar"
rsync -aHAX "$T/tree/" "$MNT/rsync/"
expect_same_tree "$T/tree" "$MNT/rsync"
rsync -a --inplace --append-verify "$T/tree/" "$MNT/rsync/"
tar -C "$T/tree" --format=posix -cf - . | tar -C "$MNT/tar" -xpf -
expect_same_tree "$T/tree" "$MNT/tar"
tar -C "$MNT/tar" --format=posix -cf "$T/back.tar" .
tar -C "$MNT/tar" --compare -f "$T/back.tar"
expect_eq "$(find "$MNT/tar" -type f -newermt 2024-06-01 | wc -l)" \
	"$(find "$T/tree" -type f -newermt 2024-06-01 | wc -l)" "find -newermt"
apparent() { find "$1" -type f -printf '%s\n' | awk '{ s += $1 } END { print s }'; }
expect_eq "$(apparent "$MNT/tar")" "$(apparent "$T/tree")" "sum of sizes"
used=$(du -s -B1 "$MNT/tar" | cut -f1)
expect_ge "$used" "$(apparent "$T/tree")" "du"
expect_le "$used" $((2 * $(apparent "$T/tree") + (40 << 20))) "du"
mv "$MNT/tar" "$MNT/renamed"
cp -r --reflink=auto --sparse=always "$MNT/renamed" "$MNT/copy"
expect_same_content "$T/tree" "$MNT/copy"
rm -rf "$MNT/copy"
printf 'c\na\nb\n' >"$MNT/lines"
sort -o "$MNT/lines" "$MNT/lines"
sed -i 's/b/B/' "$MNT/lines"
expect_eq "$(tr '\n' , <"$MNT/lines")" a,B,c,
install -m 640 "$MNT/lines" "$MNT/installed"
expect_eq "$(stat -c %a "$MNT/installed")" 640
dd if=/dev/zero of="$MNT/installed" bs=3 seek=1 count=1 conv=notrunc status=none
expect_eq "$(od -An -c "$MNT/installed" | tr -s ' ')" ' a \n B \0 \0 \0'
git -c init.defaultBranch=main init -q "$MNT/repo"
(cd "$MNT/repo" && cp -r "$SOURCE/tests/support" . && git add . && git -c user.name=t -c user.email=t@t commit -qm x &&
	git gc -q && git fsck --strict && git checkout -q . && [ -z "$(git status --short)" ])
rm -rf "$MNT/repo"
wait_uploaded
expect_same_content "$T/tree" "$MNT/renamed"
