#!/bin/bash
# tootfsctl warm, evict, pin, unpin: what is in the cache, shown by reading it while the bucket has lost it.
. "$(dirname "$0")/../support/lib.sh"

ctl() { "$(dirname "$TOOTFS")/tootfsctl" "$@"; }
STATUS=0
try() { # COMMAND…: sets SAID and STATUS
	STATUS=0
	SAID=$("$@" 2>&1) || STATUS=$?
}
held() { du -s -B1 "$CACHE/blobs" | cut -f1; }

use_folder
mkdir -p "$T/bucket/a/b" "$T/bucket/c"
noise "$T/bucket/a/1" 3000000
noise "$T/bucket/a/b/2" 12000000
noise "$T/bucket/a/b/3" 100
noise "$T/bucket/c/4" 2000000
cp -r "$T/bucket" "$T/wanted"
start_mount -o cache_size=64M

# warm
try ctl warm "$MNT/a" "$MNT/c/4"
expect_eq "$STATUS" 0 "status of warm ($SAID)"
expect_text "$SAID" '4 files, 16 MiB fetched'
expect_same_content "$T/wanted" "$MNT"
try ctl warm "$MNT"
expect_text "$SAID" '0 files, 0 B fetched'
find "$T/bucket" -type f -size +0 -exec truncate -s 0 {} + # whoever asked for them again would notice
echo 3 >/proc/sys/vm/drop_caches 2>/dev/null || :
expect_same_content "$T/wanted" "$MNT"
cp -r "$T/wanted/." "$T/bucket"

# evict
exec 5<"$MNT/a/1"
try ctl evict "$MNT/a"
expect_eq "$STATUS" 1 "status of evict with an open file"
expect_text "$SAID" 'a/1: it is open'
expect_text "$SAID" '2 files, 11 MiB dropped'
expect_le "$(held)" 6000000 "bytes held after it"
exec 5<&-
evicted() { try ctl evict "$MNT" && [ "$STATUS" = 0 ]; }
wait_for 10 evicted # the close is on its way to the daemon
expect_le "$(held)" 100000 "bytes held in the end"
stop_mount

# pins: they survive a restart, hold what others would push out, and what is added to their folder
start_mount -o cache_size=64M
ctl refresh "$MNT" >/dev/null # the bucket's files were written again
try ctl pin "$MNT/a"
expect_eq "$STATUS" 0 "status of pin ($SAID)"
expect_text "$SAID" '3 files'
ctl pin "$MNT/c/4" >/dev/null 2>&1
ctl unpin "$MNT/c/4"
try ctl unpin "$MNT/c/4"
expect_eq "$STATUS" 1 "unpin of what is not pinned"
stop_mount
start_mount -o cache_size=64M
expect_eq "$(cd "$MNT/c" && ctl pin)" a/ "what is pinned"
noise "$MNT/a/new" 1000000
wait_for 30 test -s "$T/bucket/a/new"
for i in $(seq 12); do noise "$MNT/c/w$i" 6000000; done
wait_for 60 eval '[ "$(ls "$T/bucket/c" | wc -l)" = 13 ]'
mv "$T/bucket/a" "$T/hidden"
echo 3 >/proc/sys/vm/drop_caches 2>/dev/null || :
expect_same_content "$T/wanted/a/b" "$MNT/a/b"
cmp "$MNT/a/1" "$T/wanted/a/1"
cmp "$MNT/a/new" "$T/hidden/new"
mv "$T/hidden" "$T/bucket/a"
try ctl evict "$MNT/a/1"
expect_text "$SAID" 'it is pinned'

# more than there is room for
try ctl warm "$MNT/c"
expect_eq "$STATUS" 1 "status of warm where the cache is too small"
expect_text "$SAID" 'too small'
try ctl warm "$MNT/nothing"
expect_eq "$STATUS" 1 "status of warm for what is not there ($SAID)"
try ctl warm
expect_eq "$STATUS" 2 "status without a path"
