#!/bin/bash
# A damaged index: the mount comes up by itself, with all that the bucket has, and keeps what it has not in lost+found.
. "$(dirname "$0")/../support/lib.sh"

start_rgw
start_proxy
make_tree "$T/sent" --files 25 --bytes 800000
LOST=$CACHE/lost+found

unsent() { # makes $T/unsent, and in the mount what the bucket must not get
	rm -rf "$T/unsent"
	mkdir -p "$T/unsent/new/deep er" "$T/unsent/$(printf 'odd\nname')"
	noise "$T/unsent/new/deep er/a.bin" 30000
	noise "$T/unsent/new/b" 1
	: >"$T/unsent/new/empty"
	noise "$T/unsent/$(printf 'odd\nname')/c" 70000
	noise "$T/unsent/README" 500
	touch -d '2020-02-02 02:02:02.5' "$T/unsent/new/b"
	cp -a "$T/unsent/." "$MNT"
}
damage() {
	local size
	size=$(stat -c %s "$CACHE/index.mdb")
	case $1 in
	steady-zeroed) dd if=/dev/zero of="$CACHE/steady" bs=100 count=1 conv=notrunc status=none ;;
	steady-gone) rm "$CACHE/steady" ;;
	index-cut) truncate -s $((size / 2 / 4096 * 4096)) "$CACHE/index.mdb" ;;
	index-garbage)
		# all but the meta pages and one in four: where in the file the pages in use are is not known
		dd if=/dev/urandom of="$CACHE/index.mdb" bs=4096 seek=2 count=$((size / 4096 * 3 / 4 - 2)) \
			conv=notrunc status=none
		;;
	esac
}
sums() { find "$@" -type f -size +0 -exec md5sum {} + | sed 's/^\\//; s/ .*//' | sort -u; }

s3 putdir "$T/sent"
for what in steady-zeroed steady-gone index-cut index-garbage; do
	start_mount
	expect_same_content "$T/sent" "$MNT" # all in the cache
	victim=$(cd "$T/sent" && find . -type f | sort | sed -n 1p)
	faults 'PUT|POST|DELETE . status=503'
	unsent
	rm "$MNT/$victim"
	kill_mount
	faults
	damage "$what"
	if [ "$what" = steady-gone ]; then
		expect_refused 'ordinary mount.*lost.found' "$BUCKET" "$MNT" -o "$(mount_options),ro"
	fi
	[ ! -e "$LOST" ] || fail "$what: a read-only mount has made lost+found"
	start_mount
	expect_same_content "$T/sent" "$MNT"
	expect_text "$(cat "$LOG")" 'error.*rescue: kept files=' "log after $what"
	expect_eq "$(find "$LOST" -type d ! -perm 700 -o -type f ! -perm 600)" "" "what others could read"
	expect_eq "$(comm -23 <(sums "$T/unsent") <(sums "$LOST/files" "$LOST/blobs"))" "" "$what: unsent, not kept"
	case $what in
	steady-*)
		expect_same_content "$T/unsent" "$LOST/files"
		expect_eq "$(stat -c %y "$LOST/files/new/b")" "$(stat -c %y "$T/unsent/new/b")" "mtime of what was kept"
		expect_text "$(cat "$LOST/README")" "^removal not sent.${victim#./}" "the list"
		# only the removed file's, which is dropped a second after the removal
		expect_eq "$(find "$LOST/blobs" -type f ! -size "$(stat -c %s "$T/sent/$victim")c")" "" "blobs without a name"
		;;
	esac
	wait_uploaded "$T/sent" # and nothing of lost+found was sent
	if [ "$what" = steady-zeroed ]; then
		stop_mount
		start_mount
		expect_text "$(cat "$LOG")" 'earlier rescue' "reminder after $what"
		cp -a --no-preserve=mode "$LOST/files/." "$MNT"
		expect_same_content "$T/unsent/new" "$MNT/new"
		expect_eq "$(stat -c %a "$MNT/new/b")" "$(printf %o $((0666 & ~0$(umask))))" "mode of what was copied back"
		wait_uploaded # the mount as it is now
		rm -r "$MNT/new" "$MNT/odd"* "$MNT/README"
	fi
	rm -r "$LOST"
	kill_mount
done

# The bucket does not answer: nothing is dropped; and a rescue that is cut off begins again.
start_mount
cat "$(find "$MNT" -type f | sed -n 1p)" >/dev/null
faults 'PUT|POST|DELETE . status=503'
unsent
kill_mount
damage steady-gone
stop_proxy
try_mount "$BUCKET" "$MNT" -f -o "$(mount_options),io_timeout=2s"
expect_text "$SAID" 'nothing was dropped' "what is said without a bucket"
find "$CACHE/blobs" -type f | grep -q . || fail "blobs were dropped without a bucket"
rm "$LOST/files/new/b" # as if it had not come so far
start_proxy
faults
start_mount
expect_same_content "$T/unsent" "$LOST/files"
expect_eq "$(find "$LOST" -maxdepth 1 -name 'README*' | wc -l)" 1 "lists of one rescue"
wait_uploaded "$T/sent"
