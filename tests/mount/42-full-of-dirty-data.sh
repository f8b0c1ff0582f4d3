#!/bin/bash
# A cache full of what cannot be uploaded: the writer gets ENOSPC after full_timeout and not before, what was acknowledged
# stays, and all of it arrives when the bucket is back. While uploads make room, however slowly, he waits instead.
. "$(dirname "$0")/../support/lib.sh"

start_rgw
start_proxy
FULL=4
start_mount -o cache_size=64M,full_timeout=${FULL}s,uploads=4
mkdir "$T/tree"
for i in $(seq 100); do noise "$T/tree/f$i" 1000000; done
fill() { # FIRST: copies until one is refused; prints how many were taken, what the longest write took, and all of it, in s
	python3 - "$T/tree" "$MNT" "$1" <<'PY'
import errno, os, sys, time
source, target, first = sys.argv[1], sys.argv[2], int(sys.argv[3])
taken, longest, began = 0, 0, time.monotonic()
for i in range(first, 101):
    data = open(f"{source}/f{i}", "rb").read()
    handle = os.open(f"{target}/f{i}", os.O_CREAT | os.O_WRONLY, 0o644)
    before = time.monotonic()
    try:
        while data:
            start = time.monotonic()
            data = data[os.write(handle, data):]
            longest = max(longest, time.monotonic() - start)
    except OSError as error:
        longest = time.monotonic() - before
        if error.errno != errno.ENOSPC:
            raise
        try:
            os.close(handle)
        except OSError:
            pass
        os.unlink(f"{target}/f{i}")
        break
    os.close(handle)
    taken += 1
print(taken, f"{longest:.2f}", f"{time.monotonic() - began:.2f}")
PY
}
between() { awk -v v="$1" -v low="$2" -v high="$3" 'BEGIN { exit !(v >= low && v <= high) }' || fail "$4: $1, not $2 to $3"; }

faults 'PUT|POST . status=503 code=SlowDown'
read -r taken longest _ < <(fill 1)
expect_ge "$taken" 40 "files of 1 MB taken by a cache of 64 MB"
expect_le "$taken" 66 "files of 1 MB taken by a cache of 64 MB"
between "$longest" "$FULL" $((FULL + 6 * PATIENCE)) "seconds until ENOSPC"
for i in $(seq $((taken + 1)) 100); do mv "$T/tree/f$i" "$T"; done
expect_same_content "$T/tree" "$MNT"
mkdir "$MNT/metadata-goes-on"
rm -r "$MNT/metadata-goes-on"
faults
UPLOAD_SECONDS=100 wait_uploaded "$T/tree"

mv "$T"/f[1-9]* "$T/tree"
rm "$MNT"/f*
faults 'PUT . latency=900'
read -r taken longest all < <(fill 1)
expect_eq "$taken" 100 "files of 1 MB taken while uploads are slow"
between "$longest" 0.3 $((FULL * PATIENCE + 2)) "seconds that the longest write waited"
between "$all" $((FULL + 1)) 1000 "seconds that it took"
faults
UPLOAD_SECONDS=100 wait_uploaded "$T/tree"
