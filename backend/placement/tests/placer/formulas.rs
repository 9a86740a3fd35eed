//! Each policy on cases reckoned by hand or published.

use crate::fixed::{class, grid, put, vm, with};
use model::grid::Grid;
use model::id::NodeId;
use model::vm::{AcceleratorAmount, VmSpec};
use placement::explain::Explanation;
use placement::placer::{Placer, Search};
use placement::policy::Policy;
use placement::state::Request;
use std::sync::Arc;

fn placer(grid: Grid, policy: &str) -> Placer {
    let policy = Policy::named(policy).expect("the name is in the catalogue");
    Placer::new(Arc::new(grid), policy, Search::Indexed, 1)
}

/// The explanation of a decision, after both it and the decision were found to agree.
fn explain(placer: &mut Placer, spec: &VmSpec) -> Explanation {
    let shape = placer.shape(spec);
    let request = Request { shape, groups: &[] };
    let told = placer.explain(request);
    let decided = placer.decide(request).ok().map(|decision| decision.node);
    assert_eq!(told.chosen.as_ref().map(|chosen| chosen.node), decided);
    told
}

/// The values of one column by node, to four digits.
fn check_column(told: &Explanation, column: &str, expected: &[f64]) {
    let place = told.columns.iter().position(|head| head == column);
    let place = place.unwrap_or_else(|| panic!("{column} is among {:?}", told.columns));
    let mut rows: Vec<_> = told.scores.iter().collect();
    rows.sort_by_key(|row| row.node);
    let found: Vec<f64> = rows.iter().map(|row| row.values[place]).collect();
    let near = found
        .iter()
        .zip(expected)
        .all(|(a, b)| (a - b).abs() < 5e-5);
    assert!(
        found.len() == expected.len() && near,
        "{column}: found {found:?}, expected {expected:?}"
    );
}

fn check_chosen(told: &Explanation, node: u32) {
    let chosen = told.chosen.as_ref().map(|chosen| chosen.node);
    assert_eq!(chosen, Some(NodeId(node)), "{told}");
}

/// A VM of 90 MiB goes to the node with 100 MiB free, not to the one with 512; worst fit turns it round.
#[test]
fn best_fit_takes_the_least_left_over() {
    let nodes = || {
        grid(vec![
            class(1_000, 512, 0),
            class(1_000, 100, 0),
            class(1_000, 512, 0),
        ])
    };
    let told = explain(&mut placer(nodes(), "best-fit"), &vm(500, 90));
    check_chosen(&told, 1);
    check_column(
        &told,
        "mem left",
        &[422.0 / 512.0, 10.0 / 512.0, 422.0 / 512.0],
    );
    check_column(&told, "cpu left", &[0.5, 0.5, 0.5]);
    check_chosen(&explain(&mut placer(nodes(), "worst-fit"), &vm(500, 90)), 0);
    check_chosen(&explain(&mut placer(nodes(), "first-fit"), &vm(500, 90)), 0);
}

/// A VM without accelerators leaves the node that has some alone, though all else is equal.
#[test]
fn best_fit_spares_accelerators() {
    let nodes = grid(vec![class(1_000, 512, 4), class(1_000, 512, 0)]);
    check_chosen(&explain(&mut placer(nodes, "best-fit"), &vm(500, 90)), 1);
}

/// Nova's documented example: vCPUs 5, 5, 10, 10, 15, 20, 20, 15, 10, 5 weigh 0, 0, .33, .33, .67, 1, 1, .67, .33, 0.
#[test]
fn nova_weighs_as_documented() {
    let free = [5, 5, 10, 10, 15, 20, 20, 15, 10, 5];
    let nodes = free.map(|cores| class(cores * 1_000, 8_192, 0)).to_vec();
    let told = explain(&mut placer(grid(nodes), "nova"), &vm(1_000, 512));
    let third = 1.0 / 3.0;
    let weights = [
        0.0,
        0.0,
        third,
        third,
        2.0 * third,
        1.0,
        1.0,
        2.0 * third,
        third,
        0.0,
    ];
    check_column(&told, "cpu free", &weights);
    check_column(&told, "mem free", &[0.0; 10]);
    check_column(&told, "sum, high", &weights);
    check_chosen(&told, 5);
}

/// Nova stretches over the nodes that fit alone: one that is too small does not set the least.
#[test]
fn nova_weighs_only_nodes_that_fit() {
    let nodes = [1, 10, 15, 20]
        .map(|cores| class(cores * 1_000, 8_192, 0))
        .to_vec();
    let told = explain(&mut placer(grid(nodes), "nova"), &vm(5_000, 512));
    check_column(&told, "cpu free", &[0.0, 0.5, 1.0]);
}

