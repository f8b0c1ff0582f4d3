#!/bin/bash
# Writes, deletes and renames of one key in a row, on a slow bucket: at the end the bucket has what the mount has. A late
# DELETE never follows the PUT that replaced it.
. "$(dirname "$0")/../support/lib.sh"

start_rgw
start_proxy --seed 5
start_mount
faults 'PUT|POST|DELETE . latency=30 latency_back=60' 'POST|DELETE . latency=150 chance=0.5' 'PUT . latency=200 chance=0.3'
mkdir "$MNT/k"
for round in $(seq 12); do
	for key in a b c d; do
		echo "$key $round" >"$MNT/k/$key"
		case $((round % 4)) in
		0) rm "$MNT/k/$key" ;;
		1) mv "$MNT/k/$key" "$MNT/k/$key.moved" ;;
		2) sleep 0.1 && echo "$key $round again" >"$MNT/k/$key" ;;
		3) rm "$MNT/k/$key" && sleep 0.05 && echo "$key $round new" >"$MNT/k/$key" ;;
		esac
	done
done
rm "$MNT/k/b.moved"
echo last >"$MNT/k/a"
stop_mount
expect_eq "$(s3 ls)" 'k/a
k/a.moved
k/c.moved
k/d.moved' "keys"
start_mount
bucket_diff "$MNT" || fail "bucket and mount differ"
