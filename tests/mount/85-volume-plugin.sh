#!/bin/bash
# The volume plugin, asked as dockerd 20.10, 26.1 and podman 4.3 ask. What is held here, by subject:
#
#   requests    any Host, Accept, Content-Type; several on a connection; an empty body, one that ends in a newline; errors are
#               500 with Err; a repetition without a body is refused, never acted on; a Mount whose answer nobody
#               took is undone
#   names       only what can be the name of a file; nothing is made outside the folder of the mounts
#   options     null, none, "" for a switch; unknown ones, secrets, relative paths are refused in words
#   Get, List   from memory, with a path at all times, also when the definition is damaged; definitions outlive the plugin
#   Mount       counted by ID; warm from one use to the next; ready when answered; counts outlive the plugin, not a reboot
#   Remove      forgets, leaves the bucket alone, also with a count that was lost
#   deaths      filesystems outlive the plugin; a new one on top of a dead one is seen by who has the old one
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT/plugin.sh"

requires_root
requires python3 unshare
unshare -m --propagation private true 2>/dev/null || skip "no mount namespaces here"
start_plugin

# requests
for ENGINE in dockerd20 dockerd26 podman; do
	expect_eq "$(engine Plugin.Activate '')" '200 {"Implements":["VolumeDriver"]}' "Activate as $ENGINE"
	expect_eq "$(engine VolumeDriver.Capabilities '{}')" '200 {"Capabilities":{"Scope":"local"}}' "Capabilities"
	expect_eq "$(engine VolumeDriver.List '')" '200 {"Volumes":[],"Err":""}' "List"
	expect_err 'v1 not found' Get '{"Name":"v1"}'
done
ENGINE=dockerd20
expect_eq "$(engine VolumeDriver.List '{}' VolumeDriver.Capabilities '{}' | wc -l)" 2 "calls on one connection"
hostile=()
for call in Create Remove Get Path Mount Unmount; do
	for body in '' '["Name"]' '{"Name":"v' '{}' '{"Name":7}' '{"Name":"v"}{}' '{"Name":""}'; do
		hostile+=("VolumeDriver.$call" "$body")
	done
done
expect_eq "$(engine "${hostile[@]}" | grep -cE '^500 .*(name is missing|not a JSON object)')" 42 "refused bodies"
expect_text "$(engine VolumeDriver.Update '{}')" '^404 ' "a call that there is not"
expect_err 'ID .* missing' Mount '{"Name":"v1"}'

# names
long=$(printf 'n%.0s' $(seq 256))
hostile=()
for name in .. . /x x/y ../x "$T/x" ' ' 'a b' ä -x .hidden "$long"; do
	for call in Create Mount Get Remove; do
		hostile+=("VolumeDriver.$call" "{\"Name\":\"$name\",\"ID\":\"i\",\"Opts\":{\"bucket\":\"file://$T/b\"}}")
	done
done
expect_eq "$(engine "${hostile[@]}" | grep -c "^500 .*name consists of")" 48 "refused names"
expect_eq "$(ls -A "$MOUNTS")" "" "made of bad names"

# options
hostile=() wanted=()
refuse() { wanted+=("$1") hostile+=(VolumeDriver.Create "{\"Name\":\"o\"${2:+,\"Opts\":$2}}"); }
refuse 'bucket is missing' null
refuse 'bucket is missing'
refuse 'unknown option .*uploads' '{"bucket":"b","uplods":"3"}'
refuse 'no name' '{"bucket":"b","":"x"}'
refuse 'secrets are no options' '{"bucket":"b","secret_access_key":"hunter2"}'
refuse 'secrets are no options' '{"bucket":"b","AWS_SECRET_ACCESS_KEY":"hunter2"}'
refuse 'not a text' '{"bucket":"b","uid":991}'
refuse 'absolute path' '{"bucket":"b","env_file":".env.production"}'
refuse 'uploads.*256' '{"bucket":"b","uploads":"1000"}'
refuse 'control character' '{"bucket":"b","profile":"a\nb"}'
refuse 'control character' '{"bucket":"b\nc"}'
refuse 'not an object' '["bucket"]'
refuse 'bucket|s3://' '{"bucket":"ftp://x"}'
mapfile -t answers < <(engine "${hostile[@]}")
for i in "${!wanted[@]}"; do expect_text "${answers[i]}" "^500 .*${wanted[i]}" "${hostile[2 * i + 1]}"; done
expect_fails grep -q hunter2 "$T"/log.plugin*
expect_eq "$(engine VolumeDriver.List '')" '200 {"Volumes":[],"Err":""}' "volumes of refused calls"
create r ro '' cache_control 'public, max-age=1, \"x\"\\'
create r ro '' cache_control 'public, max-age=1, \"x\"\\' # the same again is fine
expect_err 'other options' Create "{\"Name\":\"r\",\"Opts\":{\"bucket\":\"file://$T/bucket.r\"}}"
mount_volume r i
expect_fails touch "$MOUNTS/r/x" 2>/dev/null
unmount_volume r i
expect_err 'r already has this bucket' Create "{\"Name\":\"r2\",\"Opts\":{\"bucket\":\"file://$T/bucket.r\",\"cache\":\"$T/caches/r\"}}"

