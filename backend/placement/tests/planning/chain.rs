//! Chains of rules: what they prefer, how they pack.

use model::grid::NodeClass;
use model::hypervisor::{Arch, Efficiency, Guest, Hypervisor, HypervisorType, Virtualisation};
use model::id::{HypervisorId, SiteId};
use model::units::{Dimension, Resources};
use model::vm::{Risk, VmSpec};
use placement::facts::{NodeFacts, ShapeFacts};
use placement::rule::term::{Over, Term};
use placement::rule::{Buckets, ChainError, Prefer, Rule, RuleChain};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// A node of 100 cores and 1000 MiB, as a case changes it.
#[derive(Clone)]
struct Side {
    class: NodeClass,
    efficiency: Efficiency,
    free: Resources,
    vms_by_risk: [u32; 3],
    expected_cpu_milli: u64,
    site: u32,
    /// The grid's prices.
    licence_costs: BTreeMap<String, u32>,
}

impl Side {
    fn free(cpu_milli: u32, mem_mib: u32) -> Self {
        Self {
            class: NodeClass {
                name: "small".into(),
                model: "small".into(),
                arch: Arch::X86_64,
                hypervisor: HypervisorId(0),
                capacity: Resources::cpu_mem(100_000, 1_000),
                accelerators: None,
                licences: BTreeSet::new(),
                roles: BTreeSet::new(),
                labels: BTreeMap::new(),
                risk: Risk::High,
                cost_milli_per_hour: 100,
            },
            efficiency: Efficiency::default(),
            free: Resources::cpu_mem(cpu_milli, mem_mib),
            vms_by_risk: [0; 3],
            expected_cpu_milli: 0,
            site: 0,
            licence_costs: BTreeMap::from([
                ("mysql".to_owned(), 40),
                ("oracle".to_owned(), 900),
                ("windows".to_owned(), 110),
            ]),
        }
    }

    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn facts(&self, spec: &VmSpec) -> (ShapeFacts, NodeFacts) {
        let hypervisor = Hypervisor {
            name: "qemu".into(),
            title: "QEMU/KVM".into(),
            hypervisor_type: HypervisorType::Type1,
            virtualisation: vec![Virtualisation::Full],
            archs: vec![Arch::X86_64],
            emulated_archs: Vec::new(),
            guests: vec![Guest::Linux],
            capabilities: Vec::new(),
            efficiency: self.efficiency,
            source: String::new(),
        };
        let grid = model::grid::Grid {
            hypervisors: vec![hypervisor],
            licence_cost_milli_per_hour: self.licence_costs.clone(),
            ..Default::default()
        };
        let shape = ShapeFacts::new(spec, &self.class, &grid).expect("a fixed demand");
        let node = NodeFacts {
            site: SiteId(self.site),
            free: self.free,
            vms: self.vms_by_risk.iter().sum(),
            vms_by_risk: self.vms_by_risk,
            expected_cpu_milli: self.expected_cpu_milli,
        };
        (shape, node)
    }
}

/// Checks that a chain of one rule prefers the first of two nodes for a VM of 4 cores and 90 MiB.
fn check_prefers(rule: Rule, better: &Side, worse: &Side) {
    let spec = VmSpec::plain(Resources::cpu_mem(4_000, 90));
    check_prefers_for(&spec, rule, better, worse);
}

fn check_prefers_for(spec: &VmSpec, rule: Rule, better: &Side, worse: &Side) {
    let head = format!("{rule:?}");
    let chain = RuleChain::new("test", vec![rule]).expect("one rule fits");
    let grid = model::grid::Grid {
        sites: ["berlin", "paris"]
            .map(|name| model::grid::Site { name: name.into() })
            .into(),
        ..Default::default()
    };
    let compiled = chain.compile(&grid);
    let key = |side: &Side| {
        let (shape, node) = side.facts(spec);
        compiled.key(&shape, &node)
    };
    assert!(
        key(better) < key(worse),
        "{head}: {} against {}",
        key(better),
        key(worse)
    );
}

/// The 90 MiB VM goes to the node with 100 MiB free, not to the one with 512.
#[test]
fn a_small_vm_goes_where_it_just_fits() {
    let rule = Rule::new(Term::Leftover(Over::One(Dimension::Mem)), Prefer::Low);
    check_prefers(rule, &Side::free(50_000, 100), &Side::free(50_000, 512));
}

