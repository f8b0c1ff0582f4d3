#!/bin/bash
# mount -t tootfs and mount -a with a line of fstab: mounted as written there, and not a second time. In a mount namespace
# of its own, where /etc/fstab and /sbin can be changed.
. "$(dirname "$0")/../support/lib.sh"

requires_root
requires mount unshare findmnt
use_folder
cat >"$T/fstab" <<FSTAB
$BUCKET $MNT tootfs cache=$CACHE,cache_size=1G,rw,_netdev,nofail,x-systemd.requires=x,defaults 0 0
FSTAB
[ ! -e /sbin/mount.tootfs ] || [ /sbin/mount.tootfs -ef "$TOOTFS" ] || skip "another tootfs is installed here"
cat >"$T/inside" <<'INSIDE'
set -eu
# nobody else's mounts: a copy of them here would keep their daemons from ending
while read -r other; do umount -l "$other" || :; done < <(awk '/ - fuse/ { print $5 }' /proc/self/mountinfo)
mount --bind "$T/fstab" /etc/fstab
if [ ! -e /sbin/mount.tootfs ]; then
	ln -s "$TOOTFS" /sbin/mount.tootfs
	trap 'rm -f /sbin/mount.tootfs' EXIT
fi
mount -a -t tootfs
findmnt -no SOURCE,FSTYPE "$MNT" | tr -s ' '
echo x >"$MNT/f"
mount -a -t tootfs
grep -c " $MNT " /proc/self/mountinfo
umount "$MNT"
mount "$MNT"
cat "$MNT/f"
umount "$MNT"
mount -t tootfs "$BUCKET" "$MNT" -o "cache=$CACHE,ro"
! touch "$MNT/no" 2>/dev/null
umount "$MNT"
INSIDE
export T MNT CACHE BUCKET TOOTFS
unshare -m --propagation private true 2>/dev/null || skip "no mount namespaces here"
out=$(timeout 60 unshare -m --propagation private bash "$T/inside")
expect_eq "$out" "$BUCKET fuse.tootfs
1
x" "mount -a, twice"
wait_for 60 eval '[ -z "$(daemon_pid)" ]'
expect_eq "$(cat "$T/bucket/f")" x "the file in the bucket"
