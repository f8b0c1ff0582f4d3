#!/bin/bash
# tootfsctl: status of the mount and of a file, sync that returns when all is there and not before, what it says when the
# bucket is away or refuses a file, metrics, the log's level, virtual xattrs.
TEST_SECONDS=240
. "$(dirname "$0")/../support/lib.sh"

requires getfattr setfattr curl
CTL=$(dirname "$TOOTFS")/tootfsctl
[ -x "$CTL" ] || skip "there is no $CTL"
ctl() { timeout -k 10 $((60 * PATIENCE)) "$CTL" "$@"; }
member() { # JSON-PATH…: of the mount's status, a line each
	ctl status --json "${ABOUT:-$MNT}" | python3 -c '
import functools, json, sys
status = json.load(sys.stdin)
for path in sys.argv[1:]:
    print(json.dumps(functools.reduce(lambda o, k: o[k], path.split("."), status)))' "$@"
}
of_file() { ABOUT=$MNT/$1 member "${@:2}"; } # FILE JSON-PATH…
metric() { ctl metrics "$MNT" | python3 "$SUPPORT/metrics.py" "$@"; }
status_of() { # COMMAND…: STATUS, SAID
	STATUS=0
	SAID=$("$@" 2>&1) || STATUS=$?
}
attribute() { getfattr --absolute-names --only-values -n "user.tootfs.$1" "$MNT/$2" 2>/dev/null; }

start_rgw
noise "$T/large" 9000000
s3 put old/large "$T/large"
start_proxy
start_mount -o io_timeout=3s,stop_timeout=3s,uploads=4

# at rest
expect_text "$(ctl status "$MNT")" 'all is in the bucket'
expect_eq "$(member pending.count pending.complete bucket.state | xargs)" '0 true answers'
status_of ctl sync "$MNT"
expect_eq "$STATUS" 0 "sync with nothing to do"
status_of ctl sync "$MNT/mistyped"
expect_text "$SAID" 'there is no mistyped'

# sync returns when the bucket has it: looked at once afterwards, with uploads that take their time
faults 'PUT|POST . latency=100'
make_tree "$T/tree" --files 60 --bytes 12000000
cp -a "$T/tree/." "$MNT/new"
expect_ge "$(member pending.count)" 1 "pending while uploads are slow"
status_of ctl sync --timeout=$((50 * PATIENCE)) "$MNT"
expect_eq "$STATUS" 0 "sync ($SAID)"
(cd "$T/tree" && find . -type f -printf '%P\n') | while read -r f; do object_is "new/$f" "$T/tree/$f" || fail "sync lied about $f"; done
expect_eq "$(member pending.count pending.bytes bucket.state | xargs)" '0 0 answers'
expect_ge "$(member sent.uploads)" 60 uploads
faults

# one file, on its way
faults 'PUT new/refused status=400 code=InvalidRequest'
echo content >"$MNT/new/refused"
wait_for 20 eval '[ "$(of_file new/refused pending.attempts)" -ge 1 ]'
expect_eq "$(of_file new/refused state size cached_bytes | xargs)" 'DIRTY 8 8'
expect_text "$(of_file new/refused last_error.message)" 'InvalidRequest|400'
expect_text "$(ctl status "$MNT/new/refused")" 'refused 1 time|refused [0-9]+ times'
expect_text "$(ctl status "$MNT")" 'were refused'
expect_eq "$(attribute state new/refused)" DIRTY
expect_text "$(attribute error new/refused)" 'InvalidRequest|400'
status_of ctl sync --timeout=$((50 * PATIENCE)) "$MNT" # it does not wait for what was refused again
expect_eq "$STATUS" 1 "sync with a file that is refused ($SAID)"
expect_text "$SAID" 'new/refused: .*(InvalidRequest|400)'
echo content >"$MNT/other"
status_of ctl sync --timeout=$((50 * PATIENCE)) "$MNT/other" "$MNT/old" # others do not matter to it
expect_eq "$STATUS" 0 "sync of another file ($SAID)"
object_is other "$MNT/other" || fail "sync of one file lied"
status_of ctl sync --timeout=1 "$MNT/new"
expect_eq "$STATUS" 1 "sync of the folder of a file that is refused"
faults
status_of ctl sync --timeout=$((50 * PATIENCE)) "$MNT"
expect_eq "$STATUS" 0 "sync after the refusal ended ($SAID)"
expect_eq "$(of_file new/refused state pending last_error | xargs)" 'CLEAN null null'
expect_eq "$(of_file new/refused etag | tr -d '"')" "$(md5sum <"$MNT/new/refused" | cut -d' ' -f1)" ETag

