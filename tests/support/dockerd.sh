# Sourced after lib.sh: a dockerd of the test's own, from the package docker.io, without network, registry or systemd. It is
# ended by its pid, and leaves no mount and no cgroup.
#
#     start_dockerd [OPTION…]; docker run … base …; stop_dockerd | kill_dockerd
# shellcheck shell=bash

DOCKER_FOLDER=$T/d DOCKERD_PID='' CGROUP=tootfs-test-$$
export DOCKER_HOST=unix://$DOCKER_FOLDER/docker.sock DOCKER_CONFIG=$T/docker-config

dockerd_serves() {
	alive "$DOCKERD_PID" || { tail -n 20 "$T/log.dockerd" >&2 && skip "dockerd does not run here"; }
	[ -S "$DOCKER_FOLDER/docker.sock" ] && timeout 5 docker version >/dev/null 2>&1
}
start_dockerd() {
	requires_root
	requires dockerd docker containerd runc busybox
	mkdir -p "$DOCKER_FOLDER" /run/docker/plugins
	rm -f "$DOCKER_FOLDER/pid" "$DOCKER_FOLDER/docker.sock"
	setsid dockerd -p "$DOCKER_FOLDER/pid" -H "$DOCKER_HOST" --data-root "$DOCKER_FOLDER/data" --exec-root "$DOCKER_FOLDER/exec" \
		--iptables=false --ip6tables=false --ip-forward=false --ip-masq=false --userland-proxy=false --bridge=none \
		--storage-driver "${DOCKER_STORAGE:-overlay2}" --cgroup-parent "/$CGROUP" "$@" >>"$T/log.dockerd" 2>&1 </dev/null &
	DOCKERD_PID=$!
	wait_for 40 dockerd_serves
}
wait_dockerd() {
	wait_for 40 eval "! alive $DOCKERD_PID"
	wait "$DOCKERD_PID" 2>/dev/null || :
	DOCKERD_PID=''
}
stop_dockerd() { kill "$DOCKERD_PID" && wait_dockerd; }
kill_dockerd() { # its containerd follows, a little later; a dockerd that still sees that one would wait for it in vain
	local pid
	pid=$(cat "$DOCKER_FOLDER/exec/containerd/containerd.pid")
	kill -9 "$DOCKERD_PID" && wait_dockerd
	for _ in $(seq 50); do
		alive "$pid" || break
		sleep 0.1
	done
}
of_docker() { # processes of this test's containers: theirs by the cgroup, those that watch them by their folder
	local dir
	cat /sys/fs/cgroup/*/"$CGROUP"/*/cgroup.procs /sys/fs/cgroup/"$CGROUP"/*/cgroup.procs 2>/dev/null | sort -un
	for dir in /proc/[0-9]*; do
		if tr '\0' '\n' <"$dir/cmdline" | grep -q "^$DOCKER_FOLDER/exec/"; then echo "${dir#/proc/}"; fi
	done 2>/dev/null
}
end_dockerd() {
	local pid mount folder
	if [ -n "$DOCKERD_PID" ]; then
		docker ps -aq 2>/dev/null | xargs -r timeout 30 docker rm -f >/dev/null 2>&1
		kill "$DOCKERD_PID" && wait_dockerd
	fi
	for pid in $(of_docker); do kill -9 "$pid" 2>/dev/null; done
	while read -r mount; do umount -l "$mount"; done < <(mounts_below "$DOCKER_FOLDER") 2>/dev/null
	for folder in /sys/fs/cgroup/*/"$CGROUP" /sys/fs/cgroup/"$CGROUP"; do
		[ ! -d "$folder" ] || find "$folder" -depth -type d -exec rmdir {} + 2>/dev/null
	done
	return 0
}
on_exit end_dockerd

make_image() { # NAME FOLDER: what is in the folder, and busybox
	mkdir -p "$2"/{bin,etc,tmp,proc,sys,dev}
	cp "$(command -v busybox)" "$2/bin/busybox"
	chroot "$2" /bin/busybox --install -s /bin
	printf 'root:x:0:0::/:/bin/sh\nmastodon:x:991:991::/:/bin/sh\n' >"$2/etc/passwd"
	tar -C "$2" -c . | docker import - "$1" >/dev/null
}
