#!/bin/bash
# cache_size is a hard limit, dirty data included, while three times as much goes through and is read back.
. "$(dirname "$0")/../support/lib.sh"

start_rgw
limit=$((64 << 20)) slack=$((2 << 20))
mkdir "$T/tree"
for i in $(seq 80); do noise "$T/tree/f$i" 2400000; done
start_mount -o cache_size=64M,survey=off
held() { # bytes on disk, the index apart; files vanish while du looks
	du -s -B1 --exclude='index*' --exclude=steady --exclude='*.mdb*' "$CACHE" 2>/dev/null | cut -f1
}
watch_size() { while :; do held >>"$T/sizes" || :; sleep 0.2; done; }
watch_size &
on_exit "kill $! || :"
cp "$T"/tree/* "$MNT"
wait_uploaded "$T/tree"
expect_same_content "$T/tree" "$MNT"
expect_same_content "$T/tree" "$MNT"
expect_le "$(sort -n "$T/sizes" | tail -1)" $((limit + slack)) "bytes in the cache folder at most"
expect_ge "$(wc -l <"$T/sizes")" 5 "samples"
stop_mount
start_mount -o cache_size=64M
expect_same_content "$T/tree" "$MNT"
expect_le "$(held)" $((limit + slack)) "bytes in the cache folder after a restart"
stop_mount
start_mount -o cache_size=1G
cat "$MNT"/f* >/dev/null
stop_mount
start_mount -o cache_size=64M # made smaller
wait_for 30 eval "[ \$(held) -le $((limit + slack)) ]"
