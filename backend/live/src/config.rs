//! The agent's configuration, a TOML file that a person writes.

use crate::disks::{Disks, Source};
use crate::network::{self, Trunk};
use agent::naming::{Naming, Plugging, Roots};
use agent::settings::{Boot, Settings};
use agent::watch::Unwatched;
use drivers::incus;
use ed25519_dalek::SigningKey;
use image::manifest::{hex, signer, signing_key};
use image::store::Store;
use image::utility::{self, Accelerator, Utility};
use model::fingerprint::Reserved;
use model::id::NodeId;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The largest IP packet on Ethernet, in bytes.
const ETHERNET_BYTES: u32 = 1_500;

/// What is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("{path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not what it should be.
    #[error("{path}: {source}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// Something is in the way of an agent.
    #[error("{0}")]
    Impossible(String),
}

/// What an agent is told at its start.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Which node it is.
    pub node: u32,
    /// The folder of all that it has.
    pub root: PathBuf,
    /// Where it listens; `agent.sock` in its folder unless told.
    #[serde(default)]
    pub listen: Option<Listen>,
    /// The node's hypervisor: the name of its driver.
    pub driver: String,
    /// The driver's program, where it has one and it is elsewhere than usual.
    #[serde(default)]
    pub program: Option<PathBuf>,
    /// Arguments of an outside driver's program; its folder comes after them.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// Where Incus is, for the driver `incus`.
    #[serde(default)]
    pub incus: incus::Server,
    /// How interfaces are plugged; unless told, as the hypervisor does it best: Incus into bridges,
    /// others by address translation of their own.
    #[serde(default)]
    pub plugging: Option<Plugging>,
    /// The node's interface towards a switch that carries each tenant network in a VLAN of its
    /// number; without it, and without `peers`, networks end at the node.
    #[serde(default)]
    pub vlan_link: Option<String>,
    /// Addresses of the other nodes, to which each tenant network leads in a VXLAN of its number;
    /// `host` is then this node's own.
    #[serde(default)]
    pub peers: BTreeSet<IpAddr>,
    /// Where images come from: an address `http://…` under which a server has a store's folder, or
    /// the path of such a folder; without it, the node has those that are in its own store.
    #[serde(default)]
    pub images: Option<String>,
    /// Public keys, in hex, of those whose images are taken.
    #[serde(default)]
    pub signers: Vec<String>,
    /// The most that the node's store of images keeps, in MiB.
    #[serde(default = "stored")]
    pub images_mib: u64,
    /// The address on which to listen for VMs that move here; without it none may. Nothing proves
    /// yet who comes, so the network of this address is to be the nodes' alone.
    #[serde(default)]
    pub host: Option<String>,
    /// Seconds from one sampling to the next.
    #[serde(default = "ten")]
    pub sample_seconds: u32,
    /// What the node keeps for itself, that of its utility VMs left out.
    #[serde(default = "kept")]
    pub reserved: Reserved,
    /// VMs in which tools open, and scripts of customers run, what others wrote; without them, the
    /// tools' cage is all that is around it.
    #[serde(default)]
    pub utility: Option<utility::Settings>,
}

