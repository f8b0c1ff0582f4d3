#!/bin/bash
# Damage of every kind, done on purpose: fsck.tootfs names it, mends it, and finds nothing afterwards. On a folder and on S3.
. "$(dirname "$0")/../support/lib.sh"

BUILD=$(dirname "$TOOTFS")
FSCK=$BUILD/fsck.tootfs DAMAGE=$BUILD/tests/damage
[ -x "$FSCK" ] && [ -x "$DAMAGE" ] || skip "there is no $FSCK or $DAMAGE"

fsck() { # STATUS OPTION…; what it said is in SAID
	local wanted=$1 status=0
	shift
	"$FSCK" "$@" "$BUCKET" -o "$(mount_options)" >"$T/said" 2>"$T/said.err" </dev/null || status=$?
	SAID=$(cat "$T/said" "$T/said.err")
	check_log "$T/said.err"
	expect_eq "$status" "$wanted" "status of fsck.tootfs $* ($SAID)"
}
put() { # KEY FILE
	case $BUCKET in
	file://*) mkdir -p "$(dirname "$T/bucket/$1")" && cp "$2" "$T/bucket/$1" ;;
	*) s3 put "$1" "$2" ;;
	esac
}
remove() {
	case $BUCKET in
	file://*) rm "$T/bucket/$1" ;;
	*) s3 del "$1" ;;
	esac
}
damage() { "$DAMAGE" "$CACHE" "$@"; }
blob() { echo "$CACHE/blobs/$(damage blob "$1")"; }

flip() { # a byte of a file
	python3 -c 'import sys
with open(sys.argv[1], "r+b") as f:
	f.seek(7); byte = f.read(1)[0]; f.seek(7); f.write(bytes([byte ^ 255]))' "$1"
}

# CODE FLAG-THAT-MENDS STATUS-OF-n [more options]: found by -n, mended, gone
case_of() {
	local code=$1 flag=$2 found=$3
	shift 3
	fsck "$found" -n "$@"
	expect_text "$(cat "$T/said")" "^$code[ :]" "-n"
	if [ "$flag" = -y ] && [ "$found" = 4 ]; then
		fsck 4 -p "$@"
		expect_text "$(cat "$T/said")" "^$code[ :]" "-p"
	fi
	if [ "$flag" = none ]; then return; fi
	fsck $((found / 4)) "$flag" "$@" # a note that was mended changes no status
	expect_text "$(cat "$T/said")" "^$code[ :].*mended:" "$flag"
	fsck 0 -n "$@"
	if grep -qE "^$code[ :]" "$T/said"; then fail "$code is still there: $SAID"; fi
}

all_cases() {
	rm -rf "$CACHE"
	start_mount
	mkdir -p "$MNT/a/b"
	for i in 01 02 03 04 05 06 07 08 09 10 11 12 13 14 15 16 17; do noise "$MNT/a/b/$i" $((3000 + 10#$i)); done
	ln "$MNT/a/b/16" "$MNT/a/b/linked"
	wait_uploaded
	stop_mount
	fsck 0 -n --deep

	noise "$T/other" 5000
	put a/unknown "$T/other"
	put un/known/x "$T/other"
	case_of UNKNOWN -p 4
	remove a/b/01
	case_of GONE -p 4
	expect_eq "$(bucket_keys | grep -c '^a/b/01$')" 1 "uploaded again"
	remove a/b/linked
	case_of COPY-GONE -p 4
	rm "$(blob a/b/02)"
	case_of BLOB-MISSING -p 4
	remove a/b/02
	case_of LOST -y 4
	put a/b/03 "$T/other"
	case_of REPLACED -p 4
	damage time a/b/04
	put a/b/04 "$T/other"
	case_of OUTDATED -y 4
	expect_eq "$(s3_size a/b/04)" 3004 "size of what was sent again"
	damage dirty a/b/05
	case_of NOT-WANTED -p 4
	damage settled a/b/06
	case_of SETTLED -p 4
	damage absent a/never
	case_of SETTLED -p 4
	truncate -s 100 "$(blob a/b/07)"
	case_of BLOB-SHORT -p 4
	flip "$(blob a/b/08)"
	fsck 0 -n
	case $BUCKET in
	file://*) case_of BLOB-DIFFERS -y 4 --deep ;;
	*) case_of BLOB-WRONG -p 4 --deep ;;
	esac
	rm "$(blob a/b/09)"
	damage unsent a/b/09
	case_of DIRTY-LOST -y 4
	mkdir -p "$CACHE/blobs/0"
	noise "$CACHE/blobs/0/ffe" 100
	case_of ORPHAN-BLOB -p 4
	[ -s "$CACHE/lost+found/blobs/4094" ] || [ -n "$(find "$CACHE/lost+found/blobs" -size 100c)" ] || fail "it is not kept"
	case_of_age
	damage name a/nothing
	case_of NAME -y 4
	damage totals a/b/11
	case_of TOTALS none 4
	fsck 4 -y
	fsck 1 --rebuild
	fsck 0 -n
	rm -rf "$CACHE/lost+found"
	start_mount
	expect_same_bucket
	stop_mount
}
case_of_age() { # the age stays where the node loses its blob
	damage age a/b/10
	case_of AGE -p 4
}
s3_size() {
	case $BUCKET in
	file://*) stat -c %s "$T/bucket/$1" ;;
	*) s3 ls -l | awk -v key="$1" '$NF == key { print $1 }' ;;
	esac
}
expect_same_bucket() { expect_eq "$(cd "$MNT" && find . -type f -printf '%P\n' | sort)" "$(bucket_keys | sort)" "keys"; }

s3_cases() { # what only S3 has
	put mark/er/ /dev/null
	fsck 0 -n
	expect_text "$(cat "$T/said")" '^MARKER mark/er/'
	s3 del mark/er/
	put bad//key "$T/other"
	fsck 0 -n
	expect_text "$(cat "$T/said")" '^BAD-KEY bad//key'
	remove bad//key
	put a/b "$T/other"
	fsck 0 -n
	expect_text "$(cat "$T/said")" '^SHADOWED a/b:'
	remove a/b
	s3 put a/b/12 "$T/other" content-type:text/plain
	fsck 1 -p
	case_of HEADERS -y 4 --headers
	expect_eq "$(s3 head a/b/12 content-type)" application/octet-stream "Content-Type"
	s3 multipart up/load "$T/other" 5242880 open >/dev/null # a young one is somebody's
	fsck 0 -n
	if grep -q '^UPLOAD' "$T/said"; then fail "an upload of today is told"; fi
	sleep 2
	case_of UPLOAD -y 0 --upload-age 1
	expect_eq "$(s3 uploads)" "" "uploads under way"
}

use_folder
all_cases
start_rgw
all_cases
s3_cases
