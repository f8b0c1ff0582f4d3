#!/bin/bash
# Moving in as README tells it, with a stand-in for Mastodon that goes on writing, reading and deleting as uid 991: the copy is
# interrupted and goes on, the swap takes seconds, nothing is missing, and the way back works.
. "$(dirname "$0")/../support/lib.sh"

requires_root
requires rsync
CTL=$(dirname "$TOOTFS")/tootfsctl
start_rgw
make_tree "$T/old" --files 400 --bytes 12000000 --owner 991:991
chown 991:991 "$T/old"
chmod 755 "$T"
MEDIA=$T/system # what Mastodon has: a name that leads to the old volume, then to the mount
ln -s "$T/old" "$MEDIA"
cat >"$T/mastodon.py" <<'PY'
"""Stores, reads and deletes as Mastodon does, until it is told to end; says what it has stored and still wants."""
import hashlib, os, random, signal, sys, time
media, log = sys.argv[1], open(sys.argv[2], "a", buffering=1)
os.setgroups([])
os.setgid(991)
os.setuid(991)
random.seed(int(sys.argv[3]))
going, mine = True, {}
def end(*_):
    global going
    going = False
signal.signal(signal.SIGTERM, end)
number = 0
while going:
    number += 1
    key = f"media_attachments/files/11{sys.argv[3]}/{number % 7:03}/{number:03}/original/{os.urandom(8).hex()}.png"
    path = os.path.join(media, key)
    body = os.urandom(random.randint(100, 60000))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as out:
        out.write(body)
    os.chmod(path, 0o644)
    mine[key] = hashlib.md5(body).hexdigest()
    if number % 5 == 0:
        key = random.choice(list(mine))
        with open(os.path.join(media, key), "rb") as old:
            assert hashlib.md5(old.read()).hexdigest() == mine[key], key
    if number % 9 == 0:
        os.unlink(os.path.join(media, key := random.choice(list(mine))))
        del mine[key]
    time.sleep(0.02)
for key, md5 in mine.items():
    print(f"{md5}  {key}", file=log)
PY
MASTODON=''
start_mastodon() { # SEED
	python3 "$T/mastodon.py" "$MEDIA" "$T/wanted" "$1" 2>"$T/mastodon.err" &
	MASTODON=$!
}
stop_mastodon() {
	kill "$MASTODON" || fail "the server stand-in has ended: $(tail -n 1 "$T/mastodon.err")"
	wait "$MASTODON" || fail "the server stand-in failed: $(tail -n 1 "$T/mastodon.err")"
	MASTODON=''
}
on_exit '[ -z "$MASTODON" ] || kill $MASTODON 2>/dev/null || :'
: >"$T/wanted"
chmod 666 "$T/wanted"

start_mastodon 1
start_mount -o allow_other,uid=991,gid=991

# the copy, interrupted, and the daemon killed meanwhile
cp -a "$T/old/." "$MNT" 2>/dev/null &
copy=$!
copied_some() { [ "$(find "$MNT" -type f | wc -l)" -ge 40 ]; }
wait_for 60 copied_some
kill $copy
wait $copy 2>/dev/null || :
kill_mount
start_mount -o allow_other,uid=991,gid=991
copy_all() { rsync -a --inplace "$@" "$T/old/" "$MNT"; } # status 24: a file was deleted meanwhile
copy_all || [ $? = 24 ] || fail "the copy went on with $?"
wait_for 60 "$CTL" sync "$MNT"

# the swap
stop_mastodon
began=$(date +%s%N)
copy_all --delete-after
ln -sfn "$MNT" "$MEDIA"
start_mastodon 2
say "the swap took $((($(date +%s%N) - began) / 1000000)) ms for $(find "$MNT" -type f | wc -l) files"
sleep 2
stop_mastodon
(cd "$MNT" && md5sum --check --quiet "$T/wanted") || fail "something that was stored is missing"
for file in $(cd "$T/old" && find . -type f); do
	[ -e "$MNT/$file" ] || fail "not moved: $file"
	cmp -s "$T/old/$file" "$MNT/$file" || fail "moved with other content: $file"
	[ "$(stat -c '%u:%g %a %Y' "$T/old/$file")" = "$(stat -c '%u:%g %a %Y' "$MNT/$file")" ] || fail "moved with other attributes: $file"
done
"$CTL" sync "$MNT"
bucket_diff "$MNT"

# the way back
mkdir "$T/back"
cp -a "$MNT/." "$T/back"
expect_same_tree "$MNT" "$T/back"