/// Two nodes of 4 cores and 8 GiB, the second with half its cores taken; a VM of 1 core and 2 GiB.
fn half_taken(policy: &str) -> Explanation {
    let nodes = grid(vec![class(4_000, 8_192, 0), class(4_000, 8_192, 0)]);
    let mut placer = placer(nodes, policy);
    put(&mut placer, &vm(2_000, 0), 1, &[]);
    explain(&mut placer, &vm(1_000, 2_048))
}

/// Demand (1/4, 1/4) times free (1, 1) and (1/2, 1).
#[test]
fn dot_product_multiplies_demand_and_free() {
    let told = half_taken("dot-product");
    check_column(&told, "cpu, high", &[0.25, 0.125]);
    check_column(&told, "mem, high", &[0.25, 0.25]);
    check_chosen(&told, 0);
}

/// What is left is (3/4, 3/4) and (1/4, 3/4); the squares are the terms.
#[test]
fn l2_squares_what_is_left() {
    let told = half_taken("l2");
    check_column(&told, "cpu, low", &[0.5625, 0.0625]);
    check_column(&told, "mem, low", &[0.5625, 0.5625]);
    check_chosen(&told, 1);
}

/// Use after placement is (1/4, 1/4), along the diagonal, and (3/4, 1/4), off it.
#[test]
fn cosine_prefers_even_use() {
    let told = half_taken("cosine");
    check_column(&told, "cpu, near equal", &[0.25, 0.75]);
    check_column(&told, "mem, near equal", &[0.25, 0.25]);
    check_chosen(&told, 0);
}

/// Reckoned apart by the formula: use before is (0, 0) and (1/2, 0). With the VM on the first node
/// the criteria are 1 + sqrt((1/16 + 1/4) / 2), 1 + 1/2, 1 + sqrt(1/32), 1 + 1/4; on the second
/// 1 + sqrt((9/16) / 2), 1 + 3/4, and the same for memory. So only processor counts, the first is
/// the ideal and the second the worst.
#[test]
fn topsis_is_near_the_ideal() {
    let told = half_taken("topsis");
    check_column(&told, "mean cpu", &[1.395_285, 1.530_330]);
    check_column(&told, "highest cpu", &[1.5, 1.75]);
    check_column(&told, "mean mem", &[1.176_777, 1.176_777]);
    check_column(&told, "highest mem", &[1.25, 1.25]);
    check_column(&told, "closeness, high", &[1.0, 0.0]);
    check_chosen(&told, 0);
}

/// Three unlike nodes, reckoned apart by the formula in another language.
#[test]
fn topsis_weighs_unlike_nodes() {
    let nodes = vec![
        class(4_000, 8_192, 0),
        class(8_000, 8_192, 0),
        class(16_000, 65_536, 0),
    ];
    let mut placer = placer(grid(nodes), "topsis");
    put(&mut placer, &vm(1_000, 1_024), 0, &[]);
    put(&mut placer, &vm(4_000, 2_048), 1, &[]);
    put(&mut placer, &vm(2_000, 16_384), 2, &[]);
    let told = explain(&mut placer, &vm(1_000, 2_048));
    check_column(&told, "mean cpu", &[1.414578, 1.395285, 1.340419]);
    check_column(&told, "highest cpu", &[1.500000, 1.625000, 1.500000]);
    check_column(&told, "mean mem", &[1.297560, 1.330719, 1.228930]);
    check_column(&told, "highest mem", &[1.375000, 1.500000, 1.281250]);
    check_column(&told, "closeness, high", &[0.559278, 0.008465, 1.000000]);
    check_chosen(&told, 2);
}

/// The mix is one shape of 2 cores and 2 GiB. On the first node it still fits afterwards, and
/// nothing is stranded; on the second a core of the largest node's 4 and a GiB of its 8 are left
/// and useless: 1/4 + 1/8.
#[test]
fn stranded_aware_keeps_room_for_the_mix() {
    let nodes = || grid(vec![class(4_000, 8_192, 0), class(2_000, 2_048, 0)]);
    let mut careful = placer(nodes(), "stranded-aware");
    let typical = careful.shape(&vm(2_000, 2_048));
    careful.set_mix(&[(typical, 10)]);
    let told = explain(&mut careful, &vm(1_000, 1_024));
    check_column(&told, "stranded growth, low", &[0.0, 0.375]);
    check_chosen(&told, 0);
    check_chosen(
        &explain(&mut placer(nodes(), "best-fit"), &vm(1_000, 1_024)),
        1,
    );
    assert_eq!(careful.unusable_parts(NodeId(1)), 0);
    put(&mut careful, &vm(1_000, 1_024), 1, &[]);
    assert_eq!(careful.unusable_parts(NodeId(1)), placement::mix::MIX_PARTS);
}

