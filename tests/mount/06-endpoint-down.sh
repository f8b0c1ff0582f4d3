#!/bin/bash
# Nobody at the endpoint: a cache that knows the bucket mounts and serves what it holds; an unknown bucket is refused.
. "$(dirname "$0")/../support/lib.sh"

start_rgw
start_proxy
make_tree "$T/tree" --files 20 --bytes 400000
stop_proxy
expect_refused "127.0.0.1|reach|connect" "$BUCKET" "$MNT" -o "$(mount_options),io_timeout=3s"

start_proxy
start_mount
cp -a "$T/tree/." "$MNT"
wait_uploaded "$T/tree"
stop_mount

stop_proxy
start_mount -o io_timeout=3s
expect_same_tree "$T/tree" "$MNT"
echo later >"$MNT/later"
expect_eq "$(cat "$MNT/later")" later
start_proxy
wait_for 60 object_is later "$MNT/later"
