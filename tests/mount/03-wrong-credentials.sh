#!/bin/bash
# A wrong key, a wrong secret, a wrong clock: which one is said; the secret never is.
. "$(dirname "$0")/../support/lib.sh"

start_rgw
right=$S3_SECRET_KEY
S3_SECRET_KEY=wrongwrongwrongwrongwrongwrongwrongwrong write_credentials "$T/wrong-secret"
S3_ACCESS_KEY=NOSUCHKEY000 write_credentials "$T/wrong-key"
options() { echo "cache=$CACHE,endpoint=$ENDPOINT,region=us-east-1,credentials=$1"; }

expect_refused 'secret|signature|credential' "$BUCKET" "$MNT" -o "$(options "$T/wrong-secret")"
! grep -q wrongwrong "$T/said" || fail "the secret was said"
expect_refused 'key|credential' "$BUCKET" "$MNT" -o "$(options "$T/wrong-key")"

requires faketime
skewed() { STATUS=0 && faketime -f +3h timeout 60 "$TOOTFS" "$@" </dev/null >"$T/said" 2>&1 || STATUS=$?; }
if ! grep -qaE '__(asan|tsan)_init' "$TOOTFS"; then # faketime does not get along with them
	skewed "$BUCKET" "$MNT" -o "$(options "$T/credentials")"
	[ "$STATUS" != 0 ] || fail "mounted with a clock three hours wrong"
	expect_text "$(cat "$T/said")" 'clock' "what was said of the clock"
fi

printf '%s:%s\n' "$S3_ACCESS_KEY" "$right" >"$T/passwd-s3fs" # the other format
chmod 600 "$T/passwd-s3fs"
start_mount -o "credentials=$T/passwd-s3fs"
