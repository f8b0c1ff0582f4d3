#!/bin/bash
# What a service manager is told (sd_notify), and logs with priorities. The listener stands in for systemd.
. "$(dirname "$0")/../support/lib.sh"

cat >"$T/listen.py" <<'PYTHON'
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
while True:
    sys.stdout.write(s.recv(4096).decode() + "\n.\n")
    sys.stdout.flush()
PYTHON
python3 "$T/listen.py" "$T/notify" >"$T/told" &
LISTENER=$!
on_exit "kill $LISTENER && wait $LISTENER || :"
wait_for 10 test -S "$T/notify"
told() { grep -qE -- "$1" "$T/told"; }

start_rgw
start_proxy
export NOTIFY_SOCKET=$T/notify WATCHDOG_USEC=900000
start_mount
unset NOTIFY_SOCKET WATCHDOG_USEC
wait_for 10 told '^READY=1$'
told "^MAINPID=${DAEMON[$MNT]}$" || fail "the pid was not told"
lives() { [ "$(grep -c '^WATCHDOG=1$' "$T/told")" -ge "$1" ]; }
wait_for 20 lives 5
wait_for 20 told '^STATUS=.*all is in the bucket'
kill -HUP "${DAEMON[$MNT]}"
wait_for 10 told '^RELOADING=1$'
told '^MONOTONIC_USEC=[0-9]+$' || fail "a reload has no time"
wait_for 10 eval '[ "$(grep -c ^READY=1$ "$T/told")" = 2 ]'
faults 'PUT late latency=2500'
echo late >"$MNT/late"
stop_mount
told '^STOPPING=1$' || fail "the end was not told"
told '^EXTEND_TIMEOUT_USEC=15000000$' || fail "no time was asked for, for what is to be sent"
told '^STATUS=waiting for 1 files' || fail "what is waited for was not told"
faults

# Signs of life go on, and so does everything that needs no room, while more writers want some than there are threads.
export NOTIFY_SOCKET=$T/notify WATCHDOG_USEC=900000
start_mount -o cache_size=64M,full_timeout=$((8 * PATIENCE)),stop_timeout=1
unset NOTIFY_SOCKET WATCHDOG_USEC
echo known >"$MNT/known"
stop_proxy
for i in $(seq 80); do
	{ head -c 8M /dev/zero >"$MNT/w$i" || echo "$i" >>"$T/full"; } 2>/dev/null &
	WRITERS+=($!)
done
some_are_full() { [ -s "$T/full" ]; } # 40 wait for their time to be over; for who comes then there is no room at once
wait_for 20 some_are_full
before=$(grep -c '^WATCHDOG=1$' "$T/told")
timeout $((2 * PATIENCE)) stat -f "$MNT" >/dev/null || fail "statfs waits behind the writers"
expect_eq "$(timeout $((2 * PATIENCE)) cat "$MNT/known")" known "read while others wait for room"
timeout $((2 * PATIENCE)) mkdir "$MNT/made" || fail "mkdir waits behind the writers"
expect_ge "$(jobs -pr | wc -l)" 20 "jobs that still wait"
wait_for 3 lives $((before + 2))
kill_mount
wait "${WRITERS[@]}" || :
rm -rf "$CACHE"
start_proxy

# Logs: where stderr is the journal's, every line has a priority and no time of its own.
log=$T/log.journal
: >"$log"
JOURNAL_STREAM=$(stat -c %d:%i "$log") "$TOOTFS" "$BUCKET" "$MNT" -f -o "$(mount_options)" </dev/null >>"$log" 2>&1 &
pid=$!
wait_for 30 is_mounted "$MNT"
wait_for 30 grep -q mounted "$log"
unmount
wait "$pid"
expect_fails grep -vE '^<[3-7]>[a-z0-9]+' <(sed '/^<6>ended/q' "$log") # a sanitizer may say something after it
grep -q '^<6>mounted ' "$log" || fail "no line of the mount in $(cat "$log")"
expect_refused 'log=stderr needs -f' "$BUCKET" "$MNT" -o "$(mount_options),log=stderr"
