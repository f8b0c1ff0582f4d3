#!/bin/bash
# fsck.tootfs -n writes nothing, neither to the cache nor to the bucket: after a clean stop, with damage, and after a kill -9, where
# the index must be recovered before it can be looked at. And what it says for programs; and lists of what somebody else knows.
. "$(dirname "$0")/../support/lib.sh"

FSCK=$(dirname "$TOOTFS")/fsck.tootfs
[ -x "$FSCK" ] || skip "there is no $FSCK"
mkdir "$T/tmp"

state() { # of everything but LMDB's table of readers
	find "$CACHE" "$T/bucket" ! -name index.mdb-lock -printf '%P %y %m %s %n %C@\n' | sort | sed "s|[^ ]*/lost+found.*||"
	find "$CACHE" "$T/bucket" -type f ! -name index.mdb-lock -print0 | sort -z | xargs -0r sha256sum
}
fsck() {
	local wanted=$1 status=0
	shift
	TMPDIR=$T/tmp "$FSCK" "$@" "$BUCKET" -o "$(mount_options)" >"$T/said" 2>"$T/said.err" </dev/null || status=$?
	expect_eq "$status" "$wanted" "status of fsck.tootfs $* ($(cat "$T/said" "$T/said.err"))"
}
unchanged() { # STATUS OPTION…
	state >"$T/before"
	fsck "$@"
	state >"$T/after"
	diff "$T/before" "$T/after" >&2 || fail "fsck.tootfs ${*:2} has changed something"
	expect_eq "$(ls -A "$T/tmp")" "" "what it left in TMPDIR"
}

use_folder
make_tree "$T/tree" --files 60 --bytes 400000
fsck 8 -n # there is no cache
fsck 0 -p # at boot, before the first mount
[ ! -e "$CACHE" ] || fail "it made a cache"
start_mount
cp -a "$T/tree/." "$MNT"
wait_uploaded "$T/tree"
stop_mount
unchanged 0 -n
unchanged 0 -n --deep
unchanged 0 # without a terminal: as -n
first=$(cd "$T/tree" && find . -type f -printf '%P\n' | sort | sed -n 1p)
rm "$T/bucket/$first"
noise "$T/bucket/unknown" 10
unchanged 4 -n
unchanged 4
unchanged 4 -n --json
python3 - "$T/said" "$first" <<'EOP'
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
found = {line["finding"]["code"]: line["finding"]["key"] for line in lines if "finding" in line}
assert found == {"GONE": sys.argv[2], "UNKNOWN": "unknown"}, found
assert lines[-1]["end"]["damage"] == 2 and lines[-1]["end"]["left"] == 2, lines[-1]
EOP
fsck 1 -p
unchanged 0 -n

start_mount
rm "$MNT/unknown"
noise "$MNT/last" 5000
kill_mount
unchanged 0 -n
fsck 0 -p # recovers, and sends
expect_eq "$(bucket_keys | grep -cx last)" 1 "what was to be sent"
[ ! -e "$T/bucket/unknown" ] || fail "what was to be removed is there"
unchanged 0 -n

# a list in no order, with what a database gives before a path
{ bucket_keys | tac | sed 's|^|/|' && echo ./not/there && echo; } | grep -vxF "/$first" >"$T/list"
unchanged 4 --orphans-of "$T/list"
expect_eq "$(cat "$T/said")" "$(printf '+ %s\t%s\n-\tnot/there' "$(stat -c %s "$T/tree/$first")" "$first" | sort)" "orphans"
bucket_keys >"$T/list"
unchanged 0 --orphans-of "$T/list"

for wrong in "--nonsense" "-n extra" "-C x"; do
	status=0
	# shellcheck disable=SC2086
	"$FSCK" $wrong "$BUCKET" -o "$(mount_options)" 2>/dev/null || status=$?
	expect_eq "$status" 16 "status of a wrong command line ($wrong)"
done
"$FSCK" -n -C 7 "$BUCKET" -o "$(mount_options)" 7>"$T/progress" >/dev/null
