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
