#!/bin/bash
# The server says that the bucket is in another region: followed, or refused with the region's name.
. "$(dirname "$0")/../support/lib.sh"

start_rgw
start_proxy
faults "* . first=1 status=301 code=PermanentRedirect region=eu-elsewhere-1"
try_mount "$BUCKET" "$MNT" -o "$(mount_options)"
if [ "$STATUS" = 0 ]; then
	on_exit "umount $MNT || :"
	echo x >"$MNT/f"
	wait_for 30 object_is f "$MNT/f"
	expect_text "$(requests PUT '/f$' scope)" 'eu-elsewhere-1' "the region that the PUT was signed for"
else
	expect_text "$SAID" 'eu-elsewhere-1' "what was said"
fi
