//! A recipe as data.

use crate::parameter::Parameter;
use model::design::ComponentKind;
use model::hypervisor::Guest;

/// How a component of a kind becomes something real.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// Unique in its book.
    pub name: String,
    /// For which kind; `None`: any.
    pub kind: Option<ComponentKind>,
    /// For components with this application alone; `None`: whatever they have.
    pub application: Option<String>,
    /// For guests of this system.
    pub guest: Guest,
    /// The image whose services it sets up, by the name of its recipe, for components that name no
    /// image themselves; `None`: the component's own.
    pub image: Option<String>,
    /// Where a disk of its data is mounted; `None`: it has none beside its system.
    pub data: Option<String>,
    /// Where nobody is linked to the component, anyone may open its port.
    pub faces_outside: bool,
    /// It listens on one port alone.
    pub one_port: bool,
    /// Each component linked to it has a password.
    pub passwords: bool,
    /// Recipes whose files and commands it has too, before its own.
    pub includes: Vec<String>,
    /// Settings that it takes.
    pub parameters: Vec<Parameter>,
    /// It takes any other setting too, as it is.
    pub any_parameter: bool,
    /// What its VMs hold.
    pub own: Stock,
    /// What the VMs linked to it hold.
    pub handed: Stock,
}

/// Templates of files, and of the commands that let them in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stock {
    /// Files.
    pub files: Vec<TemplateFile>,
    /// Commands of the guest's shell, in order.
    pub apply: Vec<String>,
}

/// A file of a guest that is filled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateFile {
    /// Its path; a template as well.
    pub path: String,
    /// Its text.
    pub text: String,
    /// Its mode bits.
    pub mode: u32,
    /// Whose it is.
    pub owner: String,
    /// A command that fails where `"$1"` is no such file.
    pub check: Option<String>,
}
