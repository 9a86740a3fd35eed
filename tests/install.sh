#!/bin/sh
# Installs Debian packages, from the release's backports where there are any: bookworm's own QEMU
# does not fit qemu-utils of its backports, and it has no Incus. apt's own settings stay untouched.
# Usage: install.sh PACKAGE...
set -eu
export DEBIAN_FRONTEND=noninteractive
. /etc/os-release
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/parts" "$work/lists/partial"
cp /etc/apt/sources.list "$work/parts/own.list" 2>/dev/null || true
cp /etc/apt/sources.list.d/* "$work/parts/" 2>/dev/null || true
archive=$(sed -n 's/^URIs: *\([^ ]*\).*/\1/p; s/^deb \(\[[^]]*\] \)\{0,1\}\([^ ]*\).*/\2/p' "$work"/parts/* | head -n 1)
release=
if [ "${VERSION_CODENAME:-}" = bookworm ]; then
	echo "deb $archive bookworm-backports main" >"$work/parts/backports.list"
	release="--target-release bookworm-backports"
fi
options="-qq -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts=$work/parts -o Dir::State::Lists=$work/lists"
# shellcheck disable=SC2086
apt-get $options update
# shellcheck disable=SC2086
apt-get $options install -y --no-install-recommends $release "$@" >/dev/null
