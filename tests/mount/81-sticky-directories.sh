#!/bin/bash
# Mastodon's top levels stay when they are empty (ENOTEMPTY), so that its rmdir upwards never comes to the mount point, for which
# the kernel itself would say EBUSY; sticky=off for other uses.
. "$(dirname "$0")/../support/lib.sh"

use_folder
start_mount
for class in media_attachments/files cache/media_attachments/files accounts/avatars accounts/headers \
	cache/accounts/avatars custom_emojis/images cache/preview_cards/images site_uploads/files backups/dumps; do
	mkdir -p "$MNT/$class/1/2"
	(cd "$MNT" && rmdir -p "$class/1/2" 2>"$T/err") || expect_text "$(cat "$T/err")" 'not empty' "rmdir -p $class"
	[ ! -e "$MNT/$class/1" ] || fail "$class/1 is still there"
	[ -d "$MNT/$class" ] || fail "$class is gone"
done
mkdir -p "$MNT/other/x"
(cd "$MNT" && rmdir -p other/x)
stop_mount
start_mount -o sticky=off
(cd "$MNT" && rmdir -p accounts/avatars 2>/dev/null) || :
[ ! -e "$MNT/accounts/avatars" ] || fail "sticky with sticky=off"
