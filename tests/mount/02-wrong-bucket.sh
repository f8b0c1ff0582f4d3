#!/bin/bash
# A bucket that does not exist, or a folder that does not.
. "$(dirname "$0")/../support/lib.sh"

start_rgw
expect_refused 'no-such-bucket' s3://no-such-bucket "$MNT" -o "$(mount_options)"
expect_refused 'name' s3://In_Valid..name "$MNT" -o "$(mount_options)"
expect_refused 'nowhere' "file://$T/nowhere/deep" "$MNT" -o "cache=$T/c2"
expect_eq "$(daemon_pid)" "" "daemons left"
# The folder was not given to a bucket that there is not.
start_mount
echo x >"$MNT/f"
wait_uploaded
