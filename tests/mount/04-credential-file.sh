#!/bin/bash
# A credential file that others can read is refused, as ssh does; a missing or empty one is named.
. "$(dirname "$0")/../support/lib.sh"

start_rgw
options() { echo "cache=$CACHE,endpoint=$ENDPOINT,region=us-east-1,credentials=$1"; }
for mode in 644 640 604; do
	cp "$T/credentials" "$T/open"
	chmod $mode "$T/open"
	expect_refused 'open.*(0?600|others|chmod)' "$BUCKET" "$MNT" -o "$(options "$T/open")"
done
expect_refused 'missing' "$BUCKET" "$MNT" -o "$(options "$T/missing")"
(umask 077 && : >"$T/empty" && head -c 3000 /dev/urandom >"$T/garbage")
expect_refused 'empty' "$BUCKET" "$MNT" -o "$(options "$T/empty")"
expect_refused 'garbage' "$BUCKET" "$MNT" -o "$(options "$T/garbage")"
expect_refused 'profile|other' "$BUCKET" "$MNT" -o "$(options "$T/credentials"),profile=other"
