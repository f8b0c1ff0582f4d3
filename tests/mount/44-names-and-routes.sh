#!/bin/bash
# The endpoint's name does not resolve any more, while the mount lives: the server of names refuses, or is silent; and then there is
# no route to it. What is here is served and written at once, what is not fails within io_timeout, nothing is lost, and
# work goes on by itself. In a network and with an /etc of its own, so that nobody else is hurt.
if [ -z "${TOOTFS_TEST_INSIDE:-}" ] && unshare -m -n --propagation private true 2>/dev/null; then
	TOOTFS_TEST_INSIDE=1 exec unshare -m -n --propagation private bash "$0" "$@"
fi
TEST_SECONDS=150
. "$(dirname "$0")/../support/lib.sh"

requires_root
requires ip unshare
[ -n "${TOOTFS_TEST_INSIDE:-}" ] || skip "no namespaces here"
TIMEOUT=4 HOST=s3.tootfs.test ADDRESS=10.77.0.1

ip link set lo up
ip addr add $ADDRESS/32 dev lo
cp /etc/hosts "$T/hosts"
echo "$ADDRESS $HOST" >"$T/hosts.good"
echo 'nameserver 127.0.0.1' >"$T/resolv.conf" # nobody is there: refused
echo 'hosts: files dns' >"$T/nsswitch.conf"
cp "$T/hosts.good" "$T/hosts"
for file in hosts resolv.conf nsswitch.conf; do
	mount --bind "$T/$file" "/etc/$file"
	on_exit "umount /etc/$file"
done

silent_names() { # a server of names that never answers
	python3 -c 'import socket, time
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 53))
open("'"$T"'/names", "w").close()
time.sleep(1000)' &
	NAMES=$!
	on_exit "kill -9 $NAMES 2>/dev/null; true"
	wait_for 10 test -e "$T/names"
}
quickly() { # COMMAND…
	local started=$SECONDS
	"$@"
	expect_le $((SECONDS - started)) $((3 * PATIENCE)) "seconds for: $*"
}
begin() { # OUTAGE: connections end with it, so that the name is needed again
	stop_proxy
	case $1 in
	refused | silent) : >"$T/hosts" ;;
	unreachable)
		ip addr del $ADDRESS/32 dev lo
		ip route add unreachable $ADDRESS/32
		;;
	esac
	[ "$1" != silent ] || silent_names
	start_proxy --address 0.0.0.0
	[ "$1" = unreachable ] || sleep 6 # an address is good for 5 s
}
end() { # OUTAGE
	case $1 in
	refused | silent) cat "$T/hosts.good" >"$T/hosts" ;;
	unreachable)
		ip route del unreachable $ADDRESS/32
		ip addr add $ADDRESS/32 dev lo
		;;
	esac
	[ "$1" != silent ] || { kill -9 "$NAMES" && wait "$NAMES"; } 2>/dev/null || :
}
works_alone() { # OUTAGE
	local started said status=0
	quickly expect_eq "$(cat "$MNT/d/cached")" cached "a cached read"
	for i in $(seq 20); do echo "$1 $i" >"$MNT/new/$1-$i"; done
	quickly mv "$MNT/new/$1-1" "$MNT/new/$1-moved"
	quickly rm "$MNT/new/$1-2"
	started=$SECONDS
	said=$(cat "$MNT/d/cold-$1" 2>&1 >/dev/null) || status=$?
	expect_eq $status 1 "status of a read that needs the bucket"
	expect_text "$said" 'input/output error'
	expect_le $((SECONDS - started)) $(((TIMEOUT + 3) * PATIENCE)) "seconds until it failed"
	expect_text "$(grep 'fill: read failed' "$LOG" | tail -1)" "$2" "the cause in the log"
}
comes_back() { # OUTAGE
	wait_for 60 eval "cat '$MNT/d/cold-$1' >/dev/null 2>&1"
	wait_uploaded
	cmp "$MNT/d/cold-$1" "$T/cold"
	expect_eq "$(s3 get "new/$1-moved")" "$1 1"
	expect_eq "$(s3 ls "new/$1-" | wc -l)" 19 "objects written during: $1"
}

RGW_DNS_NAME=$HOST start_rgw private
noise "$T/cold" 9000
echo cached | s3 put d/cached -
echo x | s3 put new/x -
for outage in refused silent unreachable; do s3 put d/cold-$outage "$T/cold"; done
start_proxy --address 0.0.0.0
ENDPOINT=http://$HOST:$(cat "$T/proxy.port")
start_mount -o io_timeout=${TIMEOUT}s,stop_timeout=2s
cat "$MNT/d/cached" >/dev/null
ls "$MNT/new" >/dev/null
kinds='refused silent unreachable' outages=0
[ "$PATIENCE" = 1 ] || kinds=refused # the others differ for the network, not for a sanitizer
for outage in $kinds; do
	case $outage in
	refused) cause='could not resolve' ;;
	silent) cause='resolv' ;;
	unreachable) cause='connect|route' ;;
	esac
	begin $outage
	works_alone $outage "$cause"
	outages=$((outages + 1))
	wait_for 30 eval '[ "$(grep -c "from now on it is tried" "$LOG")" = '$outages' ]' # then a probe goes first
	forget_requests
	end $outage
	comes_back $outage
	python3 "$SUPPORT/comeback.py" "$T/proxy.log"
done

[ "$PATIENCE" = 1 ] || exit 0

# It ends in time, too, while the server of names is silent and something is still to be sent.
begin silent
echo late >"$MNT/new/late"
started=$SECONDS
stop_mount
expect_le $((SECONDS - started)) $((20 * PATIENCE)) "seconds until it ended"
end silent
ENDPOINT=http://$HOST:$(cat "$T/proxy.port")
start_mount
wait_uploaded
expect_eq "$(s3 get new/late)" late
