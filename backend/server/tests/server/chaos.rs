//! A controller and its agents die at any time, while designs come and go.

use crate::grid::Grid;
use crate::waiting::{all_reached, in_state, until};
use client::call::{Client, new_operation};
use control::backend::{Command, Refused};
use control::shown::{OperationShown, OperationState};
use model::design::Design;
use model::id::OperationId;
use model::order::{Shutdown, Verb};
use model::report::VmState;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use std::thread;
use std::time::Duration;

/// How many times something is killed, unless `GRIDWRIGHT_KILLS` says otherwise.
const KILLS: u32 = 8;

/// Nodes, and so VMs of the design.
const NODES: usize = 2;

fn design() -> Box<Design> {
    let text = format!(
        "version = 1\nname = \"Pair\"\ntenant = \"jane\"\n[[component]]\nname = \"web\"\n\
         kind = \"web-server\"\ninstances = {NODES}\ncpu_cores = 1\nmem_mib = 128\ndisk_gib = 1\n\
         image = \"busybox\"\nadd_applications = []\nspread = \"node\"\n"
    );
    let design = model::design_file::read_design("pair.toml", &text);
    Box::new(design.expect("a design"))
}

/// What is asked in turn; all of it ends where it began.
fn round(client: &mut Client) -> Vec<Command> {
    let vm = in_state(client, VmState::Running).first().map(|vm| vm.id);
    let shutdown = Shutdown::Forced;
    let control = |verb| vm.map(|vm| Command::Vm { vm, verb });
    let deploy = || Command::Deploy {
        design: design(),
        plan: None,
    };
    let withdraw = || Command::Withdraw {
        tenant: "jane".to_owned(),
        design: "Pair".to_owned(),
    };
    match (control(Verb::Stop { shutdown }), control(Verb::Start)) {
        (Some(stop), Some(start)) => vec![stop, start, withdraw()],
        _ => vec![deploy()],
    }
}

/// Whatever is killed while designs are deployed, stopped, started and withdrawn, every operation that
/// was accepted is carried out, nothing runs twice, and in the end nothing is left over.
#[test]
fn kills_lose_and_double_nothing() {
    let given = std::env::var("GRIDWRIGHT_KILLS").ok();
    let kills = given.map_or(KILLS, |text| text.parse().expect("a number"));
    let mut grid = Grid::new(NODES);
    let mut client = grid.admin("jane");
    grid.start_agents();
    all_reached(&mut client, NODES);
    let mut chance = ChaCha8Rng::seed_from_u64(1);
    let (mut killed, mut operations) = (0, 0);
    while killed < kills || !is_empty(&mut client) {
        for command in round(&mut client) {
            let id = accepted(&mut client, &command);
            operations += 1;
            while killed < kills && !is_over(&mut client, id) {
                thread::sleep(Duration::from_millis(u64::from(chance.next_u32() % 1_500)));
                kill(&mut grid, chance.next_u32());
                killed += 1;
                // A QEMU that goes into the background is two for a moment.
                until("no guest to run twice", || {
                    (grid.guests() <= NODES).then_some(())
                });
            }
            let state = until("the operation to end", || {
                state(&mut client, id).filter(OperationState::is_over)
            });
            assert_eq!(state, OperationState::Done, "{command:?}");
        }
    }
    println!("{killed} kills within {operations} operations");
    assert_eq!(grid.guests(), 0);
    assert_eq!(grid.left_over(), Vec::<String>::new());
}

/// Asks until it is accepted. Whoever gets no answer asks again under the same id; a plan is refused for
/// the moment in which a node has come back and has not told its VMs yet, and asked for anew.
fn accepted(client: &mut Client, command: &Command) -> OperationId {
    let mut id = new_operation().expect("an id");
    until("the controller to accept it", || {
        let error = match client.submit(id, command) {
            Ok(_) => return Some(id),
            Err(error) => error,
        };
        match error.refused() {
            None => {}
            Some(Refused::Unplaced { .. }) => id = new_operation().expect("an id"),
            Some(why) => panic!("{command:?}: {why}"),
        }
        None
    })
}

/// Kills the controller or an agent, and starts it again.
fn kill(grid: &mut Grid, which: u32) {
    match which as usize % (NODES + 1) {
        0 => {
            grid.kill_controller();
            grid.start_controller();
        }
        agent => {
            grid.kill_agent(agent - 1);
            grid.start_agent(agent - 1);
        }
    }
}

fn state(client: &mut Client, id: OperationId) -> Option<OperationState> {
    let shown = client.get::<OperationShown>(&format!("/v1/operations/{}", id.0));
    shown.ok().map(|shown| shown.state)
}

fn is_over(client: &mut Client, id: OperationId) -> bool {
    state(client, id).is_some_and(|state| state.is_over())
}

fn is_empty(client: &mut Client) -> bool {
    let vms = until("the controller to answer", || {
        client.get::<Vec<serde_json::Value>>("/v1/vms").ok()
    });
    vms.is_empty()
}
