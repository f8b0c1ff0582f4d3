#!/bin/bash
# The endpoint refuses, drops packets, hangs in the TLS handshake, answers 503 only: what
# is here is served and written at once, what is not fails within io_timeout and can be interrupted, who waits when the
# bucket comes back gets it, nothing is lost, a probe goes first, and the log has a line for each change, not for each request.
TEST_SECONDS=200
. "$(dirname "$0")/../support/lib.sh"

TIMEOUT=4
PORT=''
start_rgw
silent() { # hole|mute, in the proxy's place
	stop_proxy
	rm -f "$T/silent"
	python3 "$SUPPORT/silence.py" "$1" "$PORT" "$T/silent" 2>>"$T/log.silence" &
	SILENT=$!
	on_exit "kill -9 $SILENT 2>/dev/null; true"
	wait_for 10 test -e "$T/silent"
}
unsilent() { { kill -9 "$SILENT" && wait "$SILENT"; } 2>/dev/null || :; }

quickly() { # COMMAND…
	local started=$SECONDS
	"$@"
	expect_le $((SECONDS - started)) $((3 * PATIENCE)) "seconds for: $*"
}
local_work() { # NAME
	quickly expect_eq "$(cat "$MNT/d/cached")" cached "a cached read"
	quickly expect_eq "$(ls "$MNT/d" | head -1)" cached names
	quickly expect_eq "$(stat -c %s "$MNT/d/cold1")" 9000 "size of what is not here"
	for i in $(seq 40); do echo "$1 $i" >"$MNT/new/$1-$i"; done
	quickly mv "$MNT/new/$1-1" "$MNT/new/$1-moved"
	quickly rm "$MNT/new/$1-2"
	quickly mkdir "$MNT/new/$1"
}
fails_in_time() { # FILE
	local started=$SECONDS said status=0
	said=$(cat "$1" 2>&1) || status=$?
	expect_eq $status 1 "status of cat $1"
	expect_text "$said" 'input/output error'
	expect_le $((SECONDS - started)) $(((TIMEOUT + 3) * PATIENCE)) "seconds until $1 failed"
}
can_be_killed() { # FILE
	local pid started status=0
	cat "$1" >/dev/null 2>&1 &
	pid=$!
	sleep 0.3
	started=$SECONDS
	kill -KILL $pid 2>/dev/null || :
	wait $pid 2>/dev/null || status=$?
	expect_ge $status 1 "status of a reader that was killed"
	expect_le $((SECONDS - started)) $((2 * PATIENCE)) "seconds until it was dead"
}
comes_back() { # NAME: all is sent, nothing else is there, and what was not readable is
	wait_for 60 eval "cat '$MNT/d/cold1' '$MNT/d/cold2' >/dev/null 2>&1"
	wait_uploaded
	cmp "$MNT/d/cold1" "$T/cold1"
	expect_eq "$(s3 get "new/$1-moved")" "$1 1"
	expect_eq "$(s3 ls "new/$1-" | wc -l)" 39 "objects written during: $1"
}
outage_mount() {
	start_mount -o io_timeout=${TIMEOUT}s,stop_timeout=2s "$@"
	cat "$MNT/d/cached" >/dev/null
}

echo cached | s3 put d/cached -
for f in cold1 cold2 cold3; do noise "$T/$f" 9000 && s3 put d/$f "$T/$f"; done # too large to be a symlink
echo x | s3 put new/x -
start_proxy
PORT=${ENDPOINT##*:}

outages='refused hole 503'
[ "$PATIENCE" = 1 ] || outages=refused # the others differ for the network, not for a sanitizer
for outage in $outages; do
	rm -rf "$CACHE"
	outage_mount
	ls "$MNT/new" >/dev/null
	lines=$(wc -l <"$LOG")
	case $outage in
	refused) stop_proxy ;;
	hole) silent hole ;;
	503) faults '* . status=503 code=ServiceUnavailable' ;;
	esac
	local_work $outage
	can_be_killed "$MNT/d/cold1"
	fails_in_time "$MNT/d/cold2"
	for _ in $(seq 30); do expect_fails cat "$MNT/d/cold1" 2>/dev/null; done # refused at once by now
	sleep 3
	expect_le $(($(wc -l <"$LOG") - lines)) 8 "lines of log during: $outage"
	[ $outage != 503 ] || expect_le "$(requests '*' . | wc -l)" 150 "requests to a server that answers 503"
	[ $outage != hole ] || unsilent
	forget_requests
	if [ $outage = 503 ]; then faults; else start_proxy; fi
	comes_back $outage
	python3 "$SUPPORT/comeback.py" "$T/proxy.log"
	stop_mount
done

# Who waits when it comes back, gets it.
rm -rf "$CACHE"
TIMEOUT=20
outage_mount
TIMEOUT=4
stop_proxy
cat "$MNT/d/cold3" >"$T/waited" 2>"$T/waited.err" &
reader=$!
sleep 2
start_proxy
wait $reader || fail "a reader that waited: $(cat "$T/waited.err")"
cmp "$T/waited" "$T/cold3"
stop_mount

[ "$PATIENCE" = 1 ] || exit 0

# A name that does not resolve is said so, in bounded time.
expect_refused 'resolve|unreach|reach' "$BUCKET" "$MNT" -o \
	"cache=$T/other,endpoint=http://no-such-host.invalid:$PORT,region=us-east-1,credentials=$T/credentials,io_timeout=3s"

requires openssl
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout "$T/tls.key" -out "$T/tls.crt" -subj /CN=localhost \
	-addext subjectAltName=IP:127.0.0.1 2>/dev/null
cat "$T/tls.key" "$T/tls.crt" >"$T/tls.pem"
export AWS_CA_BUNDLE=$T/tls.crt
stop_proxy
start_proxy --tls "$T/tls.pem"
ENDPOINT=https://127.0.0.1:$PORT
rm -rf "$CACHE"
outage_mount
ls "$MNT/new" >/dev/null
silent mute
local_work tls
can_be_killed "$MNT/d/cold1"
fails_in_time "$MNT/d/cold2"
unsilent
start_proxy --tls "$T/tls.pem"
comes_back tls
stop_mount
