#!/bin/bash
# Who waits for the bucket can be interrupted and killed; those who wait for the same object get it, mapped memory
# never breaks by a signal, and the kernel's second question about a page that failed is not waited for again.
. "$(dirname "$0")/../support/lib.sh"

start_rgw
start_proxy
for i in 1 2 3 4 5 6; do noise "$T/$i" 2000000 && s3 put d/$i "$T/$i"; done
mkdir "$T/storm"
for i in $(seq 150); do noise "$T/storm/$i" $((i * 100)); done
start_mount
cp -r "$T/storm" "$MNT"
wait_for 60 eval '[ "$(s3 ls storm/ | wc -l)" = 150 ]'
cold_mount -o io_timeout=6s
faults 'GET /d/[1-5] stall=before'
cat "$MNT/d/1" >"$T/other" 2>/dev/null & # waits for what others give up
other=$!
python3 "$SUPPORT/interrupts.py" singly "$MNT"/d/{1,2,3,4,5}
faults 'GET . throttle=2M latency=30'
python3 "$SUPPORT/interrupts.py" mapped "$MNT/d/6" "$T/6"
faults 'GET . latency=25'
python3 "$SUPPORT/interrupts.py" storm "$MNT/storm" "$T/storm"
faults
kill $other 2>/dev/null || :
wait $other 2>/dev/null || :
for i in 1 2 3 4 5 6; do wait_for 30 cmp -s "$MNT/d/$i" "$T/$i"; done
expect_same_content "$T/storm" "$MNT/storm"
expect_eq "$(grep -c 'libfuse:' "$LOG" || :)" 0 "complaints of libfuse"

cold_mount -o io_timeout=3s
forget_requests
faults 'GET /d/2 stall=before'
started=$(date +%s%N)
expect_fails cat "$MNT/d/2" 2>/dev/null
took=$((($(date +%s%N) - started) / 1000000))
expect_ge $took 2500 "ms until a read failed with io_timeout=3s"
[ "$PATIENCE" != 1 ] || expect_le $took 5000 "ms until a read failed with io_timeout=3s"
expect_eq "$(requests GET /d/2)" 1 "requests for it"
faults
wait_for 30 cmp "$MNT/d/2" "$T/2"