# what part is here
expect_eq "$(of_file old/large state cached_bytes | xargs)" 'REMOTE 0'
dd if="$MNT/old/large" of=/dev/null bs=4k count=1 status=none
wait_for 20 eval '[ "$(of_file old/large cached_bytes)" -gt 0 ]'
cat "$MNT/old/large" >/dev/null
wait_for 20 eval '[ "$(attribute cached old/large)" = 9000000/9000000 ]'
expect_ge "$(member cache.misses)" 1 misses
cat "$MNT/other" >/dev/null
status_of ctl status "$MNT/nothing"
expect_eq "$STATUS" 3 "status of what is not there"

# virtual xattrs: read, never listed, never set, never copied
expect_eq "$(attribute control .)" "$CACHE/control"
expect_eq "$(attribute etag new/refused)" "$(md5sum <"$MNT/new/refused" | cut -d' ' -f1)"
expect_eq "$(getfattr -d -m - --absolute-names "$MNT/new/refused")" '' "listed xattrs"
expect_fails setfattr -n user.tootfs.state -v CLEAN "$MNT/new/refused" 2>/dev/null
expect_fails setfattr -x user.tootfs.state "$MNT/new/refused" 2>/dev/null
expect_fails setfattr -n user.tootfs.mine -v x "$MNT/new/refused" 2>/dev/null
cp -a "$MNT/new/refused" "$MNT/new/copy"

# metrics, by both ways; the numbers fit what happened
ctl metrics "$MNT" | python3 "$SUPPORT/metrics.py"
! command -v promtool >/dev/null || ctl metrics "$MNT" | promtool check metrics
expect_ge "$(metric tootfs_uploads_total)" 62 "uploads counted"
expect_ge "$(metric 'tootfs_bucket_request_duration_seconds_count{operation="put"}')" 62 "requests timed"
expect_ge "$(metric 'tootfs_fuse_request_duration_seconds_count{operation="create"}')" 62 "FUSE requests timed"
expect_ge "$(metric 'tootfs_fuse_request_duration_seconds_count{operation="read"}')" 1 "reads timed"
expect_eq "$(metric tootfs_bucket_reachable)" 1

# the log
expect_eq "$(grep -c ' debug ' "$LOG" || :)" 0 "debug lines"
ctl log-level debug "$MNT" >/dev/null
stat "$MNT/other" >/dev/null && echo x >"$MNT/other"
wait_for 20 grep -q ' debug bucket: ' "$LOG"
ctl log-level info "$MNT" >/dev/null
status_of ctl log-level loud "$MNT"
expect_eq "$STATUS" 3 "a level that does not exist"

# the bucket away: sync says so, and ends at its timeout
ctl sync "$MNT"
stop_proxy
echo away >"$MNT/away"
started=$SECONDS
status_of ctl sync --timeout=$((4 * PATIENCE)) "$MNT"
expect_eq "$STATUS" 1 "sync without a bucket"
expect_le $((SECONDS - started)) $((4 * PATIENCE + 10)) "seconds until sync gave up"
expect_text "$SAID" 'does not answer'
expect_ge "$(wc -l <<<"$SAID")" 3 "lines said while it waited"
expect_text "$(ctl status "$MNT")" 'does not answer'
start_proxy
status_of ctl sync --timeout=$((60 * PATIENCE)) "$MNT"
expect_eq "$STATUS" 0 "sync after the bucket came back ($SAID)"
object_is away "$MNT/away" || fail "sync lied about what was written without a bucket"

# it does not wait for what comes later
touch "$T/writing"
(for i in $(seq 4000); do [ -e "$T/writing" ] && echo "$i" >"$MNT/busy" && echo "$i" >"$MNT/new/busy$i" && sleep 0.02; done) 2>/dev/null &
WRITER=$!
sleep 1
status_of ctl sync --timeout=$((60 * PATIENCE)) "$MNT"
rm "$T/writing"
wait $WRITER || :
expect_eq "$STATUS" 0 "sync while others write ($SAID)"

stop_mount

# a port for who scrapes: loopback only
expect_refused 'only this computer' "$BUCKET" "$MNT" -f -o "$(mount_options),metrics=0.0.0.0:9123"
PORT=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
start_mount -o "metrics=127.0.0.1:$PORT"
curl -sf "http://127.0.0.1:$PORT/metrics" | python3 "$SUPPORT/metrics.py" tootfs_tree_files >"$T/files"
expect_ge "$(cat "$T/files")" 60 "files by HTTP"
expect_eq "$(curl -s -o /dev/null -w '%{http_code}' "http://127.0.0.1:$PORT/status")" 404
expect_eq "$(curl -s -o /dev/null -w '%{http_code}' -d x "http://127.0.0.1:$PORT/metrics")" 405
status_of ctl sync /
expect_eq "$STATUS" 3 "sync of what is not mounted"
stop_mount
