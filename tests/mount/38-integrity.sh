#!/bin/bash
# Wrong bytes of the right length: fetched again, then EIO, never read where the object is small; a damaged large object is
# thrown away and proved first the next time. All without a remount.
. "$(dirname "$0")/../support/lib.sh"

start_rgw
start_proxy
noise "$T/small" 50000
noise "$T/large" $((9 << 20))
PART=$((5 << 20))
for i in 1 2 3; do s3 put "small$i" "$T/small"; done
s3 put large "$T/large" # in one piece: its ETag is an MD5
s3 multipart parts "$T/large" $PART >/dev/null
start_mount -o io_timeout=5s
ls -l "$MNT" >/dev/null
cmp "$MNT/small1" "$T/small" # from here on it is known that ETags are MD5s

faults 'GET small2 corrupt=777 nth=1'
cmp "$MNT/small2" "$T/small"
expect_eq "$(requests GET small2)" 2 "GETs until it was right"
faults 'GET small3 corrupt=777'
forget_requests
if cat "$MNT/small3" >"$T/got" 2>/dev/null; then fail "wrong bytes were read"; fi
expect_eq "$(stat -c %s "$T/got")" 0 "bytes that came before the error"
expect_ge "$(requests GET small3)" 2 "GETs before the error"
expect_text "$(cat "$LOG")" "key=small3 md5=[0-9a-f]{32} expected=$(md5sum <"$T/small" | cut -c1-32).*verify=off" "log"
faults
cmp "$MNT/small3" "$T/small"

faults 'GET large corrupt=7777 nth=2'
cat "$MNT/large" >"$T/got" 2>/dev/null || : # in ranges: the reader gets them before all of it can be checked
wait_for 20 grep -q 'thrown away.*key=large' "$LOG"
faults 'GET large corrupt=7777'
forget_requests
if cat "$MNT/large" >"$T/got" 2>/dev/null; then fail "wrong bytes were read of what is suspected"; fi
expect_eq "$(stat -c %s "$T/got")" 0 "bytes of the suspect that came before the error"
faults
cmp "$MNT/large" "$T/large"
cmp "$MNT/parts" "$T/large"

# what is written on top of a found file is not built on wrong bytes
stop_mount
rm -rf "$CACHE"
start_mount
ls -l "$MNT" >/dev/null
faults 'GET large corrupt=7777 nth=2'
printf more >>"$MNT/large"
faults
{ cat "$T/large" && printf more; } >"$T/longer"
wait_for 30 object_is large "$T/longer"

# Objects in parts, on a server that tells the sizes of these (Ceph does so from 18 on; here the proxy does).
head -c $PART "$T/large" >"$T/part1"
tail -c +$((PART + 1)) "$T/large" >"$T/part2"
tell=()
for n in 1 2; do
	tell+=("HEAD partNumber=$n status=206 body=$T/part$n header=x-amz-mp-parts-count:2")
done
for i in 1 2 3; do s3 multipart "parts$i" "$T/large" $PART >/dev/null; done
stop_mount
rm -rf "$CACHE"
start_mount -o io_timeout=5s
ls -l "$MNT" >/dev/null
faults "${tell[@]}" 'GET parts1 corrupt=7777 range=bytes=0-'
forget_requests
cat "$MNT/parts1" >/dev/null 2>&1 || :
wait_for 20 grep -q 'thrown away.*key=parts1' "$LOG"
faults "${tell[@]}"
cmp "$MNT/parts1" "$T/large" # fetched anew, right, and from here on it is known that such ETags can be believed
expect_ge "$(requests HEAD partNumber=1)" 1 "questions for the first part's size"
expect_eq "$(requests HEAD partNumber=3)" 0 "questions for a part that there is not"
sleep 0.6 # lines of one kind have a distance
faults "${tell[@]}" 'GET parts2 corrupt=7777'
cat "$MNT/parts2" >/dev/null 2>&1 || :
wait_for 20 grep -q 'thrown away.*key=parts2' "$LOG"
if cat "$MNT/parts2" >"$T/got" 2>/dev/null; then fail "wrong bytes were read of an object in parts"; fi
expect_eq "$(stat -c %s "$T/got")" 0 "bytes of it that came before the error"
faults "${tell[@]}"
cmp "$MNT/parts2" "$T/large"
# a server that does not tell: read as it comes, and not asked for each
faults 'HEAD partNumber= status=405 code=MethodNotAllowed'
cmp "$MNT/parts3" "$T/large"
