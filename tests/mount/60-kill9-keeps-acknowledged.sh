#!/bin/bash
# kill -9 at any instant: whatever a call acknowledged is there afterwards, whole, without an fsync.
. "$(dirname "$0")/../support/lib.sh"

start_rgw
start_proxy
faults 'PUT|POST . latency=100'
mkdir "$T/work" "$T/said.d"
writer() { # "w NAME SUM" after the last call about NAME, "D NAME" before and "d NAME" after its removal
	local i=0 name victim
	while :; do
		i=$((i + 1)) name=r$1-$i victim=r$1-$((i - 2))
		head -c $((RANDOM * 6)) /dev/urandom >"$T/work/f"
		mkdir "$MNT/w/$name" && cp -a "$T/work/f" "$MNT/w/$name/tmp" || return 0 # w is in the mount only
		mv "$MNT/w/$name/tmp" "$MNT/w/$name/f" || return 0
		echo "w $name $(md5sum <"$T/work/f" | cut -d' ' -f1)"
		if ((i % 4 == 0)); then
			echo "D $victim"
			rm -r "${MNT:?}/w/$victim" || return 0
			echo "d $victim"
		fi
	done
}
check() {
	local what name sum
	while read -r what name sum; do
		case $what in
		w) grep -qx "D $name" "$T"/said.d/* || expect_eq "$(md5sum <"$MNT/w/$name/f" | cut -d' ' -f1)" "$sum" "$name" ;;
		d) [ ! -e "$MNT/w/$name/f" ] || fail "came back: $name" ;;
		esac
	done < <(cat "$T"/said.d/*)
}
start_mount
mkdir "$MNT/w"
for round in 1 2 3 4; do
	writer $round >"$T/said.d/$round" 2>/dev/null &
	sleep 1.$RANDOM
	kill -9 "${DAEMON[$MNT]}"
	wait $! || : # the dead mount stops it; below it there is an ordinary folder, which would take its files
	kill_mount
	start_mount
	expect_ge "$(wc -l <"$T/said.d/$round")" 3 "calls acknowledged in round $round"
	check
done
faults
wait_uploaded
bucket_diff "$MNT"
check
