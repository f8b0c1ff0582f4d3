#!/bin/bash
# The bucket goes away: cached reads, metadata and writes go on; a read that needs it fails in bounded time; uploads
# resume by themselves. A bucket that answers nothing at all (black hole) is no different.
. "$(dirname "$0")/../support/lib.sh"

start_rgw
start_proxy
for f in cached cold1 cold2; do echo $f | s3 put d/$f -; done
start_mount -o io_timeout=4s
cat "$MNT/d/cached" >/dev/null
for away in dead hole; do
	if [ $away = dead ]; then stop_proxy; else faults '* . stall=before'; fi
	started=$SECONDS
	expect_eq "$(cat "$MNT/d/cached")" cached "a cached read"
	expect_eq "$(ls "$MNT/d" | sed -n 1,3p | tr '\n' ' ')" 'cached cold1 cold2 ' "names"
	echo $away >"$MNT/d/new-$away"
	mkdir "$MNT/$away"
	mv "$MNT/d/new-$away" "$MNT/$away/new"
	expect_le $((SECONDS - started)) $((3 * PATIENCE)) "seconds for what needs no bucket"
	status=0
	err=$(timeout 60 cat "$MNT/d/cold$([ $away = dead ] && echo 1 || echo 2)" 2>&1) || status=$?
	expect_eq $status 1 "status of a read that needs the bucket"
	expect_text "$err" 'input/output error'
	expect_le $((SECONDS - started)) $((20 * PATIENCE)) "seconds until that read failed"
	if [ $away = dead ]; then start_proxy; else faults; fi
	wait_for 60 object_is $away/new "$MNT/$away/new"
	wait_for 60 eval "cat $MNT/d/cold1 >/dev/null 2>&1"
done
expect_eq "$(cat "$MNT/d/cold1" "$MNT/d/cold2")" 'cold1
cold2'
