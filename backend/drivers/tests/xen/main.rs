//! Xen's driver as far as no Xen is needed: what `xl` prints, what it is told, what is refused. The
//! hypervisor itself is driven by `make test-xen`.

mod acts;
mod config;
mod machine;
mod readings;
mod told;
