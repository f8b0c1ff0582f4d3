#!/bin/bash
# --help names every option with its default, --version the version; mount.tootfs is the same program.
. "$(dirname "$0")/../support/lib.sh"

try_mount --version
expect_eq "$STATUS" 0 "status of --version"
expect_text "$SAID" '^tootfs [0-9]+\.[0-9]+' "--version"
try_mount --help
expect_eq "$STATUS" 0 "status of --help"
expect_text "$SAID" 'BUCKET MOUNTPOINT' "--help"
for option in cache cache_size endpoint region path_style profile credentials env_file uid gid file_mode dir_mode acl \
	cache_control content_types rules attrs storage_class sse checksum verify durability uploads downloads part_size \
	shared ro log_level stop_timeout; do
	grep -qE "(^|[^a-z_])$option([^a-z_]|\$)" <<<"$SAID" || fail "--help says nothing of $option"
done
for default in 'uploads.*16' 'part_size.*8M' 'stop_timeout.*90' 'acl.*public-read' 'cache_control.*immutable'; do
	grep -qE "$default" <<<"$SAID" || fail "--help does not show the default of /$default/"
done

if [ -f "$SOURCE/mount.example" ]; then
	while read -r option; do
		grep -qF -- "$option" "$SOURCE/mount.example" || fail "mount.example says nothing of $option"
	done < <(grep -oE '^ +[a-z_]+=' <<<"$SAID" | tr -d ' =')
fi
