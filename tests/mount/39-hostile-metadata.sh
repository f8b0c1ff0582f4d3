#!/bin/bash
# A metadata service that hangs, drips, sends garbage or far too much: a mount is refused in bounded time where there is no
# other key, and one that is up goes on with what it has.
. "$(dirname "$0")/../support/lib.sh"

start_rgw
start_cloud
mount_options() { echo "cache=$CACHE,endpoint=$ENDPOINT,region=us-east-1,io_timeout=4s"; }
export AWS_CONFIG_FILE=$T/none AWS_SHARED_CREDENTIALS_FILE=$T/none
export AWS_EC2_METADATA_DISABLED=false AWS_EC2_METADATA_SERVICE_ENDPOINT=$CLOUD
for fault in hang slow garbage huge moved error none; do
	cloud fault=$fault
	started=$SECONDS
	expect_refused "no credentials found.*the instance's metadata service" "$BUCKET" "$MNT" -o "$(mount_options)"
	expect_le $((SECONDS - started)) $((4 * PATIENCE)) "seconds to refuse ($fault)"
	! grep -qF "$S3_SECRET_KEY" "$T/said" || fail "the secret was said ($fault)"
done
AWS_EC2_METADATA_SERVICE_ENDPOINT=http://127.0.0.1:9 \
	expect_refused 'no credentials found' "$BUCKET" "$MNT" -o "$(mount_options)"

# The container's: what it sends is no key, and is not said.
cloud fault=error
AWS_CONTAINER_CREDENTIALS_FULL_URI=$CLOUD/container \
	expect_refused 'credentials service gives no key .HTTP 500 Broken' "$BUCKET" "$MNT" -o "$(mount_options)"
! grep -qF "$S3_SECRET_KEY" "$T/said" || fail "the secret was said"

# While it is mounted: the key runs out and its service hangs.
echo cold | s3 put cold -
cloud seconds=3
start_mount
echo 1 >"$MNT/1"
wait_for 30 object_is 1 "$MNT/1"
cloud fault=hang
sleep 3
started=$SECONDS
expect_text "$(timeout 60 cat "$MNT/cold" 2>&1 || :)" 'input/output error'
expect_eq "$(cat "$MNT/1")" 1 "a cached read"
echo 2 >"$MNT/2"
expect_le $((SECONDS - started)) $((12 * PATIENCE)) "seconds until a read failed"
cloud
kill -HUP "${DAEMON[$MNT]}"
wait_for 30 object_is 2 "$MNT/2"
wait_for 30 eval "cat '$MNT/cold' >/dev/null 2>&1"
cloud fault=hang # and a renewal that hangs does not keep an unmount waiting
kill -HUP "${DAEMON[$MNT]}"
started=$SECONDS
stop_mount
expect_le $((SECONDS - started)) $((5 * PATIENCE)) "seconds to stop"
