# Sourced by tests/mount/NN-*.sh: the real program, mounted, against a real server.
#
#     . "$(dirname "$0")/../support/lib.sh"
#     start_rgw                          # $BUCKET is a fresh bucket; or: use_folder for a file:// bucket
#     start_mount                        # $BUCKET on $MNT with the cache in $CACHE; more options: -o NAME=VALUE,…
#     cp -a "$TREE/." "$MNT"
#     wait_uploaded "$TREE"
#     stop_mount
#
# The first command that fails ends the test (status 1); 77 = skipped. At the end, however it comes, everything that
# was started is ended and everything mounted is unmounted; $T, the private folder, goes with it. The daemon runs in
# the foreground of a background job, so that its log and its exit status are there to be checked; both are at
# stop_mount and at the end. TOOTFS_BUILD = where the program is; TOOTFS_TEST_S3 = the env file of a gateway
# shared by a whole run (rgw start), else start_rgw starts one; TOOTFS_PATIENCE multiplies every time limit.
# shellcheck shell=bash

SUPPORT=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
SOURCE=$(cd "$SUPPORT/../.." && pwd)
PATIENCE=${TOOTFS_PATIENCE:-1}
NAME=$(basename "$0" .sh)

# A group of its own under a hard limit: TERM reaches a command that hangs, and then the trap cleans up.
if [ -z "${TOOTFS_TEST_LIMITED:-}" ]; then
	export TOOTFS_TEST_LIMITED=1
	exec timeout --kill-after=20 "$((${TEST_SECONDS:-120} * PATIENCE))" bash "$0" "$@"
fi

set -Eeuo pipefail
export LC_ALL=C.UTF-8 PYTHONDONTWRITEBYTECODE=1
export ASAN_OPTIONS=${ASAN_OPTIONS:-exitcode=99:detect_leaks=1} UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
export TSAN_OPTIONS=${TSAN_OPTIONS:-exitcode=66:second_deadlock_stack=1}
# Nothing that the person who runs the tests has set may reach the program.
unset "${!AWS_@}" http_proxy https_proxy HTTP_PROXY HTTPS_PROXY all_proxy ALL_PROXY
export AWS_EC2_METADATA_DISABLED=true # nor may it look for a cloud around this computer

T=$(mktemp -d "${TMPDIR:-/tmp}/tootfs-$NAME.XXXXXX")
chmod 755 "$T"
MNT=$T/mnt CACHE=$T/cache LOG='' BUCKET='' ENDPOINT=''
TOOTFS=${TOOTFS_BUILD:-$SOURCE/build}/tootfs
export HOME=$T/home
mkdir "$HOME" "$MNT"

declare -A DAEMON=() DAEMON_LOG=() # by mount point
EXIT_COMMANDS=()
PROXY_PID='' FINISHING='' ENDING=''

# -- ends --

say() { printf '%s\n' "$*" >&2; }
fail() {
	say "FAIL: $*"
	[ -z "$FINISHING" ] || return 1
	exit 1
}
skip() { say "SKIP: $*"; echo "SKIP: $*"; exit 77; }
on_exit() { EXIT_COMMANDS+=("$*"); } # run with eval, the last one first
requires() {
	local command
	for command in "$@"; do
		command -v "$command" >/dev/null || skip "$command is not installed"
	done
}
requires_root() { [ "$(id -u)" = 0 ] || skip "needs root"; }

failed_line() { say "FAIL: line $2 of $NAME: $1"; }

