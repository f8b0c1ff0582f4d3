#!/bin/bash
# Keys that are good for seconds are renewed while work goes on; where no new one is to be had, that is said once, and
# work goes on by itself when there is one again. The old key really is of no use any more.
. "$(dirname "$0")/../support/lib.sh"

start_rgw
make_key
first=$KEY first_secret=$SECRET
make_key
second=$KEY second_secret=$SECRET
start_cloud
mount_options() { echo "cache=$CACHE,endpoint=$ENDPOINT,region=us-east-1"; }
export AWS_CONTAINER_CREDENTIALS_FULL_URI=$CLOUD/container
cloud access_key="$first" secret="$first_secret" seconds=3 token=ignored-by-this-server
start_mount
echo 0 >"$MNT/f0"
wait_for 30 object_is f0 "$MNT/f0"

# Renewed ahead of time: the first key is gone at the server before it has expired.
cloud access_key="$second" secret="$second_secret" seconds=3
for i in 1 2 3 4; do
	echo $i >"$MNT/f$i"
	wait_for 30 object_is f$i "$MNT/f$i"
	sleep 1
done
drop_key "$first"
expect_text "$(cat "$LOG")" "new ones .*from=the container's"
expect_eq "$(grep -cE ' (warn|error) ' "$LOG" || :)" 0 "complaints while all went well"

# Its service is broken until the key has expired.
cloud access_key="$second" secret="$second_secret" seconds=3 fault=error
wait_for 30 eval "echo x >'$MNT/late'; grep -q 'there are no valid ones' '$LOG'"
expect_eq "$(cat "$MNT/f3")" 3 "a cached read meanwhile"
for i in 1 2 3; do echo "late $i" >"$MNT/late$i"; done
sleep 2
expect_eq "$(grep -c 'there are no valid ones' "$LOG")" 1 "lines of the state"
object_gone late3 || fail "sent with an expired key"
cloud access_key="$second" secret="$second_secret"
wait_for 60 object_is late3 "$MNT/late3"
wait_uploaded "$MNT"
expect_text "$(cat "$LOG")" 'there are valid ones again'
stop_mount
! grep -qE "$first_secret|$second_secret" "$LOG" || fail "a secret is in the log"
