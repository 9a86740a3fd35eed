//! What each planted bug breaks, and how the world tells it.

use agent::planted::Bug as A;
use control::planted::Bug as C;
use world::workload::Day;

/// A bug, and where it is.
#[derive(Clone, Copy, Debug)]
pub enum Bug {
    Controller(C),
    Agent(A),
}

/// What always holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::VariantArray)]
pub enum Invariant {
    /// At most one copy of a VM runs.
    OneCopy,
    /// Nothing is restarted before its node's lease has lapsed.
    Fenced,
    /// No node is over its capacity.
    Capacity,
    /// Every accepted operation ends once, by its deadline.
    EndsOnce,
    /// A repeated id gives the first result.
    FirstResult,
    /// Orders of older generations are refused.
    Generations,
    /// At rest all is as wished, and no disk, address or lock is left over.
    NothingLeft,
    /// Space is given back once it is wiped.
    Wiped,
    /// Controller and placement make the same plan of the same view.
    OnePlanner,
}
use Invariant::*;

/// One bug.
pub struct Row {
    pub bug: Bug,
    /// What it breaks.
    pub breaks: Invariant,
    /// What the world tells then.
    pub told: &'static str,
    pub weather: Weather,
}

/// How much befalls a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::VariantArray)]
pub enum Weather {
    /// As in the soak.
    Usual,
    /// So much that a step breaks three times.
    Stormy,
}

impl Weather {
    pub fn day(self) -> Day {
        let usual = Day::default();
        match self {
            Self::Usual => usual,
            Self::Stormy => Day {
                faults: 150,
                breaking_milli: 700,
                ..usual
            },
        }
    }
}

const fn controller(bug: C, breaks: Invariant, told: &'static str) -> Row {
    Row {
        bug: Bug::Controller(bug),
        breaks,
        told,
        weather: Weather::Usual,
    }
}

const fn agent(bug: A, breaks: Invariant, told: &'static str) -> Row {
    Row {
        bug: Bug::Agent(bug),
        breaks,
        told,
        weather: Weather::Usual,
    }
}

const fn in_a_storm(row: Row) -> Row {
    let weather = Weather::Stormy;
    Row { weather, ..row }
}

pub const TABLE: &[Row] = &[
    controller(C::LeasesForgotten, Fenced, " was given up before "),
    controller(C::GraceForgotten, Fenced, " was given up before "),
    controller(C::StaleBeside, Capacity, " is over its "),
    controller(C::GrowthUnchecked, Capacity, " is over its "),
    controller(C::GrowthOneByOne, Capacity, " is over its "),
    controller(C::DrainInPairs, Capacity, " is over its "),
    controller(C::UnbegunWithoutDeadline, EndsOnce, " ended late"),
    controller(C::FailedTakenAgain, FirstResult, " was accepted twice"),
    controller(C::CancelledTakenAgain, FirstResult, " was accepted twice"),
    controller(C::IllegalTakenAgain, FirstResult, " was answered "),
    controller(C::AddressesTwice, NothingLeft, " has the address "),
    controller(C::LentGoesAlong, NothingLeft, " lends to "),
    controller(C::GoneUnhealed, NothingLeft, " was to be Gone"),
    controller(C::DeadNodesPlanned, OnePlanner, " follows another plan "),
    agent(A::NewestAtEnd, Generations, " after generation "),
    agent(A::OldCreates, Generations, " after generation "),
    agent(A::OldDeletes, Generations, " after generation "),
    agent(A::EndsForgotten, FirstResult, " again"),
    in_a_storm(agent(A::WipeGivenUp, Wiped, "released unwiped")),
    agent(A::MovedIsPlain, OneCopy, " runs on "),
];