finish() {
	local status=$? mount i
	ENDING=$status
	trap - ERR EXIT
	trap 'ENDING=124' TERM INT # out of time while cleaning up: less politely from here on
	set +e
	FINISHING=1
	for ((i = ${#EXIT_COMMANDS[@]} - 1; i >= 0; i--)); do
		eval "${EXIT_COMMANDS[i]}" || { say "cleanup failed: ${EXIT_COMMANDS[i]}" && ENDING=1; }
	done
	[ "$ENDING" != 0 ] || ENDING=$status
	[ "$ENDING" = 0 ] || [ "$ENDING" = 77 ] || show_logs
	while read -r mount; do umount -l "$mount" || fusermount3 -uz "$mount"; done < <(mounts_below "$T") 2>/dev/null
	rm -rf --one-file-system "$T" || { say "cannot remove $T" && ENDING=1; }
	exit "$ENDING"
}
trap finish EXIT
trap 'exit 124' TERM INT
trap 'failed_line "$BASH_COMMAND" $LINENO' ERR

show_logs() {
	local log
	for log in "$T"/log.*; do
		[ -s "$log" ] || continue
		say "--- ${log##*/} (last 60 lines)"
		tail -n 60 "$log" >&2
	done
	say "---"
}

# -- expectations --

expect_eq() { # GOT WANTED WHAT
	[ "$1" = "$2" ] || fail "${3:-value}: got '$1', wanted '$2'"
}
expect_ge() { [ "$1" -ge "$2" ] || fail "${3:-value}: got $1, wanted $2 or more"; }
expect_le() { [ "$1" -le "$2" ] || fail "${3:-value}: got $1, wanted $2 or less"; }
expect_fails() { # COMMAND…: it must fail
	if "$@"; then fail "succeeded: $*"; fi
}
expect_text() { # TEXT REGEX WHAT
	grep -qiE -- "$2" <<<"$1" || fail "${3:-text}: nothing like /$2/ in: $1"
}

wait_for() { # SECONDS COMMAND…
	local end=$((SECONDS + $1 * PATIENCE))
	shift
	until "$@"; do
		[ "$SECONDS" -lt "$end" ] && [ "$ENDING" != 124 ] || { fail "in vain waited for: $*" || return 1; }
		sleep 0.1
	done
}

tree_facts() {
	(cd "$1" && find . -mindepth 1 \( -type d -printf '%P d %m %U:%G %T@\n' -o \
		-printf '%P %y %m %U:%G %T@ %s %n %l\n' \) | sort)
}
tree_sums() { (cd "$1" && find . -type f -print0 | xargs -0r md5sum | sort -k2); }
object_sums() { # what an object of each name would hold: a symlink's is its target
	local name
	tree_sums "$1" && while IFS= read -r -d '' name; do
		echo "$(readlink -n "$1/$name" | md5sum | cut -d' ' -f1)  ./$name"
	done < <(find "$1" -type l -printf '%P\0')
}
expect_same_content() { diff <(tree_sums "$1") <(tree_sums "$2") >&2 || fail "other content in $2 than in $1"; }
expect_same_tree() { # names, types, modes, owners, times, sizes, link counts, targets, content
	diff <(tree_facts "$1") <(tree_facts "$2") >"$T/facts.diff" || {
		head -20 "$T/facts.diff" >&2
		fail "$2 is not as $1"
	}
	expect_same_content "$1" "$2"
}

# -- buckets --

s3() { python3 "$SUPPORT/s3.py" "$@"; }

start_rgw() { # the run's gateway, or with "private" or when there is none, one of our own
	if [ -n "${TOOTFS_TEST_S3:-}" ] && [ "${1:-}" != private ]; then
		# shellcheck disable=SC1090
		. "$TOOTFS_TEST_S3"
		on_exit 's3 empty && s3 rmbucket'
	else
		requires_root
		requires ceph-mon ceph-osd radosgw ceph radosgw-admin
		"$SUPPORT/rgw" start "$T/rgw"
		on_exit "$SUPPORT/rgw stop $T/rgw"
		# shellcheck disable=SC1091
		. "$T/rgw/env"
	fi
	fresh_bucket
}

start_swift() { # OpenStack Swift with its S3 API, our own
	requires_root
	requires swift-proxy-server swift-ring-builder memcached unshare
	unshare -m --propagation private true 2>/dev/null || skip "no mount namespaces here"
	"$SUPPORT/swift" start "$T/swift" || skip "swift does not start here"
	on_exit "$SUPPORT/swift stop $T/swift"
	# shellcheck disable=SC1091
	. "$T/swift/env"
	fresh_bucket
}

fresh_bucket() {
	ENDPOINT=$S3_ENDPOINT S3_BUCKET=t$$-$(tr 'A-Z._' 'a-z--' <<<"$NAME" | cut -c1-40 | sed 's/-*$//')
	export S3_ENDPOINT S3_ACCESS_KEY S3_SECRET_KEY S3_BUCKET
	s3 mkbucket
	BUCKET=s3://$S3_BUCKET
	write_credentials "$T/credentials"
}

write_credentials() {
	(umask 077 && printf '[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n' \
		"$S3_ACCESS_KEY" "$S3_SECRET_KEY" >"$1")
}

use_folder() { # a file:// bucket
	mkdir -p "$T/bucket"
	BUCKET=file://$T/bucket ENDPOINT=''
}

bucket_keys() {
	case $BUCKET in
	file://*) (cd "${BUCKET#file://}" && find . -mindepth 1 ! -type d -printf '%P\n' | sort) ;;
	*) s3 ls | sort ;;
	esac
}

bucket_diff() { # [-n] FOLDER: says nothing when the bucket holds exactly the files of FOLDER (-n: names and sizes)
	case $BUCKET in
	s3://*) s3 diff "$@" || return 1 ;;
	file://*)
		local list='%P %s\n' folder=${!#}
		diff <(cd "$folder" && find . -mindepth 1 ! -type d -printf "$list" | sort) \
			<(cd "${BUCKET#file://}" && find . -mindepth 1 ! -type d -printf "$list" | sort) || return 1
		[ "$1" = -n ] || diff <(object_sums "$folder" | sort) <(object_sums "${BUCKET#file://}" | sort)
		;;
	esac
}

uploaded() { bucket_diff "$@" >"$T/bucket.diff" 2>&1; }
wait_uploaded() { # [FOLDER]: until the bucket holds FOLDER, content too; without: the names and sizes of the mount
	local end=$((SECONDS + ${UPLOAD_SECONDS:-60} * PATIENCE)) what=("${@:--n}")
	[ $# -gt 0 ] || what=(-n "$MNT")
	until uploaded "${what[@]}"; do
		[ "$SECONDS" -lt "$end" ] || {
			head -20 "$T/bucket.diff" >&2
			fail "not everything of ${what[*]} reached the bucket, or too much"
		}
		sleep 0.2
	done
}
object_is() { # KEY FILE
	s3 get "$1" "$T/object.got" 2>/dev/null && cmp -s "$T/object.got" "$2"
}
object_gone() { ! s3 head "$1" >/dev/null 2>&1; }

# -- the fault proxy: between the mount and the server, not between the test and the server --

start_proxy() { # [--seed N] [--address IP]
	local port=()
	[ ! -s "$T/proxy.port" ] || port=(--port "$(cat "$T/proxy.port")")
	: >>"$T/proxy.rules"
	rm -f "$T/proxy.port"
	python3 "$SUPPORT/faultproxy.py" "${S3_ENDPOINT##*:}" --rules "$T/proxy.rules" --log "$T/proxy.log" \
		--port-file "$T/proxy.port" "${port[@]}" "$@" 2>>"$T/log.proxy" &
	PROXY_PID=$!
	on_exit stop_proxy
	wait_for 10 test -s "$T/proxy.port"
	ENDPOINT=http://127.0.0.1:$(cat "$T/proxy.port")
}
stop_proxy() { # the port then refuses; start_proxy again takes the same one
	[ -z "$PROXY_PID" ] || { kill -9 "$PROXY_PID" && wait "$PROXY_PID"; } 2>/dev/null || :
	PROXY_PID=''
}
faults() { # RULE…, one a word; none: all is well
	printf '%s\n' "$@" >"$T/proxy.rules.new"
	mv "$T/proxy.rules.new" "$T/proxy.rules"
}
requests() { python3 "$SUPPORT/proxylog.py" "$T/proxy.log" "$@"; } # METHOD TARGET [FIELD]
forget_requests() { : >"$T/proxy.log"; }

# -- the cloud around the mount: who hands out credentials (cloud.py); and keys of the gateway --

start_cloud() { # sets CLOUD; then: cloud NAME=VALUE…
	cloud
	python3 "$SUPPORT/cloud.py" --state "$T/cloud.state" --log "$T/cloud.log" --port-file "$T/cloud.port" \
		2>>"$T/log.cloud" &
	CLOUD_PID=$!
	on_exit "kill $CLOUD_PID && wait $CLOUD_PID || :"
	wait_for 10 test -s "$T/cloud.port"
	CLOUD=http://127.0.0.1:$(cat "$T/cloud.port")
}
cloud() { # NAME=VALUE…: what it hands out from now on
	printf '%s\n' "access_key=$S3_ACCESS_KEY" "secret=$S3_SECRET_KEY" "$@" >"$T/cloud.state.new"
	mv "$T/cloud.state.new" "$T/cloud.state"
}
cloud_requests() { grep -cE -- "$1" "$T/cloud.log" || :; } # REGEX: how many
rgw_admin() { "$SUPPORT/rgw" admin "$(dirname "${TOOTFS_TEST_S3:-$T/rgw/env}")" "$@" >/dev/null 2>>"$T/log.admin"; }
make_key() { # sets KEY and SECRET: another key of the gateway's user; drop_key takes it away
	KEY=K$RANDOM$RANDOM$RANDOM SECRET=$(head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n')
	rgw_admin key create --uid=tests --key-type=s3 --access-key="$KEY" --secret="$SECRET"
	on_exit "drop_key $KEY || :"
}
drop_key() { rgw_admin key rm --uid=tests --key-type=s3 --access-key="$1"; }

# -- mounts --

is_mounted() { grep -q " $1 .* - fuse" /proc/self/mountinfo; }
mounts_below() { awk -v top="$1/" 'index($5, top) == 1 { print $5 }' /proc/self/mountinfo | sort -r; }
alive() { kill -0 "$1" 2>/dev/null; }

mount_options() { # the options that every mount here has
	local options="cache=$CACHE,cache_size=1G"
	case $BUCKET in
	s3://*) options+=",endpoint=$ENDPOINT,region=us-east-1,credentials=$T/credentials" ;;
	esac
	echo "$options"
}

start_mount() { # [-o OPTION,…]…: $BUCKET on $MNT, ready when this returns
	local pid log
	log=$T/log.${#DAEMON_LOG[@]}.$RANDOM
	[ -x "$TOOTFS" ] || skip "there is no $TOOTFS"
	[ -w /dev/fuse ] || skip "no /dev/fuse here"
	mkdir -p "$MNT"
	"$TOOTFS" "$BUCKET" "$MNT" -f -o "$(mount_options)" "$@" </dev/null >"$log" 2>&1 &
	pid=$! LOG=$log
	DAEMON[$MNT]=$pid DAEMON_LOG[$MNT]=$log
	on_exit "end_mount '$MNT'"
	for _ in $(seq $((600 * PATIENCE))); do
		if is_mounted "$MNT" && stat "$MNT" >/dev/null 2>&1; then return; fi
		alive "$pid" || { cat "$log" >&2 && fail "tootfs ended instead of mounting"; }
		sleep 0.05
	done
	fail "not mounted after $((30 * PATIENCE)) s"
}

# Tries to mount in the way a user does; leaves the exit status in STATUS and what was said in SAID. For mounts that
# must fail, and for those that must return only when they are ready (then: MOUNT_PID=$(daemon_pid)).
try_mount() { # ARGUMENT… of tootfs
	STATUS=0
	timeout "$((60 * PATIENCE))" "$TOOTFS" "$@" </dev/null >"$T/said" 2>&1 || STATUS=$?
	SAID=$(cat "$T/said")
}
expect_refused() { # REGEX ARGUMENT…: not mounted, status not 0, one clear line that says REGEX
	local regex=$1 before
	shift
	before=$(mounts_below "$T")
	try_mount "$@"
	[ "$STATUS" != 0 ] || fail "mounted: $*"
	[ "$STATUS" != 124 ] || fail "hangs: $*"
	[ "$STATUS" -lt 126 ] || fail "status $STATUS of $*: $SAID"
	expect_text "$SAID" "$regex" "what tootfs said"
	expect_le "$(wc -l <<<"$SAID")" 3 "lines said ($SAID)"
	expect_eq "$(mounts_below "$T")" "$before" "mounts after: $*"
}

daemon_pid() { # [MOUNTPOINT]: of a daemon that is nobody's job here
	local dir
	for dir in /proc/[0-9]*; do
		[ "$(readlink "$dir/exe")" -ef "$TOOTFS" ] || continue
		if tr '\0' '\n' <"$dir/cmdline" | grep -qxF -- "${1:-$MNT}"; then echo "${dir#/proc/}"; fi
	done 2>/dev/null
}

check_log() { # FILE
	if grep -nE 'ERROR: (Address|Leak)Sanitizer|WARNING: ThreadSanitizer|runtime error:|Assertion .* failed|assertion' \
		"$1" >&2; then
		cat "$1" >&2
		fail "the daemon's log shows a bug of its own" || return 1
	fi
	[ -z "${S3_SECRET_KEY:-}" ] || ! grep -qF "$S3_SECRET_KEY" "$1" || fail "the secret is in the log"
}

unmount() { # [MOUNTPOINT]
	if [ "$(id -u)" = 0 ]; then umount "${1:-$MNT}"; else fusermount3 -u "${1:-$MNT}"; fi
}

wait_daemon() { # [MOUNTPOINT]: ends by itself, in order
	local mount=${1:-$MNT} status=0 pid
	pid=${DAEMON[$mount]}
	wait_for "${STOP_SECONDS:-100}" eval "! alive $pid" || return 1
	wait "$pid" || status=$?
	unset "DAEMON[$mount]"
	check_log "${DAEMON_LOG[$mount]}" || return 1
	expect_eq "$status" "${STOP_STATUS:-0}" "exit status of the daemon" || return 1
	! is_mounted "$mount" || fail "still mounted: $mount"
}

stop_mount() { # [MOUNTPOINT]
	unmount "${1:-$MNT}" || { fail "cannot unmount ${1:-$MNT}" || return 1; }
	wait_daemon "${1:-$MNT}"
}

kill_mount() { # [MOUNTPOINT]: as a crash does
	local mount=${1:-$MNT} pid
	pid=${DAEMON[$mount]}
	kill -9 "$pid" 2>/dev/null || : # a test may have done it, to leave the dead mount there for a while
	wait "$pid" 2>/dev/null || :
	unset "DAEMON[$mount]"
	umount -l "$mount" 2>/dev/null || fusermount3 -uz "$mount"
	check_log "${DAEMON_LOG[$mount]}"
}

end_mount() { # MOUNTPOINT: in order when all is well so far, else at once
	[ -n "${DAEMON[$1]:-}" ] || return 0
	[ "$ENDING" != 0 ] || { stop_mount "$1" && return; }
	[ -z "${DAEMON[$1]:-}" ] || kill_mount "$1"
	[ "$ENDING" != 0 ] # what ended badly only now is a failure
}

cold_mount() { # [-o …]: like a new machine: nothing but the bucket is left
	[ -z "${DAEMON[$MNT]:-}" ] || stop_mount
	rm -rf "$CACHE"
	start_mount "$@"
}

# -- content --

make_tree() { # FOLDER [mediatree argument…]
	python3 "$SUPPORT/mediatree.py" "$@" >/dev/null
}
noise() { # FILE BYTES
	head -c "$2" /dev/urandom >"$1"
}
