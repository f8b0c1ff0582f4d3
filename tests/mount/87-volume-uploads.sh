#!/bin/bash
# The volume plugin over S3: the last Unmount waits for uploads, within its time, and says what is left; meanwhile others can
# mount, and what is asked of the plugin needs no bucket. The secret is in a file, and nowhere else.
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT/plugin.sh"

requires_root
start_rgw
start_proxy
WARM=60
start_plugin --wait 4
create_s3() {
	expect_ok Create "{\"Name\":\"s\",\"Opts\":{\"bucket\":\"$S3_BUCKET\",\"endpoint\":\"$ENDPOINT\",\"region\":\"us-east-1\",
		\"credentials\":\"$T/credentials\",\"uid\":\"991\",\"io_timeout\":\"4s\"}}"
}
create_s3
mount_volume s one
mkdir "$MNT/local"
for i in $(seq 5); do head -c 300000 /dev/urandom >"$MNT/local/$i"; done
cp "$MNT"/local/* "$MOUNTS/s/"
unmount_volume s one
for i in $(seq 5); do object_is "$i" "$MNT/local/$i" || fail "object $i was not there when Unmount answered"; done

# the bucket is away
mount_volume s two
stop_proxy
echo kept >"$MOUNTS/s/kept"
started=$SECONDS
ask Unmount '{"Name":"s","ID":"two"}' >"$T/unmount" &
unmount=$!
wait_for 10 eval '[ "$(users s)" = 0 ]'
mount_volume s three
alive $unmount || fail "Unmount did not wait"
wait $unmount
expect_eq "$(cat "$T/unmount")" '200 {"Err":""}' "answer to Unmount"
expect_le $((SECONDS - started)) $((20 * PATIENCE)) "seconds until Unmount answered"
expect_text "$(status_of s trouble)" '1 file is not in the bucket' "trouble in Status"
expect_text "$(cat "$T"/log.plugin*)" 'not everything is uploaded yet.*1 file is not' "the log"
expect_eq "$(cat "$MOUNTS/s/kept")" kept "while the bucket is away"
unmount_volume s three
expect_ok Remove '{"Name":"s"}'
is_gone s || fail "still mounted after Remove"
start_proxy
create_s3
mount_volume s four # waits for the filesystem that still sends, or finds what it has left in the cache
unmount_volume s four
echo kept | cmp - <(s3 get kept -) || fail "what was removed before it was uploaded did not arrive"

expect_fails grep -rqF "$S3_SECRET_KEY" "$STATE" "$RUN" "$T"/log.plugin*
for dir in /proc/[0-9]*; do
	if tr '\0' '\n' <"$dir/cmdline" | grep -qF "$S3_SECRET_KEY"; then fail "the secret is in a command line"; fi
done 2>/dev/null
