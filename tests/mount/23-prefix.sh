#!/bin/bash
# s3://BUCKET/PREFIX: keys below the prefix, and nothing outside it is seen or touched.
. "$(dirname "$0")/../support/lib.sh"

start_rgw
echo outside | s3 put outside -
echo other | s3 put media-other/x -
echo inside | s3 put media/site/old -
BUCKET+=/media/site
start_mount
expect_eq "$(ls "$MNT")" old "what a mount of the prefix shows"
expect_eq "$(cat "$MNT/old")" inside
mkdir "$MNT/d"
echo new >"$MNT/d/new"
rm "$MNT/old"
stop_mount
expect_eq "$(s3 ls)" 'media-other/x
media/site/d/new
outside' "keys in the bucket"
