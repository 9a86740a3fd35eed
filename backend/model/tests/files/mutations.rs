//! Files with a slip of the pen: never a panic, always faults that point into the file.

use model::design_file::{check_design, read_design};
use model::fault::Faults;
use model::grid_file::read_grid;
use model::hypervisor_file::read_profile;
use model::samples::{DESIGNS, GRIDS};
use model::toml_reader::field_lines;
use proptest::prelude::*;

/// One slip: at which part of the file, in millionths, and of what kind.
#[derive(Clone, Debug)]
enum Slip {
    DropByte(usize),
    DropLine(usize),
    SwapChars(usize),
    DoubleLine(usize),
    Insert(usize, String),
    Cut(usize),
}

fn slips() -> impl Strategy<Value = Vec<Slip>> {
    let at = || 0..1_000_000_usize;
    let slip = prop_oneof![
        at().prop_map(Slip::DropByte),
        at().prop_map(Slip::DropLine),
        at().prop_map(Slip::SwapChars),
        at().prop_map(Slip::DoubleLine),
        (at(), "[-0-9\"'\\[\\]{}=,.#\n\\PC]{1,4}").prop_map(|(at, text)| Slip::Insert(at, text)),
        at().prop_map(Slip::Cut),
    ];
    proptest::collection::vec(slip, 1..6)
}

fn slipped(text: &str, slips: &[Slip]) -> String {
    let mut text = text.to_owned();
    for slip in slips {
        let mut chars: Vec<char> = text.chars().collect();
        let lines: Vec<&str> = text.lines().collect();
        let place = |at: &usize, of: usize| at * of / 1_000_000;
        text = match slip {
            _ if chars.len() < 2 => break,
            Slip::DropByte(at) => {
                chars.remove(place(at, chars.len()));
                chars.into_iter().collect()
            }
            Slip::SwapChars(at) => {
                let at = place(at, chars.len() - 1);
                chars.swap(at, at + 1);
                chars.into_iter().collect()
            }
            Slip::Insert(at, new) => {
                let at = place(at, chars.len());
                let (before, after) = chars.split_at(at);
                before
                    .iter()
                    .copied()
                    .chain(new.chars())
                    .chain(after.iter().copied())
                    .collect()
            }
            Slip::Cut(at) => chars[..place(at, chars.len())].iter().collect(),
            Slip::DropLine(at) => {
                let at = place(at, lines.len());
                [&lines[..at], &lines[at + 1..]].concat().join("\n")
            }
            Slip::DoubleLine(at) => {
                let at = place(at, lines.len());
                [&lines[..=at], &lines[at..]].concat().join("\n")
            }
        };
    }
    text
}

fn check<T>(text: &str, result: Result<T, Faults>) {
    let Err(Faults(faults)) = result else {
        return;
    };
    assert!(!faults.is_empty());
    let lines = text.lines().count().max(1) as u32;
    let mut before = 0;
    for fault in faults {
        assert!(fault.line <= lines, "{fault} of {lines} lines in {text:?}");
        assert!(fault.line >= before, "{fault} out of order");
        assert!(
            !fault.found.is_empty() && !fault.expected.is_empty(),
            "{fault:?}"
        );
        assert!(
            !fault.to_string().contains('\n'),
            "{fault:?} takes several lines"
        );
        before = fault.line;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Mutilated grids are read, or refused with faults that point into them. The grid of a hundred
    /// thousand nodes is left out: it would take most of the time and show nothing more.
    #[test]
    fn mutilated_grids(which in 0..GRIDS.len() - 1, slips in slips()) {
        let text = slipped(GRIDS[which].text, &slips);
        check(&text, read_grid("grid.toml", &text));
        field_lines(&text);
    }

    /// Mutilated designs are read, or refused with faults that point into them.
    #[test]
    fn mutilated_designs(which in 0..DESIGNS.len(), slips in slips()) {
        let text = slipped(DESIGNS[which].text, &slips);
        check(&text, read_design("design.toml", &text));
        check(&text, check_design("design.toml", &text));
    }

    /// Mutilated profiles are read, or refused with faults that point into them.
    #[test]
    fn mutilated_profiles(slips in slips()) {
        let text = slipped(include_str!("../../../../assets/hypervisors/qemu.toml"), &slips);
        check(&text, read_profile("qemu.toml", &text));
    }

    /// What is no file of ours at all never makes the reader panic.
    #[test]
    fn any_text(text in "[-\\[\\]{}=,.#\n\"'a-c0-9\\PC\r]{0,80}") {
        check(&text, read_grid("grid.toml", &text));
        check(&text, check_design("design.toml", &text));
    }
}
