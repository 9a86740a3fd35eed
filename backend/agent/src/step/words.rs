//! Steps in few words, as whoever follows an order reads them.

use super::Step;
use crate::driver::ActKind;
use std::fmt;
use std::path::PathBuf;

impl fmt::Display for Step {
    /// In few words, as `replicate root`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |path: &PathBuf| {
            path.file_name()
                .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
        };
        match self {
            Self::Reserve { mib, .. } => write!(f, "reserve {mib} MiB"),
            Self::Fetch { image } => write!(f, "fetch {}", short(image)),
            Self::BuildBase { at, .. } => write!(f, "build base {}", short(&name(at))),
            Self::CheckBases { vm } => write!(f, "check the bases of {vm}"),
            Self::LeaveBases { vm } => write!(f, "leave the bases of {vm}"),
            Self::Build { disk, .. } => write!(f, "build {disk}"),
            Self::Kernel { blueprint, .. } => write!(f, "take the kernel of {}", blueprint.name),
            Self::Unpack { to, .. } => write!(f, "unpack {}", name(to)),
            Self::CopyFile { to, .. } => write!(f, "copy {}", name(to)),
            Self::Replicate { to, .. } => write!(f, "replicate {}", name(to.path())),
            Self::Verify { place, .. } => write!(f, "verify {}", name(place.path())),
            Self::Blank { disk } => write!(f, "blank {}", disk.name),
            Self::Resize { disk } => write!(f, "resize {} to {} MiB", disk.name, disk.size_mib),
            Self::AddKey { disk, key } => write!(f, "add {key} to {}", disk.name),
            Self::KeepKey { disk } => {
                let key = disk.key.map_or("no key".to_owned(), |key| key.to_string());
                write!(f, "keep {key} of {} alone", disk.name)
            }
            Self::Modify { disk, .. } => write!(f, "modify {}", disk.name),
            Self::Rename { from, to } => write!(f, "rename {} to {}", name(from), name(to)),
            Self::Wipe { path } => write!(f, "wipe {}", path.display()),
            Self::Clear { path } => write!(f, "clear {}", path.display()),
            Self::Release { vm, .. } => write!(f, "release {vm}"),
            Self::Plug { interface, .. } => write!(f, "plug {}", interface.name),
            Self::Unplug { interface, .. } => write!(f, "unplug {}", interface.name),
            Self::Act { vm, act } => write!(f, "{} {vm}", ActKind::from(act)),
            Self::Await { vm } => write!(f, "await {vm}"),
            Self::Expect { machine, .. } => write!(f, "expect {}", machine.vm),
            Self::Arrive { vm, .. } => write!(f, "let in {vm}"),
            Self::Dismiss { vm } => write!(f, "dismiss {vm}"),
            Self::Knock { vm, .. } => write!(f, "knock for {vm}"),
            Self::Ship { vm, .. } => write!(f, "ship {vm}"),
            Self::Cede { vm, .. } => write!(f, "cede {vm}"),
            Self::Lend { vm, volume, .. } => write!(f, "lend {} to {vm}", volume.name),
            Self::Withdraw { vm, volume } => write!(f, "withdraw {} from {vm}", volume.name),
            Self::Fill { to, .. } => write!(f, "fill {}", to.name),
            Self::Store { name, .. } => write!(f, "store {name}"),
            Self::Measure { vm } => write!(f, "measure {vm}"),
        }
    }
}

/// Enough of a digest for a person to tell two apart.
fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}
