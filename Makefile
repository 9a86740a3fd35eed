# Two commands do everything: `make run` opens the application, `make test` passes the tests.
# Both first see to the system packages they need: installed where that is permitted, named otherwise.

# A C compiler builds SQLite; the rest is what winit and glow open at run time.
RUN_PACKAGES := gcc libc6-dev libegl1 libgl1 libgl1-mesa-dri libwayland-client0 libwayland-egl1 \
	libx11-6 libx11-xcb1 libxcursor1 libxi6 libxkbcommon-x11-0 libxkbcommon0 libxrandr2
TEST_PACKAGES := $(RUN_PACKAGES) openbox xauth xdotool xvfb \
	btrfs-progs bubblewrap busybox-static cpio cryptsetup-bin dnsmasq-base dosfstools e2fsprogs extlinux \
	fdisk gdisk grub-pc-bin grub2-common incus iproute2 kmod libvirt-daemon-system libvirt-dev mmdebstrap \
	mtools nftables ntfs-3g ovmf parted pkg-config procps python3 qemu-block-extra qemu-system-arm qemu-system-riscv qemu-system-x86 \
	qemu-utils runsc seabios socat syslinux-common uml-utilities user-mode-linux xfsprogs \
	xz-utils zstd
LIBVIRT_PACKAGES := gcc libc6-dev libvirt-daemon-system libvirt-dev pkg-config qemu-system-x86 qemu-utils
# An emulated Xen node is built and booted; nothing of Xen is installed here.
XEN_PACKAGES := gcc libc6-dev cpio e2fsprogs kmod mmdebstrap qemu-system-x86 xz-utils
# The tools that the disks are measured against, and those of agents between which a VM moves.
BENCH_PACKAGES := $(RUN_PACKAGES) bubblewrap busybox-static cpio e2fsprogs extlinux fdisk guestfish \
	guestfs-tools iproute2 mmdebstrap nftables qemu-system-x86 qemu-utils syslinux-common zstd

CARGO ?= cargo

.PHONY: run test crash chaos soak planted test-components test-xen lint bench bench-libvirt guests screenshot

run: packages-RUN
	$(CARGO) run --package app

test: packages-TEST guests lint
	$(CARGO) test --workspace

# Agents killed at every named point of orders and moves; three quarters of an hour on two busy cores.
crash: packages-TEST guests
	GRIDWRIGHT_ALL_POINTS=1 $(CARGO) test --package live --test live -- crash:: moves:: --nocapture

# A controller and its agents killed two hundred times while designs come and go on real guests.
chaos: packages-TEST guests
	$(CARGO) build --package live --package server
	GRIDWRIGHT_KILLS=200 $(CARGO) test --package server --test server -- chaos:: --nocapture

# Ten thousand days of a modelled grid, with faults, under the real controller and the real agents;
# an hour and a half on two cores.
soak:
	GRIDWRIGHT_SEEDS=10000 $(CARGO) test --release --package tests --test soak -- --nocapture
	$(CARGO) test --package tests --features planted --test planted -- --nocapture

# The bugs that soak finds, each built into its crate, pass all other tests of that crate.
planted:
	for crate in agent control; do \
		for bug in $$(sed -n 's/^    \([A-Z][A-Za-z]*\),$$/\1/p' backend/$$crate/src/planted.rs); do \
			echo "$$crate: $$bug"; \
			GRIDWRIGHT_BUG=$$bug $(CARGO) test --quiet --package $$crate --features planted || exit 1; \
		done; \
	done

# Components of a design in guests of their own, a shop of six VMs among them, and a guest set up by
# cloud-init; some minutes on an idle machine.
test-components: packages-TEST guests
	$(CARGO) test --package live --test live -- components:: --include-ignored --nocapture
	$(CARGO) test --package server --test server -- shop:: --include-ignored --nocapture

# The driver for Xen in the domain 0 of an emulated node: an hour at most, minutes on an idle machine.
test-xen: packages-XEN
	$(CARGO) build --package live --package kit --package image
	sh tests/xen/build.sh target/xen
	sh tests/xen/run.sh target/xen target/debug

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --quiet -- -D warnings
	$(CARGO) clippy --package tests --features planted --test planted --quiet -- -D warnings

bench: packages-BENCH guests
	$(CARGO) bench --package placement --package capacity --package app --package image \
		--package live

# Define and start against libvirt, side by side.
bench-libvirt: packages-LIBVIRT guests
	$(CARGO) bench --package libvirt

# Kernels that the tests boot.
guests:
	@sh tests/guests.sh target/guests

# Remakes the pictures of the README by the program itself.
screenshot: packages-TEST
	$(CARGO) build --package app
	mkdir -p assets/pictures; for page in grid lab design; do \
		xvfb-run --auto-servernum --server-args='-screen 0 1440x900x24' \
			target/debug/gridwright --page $$page --screenshot assets/pictures/$$page.png || exit 1; \
	done

# dpkg names what is missing; a machine without dpkg is trusted to have it. What only the backports
# of the release have, or have newer, comes from there.
packages-%:
	@command -v dpkg-query >/dev/null || exit 0; \
	missing=; \
	for package in $($*_PACKAGES); do \
		dpkg-query --show --showformat='$${Status}' $$package 2>/dev/null | grep -q 'ok installed' \
			|| missing="$$missing $$package"; \
	done; \
	[ -z "$$missing" ] && exit 0; \
	if [ "$$(id -u)" = 0 ]; then \
		echo "installing$$missing"; \
		sh tests/install.sh $$missing || { echo "error: could not install$$missing" >&2; exit 1; }; \
	else \
		echo "error: missing system packages; as root run: apt-get install$$missing" >&2; \
		exit 1; \
	fi
