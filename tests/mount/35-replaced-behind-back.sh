#!/bin/bash
# An object that is replaced or deleted while it is read: an error or the new content, never a mixture, never zeros.
. "$(dirname "$0")/../support/lib.sh"

start_rgw
size=$((40 << 20))
head -c $size /dev/zero | tr '\0' A >"$T/a"
head -c $size /dev/zero | tr '\0' B >"$T/b"
s3 put v.mp4 "$T/a"
s3 put w.mp4 "$T/a"
start_mount
exec 3<"$MNT/v.mp4" 4<"$MNT/w.mp4"
expect_eq "$(head -c 1000 <&3 | tr -d A)" "" "the beginning"
expect_eq "$(head -c 1000 <&4 | tr -d A)" "" "the beginning"
s3 put v.mp4 "$T/b"
s3 del w.mp4
status=0
cat <&3 >"$T/rest" 2>"$T/err" || status=$?
expect_eq "$(tr -d A <"$T/rest" | wc -c)" 0 "bytes of another version on a handle that began with the old one"
[ "$(stat -c %s "$T/rest")" = $((size - 1000)) ] || [ $status != 0 ] || fail "the rest is short and nothing was said"
status=0
cat <&4 >"$T/rest" 2>"$T/err" || status=$?
expect_eq "$(tr -d A <"$T/rest" | wc -c)" 0 "bytes that were never in the deleted object"
[ "$(stat -c %s "$T/rest")" = $((size - 1000)) ] || [ $status != 0 ] || fail "the rest is short and nothing was said"
exec 3<&- 4<&-
new_or_error() {
	status=0
	cat "$MNT/v.mp4" >"$T/all" 2>/dev/null || status=$?
	[ $status != 0 ] || cmp -s "$T/all" "$T/b" || cmp -s "$T/all" "$T/a" || fail "a mixture was read"
	[ $status = 0 ]
}
wait_for 60 new_or_error
