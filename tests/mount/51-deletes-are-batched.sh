#!/bin/bash
# Thousands of unlinks become a few DeleteObjects requests.
. "$(dirname "$0")/../support/lib.sh"

start_rgw
start_proxy
mkdir "$T/tree"
(cd "$T/tree" && for i in $(seq 600); do mkdir "$i" && echo "$i" >"$i/f"; done)
start_mount
cp -a "$T/tree" "$MNT/d"
echo stays >"$MNT/stays"
wait_uploaded
forget_requests
rm -r "$MNT/d"
wait_for 60 eval '[ "$(s3 ls)" = stays ]'
stop_mount
expect_le "$(requests POST delete)" 12 "DeleteObjects requests for 600 files"
expect_eq "$(requests DELETE .)" 0 "single deletes"
expect_eq "$(requests POST delete content-md5 | grep -vc '^$')" "$(requests POST delete)" "deletes with Content-MD5"
