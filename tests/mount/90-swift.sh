#!/bin/bash
# A second dialect: OpenStack Swift's S3 API, with a colon in the access key. Everything an object goes through.
. "$(dirname "$0")/../support/lib.sh"

start_swift
make_tree "$T/tree" --files 40 --bytes 2000000
noise "$T/tree/large.mp4" 12000000
start_mount -o part_size=5M
cp -a "$T/tree/." "$MNT"
wait_uploaded "$T/tree"
image=$(cd "$T/tree" && find cache -name '*.jpeg' | sort | sed -n 1p)
expect_eq "$(s3 head "$image" content-type)" image/jpeg content-type
expect_eq "$(s3 head "$image" cache-control)" 'public, max-age=315576000, immutable' cache-control
for tree in "$T/tree" "$MNT"; do
	mv "$tree/cache/media_attachments/files" "$tree/moved+ä %"
	mv "$tree/large.mp4" "$tree/larger.mp4"
	rm -r "$tree"/cache/preview_cards/images/*
	echo changed >"$tree/site_uploads/new"
done
ln -s site_uploads/new "$MNT/link"
ln -s site_uploads/new "$T/tree/link"
wait_uploaded "$T/tree"
expect_eq "$(s3 uploads)" "" "uploads left over"
cold_mount
expect_eq "$(cat "$MNT/link")" changed
expect_eq "$(readlink "$MNT/link")" site_uploads/new
expect_same_content "$T/tree" "$MNT"