/// Half the mix asks half a device, half a whole one. Half a device taken of two whole ones leaves
/// 500 thousandths that only half the mix can use: 250. Taken of the node whose first device is
/// half used, on that device, it frees it of fragments: -250; on its second none would be whole.
#[test]
fn fragmentation_gradient_fills_broken_devices() {
    let half = with(vm(100, 100), AcceleratorAmount::ShareMilli(500));
    let whole = with(vm(100, 100), AcceleratorAmount::Devices(1));
    let nodes = grid(vec![class(8_000, 8_192, 2), class(8_000, 8_192, 2)]);
    let mut placer = placer(nodes, "fragmentation-gradient");
    let mix = [(placer.shape(&half), 1), (placer.shape(&whole), 1)];
    placer.set_mix(&mix);
    put(&mut placer, &half, 1, &[(0, 500)]);
    let told = explain(&mut placer, &half);
    check_column(&told, "fragment growth milli, low", &[250.0, -250.0]);
    check_chosen(&told, 1);
    assert_eq!(
        told.chosen.map(|chosen| chosen.devices),
        Some(vec![(0, 500)])
    );
}

/// A VM that takes the last cores strands its node's devices: all 2,000 thousandths become useless.
#[test]
fn fragmentation_gradient_counts_missing_cores() {
    let whole = with(vm(2_000, 100), AcceleratorAmount::Devices(1));
    let nodes = grid(vec![class(4_000, 8_192, 2), class(4_000, 8_192, 0)]);
    let mut placer = placer(nodes, "fragmentation-gradient");
    let mix = [(placer.shape(&whole), 1)];
    placer.set_mix(&mix);
    let told = explain(&mut placer, &vm(3_000, 100));
    check_column(&told, "fragment growth milli, low", &[2_000.0, 0.0]);
    check_chosen(&told, 1);
}

/// A share goes to the fullest device that still has it; whole devices to the lowest whole ones.
#[test]
fn devices_are_chosen_to_keep_whole_ones() {
    let mut placer = placer(grid(vec![class(8_000, 8_192, 4)]), "best-fit");
    let share = |milli| with(vm(100, 100), AcceleratorAmount::ShareMilli(milli));
    put(&mut placer, &share(300), 0, &[(1, 300)]);
    put(&mut placer, &share(600), 0, &[(2, 600)]);
    let devices = |placer: &mut Placer, spec: &VmSpec| {
        let chosen = explain(placer, spec).chosen;
        chosen.map(|chosen| chosen.devices)
    };
    assert_eq!(devices(&mut placer, &share(400)), Some(vec![(2, 400)]));
    assert_eq!(devices(&mut placer, &share(500)), Some(vec![(1, 500)]));
    assert_eq!(devices(&mut placer, &share(800)), Some(vec![(0, 800)]));
    let two = with(vm(100, 100), AcceleratorAmount::Devices(2));
    assert_eq!(
        devices(&mut placer, &two),
        Some(vec![(0, 1_000), (3, 1_000)])
    );
}

/// Of 12,000 lots over the three nodes that fit each gets its third, within six standard deviations.
#[test]
fn random_fit_is_even() {
    let nodes = [4, 1, 4, 4]
        .map(|cores| class(cores * 1_000, 8_192, 0))
        .to_vec();
    let mut placer = placer(grid(nodes), "random-fit");
    let shape = placer.shape(&vm(2_000, 512));
    let mut counts = [0_i32; 4];
    for _ in 0..12_000 {
        let request = Request { shape, groups: &[] };
        let decision = placer.decide(request).expect("three nodes fit");
        counts[decision.node.index()] += 1;
    }
    let even = |count: i32| (count - 4_000).abs() < 310;
    assert!(
        even(counts[0]) && counts[1] == 0 && even(counts[2]) && even(counts[3]),
        "{counts:?}"
    );
}

/// Where fewer nodes are kept than are shown, the text tells how many it leaves out all the same.
#[test]
fn an_explanation_counts_what_it_leaves_out() {
    let nodes = (0..5).map(|_| class(1_000, 512, 0)).collect();
    let mut placer = placer(grid(nodes), "best-fit");
    let shape = placer.shape(&vm(2_000, 1));
    let request = Request { shape, groups: &[] };
    let text = placer.explain_within(request, 2).to_string();
    assert!(text.contains("refused by free-cpu: 5 nodes"), "{text}");
    assert!(text.contains("  … 3 more\n"), "{text}");
}

/// Names of the catalogue lead to their policies; others to the list and the nearest name.
#[test]
fn policies_are_found_by_name() {
    for policy in Policy::all() {
        assert_eq!(Policy::named(&policy.name()), Ok(policy));
    }
    assert_eq!(Policy::named("best-of-7"), Ok(Policy::BestOf { k: 7 }));
    let error = Policy::named("bestfit").expect_err("no such policy");
    assert_eq!(error.nearest, Some("best-fit"));
    let text = error.to_string();
    assert!(
        text.starts_with("unknown policy \"bestfit\"; known are first-fit, best-fit, "),
        "{text}"
    );
    assert!(text.ends_with("hint: did you mean best-fit?"), "{text}");
    assert!(Policy::named("best-of-0").is_err());
}
