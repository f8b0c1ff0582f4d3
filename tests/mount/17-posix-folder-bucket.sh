#!/bin/bash
# Names and content again with a folder as the bucket, where a name cannot be both an object and a folder.
. "$(dirname "$0")/../support/lib.sh"

use_folder
start_mount
mkdir "$MNT/n" "$MNT/f"
python3 "$SUPPORT/posix_names.py" "$MNT/n" '^(?!long_keys)'
python3 "$SUPPORT/posix_files.py" "$MNT/f"
wait_uploaded
for turn in 1 2 3; do
	echo "$turn" >"$MNT/swap"
	rm "$MNT/swap"
	mkdir "$MNT/swap"
	echo "$turn" >"$MNT/swap/in"
	[ "$turn" = 3 ] || rm -r "$MNT/swap"
done
wait_uploaded
bucket_diff "$MNT"
