//! What a template may speak of.
//!
//! | Name | Is |
//! |---|---|
//! | `me` | the VM: `component`, `vm`, `index`, `address`, `addresses`, `port`, `ports`, `open` (anyone may call) |
//! | `parameters` | settings by name; `settings` where any is taken: all that were set, each `name` and `value` |
//! | `links` | components that it calls: `name`, `kind`, `port`, `address`, `instances`, `user`, `password`, `parameters` |
//! | `clients` | components that call it: the same |
//! | `link` | in what is handed: the link to the one who hands it |
//!
//! An instance is `name`, `address` and `addresses`. `user` and `password` are there where the one
//! that is called gives passwords; `address` of a component is that of its first instance.

use crate::site::{Instance, Login, Peer, Site};
use crate::template::mark;
use minijinja::value::Value;
use model::id::ComponentId;
use std::collections::BTreeMap;

/// Settings of each component, defaults filled in.
pub(crate) type Settings = BTreeMap<ComponentId, BTreeMap<String, String>>;

/// A VM in its surroundings.
#[derive(Clone, Copy)]
pub(crate) struct Scene<'a> {
    pub(crate) site: &'a Site<'a>,
    pub(crate) settings: &'a Settings,
    pub(crate) component: ComponentId,
    /// Which of the component's instances.
    pub(crate) index: usize,
    /// Whether anyone may call it.
    pub(crate) open: bool,
}

impl Scene<'_> {
    /// What the VM's own templates may speak of.
    pub(crate) fn own(self) -> Value {
        table(self.entries())
    }

    /// What templates of the component at the other end of a link may speak of.
    pub(crate) fn handed(self, link: Peer) -> Value {
        let mut entries = self.entries();
        entries.push(("link", self.called(link)));
        table(entries)
    }

    fn entries(self) -> Vec<(&'static str, Value)> {
        let links = self.site.links(self.component).into_iter();
        let clients = self.site.clients(self.component).into_iter();
        let set = &self.site.topology.components()[self.component.index()].parameters;
        let pair = |(name, value): (&String, &String)| {
            table(vec![("name", name.into()), ("value", value.into())])
        };
        vec![
            ("me", self.me()),
            ("parameters", self.parameters(self.component)),
            ("settings", set.iter().map(pair).collect()),
            ("links", links.map(|link| self.called(link)).collect()),
            (
                "clients",
                clients.map(|client| self.caller(client)).collect(),
            ),
        ]
    }

    fn me(self) -> Value {
        let site = self.site;
        let ports = site.ports(self.component);
        let mut entries = instance(&site.of(self.component)[self.index]);
        let name = &site.topology.components()[self.component.index()].name;
        entries.extend([
            ("component", name.into()),
            (
                "vm",
                site.of(self.component)[self.index].name.clone().into(),
            ),
            ("index", self.index.into()),
            ("port", ports[0].into()),
            ("ports", ports.into_iter().collect()),
            ("open", self.open.into()),
        ]);
        table(entries)
    }

    fn called(self, link: Peer) -> Value {
        let login = Login {
            from: self.component,
            to: link.component,
        };
        self.peer(link, login)
    }

    fn caller(self, client: Peer) -> Value {
        let login = Login {
            from: client.component,
            to: self.component,
        };
        self.peer(client, login)
    }

    fn peer(self, peer: Peer, login: Login) -> Value {
        let name = |id: ComponentId| &self.site.topology.components()[id.index()].name;
        let instances = self.site.of(peer.component);
        let mut entries = vec![
            ("name", name(peer.component).into()),
            ("kind", self.site.kind(peer.component).to_string().into()),
            ("port", peer.port.into()),
            (
                "instances",
                instances.iter().map(|i| table(instance(i))).collect(),
            ),
            ("parameters", self.parameters(peer.component)),
        ];
        let first = instances.first().and_then(|first| first.addresses.first());
        entries.extend(first.map(|ip| ("address", ip.to_string().into())));
        if let Some(key) = self.site.passwords.get(&login) {
            entries.push(("user", name(login.from).into()));
            entries.push(("password", mark(*key)));
        }
        table(entries)
    }

    fn parameters(self, component: ComponentId) -> Value {
        let settings = self.settings.get(&component).into_iter().flatten();
        settings
            .map(|(name, value)| (name.as_str(), Value::from(value)))
            .collect()
    }
}

fn instance(instance: &Instance) -> Vec<(&'static str, Value)> {
    let addresses = || instance.addresses.iter().map(ToString::to_string);
    let mut entries = vec![
        ("name", Value::from(&instance.name)),
        ("addresses", addresses().collect()),
    ];
    entries.extend(addresses().next().map(|ip| ("address", ip.into())));
    entries
}

fn table(entries: Vec<(&'static str, Value)>) -> Value {
    entries.into_iter().collect()
}
