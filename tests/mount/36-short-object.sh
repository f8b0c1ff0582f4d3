#!/bin/bash
# An object that is shorter than was said, an answer that is cut, wrong or somebody else's: EIO, and right again later.
. "$(dirname "$0")/../support/lib.sh"

start_rgw
start_proxy
noise "$T/small" 50000
noise "$T/large" $((20 << 20))
for i in 1 2 3 4 5 6; do s3 put "small$i" "$T/small"; done
s3 put large "$T/large"
start_mount -o io_timeout=5s
ls -l "$MNT" >/dev/null
refuse() { # RULE FILE
	faults "$1"
	if cat "$MNT/$2" >"$T/got" 2>/dev/null; then
		cmp -s "$T/got" "$T/${2%[0-9]}" || fail "wrong bytes and no error with: $1"
		fail "cannot have been read with: $1"
	fi
	cmp -s -n "$(stat -c %s "$T/got")" "$T/got" "$T/${2%[0-9]}" || fail "wrong bytes before the error with: $1"
	faults
	wait_for 40 eval "cat $MNT/$2 >/dev/null 2>&1" # a breaker may want its time
	cmp "$MNT/$2" "$T/${2%[0-9]}" || fail "not right again after: $1"
}
refuse 'GET small1 shorten=-7' small1
refuse 'GET small2 truncate=0' small2
refuse 'GET small3 status=200 body=garbage' small3
refuse 'GET small4 header=ETag:"deadbeef"' small4
refuse 'GET small5 status=500 body=garbage' small5
refuse 'GET large range=. truncate=0' large
faults 'GET small6 truncate=9000' # cut again and again, but each time there is more
cmp "$MNT/small6" "$T/small"