/// Every term tells the better of two nodes by what it is there for, and by that alone.
#[test]
fn every_term_prefers_the_better_node() {
    let node = || Side::free(50_000, 500);
    let low = |term| Rule::new(term, Prefer::Low);
    let high = |term| Rule::new(term, Prefer::High);
    check_prefers(
        low(Term::Leftover(Over::All)),
        &Side::free(40_000, 400),
        &node(),
    );
    check_prefers(
        high(Term::Fullness(Over::One(Dimension::Cpu))),
        &Side::free(20_000, 900),
        &node(),
    );
    check_prefers(
        high(Term::Fullness(Over::All)),
        &Side::free(40_000, 400),
        &node(),
    );
    check_prefers(low(Term::Fullest), &node(), &Side::free(90_000, 200));
    let fast = |side: &mut Side| side.efficiency.compute_milli = 977;
    let slow = |side: &mut Side| side.efficiency.compute_milli = 448;
    check_prefers(
        high(Term::Efficiency),
        &node().with(fast),
        &node().with(slow),
    );
    let licensed = |side: &mut Side| side.class.licences = ["windows".to_owned()].into();
    check_prefers(low(Term::LicenceCost), &node(), &node().with(licensed));
    check_prefers(low(Term::UnusedLicences), &node(), &node().with(licensed));
    let dear = |side: &mut Side| side.class.cost_milli_per_hour = 101;
    check_prefers(low(Term::NodeCost), &node(), &node().with(dear));
    let trusted = |side: &mut Side| side.class.risk = Risk::Low;
    check_prefers(low(Term::TenantRiskGap), &node().with(trusted), &node());
    let risky = |side: &mut Side| side.vms_by_risk = [1, 0, 1];
    let calm = |side: &mut Side| side.vms_by_risk = [2, 0, 0];
    check_prefers(
        low(Term::TenantRiskMix),
        &node().with(calm),
        &node().with(risky),
    );
    let busy = |side: &mut Side| side.expected_cpu_milli = 40_000;
    check_prefers(low(Term::ExpectedLoad), &node(), &node().with(busy));
    let paris = |side: &mut Side| side.site = 1;
    let sites = Term::Site(vec!["paris".into(), "rome".into()]);
    check_prefers(low(sites), &node().with(paris), &node());
    check_prefers(low(Term::Vms), &node(), &node().with(calm));
    check_prefers(low(Term::EmptyNode), &node().with(calm), &node());
    check_prefers(
        high(Term::DotProduct),
        &Side::free(100_000, 1_000),
        &Side::free(20_000, 200),
    );
    check_prefers(high(Term::Cosine), &node(), &Side::free(90_000, 200));
    check_prefers(low(Term::L2), &Side::free(40_000, 400), &node());
    check_prefers(low(Term::Stranded), &node(), &Side::free(90_000, 200));
}

/// What licences cost that a VM has no use for, reckoned by hand: of 40 for mysql, 900 for oracle,
/// 110 for windows, and nothing for a licence without a price.
#[test]
fn licences_weigh_by_their_prices() {
    let carrying = |licences: &[&str]| {
        let set = licences.iter().map(|name| (*name).to_owned()).collect();
        Side::free(50_000, 500).with(|side| side.class.licences = set)
    };
    let measured = |node: &[&str], vm: &[&str]| {
        let mut spec = VmSpec::plain(Resources::cpu_mem(4_000, 90));
        spec.licences = vm.iter().map(|name| (*name).to_owned()).collect();
        let rules = vec![
            Rule::new(Term::LicenceCost, Prefer::Low),
            Rule::new(Term::UnusedLicences, Prefer::Low),
        ];
        let chain = RuleChain::new("test", rules).expect("two rules fit");
        assert_eq!(
            chain.columns(),
            ["licence-cost (milli_per_hour), low", "unused-licences, low"]
        );
        let (shape, facts) = carrying(node).facts(&spec);
        let values = chain.compile(&Default::default()).values(&shape, &facts);
        (values[0].value as u32, values[1].value as u32)
    };
    assert_eq!(measured(&[], &[]), (0, 0));
    assert_eq!(measured(&["oracle", "windows"], &[]), (1_010, 2));
    assert_eq!(measured(&["oracle", "windows"], &["windows"]), (900, 1));
    assert_eq!(measured(&["oracle", "windows"], &["oracle"]), (110, 1));
    assert_eq!(measured(&["mysql", "windows", "unpriced"], &[]), (150, 3));
    // Two cheap licences are rather wasted than a dear one, though they are more.
    let low = |term| Rule::new(term, Prefer::Low);
    let (cheap, dear) = (carrying(&["mysql", "windows"]), carrying(&["oracle"]));
    check_prefers(low(Term::LicenceCost), &cheap, &dear);
    check_prefers(low(Term::UnusedLicences), &dear, &cheap);
    // A VM that needs the dear one goes where nothing else is wasted.
    let mut needs_oracle = VmSpec::plain(Resources::cpu_mem(4_000, 90));
    needs_oracle.licences = ["oracle".to_owned()].into();
    let both = carrying(&["mysql", "oracle"]);
    check_prefers_for(&needs_oracle, low(Term::LicenceCost), &dear, &both);
}

