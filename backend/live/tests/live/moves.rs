//! A running VM moves from one agent to another and back, by the orders of a controller alone.

mod cold;
mod disks;
mod disturbed;
pub mod guest;
mod killed;
pub mod kind;
pub mod node;
mod order;
pub mod pair;
mod under;

use crate::network::node as room;
use guest::{PROMPT, begin_to_count, has_counted, reads, ticks, wait_tick};
use kind::Kind;
use model::order::{Shutdown, Verb};
use model::report::{Outcome, VmState};
use node::{VM, wait_for};
use pair::Pair;

/// The guest goes on where it arrives, with all that it wrote before and during the move, and has not
/// booted again; its sender tells how long it stood still, has wiped its disk, and holds nothing of it.
/// The same on the way back; and what came back can be stopped and started.
#[test]
fn a_running_vm_moves_between_agents_and_back() {
    let mut pair = Pair::new(Kind::Qemu);
    pair.create();
    pair.order(0, Verb::Start);
    pair.nodes[0].says("GUEST-UP host=web-7 root=ext4");
    pair.nodes[0].says(PROMPT);
    let digest = "sha256sum /srv/data | cut -c 1-64";
    let home = &pair.nodes[0];
    let open = home.type_line("dd if=/dev/urandom of=/srv/data bs=1M count=16; echo made''.");
    wait_for("the data and a prompt", || {
        let console = home.console();
        console
            .split_once("made.")
            .is_some_and(|(_, rest)| rest.contains(PROMPT))
    });
    drop(open);
    let data = reads(home, digest);
    assert_eq!(data.len(), 64, "{data}");
    begin_to_count(home);
    for from in [0, 1] {
        let to = 1 - from;
        wait_tick(
            &pair.nodes[from],
            ticks(&pair.nodes[from]).last().copied().unwrap_or(0),
        );
        let disk = pair.nodes[from].root().join("vms/vm-7/root.raw");
        assert!(disk.exists());
        let told = pair.moves(from);
        let moved = told
            .iter()
            .position(|outcome| matches!(outcome, Outcome::Moved { .. }));
        let moved = moved.unwrap_or_else(|| panic!("no downtime in {told:?}"));
        println!("{:?}", told[moved]);
        let wiped = Outcome::Progressed {
            step: format!("wipe {}", disk.display()),
            done_milli: 1_000,
        };
        let wiped = told.iter().position(|outcome| *outcome == wiped);
        assert!(wiped > Some(moved), "wiped before it has moved: {told:?}");
        assert!(!disk.exists());
        assert_eq!(pair.nodes[from].traces(), Vec::<String>::new());
        assert_eq!(pair.nodes[from].status().vms, []);
        let there = &pair.nodes[to];
        let status = there.status();
        assert_eq!(status.vms[0].state, Some(VmState::Running));
        let first = ticks(there).first().copied();
        wait_tick(there, first.unwrap_or(0) + 3);
        let console = there.console();
        assert!(!console.contains("GUEST-UP"), "it has booted: {console}");
        assert_eq!(reads(there, digest), data);
        assert!(has_counted(there));
    }
    let shutdown = Shutdown::Forced;
    pair.order(0, Verb::Stop { shutdown });
    pair.order(0, Verb::Start);
    let home = &pair.nodes[0];
    home.says("GUEST-UP");
    wait_for("its shell", || {
        home.console()
            .rsplit("GUEST-UP")
            .next()
            .is_some_and(|rest| rest.contains(PROMPT))
    });
    assert_eq!(reads(home, digest), data);
    pair.order(0, Verb::Delete);
    for node in &pair.nodes {
        assert_eq!(node.traces(), Vec::<String>::new());
        assert!(node.status().vms.iter().all(|status| status.vm != VM));
    }
}
