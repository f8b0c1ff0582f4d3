#!/bin/bash
# A key is revoked while work is under way: said once, nothing is lost; the file is mended, SIGHUP, and it goes on. SIGHUP
# reads the rules again as well, and keeps the old ones where the new ones are wrong.
. "$(dirname "$0")/../support/lib.sh"

start_rgw
make_key
first=$KEY
S3_ACCESS_KEY=$KEY S3_SECRET_KEY=$SECRET write_credentials "$T/credentials"
printf '*.txt cache_control=no-store\n' >"$T/rules"
echo cold | s3 put cold.txt -
start_mount -o "rules=$T/rules"
echo 1 >"$MNT/1.txt"
wait_for 30 object_is 1.txt "$MNT/1.txt"
expect_text "$(s3 head 1.txt)" 'cache-control.*no-store'

printf '*.txt cache_control=no-cache\n' >"$T/rules"
kill -HUP "${DAEMON[$MNT]}"
wait_for 20 grep -q 'rules were read again' "$LOG"
wait_for 20 grep -q 'credentials: read again, they are the same' "$LOG"
echo 2 >"$MNT/2.txt"
wait_for 30 object_is 2.txt "$MNT/2.txt"
expect_text "$(s3 head 2.txt)" 'cache-control.*no-cache'
printf '*.txt cahce_control=private\n' >"$T/rules"
kill -HUP "${DAEMON[$MNT]}"
wait_for 20 grep -q 'rules stay as they were.*rules line 1' "$LOG"
echo 3 >"$MNT/3.txt"
wait_for 30 object_is 3.txt "$MNT/3.txt"
expect_text "$(s3 head 3.txt)" 'cache-control.*no-cache' "the old rule"

drop_key "$first"
for i in $(seq 20); do echo "$i" >"$MNT/w$i"; done
wait_for 30 grep -q 'credentials: the server refuses them (InvalidAccessKeyId)' "$LOG"
wait_for 30 grep -q 'send: stopped' "$LOG"
expect_eq "$(cat "$MNT/1.txt")" 1 "a cached read meanwhile"
expect_fails timeout 60 cat "$MNT/cold.txt" 2>/dev/null # in bounded time, and it is not "no such file"
expect_text "$(cat "$MNT/cold.txt" 2>&1 || :)" 'input/output error'
(umask 077 && echo "[default]" >"$T/credentials") # mended wrongly at first
kill -HUP "${DAEMON[$MNT]}"
wait_for 20 grep -q 'no valid ones.*has no profile' "$LOG"
write_credentials "$T/credentials"
kill -HUP "${DAEMON[$MNT]}"
wait_for 20 object_is w20 "$MNT/w20"
wait_uploaded "$MNT"
expect_eq "$(cat "$MNT/cold.txt")" cold

printf '*.txt cache_control=no-cache\n' >"$T/rules"
for i in $(seq 40); do # in the middle of work
	for j in 1 2 3; do echo "$i $j" >"$MNT/r$i-$j.txt"; done
	[ $((i % 4)) != 0 ] || kill -HUP "${DAEMON[$MNT]}"
done
wait_uploaded "$MNT"
expect_eq "$(grep -c 'the server refuses them' "$LOG")" 1 "lines of the state"
expect_text "$(cat "$LOG")" 'there are valid ones again'
stop_mount
! grep -qF "$SECRET" "$LOG" || fail "the secret is in the log"
