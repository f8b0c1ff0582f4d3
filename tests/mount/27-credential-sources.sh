#!/bin/bash
# Each place where a cloud, a cluster or a program keeps a key, against the real server.
. "$(dirname "$0")/../support/lib.sh"

start_rgw
start_proxy
start_cloud
mount_options() { echo "cache=$CACHE,endpoint=${ENDPOINT/127.0.0.1/localhost},region=us-east-1"; }
export AWS_CONFIG_FILE=$T/config AWS_SHARED_CREDENTIALS_FILE=$T/none

works() { # NAME: a mount with this source takes a file to the bucket
	start_mount
	echo "$1" >"$MNT/$1"
	wait_for 30 object_is "$1" "$MNT/$1"
	stop_mount
	expect_text "$(cat "$LOG")" "credentials: new ones .*from=$2" "where the key came from"
}

# The instance's metadata, version 2; the proxy is not for it.
: >"$T/config"
http_proxy=http://127.0.0.1:9 no_proxy=localhost AWS_EC2_METADATA_DISABLED=false \
	AWS_EC2_METADATA_SERVICE_ENDPOINT=$CLOUD/ works instance "the instance's metadata"
expect_ge "$(cloud_requests '^PUT /latest/api/token 200')" 1 "session tokens asked for"

# ECS and EKS
cloud authorization="Basic of-the-pod"
(umask 022 && echo "Basic of-the-pod" >"$T/pod-token") # readable by all, as it is in a pod
AWS_CONTAINER_CREDENTIALS_FULL_URI=$CLOUD/container AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=$T/pod-token \
	works container-file "the container's"
AWS_CONTAINER_CREDENTIALS_FULL_URI=$CLOUD/container AWS_CONTAINER_AUTHORIZATION_TOKEN="Basic of-the-pod" \
	works container-token "the container's"

# A web identity, by variables and by a profile
cloud identity=eyJh.bGci.of-the/pod+== seconds=900 token=session/of+the==role # which this server does not look at
(umask 022 && echo "eyJh.bGci.of-the/pod+==" >"$T/identity")
role=arn:aws:iam::123456789012:role/media
AWS_ENDPOINT_URL_STS=$CLOUD AWS_WEB_IDENTITY_TOKEN_FILE=$T/identity AWS_ROLE_ARN=$role works web-identity "web identity"
expect_text "$(requests PUT '/web-identity$' signed)" 'x-amz-security-token' "what was signed"
printf '[default]\nrole_arn = %s\nweb_identity_token_file = %s\nrole_session_name = a.b@c\n' $role "$T/identity" >"$T/config"
AWS_ENDPOINT_URL_STS=$CLOUD works web-identity-profile "web identity"

# A program (what it ignores are two signals of glibc's own). It must not inherit what is ours: descriptors, signals, our session; nor be read by a shell.
mkdir "$T/with space"
cat >"$T/with space/keys" <<KEYS
#!/bin/bash
[ "\$*" = 'a b \$HOME ; c"d' ] || exit 3
! ls -l /proc/\$\$/fd | grep -E 'socket|anon_inode|/fuse|/cache|/log' || exit 4
[ "\$(ps -o sid= -p \$\$ | tr -d ' ')" = \$\$ ] || exit 5
[ "\$(grep -cE '^Sig(Blk|Ign):\s*0+(180000000)?$' /proc/self/status)" = 2 ] || exit 6
echo "the secret is $S3_SECRET_KEY" >&2
printf '{"Version":1,"AccessKeyId":"%s","SecretAccessKey":"%s","Expiration":"2037-01-01T00:00:00+01:00"}' \
	$S3_ACCESS_KEY $S3_SECRET_KEY
KEYS
chmod 700 "$T/with space/keys"
printf '[profile work]\ncredential_process = "%s" "a b" $HOME \\; '"'c\"d'"'\n' "$T/with space/keys" >"$T/config"
AWS_PROFILE=work works process "credential_process of profile"
sed -i 's/"a b"/"a  b"/' "$T/config"
AWS_PROFILE=work expect_refused 'the program failed with status 3' "$BUCKET" "$MNT" -o "$(mount_options)"
chmod 666 "$T/config"
AWS_PROFILE=work expect_refused 'chmod go-w' "$BUCKET" "$MNT" -o "$(mount_options)"

# Plain HTTP to another host; a token that STS does not know, and its answer quotes; nothing at all.
AWS_CONTAINER_CREDENTIALS_FULL_URI=http://10.0.0.1/ expect_refused 'must be https' "$BUCKET" "$MNT" -o "$(mount_options)"
echo some-other-token >"$T/identity"
AWS_ENDPOINT_URL_STS=$CLOUD AWS_WEB_IDENTITY_TOKEN_FILE=$T/identity AWS_ROLE_ARN=$role \
	expect_refused 'STS gives no key .*InvalidIdentityToken' "$BUCKET" "$MNT" -o "$(mount_options)"
! grep -q some-other-token "$T/said" || fail "the token was said"
expect_refused 'no credentials found' "$BUCKET" "$MNT" -o "$(mount_options)"
