#!/bin/bash
# Each S3 operation × each fault, at the same time on one mount: right bytes, no hang, no upload left over, and the bucket
# is in the end what the model says. Here it is a sample of the cells: TOOTFS_MATRIX=every=1 runs all 241 of them in one to
# two minutes, TOOTFS_MATRIX=seed=N others.
TEST_SECONDS=280
. "$(dirname "$0")/../support/lib.sh"

start_rgw
start_proxy
python3 "$SUPPORT/faultmatrix.py" prepare
every=2
[ "$PATIENCE" = 1 ] || every=6
start_mount -o io_timeout=4s,part_size=5M,survey=off
read -ra words <<<"every=$every ${TOOTFS_MATRIX:-}"
python3 "$SUPPORT/faultmatrix.py" run "$MNT" "$T/proxy.rules" "$T/proxy.log" "${words[@]}"
expect_le "$(wc -l <"$LOG")" 400 "lines of log"
