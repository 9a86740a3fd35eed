//! Root folders of containers: as the image says, copied whole, and every difference told.

use crate::scratch::folder;
use agent::build::{BuildError, BuildStep, plan};
use agent::edit::Edit;
use agent::secret::Keys;
use agent::watch::Unwatched;
use ed25519_dalek::SigningKey;
use image::archive::Bounds;
use image::build::{Workshop, build_root};
use image::error::Error;
use image::folder::{compare_roots, replicate_root};
use image::manifest::{Compression, Content, Manifest};
use image::store::Store;
use model::blueprint::{Blueprint, BootLoader, Customisation, Disk, PartitionTable, User};
use model::hypervisor::{Arch, Guest, Virtualisation};
use model::id::{TenantId, VmId};
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// `cap_net_raw+ep` as the kernel writes it: revision 2, effective (capability.h).
const CAPABILITY: [u8; 20] = [1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// An image with one of each that a root folder may hold, and a store that has it.
pub struct Shop {
    pub folder: TempDir,
    pub store: Store,
    pub image: String,
}

impl Shop {
    pub fn new() -> Self {
        let folder = folder();
        let key = SigningKey::from_bytes(&[9; 32]);
        let store = Store::open(
            &folder.path().join("store"),
            vec![key.verifying_key()],
            1 << 30,
        );
        let store = store.expect("a store");
        let stream = folder.path().join("stream");
        write_layer(&stream);
        let manifest = Manifest {
            name: "small".to_owned(),
            version: "1".to_owned(),
            arch: Arch::X86_64,
            guest: Guest::Linux,
            content: Content::System,
            applications: Vec::new(),
            compression: Compression::None,
            stream: String::new(),
            stream_bytes: 0,
            bounds: Bounds {
                entries: 100,
                bytes: 1 << 20,
            },
            disk_bytes: 0,
            templates: Vec::new(),
            parameters: [].into(),
            cloud_init: false,
        };
        let image = store.add(manifest, &stream, &key, &Unwatched);
        let image = image.expect("an image").id;
        Self {
            folder,
            store,
            image,
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn build(&self, steps: &[BuildStep], name: &str) -> PathBuf {
        let target = self.path(name);
        let keys = Keys::default();
        let workshop = Workshop {
            store: &self.store,
            keys: &keys,
            watch: &Unwatched,
        };
        build_root(steps, &target, workshop).expect("a root folder");
        target
    }

    pub fn blueprint(&self) -> Blueprint {
        Blueprint {
            vm: VmId(7),
            tenant: TenantId(1),
            name: "web-7".to_owned(),
            arch: Arch::X86_64,
            guest: Guest::Linux,
            virtualisation: Virtualisation::Container,
            cpus: 1,
            max_cpus: 1,
            mem_mib: 64,
            max_mem_mib: 64,
            boot: BootLoader::Direct,
            kernel_arguments: String::new(),
            disks: vec![Disk {
                name: "root".to_owned(),
                size_mib: 64,
                image: Some(self.image.clone()),
                table: PartitionTable::None,
                partitions: Vec::new(),
                shared_base: false,
                encryption: None,
                iops: None,
                mibps: None,
                extents: Vec::new(),
            }],
            interfaces: Vec::new(),
            customisation: Customisation {
                remove: vec!["/bin/gone".to_owned()],
                users: vec![User {
                    name: "ann".to_owned(),
                    ssh_keys: vec!["ssh-ed25519 AAAA ann".to_owned()],
                }],
                ..Customisation::default()
            },
            highly_available: false,
        }
    }
}

fn write_layer(stream: &Path) {
    let mut tar = tar::Builder::new(File::create(stream).expect("room"));
    let mut add = |name: &str, kind, link: &str, mode, owner: (u64, u64), bytes: &[u8]| {
        if name == "bin/ping" {
            let capability = ("SCHILY.xattr.security.capability", CAPABILITY.as_slice());
            tar.append_pax_extensions([capability]).expect("room");
        }
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(owner.0);
        header.set_gid(owner.1);
        header.set_size(bytes.len() as u64);
        let added = match link {
            "" => tar.append_data(&mut header, name, bytes),
            link => tar.append_link(&mut header, name, link),
        };
        added.expect("room");
    };
    use tar::EntryType::{Directory, Link, Regular, Symlink};
    let root = (0, 0);
    add("bin/", Directory, "", 0o755, root, b"");
    add("bin/su", Regular, "", 0o4755, root, b"su");
    add("bin/ping", Regular, "", 0o755, root, b"ping");
    add("bin/gone", Regular, "", 0o755, root, b"gone");
    add("bin/login", Link, "bin/su", 0o4755, root, b"");
    add("var/www/", Directory, "", 0o2750, (33, 33), b"");
    add("var/www/page", Regular, "", 0o640, (33, 34), b"page");
    let passwd = b"root:x:0:0:root:/root:/bin/sh\n";
    add("etc/passwd", Regular, "", 0o644, root, passwd);
    add("bin/sh", Symlink, "/etc/passwd", 0o777, root, b"");
}

fn attribute(path: &Path) -> Vec<u8> {
    let mut value = [0; 64];
    let many = rustix::fs::lgetxattr(path, "security.capability", value.as_mut_slice());
    value[..many.expect("a capability")].to_vec()
}

/// A container's root has what its image says, owners, privileges and second names included, and
/// what its blueprint changes; nothing of the node is followed or touched.
#[test]
fn a_root_is_as_its_image_and_blueprint_say() {
    let shop = Shop::new();
    let steps = plan(&shop.blueprint(), 0).expect("steps");
    let root = shop.build(&steps, "root");
    let about = |path: &str| root.join(path).symlink_metadata().expect(path);
    let told = |path: &str| {
        let about = about(path);
        (about.mode() & 0o7777, about.uid(), about.gid())
    };
    assert_eq!(told("bin/su"), (0o4755, 0, 0));
    assert_eq!(told("var/www"), (0o2750, 33, 33));
    assert_eq!(told("var/www/page"), (0o640, 33, 34));
    assert_eq!(told(""), (0o755, 0, 0));
    assert_eq!(about("bin/su").ino(), about("bin/login").ino());
    assert_eq!(attribute(&root.join("bin/ping")), CAPABILITY);
    let link = fs::read_link(root.join("bin/sh")).expect("a link");
    assert_eq!(link, Path::new("/etc/passwd"));
    assert!(!root.join("bin/gone").exists());
    let text = |path: &str| fs::read_to_string(root.join(path)).expect(path);
    assert_eq!(text("etc/hostname"), "web-7\n");
    assert_eq!(told("home/ann/.ssh/authorized_keys"), (0o600, 1_000, 1_000));
    let left = fs::read_dir(shop.folder.path())
        .expect("a folder")
        .flatten();
    let left: Vec<_> = left.map(|entry| entry.file_name()).collect();
    assert_eq!(left.len(), 3, "{left:?}");
}

/// What a container's root folder cannot be is told before anything is made.
#[test]
fn what_is_no_folder_is_refused() {
    let shop = Shop::new();
    let check = |change: &dyn Fn(&mut Disk), expected: &str| {
        let mut blueprint = shop.blueprint();
        change(&mut blueprint.disks[0]);
        let refused = plan(&blueprint, 0).expect_err(expected);
        assert!(matches!(refused, BuildError::NoFolder { .. }), "{refused}");
        assert!(refused.to_string().contains(expected), "{refused}");
    };
    check(&|disk| disk.image = None, "begins empty, expected an image");
    check(&|disk| disk.shared_base = true, "shares a base");
    check(&|disk| disk.iops = Some(100), "is limited");
    check(&|disk| disk.mibps = Some(1), "is limited");
}

/// Makes one file of a root another.
type Change<'c> = &'c dyn Fn(&Path);

/// A copy of a root is equal, also where it replaces a former try, and any difference is told by its
/// path.
#[test]
fn a_copied_root_is_equal_and_differences_are_told() {
    let shop = Shop::new();
    let steps = [
        BuildStep::Unpack {
            image: shop.image.clone(),
        },
        BuildStep::Network {
            edits: vec![Edit::file("/etc/large", "x".repeat(100_000), 0o600)],
        },
    ];
    let (root, copy) = (shop.build(&steps, "root"), shop.path("copy"));
    fs::create_dir(&copy).expect("a folder");
    fs::write(copy.join("old"), "old").expect("a file");
    let compare = || compare_roots(&root, &copy, &Unwatched);
    let changes: [(&str, Change); 7] = [
        ("etc/large", &|at| {
            let file = File::options().write(true).open(at).expect("a file");
            file.write_all_at(b"y", 99_999).expect("a byte");
        }),
        ("bin/login", &|at| {
            fs::set_permissions(at, Permissions::from_mode(0o755)).expect("a mode");
        }),
        ("var/www/page", &|at| {
            lchown(at, Some(33), Some(33)).expect("an owner");
        }),
        ("bin/ping", &|at| {
            rustix::fs::lremovexattr(at, "security.capability").expect("an attribute");
        }),
        ("bin/sh", &|at| {
            fs::remove_file(at).expect("a link");
            symlink("/etc/shadow", at).expect("a link");
        }),
        ("etc/passwd", &|at| fs::remove_file(at).expect("a file")),
        ("etc/more", &|at| fs::write(at, "more").expect("a file")),
    ];
    for (path, change) in changes {
        replicate_root(&root, &copy, &Unwatched).expect("a copy");
        compare().expect("it is equal");
        assert!(!copy.join("old").exists());
        let first = copy.join("bin/su").metadata().expect("a file").ino();
        let second = copy.join("bin/login").metadata().expect("a file").ino();
        assert_eq!(first, second, "two names of one file");
        change(&copy.join(path));
        let told = match compare().expect_err(path) {
            Error::Refused { what, .. } => what,
            Error::Differs { path, .. } => path.display().to_string(),
            error => panic!("{error}"),
        };
        assert_eq!(Path::new(&told), copy.join(path));
    }
}
