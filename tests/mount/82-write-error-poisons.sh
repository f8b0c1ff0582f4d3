#!/bin/bash
# A write that failed must not become a shorter file, even though the handle is then closed without complaint, as
# Mastodon does; the second try is whole.
. "$(dirname "$0")/../support/lib.sh"

start_rgw
start_proxy
start_mount -o cache_size=64M,full_timeout=1s
echo old >"$MNT/replaced"
wait_for 30 object_is replaced "$MNT/replaced"
faults 'PUT|POST . status=503'
for i in $(seq 20); do head -c 3000000 /dev/zero >"$MNT/fill$i" 2>/dev/null || break; done
head -c 30000000 /dev/urandom >"$T/data"
python3 - "$MNT" "$T/data" <<'PY'
import errno, os, sys
data = open(sys.argv[2], "rb").read()
for name in ("new", "replaced"):
    handle = os.open(f"{sys.argv[1]}/{name}", os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o644)
    try:
        done = 0
        while done < len(data):
            done += os.write(handle, data[done:done + 65536])
        sys.exit(f"{len(data)} bytes went into a full cache")
    except OSError as error:
        assert error.errno == errno.ENOSPC, error
    try:
        os.close(handle)
    except OSError as error:
        assert error.errno in (errno.ENOSPC, errno.EIO), error
    else:
        sys.exit("the close after a failed write succeeded")
PY
[ ! -s "$MNT/new" ] || fail "a truncated file stayed: $(stat -c %s "$MNT/new") bytes"
object_is replaced <(echo old) || fail "the bucket has something else than the old content"
rm -f "$MNT"/fill*
faults
is_old() { [ "$(cat "$MNT/replaced")" = old ]; }
wait_for 40 is_old # it may have been evicted, and a breaker may want its time
for name in new replaced; do dd if="$T/data" of="$MNT/$name" bs=16k status=none; done # O_TRUNC, as paperclip does
cmp "$MNT/replaced" "$T/data"
wait_for 60 object_is new "$T/data"
wait_for 60 object_is replaced "$T/data"
