//! A modelled node with its agent.

use agent::agent::Agent;
use agent::journal::Entry;
use agent::message::{Guard, Output, Task};
use agent::modelled::Hands;
use agent::naming::{Naming, Plugging, Roots};
use agent::settings::{Boot, Settings};
use agent::watch::CalledOff;
use model::fingerprint::Reserved;
use model::grid::Grid;
use model::hypervisor::HypervisorType;
use model::id::{Generation, KeyId, NodeId, OperationId, VmId};
use model::report::VmState;
use model::time::{Span, Time};
use std::collections::{BTreeMap, BTreeSet};

/// A node, whatever becomes of its agent.
pub(crate) struct Node {
    pub id: NodeId,
    pub settings: Settings,
    pub agent: Option<Agent>,
    /// What the agent has written.
    pub journal: Vec<Entry>,
    pub hands: Hands,
    /// Steps under way.
    pub at_hand: BTreeMap<OperationId, AtHand>,
    /// Moves to this node that have arrived, by their keys.
    pub arrived: BTreeSet<KeyId>,
    /// VMs that are waited for, running, and whose processes live.
    pub incoming: BTreeSet<VmId>,
    /// VMs that were given to another node, and whose processes live and stand still.
    pub frozen: BTreeSet<VmId>,
    /// VMs that have come so, before their orders have ended.
    pub came: BTreeSet<VmId>,
    /// The VMs that its watchdog is to stop, and when their lease lapses; `None`: it has.
    pub guarded: (Vec<VmId>, Option<Time>),
    /// Whether it has power.
    pub is_up: bool,
    /// Whether it is cut off.
    pub is_cut: bool,
    /// How far its clock is ahead.
    pub ahead: Span,
    /// Counts the agents that ran here: what an earlier one had begun does not end for a later one.
    pub agents: u32,
    /// How many things the agent still does before it dies.
    pub fuse: Option<(u32, Span)>,
    /// How many of its steps break, in thousandths.
    pub breaking_milli: u32,
    /// How many times as long its steps take.
    pub slowness: u32,
    /// When the controller has heard of it last.
    pub heard: Time,
    /// The newest generation of the orders that it has taken.
    pub newest: Generation,
    /// How often it has booted, and when last.
    boots: (u32, Time),
}

/// A step that was begun.
pub(crate) struct AtHand {
    pub task: Task,
    pub called_off: Option<CalledOff>,
    /// Tells the ends of two tries of one step apart.
    pub number: u64,
}

impl Node {
    pub fn new(id: NodeId, grid: &Grid) -> Self {
        let hypervisor = grid.hypervisor_of(id);
        let is_container = hypervisor.hypervisor_type == HypervisorType::Container;
        let naming = Naming {
            root: "/node".into(),
            plugging: match is_container {
                true => Plugging::Bridge,
                false => Plugging::Tap,
            },
            roots: Roots::Kept,
            first_disk: "/dev/vda".to_owned(),
        };
        let disk_mib = u64::from(grid.class_of(id).capacity.disk_gib.0) * 1_024;
        let settings = Settings {
            node: id,
            boot: Boot {
                id: "boot 0".to_owned(),
                at: Time::ZERO,
            },
            naming,
            host: Some(format!("node-{}", id.0)),
            // As much again is kept for disks while they are built.
            disk_mib: disk_mib.saturating_mul(2),
            reserved: Reserved::default(),
            signer: String::new(),
        };
        Self {
            id,
            settings,
            agent: None,
            journal: Vec::new(),
            hands: Hands::default(),
            at_hand: BTreeMap::new(),
            arrived: BTreeSet::new(),
            incoming: BTreeSet::new(),
            frozen: BTreeSet::new(),
            came: BTreeSet::new(),
            guarded: (Vec::new(), None),
            is_up: true,
            is_cut: false,
            ahead: Span(0),
            agents: 0,
            fuse: None,
            breaking_milli: 0,
            slowness: 1,
            heard: Time::ZERO,
            newest: Generation(0),
            boots: (0, Time::ZERO),
        }
    }

    /// The time by its own clock.
    pub fn clock(&self, now: Time) -> Time {
        now + self.ahead
    }

    /// Starts its agent.
    pub fn start(&mut self, now: Time, out: &mut Vec<Output>) {
        self.agents += 1;
        let seen = self.hands.seen();
        let entries = self.journal.iter().cloned();
        self.settings.boot = Boot {
            id: format!("boot {}", self.boots.0),
            at: self.clock(self.boots.1),
        };
        let settings = self.settings.clone();
        let agent = Agent::recover(settings, entries, seen, [], self.clock(now), out);
        self.agent = Some(agent);
    }

    /// Its agent dies with all that it had not written.
    pub fn kill(&mut self) {
        self.agent = None;
        self.at_hand.clear();
        self.fuse = None;
    }

    /// It loses its power.
    pub fn lose_power(&mut self) {
        self.kill();
        self.is_up = false;
        self.guarded = (Vec::new(), None);
        for (vm, modelled) in &mut self.hands.vms {
            modelled.state = match self.incoming.contains(vm) {
                // It never will be here.
                true => VmState::Failed,
                false => VmState::Stopped,
            };
        }
        self.incoming.clear();
        self.frozen.clear();
    }

    /// A VM that is waited for is not let in any more.
    pub fn turn_away(&mut self, vm: VmId) {
        if self.incoming.remove(&vm)
            && let Some(modelled) = self.hands.vms.get_mut(&vm)
        {
            modelled.state = VmState::Failed;
        }
    }

    /// It has booted.
    pub fn boot(&mut self, now: Time) {
        self.is_up = true;
        self.boots = (self.boots.0 + 1, now);
    }

    /// Its watchdog is told what to stop, and when.
    pub fn guard(&mut self, now: Time, guard: Guard) {
        let until = guard.until.map(|until| now + (until - self.clock(now)));
        self.guarded = (guard.vms, until);
    }

    /// Its watchdog stops what it is to stop, if the time has come.
    pub fn bark(&mut self, now: Time) {
        let (vms, until) = &self.guarded;
        if !self.is_up || until.is_some_and(|until| now < until + BARK) {
            return;
        }
        // It goes by processes, also by those that wait for a VM, or have given it.
        for vm in vms {
            self.frozen.remove(vm);
            let was_coming = self.incoming.remove(vm);
            if let Some(vm) = self.hands.vms.get_mut(vm) {
                vm.state = match vm.state {
                    VmState::Migrating if was_coming => VmState::Failed,
                    // One that is sent runs until it is given.
                    VmState::Running | VmState::Paused | VmState::Migrating => VmState::Stopped,
                    state => state,
                };
            }
        }
    }
}

/// How long after a lease a watchdog stops what the agent has not.
pub(crate) const BARK: Span = Span(5_000);