/// Where an agent listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// On a unix socket that its owner alone may open. A port, even of loopback, has no owner: a
    /// guest behind the hypervisor's own address translation reaches all ports of its node.
    Unix(PathBuf),
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// Where it cannot be read, holds something unknown, or would let guests reach what only nodes
    /// may.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        let config: Self = toml::from_str(&text).map_err(|source| ConfigError::Invalid {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        if let (Plugging::User, Some(host)) = (config.plugging(), &config.host) {
            let told = format!(
                "host is {host} and plugging is user, expected one of them; hint: guests that the \
                 hypervisor itself plugs in reach all ports of the node, those of moving VMs too"
            );
            return Err(ConfigError::Impossible(told));
        }
        Ok(config)
    }

    /// Where it listens.
    pub fn listen(&self) -> Listen {
        let usual = || Listen::Unix(self.root.join("agent.sock"));
        self.listen.clone().unwrap_or_else(usual)
    }

    /// How interfaces are plugged.
    pub fn plugging(&self) -> Plugging {
        let usual = match self.driver.as_str() {
            "incus" => Plugging::Bridge,
            _ => Plugging::User,
        };
        self.plugging.unwrap_or(usual)
    }

    /// What the agent itself needs of it. Space for VMs is all of the file system that holds the
    /// folder, less what is reserved.
    ///
    /// # Errors
    /// Where the file system does not tell its size, or the node's key cannot be read.
    pub fn settings(&self, boot: Boot) -> io::Result<Settings> {
        let found = rustix::fs::statvfs(&self.root)?;
        let disk_mib = found.f_blocks * found.f_frsize / (1 << 20);
        let reserved = self.reserved();
        Ok(Settings {
            node: NodeId(self.node),
            boot,
            naming: Naming {
                root: self.root.clone(),
                plugging: self.plugging(),
                roots: match self.driver.as_str() {
                    "incus" => Roots::Copied,
                    _ => Roots::Kept,
                },
                first_disk: self.first_disk().to_owned(),
            },
            host: self.host.clone(),
            disk_mib: disk_mib.saturating_sub(reserved.disk_mib),
            reserved,
            signer: hex(self.signing_key()?.verifying_key().as_bytes()),
        })
    }

    /// What is kept from placement: the agent's share and that of the utility VMs.
    fn reserved(&self) -> Reserved {
        let own = self.reserved;
        let theirs = self.utility.as_ref().map(utility::Settings::reserved);
        let theirs = theirs.unwrap_or_default();
        Reserved {
            cpu_milli: own.cpu_milli.saturating_add(theirs.cpu_milli),
            mem_mib: own.mem_mib.saturating_add(theirs.mem_mib),
            disk_mib: own.disk_mib.saturating_add(theirs.disk_mib),
        }
    }

    /// Makes ready the utility VMs that are asked for. Where KVM does not work and they are not
    /// forced, they are left out, and nothing is kept for them.
    ///
    /// # Errors
    /// Where their kernel is not there or cannot do it.
    pub fn open_utility(
        &mut self,
        kvm_works: impl Fn() -> bool,
    ) -> Result<Option<Utility>, ConfigError> {
        let Some(asked) = self.utility.clone() else {
            return Ok(None);
        };
        let accelerator = match kvm_works() {
            true => Accelerator::Kvm,
            false if asked.force => Accelerator::Tcg,
            false => {
                self.utility = None;
                return Ok(None);
            }
        };
        let folder = self.root.join("utility");
        let opened = Utility::new(asked, accelerator, &folder, &Unwatched);
        let told = |error| ConfigError::Impossible(format!("the utility VM: {error}"));
        opened.map(Some).map_err(told)
    }

    /// Its disks and images; the store is made where it is not there.
    ///
    /// # Errors
    /// Where a signer is no key, or the store cannot be made.
    pub fn disks(&self) -> Result<Disks, ConfigError> {
        let failed = |error: image::error::Error| ConfigError::Impossible(error.to_string());
        let signers = self.signers.iter().map(|key| signer(key));
        let trusted = signers.collect::<Result<_, _>>().map_err(failed)?;
        let most_bytes = self.images_mib.saturating_mul(1 << 20);
        let store = Store::open(&self.root.join("images"), trusted, most_bytes).map_err(failed)?;
        let source = self.images.as_ref().map(|images| {
            if images.starts_with("http://") || images.starts_with("https://") {
                Source::Server(images.clone())
            } else {
                Source::Folder(images.into())
            }
        });
        let key = self.signing_key().map_err(|error| {
            let told = format!("the node's own key to sign images with: {error}");
            ConfigError::Impossible(told)
        })?;
        Ok(Disks::new(&self.root, store, source).signing(key))
    }

    /// The node's own key, made at its first start.
    fn signing_key(&self) -> io::Result<SigningKey> {
        signing_key(&self.root.join("signing.key")).map_err(io::Error::other)
    }

    /// How its networks are done.
    ///
    /// # Errors
    /// Where `peers` are given and `host` is no address, or both ways to other nodes are asked for.
    pub fn network(&self) -> Result<network::Settings, ConfigError> {
        let trunk = match (&self.vlan_link, self.peers.is_empty()) {
            (None, true) => Trunk::None,
            (Some(link), true) => Trunk::Vlan { link: link.clone() },
            (None, false) => Trunk::Vxlan {
                local: self.address().ok_or_else(|| {
                    let host = self.host.as_deref().unwrap_or("missing");
                    let told = format!("host is {host}, expected an address, as there are peers");
                    ConfigError::Impossible(told)
                })?,
                peers: self.peers.clone(),
            },
            (Some(_), false) => {
                let told = "vlan_link and peers are both given, expected one of them";
                return Err(ConfigError::Impossible(told.to_owned()));
            }
        };
        Ok(network::Settings {
            folder: self.root.join("network"),
            inside: Vec::new(),
            trunk,
            mtu: ETHERNET_BYTES,
            pool: None,
        })
    }

    fn address(&self) -> Option<IpAddr> {
        self.host.as_deref()?.parse().ok()
    }

    /// What Linux calls the first disk under this node's hypervisor.
    fn first_disk(&self) -> &'static str {
        match self.driver.as_str() {
            "uml" => "/dev/ubda",
            "xen" => "/dev/xvda",
            _ => "/dev/vda",
        }
    }
}

impl FromStr for Listen {
    type Err = ConfigError;

    /// `unix:PATH`.
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        text.strip_prefix("unix:")
            .map(|path| Self::Unix(path.into()))
            .ok_or_else(|| {
                ConfigError::Impossible(format!(
                    "listen is {text}, expected unix:PATH; hint: nothing proves yet who is at the \
                     other end of a network"
                ))
            })
    }
}

impl<'de> Deserialize<'de> for Listen {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A dozen whole systems with their layers.
fn stored() -> u64 {
    16 << 10
}

fn ten() -> u32 {
    10
}

/// An allowance, to be changed where it is known better: the agent and the tools that it runs, its
/// journal and their scratch files.
fn kept() -> Reserved {
    Reserved {
        cpu_milli: 500,
        mem_mib: 256,
        disk_mib: 1_024,
    }
}
