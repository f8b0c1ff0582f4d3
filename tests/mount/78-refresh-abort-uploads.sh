#!/bin/bash
# tootfsctl refresh takes over what others did to the bucket; abort-uploads ends uploads of others, never ours.
. "$(dirname "$0")/../support/lib.sh"

ctl() { "$(dirname "$TOOTFS")/tootfsctl" "$@"; }
STATUS=0
try() {
	STATUS=0
	SAID=$("$@" 2>&1) || STATUS=$?
}
put() { # KEY TEXT
	echo "$2" >"$T/put"
	s3 put "$1" "$T/put"
}

start_rgw
start_proxy
put d/kept kept
put d/gone gone
put d/e/changed before
put other/x x
start_mount
expect_eq "$(find "$MNT" -type f | wc -l)" 4 "files found"
expect_eq "$(cat "$MNT/d/e/changed")" before
put d/new new
put d/e/changed "after, longer"
put d/f/g/h deep
put other/y y
s3 del d/gone
expect_fails test -e "$MNT/d/new"
echo ours >"$MNT/d/ours"
wait_for 30 object_is d/ours "$MNT/d/ours"
try ctl refresh "$MNT/d"
expect_eq "$STATUS" 0 "status of refresh ($SAID)"
expect_text "$SAID" '4 folders listed: 2 added, 1 removed, 1 replaced'
expect_eq "$(cat "$MNT/d/new" "$MNT/d/e/changed" "$MNT/d/f/g/h" "$MNT/d/ours" "$MNT/d/kept")" \
	"$(printf '%s\n' new 'after, longer' deep ours kept)" "what is there now"
expect_fails test -e "$MNT/d/gone"
expect_fails test -e "$MNT/other/y" # that was not asked for
ctl refresh "$MNT" >/dev/null
expect_eq "$(cat "$MNT/other/y")" y

# uploads
noise "$T/large" 12000000
s3 multipart foreign.mp4 "$T/large" 6000000 open >/dev/null
s3 multipart d/foreign.mp4 "$T/large" 6000000 open >/dev/null
try ctl abort-uploads "$MNT"
expect_eq "$STATUS $SAID" "0 " "young ones are left alone"
try ctl abort-uploads --all --dry-run "$MNT"
expect_eq "$(grep -c old <<<"$SAID")" 2 "uploads told of ($SAID)"
expect_eq "$(s3 uploads | wc -l)" 2 "after a dry run"
stop_mount

start_mount -o part_size=5M
faults 'PUT partNumber=[23] latency=10000'
cp "$T/large" "$MNT/large.mp4"
wait_for 30 eval '[ "$(s3 uploads | grep -c large)" = 1 ]'
try ctl abort-uploads --all "$MNT"
expect_eq "$STATUS" 0 "status of abort-uploads --all ($SAID)"
expect_eq "$(grep -c aborted <<<"$SAID")" 2 "aborted ($SAID)"
expect_eq "$(s3 uploads | cut -d' ' -f1)" large.mp4 "what is left"
faults
wait_for 90 object_is large.mp4 "$T/large"
