#!/bin/bash
# fsck.tootfs --rebuild after a kill -9: what was not uploaded is back under its path and uploaded, what the bucket has another
# version of stays in lost+found. Interrupted, it says so with status 32, and can be run again.
. "$(dirname "$0")/../support/lib.sh"

FSCK=$(dirname "$TOOTFS")/fsck.tootfs
[ -x "$FSCK" ] || skip "there is no $FSCK"
start_rgw
start_proxy
make_tree "$T/tree" --files 60 --bytes 3000000
start_mount
cp -a "$T/tree/." "$MNT"
wait_uploaded "$T/tree"
faults 'PUT|POST . status=503'
mkdir -p "$MNT/new/deep"
for i in 1 2 3; do noise "$T/new$i" 30000 && cp "$T/new$i" "$MNT/new/deep/n$i"; done
changed=$(cd "$T/tree" && find . -type f | sort | sed -n '1s|^\./||p')
echo "changed and not uploaded" >"$T/changed"
cp "$T/changed" "$MNT/$changed"
kill_mount
faults

faults 'GET . stall=before'
"$FSCK" -n "$BUCKET" -o "$(mount_options)" >"$T/said" 2>&1 &
pid=$!
sleep 2
kill -INT $pid
status=0
wait $pid || status=$?
expect_eq "$status" 32 "status when interrupted: $(cat "$T/said")"
faults

status=0
"$FSCK" --rebuild "$BUCKET" -o "$(mount_options)" >"$T/said" 2>&1 || status=$?
expect_eq "$status" 4 "status of --rebuild: $(cat "$T/said")"
cmp "$CACHE/lost+found/files/$changed" "$T/changed"
start_mount
for i in 1 2 3; do cmp "$MNT/new/deep/n$i" "$T/new$i"; done
(cd "$T/tree" && find . -type f -print0 | xargs -0r md5sum) >"$T/sums"
(cd "$MNT" && md5sum --check --quiet "$T/sums") || fail "the mount has something else than the bucket had"
wait_uploaded
for i in 1 2 3; do object_is "new/deep/n$i" "$T/new$i" || fail "not in the bucket: n$i"; done
stop_mount
"$FSCK" -n "$BUCKET" -o "$(mount_options)"
