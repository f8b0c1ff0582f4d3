#!/bin/bash
# Mastodon's own .env.production says all that a mount needs.
. "$(dirname "$0")/../support/lib.sh"

start_rgw
cat >"$T/env.production" <<ENV
# Mastodon
LOCAL_DOMAIN=example.com
S3_ENABLED=true
S3_BUCKET=$S3_BUCKET
AWS_ACCESS_KEY_ID="$S3_ACCESS_KEY"
AWS_SECRET_ACCESS_KEY='$S3_SECRET_KEY'
S3_REGION=us-east-1
S3_ENDPOINT=$S3_ENDPOINT
S3_PERMISSION=private
ENV
chmod 600 "$T/env.production"
mount_options() { echo "cache=$CACHE,env_file=$T/env.production"; }
start_mount
echo x >"$MNT/f.png"
wait_for 30 object_is f.png "$MNT/f.png"
expect_eq "$(s3 acl f.png)" private "acl by S3_PERMISSION"
sed -i 's/^S3_PERMISSION=.*/S3_PERMISSION=public-read/; s/^S3_REGION=.*/S3_REGION=elsewhere/' "$T/env.production"
kill -HUP "${DAEMON[$MNT]}"
wait_for 20 grep -q 'another endpoint, region.*unmount and mount again' "$LOG"
wait_for 20 grep -q 'rules were read again' "$LOG"
echo x >"$MNT/g.png"
wait_for 30 object_is g.png "$MNT/g.png"
expect_eq "$(s3 acl g.png)" public-read "acl by S3_PERMISSION after SIGHUP"
stop_mount
chmod 644 "$T/env.production"
expect_refused 'env.production.*(0?600|others|chmod)' "$BUCKET" "$MNT" -o "$(mount_options)"
