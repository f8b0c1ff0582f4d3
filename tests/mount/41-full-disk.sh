#!/bin/bash
# The disk below the cache is full: ENOSPC or waiting, but nothing acknowledged is lost and the daemon lives on.
. "$(dirname "$0")/../support/lib.sh"

requires_root
requires mkfs.ext4
start_rgw
truncate -s 100M "$T/disk"
mkfs.ext4 -q -m 0 "$T/disk"
mkdir "$T/small"
mount -o loop "$T/disk" "$T/small" 2>/dev/null || skip "no loop devices here"
on_exit "umount -l $T/small"
CACHE=$T/small/cache
start_proxy
start_mount -o cache_size=10G,full_timeout=2s
faults 'PUT|POST . status=503'
mkdir "$T/tree"
refused=0
for i in $(seq 60); do
	noise "$T/tree/f$i" 3000000
	if ! cp "$T/tree/f$i" "$MNT" 2>>"$T/err"; then
		rm -f "$T/tree/f$i" "$MNT/f$i"
		refused=$((refused + 1))
		[ $refused -lt 2 ] || break
	fi
done
expect_ge $refused 1 "files refused on a disk of 100 MB"
expect_text "$(cat "$T/err")" 'no space' "what cp said"
expect_ge "$(ls "$T/tree" | wc -l)" 10 "files taken before that"
expect_same_content "$T/tree" "$MNT"
faults
wait_uploaded "$T/tree"
cp "$T"/tree/f1 "$MNT/after"
cmp "$MNT/after" "$T/tree/f1"

# Somebody else takes all the rest of the disk, also what evictions give back.
mkdir "$MNT/known"
for i in $(seq 20); do echo "$i" >"$MNT/known/k$i"; done
wait_uploaded
cached() { find "$CACHE/blobs" -type f -size +1000k | wc -l; }
before=$(cached)
expect_ge "$before" 5 "large files in the cache"
take_all() {
	while cat /dev/zero >>"$T/small/somebody" 2>/dev/null || [ -e "$T/small/somebody" ]; do sleep 0.05; done
}
: >"$T/small/somebody"
take_all &
taker=$!
on_exit "kill $taker 2>/dev/null || :"
all_evicted() { [ "$(cached)" = 0 ]; }
wait_for 60 all_evicted # the index can be changed for that
made=$(python3 - "$MNT/known" <<'PY'
import errno, os, sys
for made in range(60000):
    try:
        os.mkdir(f"{sys.argv[1]}/d{made}" + 200 * "x")
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        print(made)
        break
else:
    sys.exit("the index has no end")
PY
)
say "$made folders made on a full disk"
look() {
	stat "$MNT/known/k1" "$MNT/known/k20" "$MNT/f1" >/dev/null
	[ "$made" = 0 ] || [ -d "$MNT/known/d$((made - 1))"x* ]
	expect_eq "$(find "$MNT/known" -mindepth 1 -name 'k*' | wc -l)" 20 "files listed"
	expect_eq "$(find "$MNT/known" -mindepth 1 -name 'd*' | wc -l)" "$made" "folders listed"
}
look
rm "$MNT/f2" # what makes room goes on
gone() { ! object_is f2 "$T/tree/f2"; }
wait_for 60 gone
kill $taker
wait $taker || :
rm "$T/small/somebody"
goes_on() { mkdir "$MNT/known/again" 2>/dev/null; }
wait_for 20 goes_on
rmdir "$MNT/known/again"
look
expect_eq "$(cat "$MNT/known/k7")" 7 "content"
cp "$T/tree/f3" "$MNT/known/after"
wait_for 60 object_is known/after "$T/tree/f3"
kill_mount
start_mount -o cache_size=10G,full_timeout=2s
look
