#!/bin/sh
# Builds what an emulated Xen node boots, from the archive that this machine's own apt uses: Xen
# itself, an initial RAM disk, and a disk with a small Debian as domain 0. Nothing is installed.
# Usage: build.sh FOLDER. Skips what is there.
set -eu
folder=$(mkdir -p "$1" && cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
# Debian's kernel for clouds has no part for domain 0.
sh "$here/../guests.sh" "$folder" x86_64 amd64 bookworm linux-image-amd64
guests=$folder/x86_64
newer() { (cd "$here" && find build.sh initrd.sh stage1 guest -newer "$folder/complete"); }
[ -e "$folder/complete" ] && [ -z "$(newer)" ] && exit
rm -f "$folder/complete"
echo "building the Xen node"

archive=$(sed -n 's/^URIs: *\([^ ]*\).*/\1/p' /etc/apt/sources.list.d/*.sources 2>/dev/null | head -n 1)
[ -n "$archive" ] || archive=$(sed -n 's/^deb \(\[[^]]*\] \)\{0,1\}\([^ ]*\).*/\2/p' /etc/apt/sources.list | head -n 1)
[ -n "$archive" ] || { echo "error: no Debian archive in /etc/apt; expected a line 'deb …' or 'URIs: …'" >&2; exit 1; }

work=$folder/partial
rm -rf "$work"
mkdir "$work"
# Its scripts would unpack each file on a disk that may be slow.
[ -d /dev/shm ] && export TMPDIR=/dev/shm
root=$work/root
mmdebstrap --quiet --variant=minbase \
	--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
	--include=bubblewrap,e2fsprogs,fdisk,iproute2,kmod,nftables,procps,xen-system-amd64 \
	bookworm "$work/root.tar" "$archive"
mkdir "$root"
tar -C "$root" --exclude='./dev/*' -xf "$work/root.tar"
zcat "$root"/boot/xen-*-amd64.gz >"$work/xen"

# Domain 0 and its guests run one kernel.
release=$(ls "$guests/modules")
mkdir -p "$root/lib/modules"
cp -r "$guests/modules/$release" "$root/lib/modules/"
"$here/initrd.sh" "$guests" "$work/initrd" "$here/stage1" virtio_pci virtio_blk ext4 crc32c_generic
"$here/initrd.sh" "$guests" "$work/guest-initrd" "$here/guest" xen-blkfront xen-netfront
echo 'XENCONSOLED_ARGS=--log=guest' >>"$root/etc/default/xen"
mkdir -p "$root/var/log/xen/console" "$root/node"
truncate -s 1G "$work/root.img"
mke2fs -q -t ext4 -d "$root" "$work/root.img"
mv "$work/xen" "$work/initrd" "$work/guest-initrd" "$work/root.img" "$folder/"
rm -rf "$work"
touch "$folder/complete"
