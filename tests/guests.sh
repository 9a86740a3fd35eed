#!/bin/sh
# Fetches what the tests boot: for each architecture, and for the utility VM, a Debian kernel, its
# modules and a static busybox, from the archive that this machine's own apt uses. Nothing is installed.
# Usage: guests.sh FOLDER [ARCH DEBIAN-ARCH SUITE KERNEL]; fills FOLDER/<arch>/{vmlinuz,modules,busybox},
# of this kernel's meta package alone where one is named, and skips what is there.
set -eu
folder=$(mkdir -p "$1" && cd "$1" && pwd)

archive=$(sed -n 's/^URIs: *\([^ ]*\).*/\1/p' /etc/apt/sources.list.d/*.sources 2>/dev/null | head -n 1)
[ -n "$archive" ] || archive=$(sed -n 's/^deb \(\[[^]]*\] \)\{0,1\}\([^ ]*\).*/\2/p' /etc/apt/sources.list | head -n 1)
[ -n "$archive" ] || { echo "error: no Debian archive in /etc/apt; expected a line 'deb …' or 'URIs: …'" >&2; exit 1; }

# Fetches the lists of the first of these suites that the archive has whole, again for some minutes: while
# it is being renewed its files do not fit each other.
lists() { # options, folder, suites
	for try in 1 2 3 4 5 6; do
		[ "$try" = 1 ] || sleep 20
		for suite in $3; do
			echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $archive $suite main" >"$2/sources.list"
			# shellcheck disable=SC2086
			apt-get $1 -o APT::Update::Error-Mode=any update && return
		done
	done
	echo "error: $archive gives no whole lists of $3; try again in an hour" >&2
	return 1
}

fetch() { # arch, Debian's word for it, suites, kernel's meta package
	[ -e "$folder/$1/complete" ] && return
	echo "fetching the guest kernel for $1"
	work=$folder/$1.partial
	rm -rf "$work" "${folder:?}/$1"
	mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/packages" "$work/root"
	options="-qq -o APT::Architecture=$2 -o APT::Architectures=$2 -o Dir::Etc::SourceList=$work/sources.list
		-o Dir::Etc::SourceParts=- -o Dir::State::Lists=$work/lists -o Dir::Cache=$work/cache
		-o Dir::State::status=/dev/null -o APT::Sandbox::User=root"
	# shellcheck disable=SC2086
	{
		lists "$options" "$work" "$3"
		kernel=$(apt-cache $options depends "$4" | sed -n 's/.*Depends: \(linux-image-[^ ]*\).*/\1/p' | head -n 1)
		# Newer kernels come in several packages.
		parts=$(apt-cache $options depends "$kernel" | sed -n 's/.*Depends: \(linux-\(binary\|modules\)-[^ ]*\).*/\1/p')
		(cd "$work/packages" && apt-get $options download "$kernel" $parts busybox-static)
	}
	for package in "$work"/packages/*.deb; do dpkg-deb --extract "$package" "$work/root"; done
	mkdir "$work/out"
	mv "$work"/root/boot/vmlinu?-* "$work/out/vmlinuz" 2>/dev/null || mv "$work"/root/usr/lib/modules/*/vmlinuz "$work/out/vmlinuz"
	mkdir -p "$work/out/modules"
	mv "$work"/root/usr/lib/modules/* "$work/out/modules/" 2>/dev/null || mv "$work"/root/lib/modules/* "$work/out/modules/"
	mv "$work"/root/usr/bin/busybox "$work/out/busybox" 2>/dev/null || mv "$work"/root/bin/busybox "$work/out/busybox"
	for modules in "$work"/out/modules/*; do
		mkdir -p "$work/depmod/lib/modules" && ln -s "$modules" "$work/depmod/lib/modules/"
		depmod -b "$work/depmod" "$(basename "$modules")"
	done
	touch "$work/out/complete"
	mv "$work/out" "$folder/$1"
	rm -rf "$work"
}

[ $# = 1 ] || { shift; fetch "$@"; exit; }
fetch x86_64 amd64 bookworm linux-image-cloud-amd64
fetch aarch64 arm64 bookworm linux-image-cloud-arm64
fetch riscv64 riscv64 'trixie forky' linux-image-riscv64
# The utility VM's kernel mounts what QEMU shares, which the cloud kernel cannot.
fetch utility amd64 bookworm linux-image-amd64
