#!/bin/bash
# The volume plugin as a managed plugin of a real dockerd: made, enabled, used, disabled and enabled again.
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT/dockerd.sh"

requires_root
requires dockerd docker containerd runc busybox
[ -x "$(dirname "$TOOTFS")/docker-volume-tootfs" ] || skip "there is no docker-volume-tootfs"
[ -w /dev/fuse ] || skip "no /dev/fuse here"
"$SOURCE/tools/docker/managed/build" "$(dirname "$TOOTFS")" "$T/managed" >/dev/null
start_dockerd
make_image base "$T/base"
rm -r "$T/base"
docker plugin create tootfs "$T/managed" >/dev/null
rm -r "$T/managed"
mkdir -p "$T/host/bucket"
docker plugin set tootfs "cache.source=$T/host" "config.source=$T" args="--debug --warm 2"
docker plugin enable tootfs >/dev/null
on_exit 'docker volume ls -q | xargs -r docker volume rm -f >/dev/null; docker plugin disable -f tootfs >/dev/null'
run() { docker run --rm --network none "$@"; }

said=$(docker volume create -d tootfs -o bucket=b -o uplods=3 x 2>&1) && fail "an unknown option"
expect_text "$said" 'did you mean "uploads"' "what docker says"
docker volume create -d tootfs -o bucket=file:///var/cache/bucket -o uid=991 -o gid=991 media >/dev/null
run -u 991:991 -v media:/data base sh -c 'echo hello >/data/f; mkdir /data/d; echo deep >/data/d/g'
expect_eq "$(cat "$T/host/bucket/f" "$T/host/bucket/d/g" | tr '\n' ' ')" 'hello deep ' "in the bucket"
docker run -d --stop-timeout 1 --name reader --network none -v media:/data base sleep 1000 >/dev/null
expect_eq "$(docker exec reader cat /data/d/g)" deep "in a container that goes on"
expect_eq "$(run -v media:/data base cat /data/f)" hello "in a second container"
docker rm -f reader >/dev/null

# definitions outlive a disabled plugin
sleep 3
docker plugin disable -f tootfs >/dev/null
docker plugin enable tootfs >/dev/null
expect_eq "$(run -v media:/data base cat /data/f)" hello "after disable and enable"
docker volume rm media >/dev/null
expect_eq "$(cat "$T/host/bucket/f")" hello "in the bucket after rm"