/// Prices past what a number holds count as the most that it holds, not as little.
#[test]
fn endless_prices_do_not_wrap() {
    let most = |side: &mut Side| {
        side.class.licences = ["a", "b"].map(str::to_owned).into();
        side.licence_costs = side
            .class
            .licences
            .iter()
            .map(|l| (l.clone(), u32::MAX))
            .collect();
    };
    let (shape, _) = Side::free(1, 1)
        .with(most)
        .facts(&VmSpec::plain(Resources::default()));
    assert_eq!(shape.unused_licence_cost_milli_per_hour, u32::MAX);
}

/// A chain without rules, one wider than the key, and buckets of the wrong kind are refused.
#[test]
fn chains_that_cannot_be_packed_are_refused() {
    let wide = || Rule::new(Term::Leftover(Over::One(Dimension::Mem)), Prefer::Low);
    let refused = |rules| RuleChain::new("test", rules).expect_err("a bad chain");
    assert_eq!(
        refused(vec![]),
        ChainError::NoRule {
            name: "test".into()
        }
    );
    assert_eq!(
        refused(vec![wide(), wide(), wide()]).to_string(),
        "chain \"test\" needs 96 bits, its key has 63 (leftover mem 32 + leftover mem 32 + leftover mem 32)\n\
         hint: give wider buckets (bucket = …), an end (up_to = …) or fewer buckets (buckets = …)"
    );
    let mut wrong = wide();
    wrong.buckets = Buckets::OfShare { count: 16 };
    assert!(matches!(
        refused(vec![wrong]),
        ChainError::NoBuckets { rule: 1, .. }
    ));
    let mut narrow = wide();
    narrow.buckets = Buckets::OfUnits {
        width: 2,
        up_to: u32::MAX,
    };
    let chain = RuleChain::new("test", vec![wide(), narrow]);
    assert_eq!(chain.map(|chain| chain.bits()), Ok(63), "it just fits");
}

fn rules() -> impl Strategy<Value = Vec<Rule>> {
    let rule = (any::<bool>(), any::<bool>(), 1..5_000_u32, 0..u32::MAX).prop_map(
        |(share, low, buckets, up_to)| Rule {
            term: if share { Term::Fullest } else { Term::Vms },
            prefer: if low { Prefer::Low } else { Prefer::High },
            buckets: if share {
                Buckets::OfShare { count: buckets }
            } else {
                Buckets::OfUnits {
                    width: buckets,
                    up_to,
                }
            },
        },
    );
    prop::collection::vec(rule, 1..5)
}

proptest! {
    /// Packed keys compare as the tuples of ranks do, whatever the rules.
    #[test]
    fn packing_keeps_the_order_of_the_tuples(
        rules in rules(),
        draws in prop::collection::vec((any::<u32>(), any::<u32>()), 5),
    ) {
        let Ok(chain) = RuleChain::new("test", rules) else {
            return Ok(());
        };
        let ranks = |side: fn(&(u32, u32)) -> u32| -> Vec<u32> {
            chain.rules().iter().zip(&draws)
                .map(|(rule, draw)| (u64::from(side(draw)) % (u64::from(rule.buckets.last()) + 1)) as u32)
                .collect()
        };
        let (a, b) = (ranks(|draw| draw.0), ranks(|draw| draw.1));
        prop_assert_eq!(chain.pack(&a).cmp(&chain.pack(&b)), a.cmp(&b));
    }

    /// The key is the packing of the ranks that the explanation shows, and no rank is past its last bucket.
    #[test]
    fn the_key_is_what_the_explanation_says(
        rules in rules(),
        free in (0..100_000_u32, 0..1_000_u32),
        vms in 0..100_000_u32,
        asked in (0..100_000_u32, 0..1_000_u32),
    ) {
        let Ok(chain) = RuleChain::new("test", rules) else {
            return Ok(());
        };
        let side = Side::free(free.0, free.1).with(|side| side.vms_by_risk[0] = vms);
        let (shape, node) = side.facts(&VmSpec::plain(Resources::cpu_mem(asked.0, asked.1)));
        let compiled = chain.compile(&model::grid::Grid::default());
        let ranks: Vec<u32> = compiled.values(&shape, &node).iter().map(|v| v.rank).collect();
        for (rule, rank) in chain.rules().iter().zip(&ranks) {
            prop_assert!(*rank <= rule.buckets.last());
        }
        prop_assert_eq!(compiled.key(&shape, &node), chain.pack(&ranks));
    }
}
