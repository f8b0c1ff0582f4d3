#!/bin/bash
# A power cut on a disk that lied: cached files that are not whole are fetched again, unsent ones are said to be lost and are
# not sent; what is whole is as it was.
. "$(dirname "$0")/../support/lib.sh"

start_rgw
start_proxy
mkdir "$T/tree"
for i in 1 2 3 4 5; do noise "$T/tree/clean$i" 300000; done
echo 'version one' >"$T/tree/older"
start_mount
cp -a "$T/tree/." "$MNT"
wait_uploaded "$T/tree"
faults 'PUT|POST|DELETE . status=503'
mkdir "$T/new" "$MNT/new"
for name in good short gone holes sparse; do noise "$T/new/$name" 200000; done
truncate -s 900000 "$T/new/sparse" # a hole that is meant
for name in good short gone holes; do cp "$T/new/$name" "$MNT/new"; done
cp --sparse=always "$T/new/sparse" "$MNT/new"
echo 'version two' >"$MNT/older"
sync -f "$MNT"
python3 -c 'import os, sys; os.fsync(os.open(sys.argv[1], os.O_RDONLY))' "$MNT"
kill_mount
"$SUPPORT/reboot.py" "$CACHE"
blob() { # SOURCE: of the blob with its bytes
	local file
	while read -r file; do
		cmp -s -n "$(stat -c %s "$1")" "$1" "$file" && echo "$file" && return
	done < <(find "$CACHE/blobs" -type f)
	fail "no blob has the bytes of $1"
}
hole() { fallocate --punch-hole --offset 65536 --length 65536 "$1"; }
echo 'version two' >"$T/two"
for name in tree/clean1 tree/clean2 tree/clean3 new/short new/gone new/holes two; do
	declare "b_${name//\//_}=$(blob "$T/$name")"
done
truncate -s 100000 "$b_tree_clean1"
rm "$b_tree_clean2"
hole "$b_tree_clean3" || skip "no holes can be punched here"
truncate -s 1000 "$b_new_short"
rm "$b_new_gone"
hole "$b_new_holes"
truncate -s 3 "$b_two"
start_mount
swept() { grep -q 'swept after an unclean stop' "$LOG"; }
cmp "$T/tree/clean1" "$MNT/clean1" # at once
wait_for 20 swept
expect_eq "$(grep -c 'missing or not whole, content will be fetched again' "$LOG")" 3 "copies that are not whole"
for i in 1 2 3 4 5; do cmp "$T/tree/clean$i" "$MNT/clean$i" || fail "clean$i"; done
for name in new/short new/gone new/holes older; do
	expect_text "$(cat "$LOG")" "error.*LOST.*path=$name" "log about $name"
done
expect_eq "$(ls "$MNT/new" | tr '\n' ' ')" "good sparse " "what is left in the tree"
cmp "$T/new/good" "$MNT/new/good"
cmp "$T/new/sparse" "$MNT/new/sparse"
expect_eq "$(cat "$MNT/older")" 'version one' "the version that the bucket has"
expect_eq "$(cd "$CACHE/lost+found/files" && find . -type f | sort | tr '\n' ' ')" "./new/holes ./new/short ./older " "kept"
expect_text "$(cat "$CACHE/lost+found/README")" 'not whole.*new/gone' "the list"
faults
cp "$T/new/good" "$T/new/sparse" "$T/tree"
mkdir "$T/tree/new" && mv "$T/tree/good" "$T/tree/sparse" "$T/tree/new"
wait_uploaded "$T/tree"
