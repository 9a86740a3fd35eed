#!/bin/sh
# Boots the emulated Xen node with our programs in its domain 0 and runs the checks there; fails, and
# shows all that was said, unless its last line tells that they passed.
# Usage: run.sh FOLDER PROGRAMS [CHECK...]; FOLDER as build.sh fills it.
set -eu
folder=$(cd "$1" && pwd)
guests=$folder/x86_64
programs=$(cd "$2" && pwd)
shift 2
here=$(cd "$(dirname "$0")" && pwd)
# An idle machine takes seven minutes.
limit_seconds=${XEN_LIMIT_SECONDS:-3600}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
node=$work/node
mkdir "$node"
cp "$here/domain0" "$here/checks" "$here/machine" "$folder/guest-initrd" "$guests/vmlinuz" \
	"$programs/gridwright-agent" "$programs/gridwright-driver-kit" "$node/"
echo "${*:-suite orders}" >"$node/which"
for recipe in busybox linux; do
	"$programs/gridwright-image" build "$here/../../assets/recipes/$recipe.toml" \
		--out "$node/images" --key "$work/key" --guests "$guests"
done >"$work/made"
sed -n 's/^made key //p' "$work/made" >"$node/signer"
grep -v '^made key' "$work/made" | cut -d' ' -f1 >"$node/made"
truncate -s 3G "$work/node.img"
mke2fs -q -t ext4 -d "$node" "$work/node.img"
rm -rf "$node"

status=0
# Emulated, vector registers that Xen saves lazily or by XSAVE get lost where domains take turns:
# programs of domain 0 then crash or compute nonsense.
timeout "$limit_seconds" qemu-system-x86_64 -accel tcg,thread=multi -machine q35 -cpu max,-xsave -smp 2 -m 2048 \
	-nodefaults -display none -serial stdio -no-reboot -kernel "$folder/xen" \
	-append 'com1=115200,8n1 console=com1 dom0_mem=800M,max:800M dom0_max_vcpus=1 spec-ctrl=eager-fpu' \
	-initrd "$guests/vmlinuz console=hvc0 quiet,$folder/initrd" \
	-drive "file=$folder/root.img,format=raw,if=virtio,snapshot=on" \
	-drive "file=$work/node.img,format=raw,if=virtio" </dev/null >"$folder/log" 2>&1 || status=$?
grep -av '^(XEN)' "$folder/log"
grep -aq '^xen node: passed' "$folder/log" || {
	echo "error: the Xen node did not pass (qemu ended with $status; 124: not within $limit_seconds s)" >&2
	exit 1
}
