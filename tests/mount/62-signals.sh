#!/bin/bash
# SIGTERM and SIGINT end the mount in order, also with the bucket away: then within stop_timeout, and what is left is kept.
. "$(dirname "$0")/../support/lib.sh"

start_rgw
start_proxy
for signal in TERM INT; do
	start_mount
	echo $signal >"$MNT/$signal"
	kill -$signal "${DAEMON[$MNT]}"
	wait_daemon
	expect_eq "$(s3 get $signal)" $signal "what was written before SIG$signal"
done
start_mount -o stop_timeout=2s
kill -HUP "${DAEMON[$MNT]}" # what a closed terminal sends
faults '* . stall=before'
echo later >"$MNT/later"
exec 3<"$MNT/later" # in use
started=$SECONDS
kill -TERM "${DAEMON[$MNT]}"
exec 3<&-
wait_daemon
expect_le $((SECONDS - started)) $((10 * PATIENCE)) "seconds to stop with stop_timeout=2s"
faults
start_mount
expect_eq "$(cat "$MNT/later")" later "what was left, after the restart"
wait_for 30 object_is later "$MNT/later"
