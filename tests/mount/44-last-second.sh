#!/bin/bash
# A power cut costs at most about the last second: under load, what the durable file `steady` names is never much older than
# what was acknowledged. That the state it names comes back whole is crash/power-cut's to show.
. "$(dirname "$0")/../support/lib.sh"
requires python3
use_folder
start_mount
read -r looks changes median most < <(python3 "$SUPPORT/lastsecond.py" "$MNT" "$CACHE" 6)
say "$looks looks, $changes transactions; the oldest change not on stable storage: median $median ms, most $most ms"
expect_ge "$changes" 20 "transactions seen"
expect_ge "$median" 1 "median age: was there any load?"
# DESIGN.md's second is that of a computer that has time; of all looks, most must be within it everywhere
expect_le "$median" $((1200 * PATIENCE)) "median age in ms"
expect_le "$most" $((5000 * PATIENCE)) "age in ms"
stop_mount
