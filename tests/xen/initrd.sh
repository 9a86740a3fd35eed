#!/bin/sh
# Makes an initial RAM disk of a static busybox, modules with all that they need, and an init.
# Usage: initrd.sh GUESTS FILE INIT MODULE...
set -eu
guests=$1 file=$2 init=$3
shift 3
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root/bin" "$root/lib" "$root/proc" "$root/sys" "$root/dev" "$root/mnt"
cp "$guests/busybox" "$root/bin/busybox"
install -m 755 "$init" "$root/init"
modules=$guests/modules/$(ls "$guests/modules")
for module in "$@"; do
	# What is not listed is built into the kernel.
	line=$(grep -E "/$(echo "$module" | sed 's/[-_]/[-_]/g')\.ko[^:]*:" "$modules/modules.dep" || true)
	[ -n "$line" ] || continue
	for path in $(echo "${line#*:}" | tr ' ' '\n' | tac) "${line%%:*}"; do
		name=$(basename "$path")
		[ -e "$root/lib/${name%.xz}" ] && continue
		cp "$modules/$path" "$root/lib/$name"
		case $name in *.xz) unxz "$root/lib/$name" ;; esac
		echo "${name%.xz}" >>"$root/modules"
	done
done
(cd "$root" && find . | cpio --quiet -o -H newc | gzip -1) >"$file"
