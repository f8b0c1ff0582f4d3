#!/bin/bash
# A mount whose daemon was killed: mounted again on top of itself, what others have of it works again, and in the end
# nothing is left. Not over somebody else's, and not for a user.
. "$(dirname "$0")/../support/lib.sh"

requires_root
requires unshare findmnt
use_folder
unshare -m --propagation private true 2>/dev/null || skip "no mount namespaces here"
mkdir "$T/shared" "$T/shared/mnt"
chown 991:992 "$T/shared/mnt"
mount --bind "$T/shared" "$T/shared"
on_exit "umount -l $T/shared"
mount --make-shared "$T/shared"
MNT=$T/shared/mnt
on_exit "while umount -l $MNT 2>/dev/null; do :; done"
mounted() { grep -c " $MNT .* - fuse.tootfs " /proc/self/mountinfo || :; }
again() { "$TOOTFS" "$BUCKET" "$MNT" -o "cache=$CACHE,rw,noatime,noexec" "$@"; }

again
echo one >"$MNT/f"
mkfifo "$T/ask" "$T/answer"
unshare -m --propagation slave bash -c "while read -r path; do cat \"\$path\" 2>&1 || :; echo; done" <"$T/ask" >"$T/answer" &
exec 8>"$T/ask" 9<"$T/answer"
on_exit "exec 8>&-; kill $! 2>/dev/null || :"
one_line() { # head reads ahead: a line at a time
	echo "$1" >&8
	IFS= read -r -t 20 line <&9 && IFS= read -r -t 20 _ <&9 && echo "$line"
}
expect_eq "$(one_line "$MNT/f")" one "in another namespace"
for round in 1 2; do
	kill -9 "$(daemon_pid)"
	wait_for 20 eval "! stat $MNT 2>/dev/null"
	expect_text "$(one_line "$MNT/f")" 'not connected' "in another namespace, of the dead mount"
	again
	expect_eq "$(mounted)" $((round + 1)) "mounts on top of each other"
	expect_eq "$(cat "$MNT/f")" one "on top of the dead mount"
	expect_eq "$(one_line "$MNT/f")" one "in another namespace, again"
	expect_eq "$(findmnt -no SOURCE "$MNT" | sort -u)" "$BUCKET" "source"
	expect_text "$(grep " $MNT " /proc/self/mountinfo | tail -1)" 'rw,nosuid,nodev,noexec,noatime.*- fuse.tootfs ' flags
	echo two >"$T/bucket/by-others"
	expect_eq "$(stat -c %u:%g "$MNT/f")" 0:0 "owner of the file"
done
expect_eq "$(again 2>&1 || :)" "tootfs: $BUCKET is already mounted on $MNT" "a second mount of a living one"
umount "$MNT"
wait_for 60 eval '[ -z "$(daemon_pid)" ]'
expect_eq "$(mounted)" 0 "mounts after the end"
expect_eq "$(stat -c %u:%g "$MNT")" 991:992 "the folder below"

# what is found there belongs to who owns the folder below, even where that cannot be seen
again
kill -9 "$(daemon_pid)"
wait_for 20 eval "! stat $MNT 2>/dev/null"
rm -r "$CACHE"
expect_text "$("$TOOTFS" "file://$T/other" "$MNT" -o "cache=$T/c2" 2>&1 || :)" 'has lost its daemon' "another bucket over the dead mount"
again
expect_eq "$(stat -c %u:%g "$MNT" "$MNT/by-others" | sort -u)" 991:992 "owner of the root and what was found"
umount "$MNT"
wait_for 60 eval '[ -z "$(daemon_pid)" ]'
