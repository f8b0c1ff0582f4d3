#!/bin/bash
# Without -f the command returns when the mount answers; the daemon keeps no terminal, no folder and no pipe.
. "$(dirname "$0")/../support/lib.sh"

use_folder
on_exit "umount -l $MNT 2>/dev/null || :"
started=$SECONDS
said=$("$TOOTFS" "$BUCKET" "$MNT" -o "cache=$CACHE" 2>&1 | cat) # hangs if the daemon keeps the pipe
expect_eq "$said" "" "what a good mount says"
expect_le $((SECONDS - started)) $((20 * PATIENCE)) "seconds to mount"
is_mounted "$MNT" || fail "not mounted when the command returned"
expect_eq "$(findmnt -no SOURCE,FSTYPE "$MNT" | tr -s ' ')" "$BUCKET fuse.tootfs" "source and type"
pid=$(daemon_pid)
expect_eq "$(readlink "/proc/$pid/cwd")" / "the daemon's folder"
expect_eq "$(ps -o tty= -p "$pid" | tr -d ' ')" '?' "the daemon's terminal"
expect_eq "$(tr '\0' '\n' <"/proc/$pid/environ" | grep -c SECRET || :)" 0 "secrets in the environment"
echo x >"$MNT/f"
unmount
wait_for 60 eval "! alive $pid"
expect_eq "$(cat "$T/bucket/f")" x "the file in the bucket when the daemon has ended"
