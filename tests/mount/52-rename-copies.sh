#!/bin/bash
# Renaming what is in the bucket is a server-side copy and a delete: no byte is sent again, none fetched.
. "$(dirname "$0")/../support/lib.sh"

start_rgw
start_proxy
make_tree "$T/tree" --files 40 --bytes 4000000
start_mount
cp -a "$T/tree/." "$MNT"
wait_uploaded "$T/tree"
cold_mount
forget_requests
for tree in "$T/tree" "$MNT"; do
	mv "$tree/cache/accounts" "$tree/moved accounts+ä" # a folder with content
	mv "$tree/cache/media_attachments/files" "$tree/cache/files"
	file=$(find "$tree/site_uploads" -type f | sort | sed -n 1p)
	mv "$file" "$tree/single.jpeg"
	mv "$tree/moved accounts+ä" "$tree/again" # before the first was done
done
wait_uploaded "$T/tree"
expect_eq "$(requests PUT . sent | awk '{ s += $1 } END { print s + 0 }')" 0 "bytes sent for renames"
expect_eq "$(requests GET . got | awk '$1 > 100000' | wc -l)" 0 "objects fetched for renames"
expect_ge "$(requests PUT . x-amz-copy-source | grep -c .)" 10 "copies"
expect_eq "$(s3 head single.jpeg content-type)" image/jpeg "content-type after a rename that changed the extension"
expect_eq "$(s3 acl single.jpeg)" public-read "acl after a rename"
expect_eq "$(s3 head single.jpeg cache-control)" 'public, max-age=315576000, immutable' "cache-control after a rename"
cold_mount
expect_same_content "$T/tree" "$MNT"
