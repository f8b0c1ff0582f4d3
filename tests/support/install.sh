# Sourced by tests/run, tests/bench/run and tools/quickstart: what a fresh Debian or Ubuntu lacks, from its own packages.
# shellcheck shell=bash

BUILD_PACKAGES=(gcc libc6-dev make cmake pkg-config libfuse3-dev liblmdb-dev libcurl4-openssl-dev libssl-dev
	libexpat1-dev libjansson-dev libmicrohttpd-dev fuse3 python3 dpkg-dev file)
# shellcheck disable=SC2034
TEST_PACKAGES=("${BUILD_PACKAGES[@]}" libcmocka-dev clang libclang-rt-dev ceph-mon ceph-osd radosgw ceph-common
	swift-proxy swift-account swift-container swift-object memcached nginx-light curl rsync attr acl faketime procps
	psmisc e2fsprogs mount util-linux git docker.io busybox-static)

missing_packages() {
	local package
	for package in "$@"; do
		[ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || echo "$package"
	done
}

# Installs what is missing; says what it does, and in one line what to do when it cannot.
install_packages() {
	local missing as_root=()
	command -v apt-get >/dev/null || { echo "$0: needs apt-get (Debian 12, 13 or Ubuntu 24.04)" >&2; return 1; }
	mapfile -t missing < <(missing_packages "$@")
	[ ${#missing[@]} -gt 0 ] || return 0
	if [ "$(id -u)" != 0 ]; then
		if ! command -v sudo >/dev/null || ! sudo -n true 2>/dev/null && [ ! -t 0 ]; then
			echo "$0: run as root: apt-get install ${missing[*]}" >&2
			return 1
		fi
		as_root=(sudo)
	fi
	echo "installing: ${missing[*]}"
	apt_install "${missing[@]}" && return
	echo "package lists may be old: apt-get update"
	"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q update >/dev/null || return 1
	apt_install "${missing[@]}" && return
	tail -n 20 "$install_log" >&2
	echo "$0: apt-get could not install: ${missing[*]}" >&2
	return 1
}

install_log=$(mktemp)
apt_install() { # uses as_root of its caller
	"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends "$@" \
		</dev/null >"$install_log" 2>&1
}
