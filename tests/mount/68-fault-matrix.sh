#!/bin/bash
# Each S3 operation × each fault, at the same time on one mount: right bytes, no hang, no upload left over, and the bucket
# is in the end what the model says. TOOTFS_MATRIX=every=1 runs all cells in any build, seed=N chooses others.
TEST_SECONDS=200
. "$(dirname "$0")/../support/lib.sh"

start_rgw
start_proxy
python3 "$SUPPORT/faultmatrix.py" prepare
every=1
[ "$PATIENCE" = 1 ] || every=6
start_mount -o io_timeout=4s,part_size=5M,survey=off
read -ra words <<<"every=$every ${TOOTFS_MATRIX:-}"
python3 "$SUPPORT/faultmatrix.py" run "$MNT" "$T/proxy.rules" "$T/proxy.log" "${words[@]}"
expect_le "$(wc -l <"$LOG")" 400 "lines of log"
