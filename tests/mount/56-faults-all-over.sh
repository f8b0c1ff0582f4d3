#!/bin/bash
# One request in six fails in some way, while a tree is copied in, changed, and read back from the bucket: slower,
# but every byte is right.
. "$(dirname "$0")/../support/lib.sh"

start_rgw
start_proxy --seed 11
make_tree "$T/tree" --files 200 --bytes 12000000
noise "$T/tree/large.mp4" 18000000
start_mount -o part_size=5M
faults '* . chance=0.03 status=500' '* . chance=0.03 status=503 code=SlowDown retry_after=1' \
	'* . chance=0.03 reset=before' '* . chance=0.03 reset=after' 'GET . chance=0.05 truncate=20' \
	'* . chance=0.02 reset=body' '* . chance=0.02 status=500 when=after' '* . chance=0.05 latency=200'
cp -a "$T/tree/." "$MNT"
for tree in "$T/tree" "$MNT"; do
	rm -r "$tree"/cache/preview_cards/images/*
	mv "$tree/cache/accounts" "$tree/accounts-moved"
	mv "$tree/large.mp4" "$tree/larger.mp4"
done
expect_same_content "$T/tree" "$MNT"
UPLOAD_SECONDS=90 wait_uploaded "$T/tree"
cold_mount
expect_same_content "$T/tree" "$MNT"
expect_eq "$(s3 uploads)" "" "uploads left over"
