//! The driver over libvirt's own imaginary hypervisor, and over QEMU by a libvirt of the test's own.

mod config;
mod daemon;
mod domains;
mod hosts;
mod imaginary;
mod qemu;
mod strangers;
