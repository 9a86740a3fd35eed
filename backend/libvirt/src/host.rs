//! Which guests libvirt says that it runs, read from its capabilities.

use model::hypervisor::Arch;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// Which guests libvirt says that it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// The instruction set of its own processor; `None`: none of those that we know.
    pub arch: Option<Arch>,
    /// Instruction sets of whole machines, each with libvirt's word for what runs them (the `type` of
    /// a domain), as `kvm`, `qemu`, `vbox`.
    pub offers: Vec<(Arch, String)>,
}

/// libvirt's word for what runs guests by emulation, and for what runs them on the processor.
pub const EMULATED: &str = "qemu";
/// As [`EMULATED`].
pub const KVM: &str = "kvm";

/// More than the capabilities of the largest machines; they grow with its processors.
const MOST_BYTES: usize = 16 << 20;

impl Host {
    /// Reads `virConnectGetCapabilities` (libvirt.org/formatcaps.html); parts that are unknown are
    /// passed over.
    ///
    /// # Errors
    /// Where it is no XML, with the reader's words, or too long.
    pub fn read(capabilities: &str) -> Result<Self, String> {
        if capabilities.len() > MOST_BYTES {
            let bytes = capabilities.len();
            return Err(format!(
                "capabilities of {bytes} bytes, more than {MOST_BYTES}"
            ));
        }
        let mut reader = Reader::from_str(capabilities);
        let mut reading = Reading::default();
        loop {
            match reader.read_event().map_err(|error| error.to_string())? {
                Event::Start(element) => {
                    reading.begins(&element);
                    reading.path.push(element.name().as_ref().to_vec());
                }
                Event::Empty(element) => reading.begins(&element),
                Event::End(_) => drop(reading.path.pop()),
                Event::Text(text) => {
                    reading.says(&text.decode().map_err(|error| error.to_string())?);
                }
                Event::Eof => return Ok(reading.host),
                _ => {}
            }
        }
    }

    /// What runs guests of an instruction set without emulating it; `None`: nothing.
    pub fn native(&self, arch: Arch) -> Option<&str> {
        self.kinds(arch).find(|kind| *kind != EMULATED)
    }

    /// Whether guests of an instruction set are emulated.
    pub fn emulates(&self, arch: Arch) -> bool {
        self.kinds(arch).any(|kind| kind == EMULATED)
    }

    fn kinds(&self, arch: Arch) -> impl Iterator<Item = &str> {
        let offers = self.offers.iter();
        offers
            .filter(move |(offered, _)| *offered == arch)
            .map(|(_, kind)| kind.as_str())
    }
}

/// Where the reader is.
#[derive(Default)]
struct Reading {
    host: Host,
    /// Names of the elements around.
    path: Vec<Vec<u8>>,
    /// Whether the guest around is a whole machine.
    whole: bool,
    /// The instruction set of the guest around.
    arch: Option<Arch>,
}

impl Reading {
    fn is_at(&self, path: &[&str]) -> bool {
        self.path
            .iter()
            .map(Vec::as_slice)
            .eq(path.iter().map(|name| name.as_bytes()))
    }

    fn begins(&mut self, element: &BytesStart) {
        let name = element.name();
        let told = |attribute: &str| {
            let told = element.try_get_attribute(attribute).ok().flatten()?;
            let text = told
                .normalized_value(quick_xml::XmlVersion::Implicit1_0)
                .ok()?;
            Some(text.into_owned())
        };
        if self.is_at(&["capabilities"]) && name.as_ref() == b"guest" {
            self.whole = false;
        } else if self.is_at(&["capabilities", "guest"]) && name.as_ref() == b"arch" {
            self.arch = told("name").and_then(|name| arch(&name));
        } else if self.is_at(&["capabilities", "guest", "arch"])
            && name.as_ref() == b"domain"
            && self.whole
            && let (Some(arch), Some(kind)) = (self.arch, told("type"))
        {
            self.host.offers.push((arch, kind));
        }
    }

    fn says(&mut self, text: &str) {
        if self.is_at(&["capabilities", "host", "cpu", "arch"]) {
            self.host.arch = arch(text);
        } else if self.is_at(&["capabilities", "guest", "os_type"]) {
            self.whole = text == "hvm";
        }
    }
}

fn arch(name: &str) -> Option<Arch> {
    name.parse().ok()
}
