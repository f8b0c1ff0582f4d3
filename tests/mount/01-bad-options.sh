#!/bin/bash
# What cannot be meant is refused in a line that helps; nothing is mounted and no daemon is left.
. "$(dirname "$0")/../support/lib.sh"

use_folder
good=cache=$CACHE
expect_refused 'usage|BUCKET|--help' # nothing at all
expect_refused 'usage|mount ?point|--help' "$BUCKET"
expect_refused 'cache_size' "$BUCKET" "$MNT" -o "$good,cachesize=1G"
expect_refused 'endpoint' "$BUCKET" "$MNT" -o "$good,endpiont=http://127.0.0.1:1"
expect_refused 'cache_size' "$BUCKET" "$MNT" -o "$good,cache_size=many"
expect_refused 'cache_size' "$BUCKET" "$MNT" -o "$good,cache_size=1"
expect_refused 'uploads' "$BUCKET" "$MNT" -o "$good,uploads=0"
expect_refused 'uploads' "$BUCKET" "$MNT" -o "$good,uploads=-3"
expect_refused 'acl' "$BUCKET" "$MNT" -o "$good,acl=public"
expect_refused 'part_size' "$BUCKET" "$MNT" -o "$good,part_size=1K"
expect_refused 'file_mode' "$BUCKET" "$MNT" -o "$good,file_mode=999"
expect_refused 'durability' "$BUCKET" "$MNT" -o "$good,durability=always"
expect_refused 'nowhere' "$BUCKET" "$T/nowhere" -o "$good"
expect_refused 'directory|folder' "$BUCKET" "$0" -o "$good"
expect_refused 's3://|file://' "http://example.com/x" "$MNT" -o "$good"
expect_refused 's3://|file://|bucket' "bucket" "$MNT" -o "$good"
(umask 077 && echo KEY:SECRET >"$T/credentials")
s3=$good,credentials=$T/credentials,endpoint=http://127.0.0.1:9
expect_refused 'name|bucket' "s3://" "$MNT" -o "$s3"
expect_refused 'rules' "s3://bucket" "$MNT" -o "$s3,rules=$T/no-such-rules"
printf '*.png content_tpye=image/png\n' >"$T/rules"
expect_refused 'rules' "s3://bucket" "$MNT" -o "$s3,rules=$T/rules"
expect_refused 'no-such-rules' "$BUCKET" "$MNT" -o "$good,rules=$T/no-such-rules" # a folder has no headers, but mistakes
expect_refused 'rules line 1' "$BUCKET" "$MNT" -o "$good,rules=$T/rules"
expect_refused 'no-such-types' "$BUCKET" "$MNT" -o "$good,content_types=$T/no-such-types"
expect_eq "$(daemon_pid)" "" "daemons left"
