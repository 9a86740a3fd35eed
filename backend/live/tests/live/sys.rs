//! Programs in a network of their own that look for its devices in `/sys`.

use std::path::Path;

/// Words before a program that looks for its network's devices in `/sys`, where it would find those of
/// the network from which `/sys` was mounted; `sys` is an empty folder.
pub fn sees_its_network(sys: &Path) -> [String; 6] {
    let sys = sys.display().to_string();
    ["unshare", "--mount", "sh", "-c", MOUNT_SYS, &sys].map(str::to_owned)
}

const MOUNT_SYS: &str = r#"mount -t sysfs sysfs "$0" &&
for folder in class/net devices/virtual/net; do mount --bind "$0/$folder" "/sys/$folder" || exit; done
exec "$@""#;
