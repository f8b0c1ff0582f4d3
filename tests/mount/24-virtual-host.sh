#!/bin/bash
# path_style=off: the bucket's name is part of the host.
. "$(dirname "$0")/../support/lib.sh"

start_rgw
start_proxy
ENDPOINT=${ENDPOINT/127.0.0.1/localhost}
start_mount -o path_style=off
echo x >"$MNT/with space+plus"
wait_for 30 object_is 'with space+plus' "$MNT/with space+plus"
stop_mount
expect_eq "$(requests PUT space host | sort -u)" "$S3_BUCKET.localhost:${ENDPOINT##*:}" "the Host header"
expect_eq "$(requests PUT space path | sort -u)" '/with%20space%2Bplus' "the path"
