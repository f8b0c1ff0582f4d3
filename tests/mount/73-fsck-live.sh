#!/bin/bash
# fsck.tootfs on a cache that is mounted and written to: nothing false is reported, what is wrong is found and mended, the mount
# stays usable. FSCK_ROUNDS=100 for all of it.
. "$(dirname "$0")/../support/lib.sh"

FSCK=$(dirname "$TOOTFS")/fsck.tootfs
[ -x "$FSCK" ] || skip "there is no $FSCK"
rounds=${FSCK_ROUNDS:-4}

fsck() {
	local wanted=$1 status=0
	shift
	"$FSCK" "$@" "$BUCKET" -o "$(mount_options)" >"$T/said" 2>"$T/said.err" </dev/null || status=$?
	expect_eq "$status" "$wanted" "status of fsck.tootfs $* ($(cat "$T/said" "$T/said.err"))"
}

churn() { # writes, overwrites, renames, links and removes until $T/stop is there
	local i n=0 at=$MNT/churn$1
	mkdir -p "$at"
	while [ ! -e "$T/stop" ]; do
		n=$((n + 1)) i=$((n % 40))
		mkdir -p "$at/d$((n % 7))"
		head -c $((1 + n * 37 % 9000)) /dev/urandom >"$at/d$((n % 7))/$i"
		if [ $((n % 3)) = 0 ]; then mv "$at/d$((n % 7))/$i" "$at/moved$i"; fi
		if [ $((n % 5)) = 0 ]; then rm -f "$at/moved$((n % 31))"; fi
		if [ $((n % 11)) = 0 ]; then mv "$at/d$((n % 7))" "$at/e$n" && rm -r "$at/e$n"; fi
		if [ $((n % 13)) = 0 ]; then ln -f "$at/moved$i" "$at/link$((n % 3))" 2>/dev/null || :; fi
	done
}

start_rgw
make_tree "$T/tree" --files 200 --bytes 1000000
s3 putdir "$T/tree"
start_mount
wait_for 30 grep -q 'survey: done' "$LOG"
for i in 1 2; do churn $i & done
for ((round = 1; round <= rounds; round++)); do
	fsck 0 -n
	if [ "$(grep -cvE ': clean: ' "$T/said")" != 0 ]; then fail "round $round: $(cat "$T/said")"; fi
done
touch "$T/stop"
wait_for 30 eval '[ -z "$(jobs -pr | grep -vx "${DAEMON[$MNT]}")" ]'
wait_uploaded
expect_ge "$(bucket_keys | grep -c churn)" 5 "files written meanwhile"

victim=$(cd "$T/tree" && find . -type f | sort | sed -n '1s|^./||p')
cat "$MNT/$victim" >/dev/null
s3 del "$victim"
echo new >"$T/new"
s3 put "$(dirname "$victim")/put behind our back" "$T/new"
[ ! -e "$MNT/$(dirname "$victim")/put behind our back" ] || fail "known already" # the kernel keeps that there is none
fsck 4 -n
expect_text "$(cat "$T/said")" "^GONE $victim"
expect_text "$(cat "$T/said")" "^UNKNOWN .*put behind our back"
fsck 1 -p
expect_same_new() { cmp -s "$MNT/$(dirname "$victim")/put behind our back" "$T/new"; }
expect_same_new || fail "what was adopted is not seen"
wait_for 20 object_is "$victim" "$T/tree/$victim"
fsck 0 -n --deep
stop_mount
fsck 0 -n
