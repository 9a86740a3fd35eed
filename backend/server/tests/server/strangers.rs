//! Who is let in, and who is not.

use crate::grid::Grid;
use crate::waiting::until;
use client::call::{CallError, Client};
use control::shown::NodeShown;
use link::identity::{Fingerprint, Identity};
use link::membership::{Membership, Role};
use std::fs;

fn nodes(client: &mut Client) -> Result<Vec<NodeShown>, CallError> {
    client.get("/v1/nodes")
}

/// Whoever has not joined is told nothing, a token is good once, the database holds none, and who is
/// revoked is out at once.
#[test]
fn strangers_are_told_nothing() {
    let grid = Grid::new(0);
    let mut jane = grid.admin("jane");
    assert_eq!(nodes(&mut jane).expect("she has joined").len(), 2);
    // One who knows where the controller is and who it is, and has not joined.
    let stranger = grid.path("stranger");
    let fingerprint = Identity::open(&stranger)
        .expect("an identity")
        .fingerprint();
    let known = fs::read(grid.path("jane").join(Membership::FILE)).expect("hers");
    fs::write(stranger.join(Membership::FILE), known).expect("written");
    let error = nodes(&mut Client::open(&stranger).expect("it looks joined"));
    let told = error.expect_err("it has not joined").to_string();
    assert!(told.contains("has not joined"), "{told}");
    let token = grid.token(&["admin", "once"]);
    let stored = fs::read(grid.path("controller/controller.sqlite-wal")).unwrap_or_default();
    let stored = [
        stored,
        fs::read(grid.path("controller/controller.sqlite")).expect("a database"),
    ];
    let stored = stored.concat();
    let text = token.to_string();
    let (_, secret) = text.split_once('.').expect("two parts");
    for hidden in [secret.as_bytes(), &token.secret.0] {
        assert!(
            !stored.windows(hidden.len()).any(|found| found == hidden),
            "it is in the database"
        );
    }
    let name = Client::join(&stranger, &grid.at(), &token).expect("it is good once");
    assert_eq!(name, "once");
    let again = Client::join(&grid.path("another"), &grid.at(), &token);
    let told = again.expect_err("it is good once").to_string();
    assert!(told.contains("used"), "{told}");
    let mut once = Client::open(&stranger).expect("it has joined");
    assert_eq!(nodes(&mut once).expect("it has joined").len(), 2);
    jane.delete(&format!("/v1/peers/{fingerprint}"))
        .expect("it was one");
    nodes(&mut once).expect_err("it is nobody any more");
    let error = jane.delete(&format!("/v1/peers/{}", Fingerprint([1; 32])));
    assert!(
        error
            .expect_err("there is none")
            .to_string()
            .contains("nobody")
    );
}

/// A peer that is no admin asks nothing; what is not there or not understood is told as JSON.
#[test]
fn faults_are_told_as_json() {
    let grid = Grid::new(0);
    let mut jane = grid.admin("jane");
    let node = grid.path("node");
    let name = nodes(&mut jane).expect("she has joined")[0].name.clone();
    let token = grid.token(&["node", &name]);
    let joined = Client::join(&node, &grid.at(), &token);
    assert!(matches!(joined, Err(CallError::NotAdmin(_))), "{joined:?}");
    let none = Client::open(&node).err().expect("nobody asks as a node");
    assert!(matches!(none, CallError::NotJoined(_)), "{none}");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let token = grid.token(&["node", &name]);
    let role = runtime.block_on(link::join::join(&node, &grid.at(), &token));
    assert_eq!(role.expect("good"), Role::Node(name));
    let error = nodes(&mut Client::open(&node).expect("it has joined"));
    assert!(matches!(error, Err(CallError::Fault(_))), "{error:?}");
    for (path, told) in [
        ("/v1/nowhere", "nothing at /v1/nowhere"),
        ("/v1/operations/7", "there is no operation 7"),
        ("/v1/operations/seven", "seven"),
        ("/v1/events?from=-1", "from"),
        ("/v1/designs/jane/none", "no design"),
    ] {
        let error = jane.get::<serde_json::Value>(path).expect_err("a fault");
        assert!(matches!(error, CallError::Fault(_)), "{path}: {error:?}");
        assert!(error.to_string().contains(told), "{path}: {error}");
    }
    let refused = grid
        .controller_command(&["token", "node", "nobody"])
        .output()
        .expect("it runs");
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && told.contains("no node \"nobody\""),
        "{told}"
    );
}

/// A folder has one controller, and one whose grid has other nodes than before does not begin.
#[test]
fn another_grid_is_refused() {
    let mut grid = Grid::new(0);
    let mut jane = grid.admin("jane");
    nodes(&mut jane).expect("it runs");
    let second = grid.controller_command(&["run"]).output().expect("it runs");
    let told = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(
        !second.status.success() && told.contains("another controller"),
        "{told}"
    );
    grid.kill_controller();
    let file = grid.path("grid.toml");
    let text = fs::read_to_string(&file).expect("written");
    fs::write(&file, text.replace("north", "south")).expect("written");
    let other = grid.controller_command(&["run"]).output().expect("it runs");
    let told = String::from_utf8_lossy(&other.stderr).into_owned();
    assert!(!other.status.success() && told.contains("north"), "{told}");
    // More nodes at the end are welcome.
    let more = text.rsplit_once("[[node]]").expect("a node").1;
    let more = more.replace("north-1", "north-2");
    fs::write(&file, format!("{text}[[node]]{more}")).expect("written");
    grid.start_controller();
    until("the third node", || {
        (nodes(&mut jane).ok()?.len() == 3).then_some(())
    });
}