# Get: a path also when nothing is mounted
create v uid 991 gid 991
expect_text "$(ask Get '{"Name":"v"}')" "\"Mountpoint\":\"$MOUNTS/v\"" Get
expect_text "$(ask Get '{"Name":"v"}')" '"CreatedAt":"20[0-9T:-]+Z"' Get
expect_text "$(ask Path '{"Name":"v"}')" "\"Mountpoint\":\"$MOUNTS/v\"" Path
expect_fails touch "$MOUNTS/v/x" 2>/dev/null

# Mount, Unmount, Mount as docker run does: the same filesystem; what was written is in the bucket when Unmount answers
mount_volume v "$(printf 'a%.0s' {1..64})"
is_mounted "$MOUNTS/v" || fail "not mounted when Mount answered"
pid=$(daemon_pid "$MOUNTS/v")
chmod 700 "$MOUNTS/v" && chown 991:991 "$MOUNTS/v" && touch -d @1000 "$MOUNTS/v"
head -c 3000000 /dev/urandom >"$MOUNTS/v/file"
unmount_volume v "$(printf 'a%.0s' {1..64})"
cmp "$MOUNTS/v/file" "$T/bucket.v/file"
mount_volume v two
expect_eq "$(daemon_pid "$MOUNTS/v")" "$pid" "filesystem of the second mount"
mount_volume v two # docker cp
unmount_volume v two
unmount_volume v stranger
expect_eq "$(users v)" 1 "users after a cp"
sleep $((WARM + 1))
is_mounted "$MOUNTS/v" || fail "unmounted under its user"
expect_err 'not found' Unmount '{"Name":"none","ID":"x"}'

# a Mount that nobody waits for; mounting takes longer than hanging up, nearly always
create drop
undone() {
	python3 "$SUPPORT/engine.py" --drop "$PLUGIN_SOCKET" VolumeDriver.Mount '{"Name":"drop","ID":"gone"}'
	for _ in 1 2 3 4; do
		sleep 0.5
		! grep -q 'is undone name=drop' "$T/log.plugin$PLUGIN_LOGS" || return 0
	done
	expect_ok Remove '{"Name":"drop"}'
	create drop
	return 1
}
wait_for 30 undone
wait_for 20 eval '[ "$(users drop)" = 0 ]'
expect_ok Remove '{"Name":"drop"}'

# the plugin goes and comes; containers go on
kill_plugin
echo on >"$MOUNTS/v/without-plugin"
start_plugin
expect_eq "$(users v)" 1 "users after kill -9 of the plugin"
stop_plugin
expect_eq "$(cat "$MOUNTS/v/without-plugin")" on "without the plugin"
PLUGIN_STARTER=(python3 "$SUPPORT/engine.py" --serve "$PLUGIN_SOCKET")
start_plugin
PLUGIN_STARTER=()
expect_eq "$(users v)" 1 "users after a restart, with systemd's socket"
expect_eq "$(daemon_pid "$MOUNTS/v")" "$pid" "filesystem after two plugins"
expect_text "$("$PLUGIN" --state "$STATE" --run "$RUN" --socket "$T/other.sock" 2>&1 || :)" 'another docker-volume-tootfs' "a second one"

