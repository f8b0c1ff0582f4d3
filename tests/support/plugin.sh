# Sourced after lib.sh by the tests of the volume plugin: starts it in $T, asks it as an engine does.
#
#     start_plugin; create v; mount_volume v ID; …; end_plugin
# shellcheck shell=bash

PLUGIN=$(dirname "$TOOTFS")/docker-volume-tootfs
PLUGIN_SOCKET=$T/plugin.sock PLUGIN_PID='' PLUGIN_LOGS=0
STATE=$T/state RUN=$T/run WARM=2 ENGINE=dockerd20
MOUNTS=$STATE/mounts

plugin_answers() { [ -S "$PLUGIN_SOCKET" ] && engine Plugin.Activate >/dev/null 2>&1; }
start_plugin() { # OPTION…
	[ -x "$PLUGIN" ] || skip "there is no $PLUGIN"
	[ -w /dev/fuse ] || skip "no /dev/fuse here"
	PLUGIN_LOGS=$((PLUGIN_LOGS + 1))
	"${PLUGIN_STARTER[@]}" "$PLUGIN" --debug --socket "$PLUGIN_SOCKET" --state "$STATE" --run "$RUN" --tootfs "$TOOTFS" \
		--warm "$WARM" --cache "$T/caches" "$@" >"$T/log.plugin$PLUGIN_LOGS" 2>&1 &
	PLUGIN_PID=$!
	wait_for 20 plugin_answers
}
PLUGIN_STARTER=()
stop_plugin() { # in order
	local status=0
	kill "$PLUGIN_PID"
	wait "$PLUGIN_PID" || status=$?
	PLUGIN_PID=''
	expect_eq "$status" 0 "exit status of the plugin" || return 1
	check_log "$T/log.plugin$PLUGIN_LOGS"
}
kill_plugin() {
	kill -9 "$PLUGIN_PID"
	wait "$PLUGIN_PID" 2>/dev/null || :
	PLUGIN_PID=''
	check_log "$T/log.plugin$PLUGIN_LOGS"
}
end_plugin() {
	local mount dir
	[ -z "$PLUGIN_PID" ] || stop_plugin || kill_plugin
	for _ in $(seq 20); do
		while read -r mount; do umount -l "$mount"; done < <(mounts_below "$STATE") 2>/dev/null
	done
	for dir in "$MOUNTS"/*/; do # the folders below are made immutable
		[ ! -d "$dir" ] || chattr -i "$dir" 2>/dev/null || :
	done
	wait_for 100 eval '! ours'
}
on_exit end_plugin
ours() { # is a filesystem left that serves a volume of this test?
	local dir
	for dir in /proc/[0-9]*; do
		[ "$(readlink "$dir/exe")" -ef "$TOOTFS" ] || continue
		if tr '\0' '\n' <"$dir/cmdline" | grep -q "^$MOUNTS/"; then return 0; fi
	done 2>/dev/null
	return 1
}

engine() { python3 "$SUPPORT/engine.py" --as "$ENGINE" "$PLUGIN_SOCKET" "$@"; } # CALL [JSON]…
ask() { engine "VolumeDriver.$1" "${2:-}"; }
expect_ok() { # CALL JSON: 200 and no Err; leaves the answer in ANSWER
	ANSWER=$(ask "$@")
	expect_text "$ANSWER" '^200 ' "$*"
	expect_text "$ANSWER" '"Err":""' "$*"
}
expect_err() { # REGEX CALL JSON: podman only takes a 500 for an error
	local regex=$1
	shift
	ANSWER=$(ask "$@")
	expect_text "$ANSWER" '^500 \{"Err":"[^"]' "$*"
	expect_text "$ANSWER" "$regex" "$*"
}
create() { # NAME [OPTION VALUE]…: with a folder of its own as the bucket
	local name=$1 options
	shift
	mkdir -p "$T/bucket.$name"
	options="{\"bucket\":\"file://$T/bucket.$name\""
	while [ $# -gt 1 ]; do
		options+=",\"$1\":\"$2\""
		shift 2
	done
	expect_ok Create "{\"Name\":\"$name\",\"Opts\":$options}}"
}
mount_volume() { # NAME ID
	expect_ok Mount "{\"Name\":\"$1\",\"ID\":\"$2\"}"
	expect_text "$ANSWER" "\"Mountpoint\":\"$MOUNTS/$1\"" "answer to Mount"
}
unmount_volume() { expect_ok Unmount "{\"Name\":\"$1\",\"ID\":\"$2\"}"; }
status_of() { # NAME FIELD
	ask Get "{\"Name\":\"$1\"}" | cut -d' ' -f2- | python3 -c '
import json, sys
print(json.load(sys.stdin)["Volume"]["Status"].get(sys.argv[1], ""))' "$2"
}
users() { status_of "$1" users; }
is_gone() { [ -z "$(mounts_below "$MOUNTS/$1")" ]; }
