#!/bin/bash
# The control socket: who may, what broken and slow clients do to it (nothing), work that is cancelled when its client
# goes away, a daemon that is stopped or killed while somebody waits, two mounts, long paths, bind mounts.
TEST_SECONDS=240
. "$(dirname "$0")/../support/lib.sh"

requires curl getfattr
CTL=$(dirname "$TOOTFS")/tootfsctl
[ -x "$CTL" ] || skip "there is no $CTL"
ctl() { timeout -k 10 $((60 * PATIENCE)) "$CTL" "$@"; }
rude() { timeout $((150 * PATIENCE)) python3 "$SUPPORT/rude.py" "$SOCKET" "$@"; }
ask() { curl -s -m $((30 * PATIENCE)) --unix-socket "$SOCKET" "$@"; }
answers() { expect_eq "$(ask -o /dev/null -w '%{http_code}' http://x/status)" 200 "status after: $*"; }
status_of() { # COMMAND…: STATUS, SAID
	STATUS=0
	SAID=$("$@" 2>&1) || STATUS=$?
}

# a folder whose name does not fit into the address of a socket
CACHE=$T/cache-$(printf 'long%.0s' $(seq 30))/$(printf 'longer%.0s' $(seq 20))
start_rgw
start_proxy
start_mount -o io_timeout=3s,stop_timeout=2s
ln -s "$CACHE" "$T/c"
SOCKET=$T/c/control

# who may
expect_eq "$(stat -c '%a %u' "$SOCKET")" "600 $(id -u)" "mode and owner of the socket"
ctl status "$MNT" >/dev/null
answers nothing
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	stranger() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
	if stranger test -x "$T"; then
		expect_fails stranger curl -s --unix-socket "$CACHE/control" http://x/status
		chmod 711 "$CACHE" "$(dirname "$CACHE")" && chmod 666 "$SOCKET" # as if the modes were all there is
		expect_eq "$(stranger curl -s -o /dev/null -w '%{http_code}' --unix-socket "$SOCKET" http://x/status)" 403
		expect_eq "$(stranger curl -s -o /dev/null -w '%{http_code}' --unix-socket "$SOCKET" -d '{}' http://x/sync)" 403
		chmod 600 "$SOCKET"
		expect_fails stranger getfattr -n user.tootfs.control "$MNT" 2>/dev/null
		if stranger test -x "$CTL"; then
			status_of stranger "$CTL" status "$MNT"
			expect_eq "$STATUS" 3 "status of a stranger's tootfsctl"
			expect_text "$SAID" 'only root and the user'
		fi
	fi
fi

# broken requests; meanwhile one that is slow
rude slow >"$T/slow" &
SLOW=$!
expect_eq "$(rude garbage 1)" ok "broken requests"
expect_eq "$(rude half)" ok
answers "broken requests"

# paths
mkdir "$MNT/d" && echo 1 >"$MNT/d/f o"
ctl sync "$MNT"
ln -s "$MNT" "$T/link"
expect_text "$(ctl status "$T/link/d/f o")" '^d/f o \(file\)'
expect_text "$(cd "$MNT/d" && ctl status 'f o')" '^d/f o \(file\)'
expect_text "$(ctl status "$MNT/d/.")" '^d \(folder\)'
expect_text "$(ctl status "$T/link")" "on $MNT"
if [ "$(id -u)" = 0 ]; then
	mkdir "$T/bound \\here"
	mount --bind "$MNT/d" "$T/bound \\here"
	status_of ctl status "$T/bound \\here/f o"
	umount "$T/bound \\here"
	expect_text "$SAID" '^d/f o \(file\)'
fi

# as much work as may be, and more; the clients go away: all of it is cancelled
stop_proxy
echo 2 >"$MNT/pending"
mkfifo "$T/hold"
rude work 10 <"$T/hold" >"$T/statuses" &
WORK=$!
exec 9>"$T/hold"
wait_for 30 eval '[ "$(wc -l <"$T/statuses")" = 10 ]'
expect_eq "$(sort "$T/statuses" | uniq -c | xargs)" '8 200 2 503' "answers to ten clients at a time"
answers "ten clients"
exec 9>&-
wait $WORK || :
free_again() { [ "$(ask -o /dev/null -w '%{http_code}' -d '{"timeout_s":1}' http://x/sync)" = 200 ]; }
wait_for 15 free_again

# a crowd
rude crowd 100 <"$T/hold" >"$T/crowd" &
CROWD=$!
exec 9>"$T/hold"
wait_for 30 test -s "$T/crowd"
started=$SECONDS
ctl status "$MNT" >/dev/null
expect_le $((SECONDS - started)) $((28 * PATIENCE)) "seconds for a status beside a hundred idle clients"
exec 9>&-
wait $CROWD || :

# a daemon that does not answer: the client ends (but a search for leaks would wait for its thread that hangs)
kill -STOP "${DAEMON[$MNT]}"
started=$SECONDS
ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0 status_of ctl status "$MNT"
kill -CONT "${DAEMON[$MNT]}"
expect_eq "$STATUS" 3 "status with a daemon that was stopped"
expect_text "$SAID" 'does not answer'
expect_le $((SECONDS - started)) $((45 * PATIENCE)) "seconds until it gave up"

# two mounts
BUCKET2=$T/bucket2 MNT1=$MNT CACHE1=$CACHE BUCKET1=$BUCKET
mkdir "$BUCKET2"
MNT=$T/second CACHE=$T/cache2 BUCKET=file://$BUCKET2
start_mount
expect_text "$(ctl status "$MNT")" "$BUCKET2"
name=$(printf 'b\xe9ta\n+%%41.jpg') # no UTF-8, and what an URL would take for something else
echo 1 >"$MNT/$name"
ctl sync "$MNT/$name"
expect_text "$(ctl status "$MNT/$name")" CLEAN
expect_text "$(ctl status "$MNT1")" "$BUCKET1"
status_of ctl sync "$MNT" "$MNT1"
expect_eq "$STATUS" 2 "sync of two mounts at once"
stop_mount
expect_fails test -e "$CACHE/control"
MNT=$MNT1 CACHE=$CACHE1 BUCKET=$BUCKET1

wait $SLOW
expect_le "$(cat "$T/slow")" $((40 * PATIENCE)) "seconds until a silent client was closed"

# killed while a client waits
ctl sync "$MNT" >"$T/said" 2>&1 &
WAITER=$!
wait_for 20 grep -q 'does not answer' "$T/said"
kill -9 "${DAEMON[$MNT]}"
status=0
wait $WAITER || status=$?
expect_eq "$status" 3 "status of sync whose daemon was killed"
expect_text "$(cat "$T/said")" 'broke off'
status_of ctl status "$MNT"
expect_eq "$STATUS" 3 "status of a dead mount"
kill_mount

# the socket that was left is replaced
test -S "$SOCKET"
start_proxy
start_mount
ctl sync --timeout=$((60 * PATIENCE)) "$MNT"
answers "a crash"
stop_mount
expect_fails test -e "$SOCKET"