# the filesystem dies under a container: others that have the mount see the new one
mkfifo "$T/ask" "$T/answer"
unshare -m --propagation slave bash -c "mkdir $T/c; mount --bind $MOUNTS/v $T/c
	while read -r path; do cat \"\$path\" 2>&1 | head -c 100; echo; done" <"$T/ask" >"$T/answer" &
container=$!
exec 8>"$T/ask" 9<"$T/answer"
on_exit "exec 8>&-; kill $container 2>/dev/null || :"
seen() { # PATH TEXT
	local line
	echo "$1" >&8
	IFS= read -r -t 20 line <&9
	[ -z "$line" ] || [ "$line" = "$2" ] || IFS= read -r -t 20 _ <&9 || :
	[ "$line" = "$2" ] && { IFS= read -r -t 20 _ <&9 || :; }
}
seen "$T/c/without-plugin" on
kill -9 "$pid"
wait_for 30 eval 'seen "$T/c/without-plugin" on'
expect_ge "$(grep -c " $MOUNTS/v .* - fuse.tootfs" /proc/self/mountinfo)" 2 "mounts on top of each other"
expect_fails [ "$(daemon_pid "$MOUNTS/v")" = "$pid" ]
expect_eq "$(status_of v trouble)" "" "trouble after it was mended"
exec 8>&-
wait "$container" || :

# nobody left: unmounted after a while, all of the pile
unmount_volume v two
wait_for 30 is_gone v
expect_eq "$(users v)" 0 users

# a filesystem that cannot be mounted says why
expect_ok Create '{"Name":"bad","Opts":{"bucket":"file:///nonexistent/folder"}}'
expect_err 'nonexistent' Mount '{"Name":"bad","ID":"x"}'
expect_text "$(status_of bad trouble)" 'nonexistent' "trouble in Status"
expect_eq "$(users bad)" 0 "users of what is not mounted"
expect_ok Remove '{"Name":"bad"}'

# ten at once, from two engines
create many
printf '%s\n' {1..10} | ENGINE=$ENGINE PLUGIN_SOCKET=$PLUGIN_SOCKET xargs -P 10 -I{} python3 "$SUPPORT/engine.py" --as podman \
	"$PLUGIN_SOCKET" VolumeDriver.Mount '{"Name":"many","ID":"2f73349cfc46"}' >"$T/many"
expect_eq "$(grep -c '^200' "$T/many")" 10 "mounts at once"
expect_eq "$(users many)" 10 "users with one ID"
expect_eq "$(grep -c " $MOUNTS/many .* - fuse.tootfs" /proc/self/mountinfo)" 1 "mounts"

# a reboot: nobody has it any more. A damaged definition is still a volume
kill_plugin
sed -i 's/"boot":"[^"]*"/"boot":"another"/' "$RUN/users/many"
echo '{' >"$STATE/volumes/r"
start_plugin
expect_eq "$(users many)" 0 "users after a reboot"
wait_for 30 is_gone many
expect_ok Get '{"Name":"r"}'
expect_err 'cannot be read' Mount '{"Name":"r","ID":"x"}'
expect_ok Remove '{"Name":"r"}'

# Remove with a count that was lost: forgotten, the bucket is as it was
mount_volume v lost
echo left >"$MOUNTS/v/left"
expect_ok Remove '{"Name":"v"}'
is_gone v || fail "still mounted after Remove"
expect_eq "$(cat "$T/bucket.v/left")" left "in the bucket after Remove"
expect_err 'not found' Get '{"Name":"v"}'
expect_eq "$(ls "$STATE/volumes" "$MOUNTS" "$RUN/users" | sort -u | grep -x v || :)" "" "left of the volume"
create v uid 991 gid 991
mount_volume v again
expect_eq "$(cat "$MOUNTS/v/left")" left "in the volume that was made again"
unmount_volume v again
stop_plugin

# state that cannot be read is no empty state
mv "$STATE/volumes" "$STATE/away" && echo x >"$STATE/volumes"
expect_text "$("$PLUGIN" --state "$STATE" --run "$RUN" --socket "$T/other.sock" 2>&1 || :)" 'cannot be used' "without its state"
rm "$STATE/volumes" && mv "$STATE/away" "$STATE/volumes"
