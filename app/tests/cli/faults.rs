//! Bad input: each ends in one clear error, the right exit code, and nothing left behind.

use crate::program::{GRID, Place, Ran, TRACE};

/// One `error:` line, the words given, the exit code given, and nothing new in the folder.
fn check(place: &Place, words: &str, code: i32, expected: &[&str]) {
    let before = place.names(".");
    let ran: Ran = place.run(words);
    assert_eq!(ran.code, Some(code), "{words}: {ran:?}");
    assert_eq!(
        ran.out, "",
        "{words}: results go nowhere where there are none"
    );
    let errors = ran.err.lines().filter(|line| line.starts_with("error: "));
    assert_eq!(errors.count(), 1, "one error of {words}: {}", ran.err);
    for text in expected {
        assert!(ran.err.contains(text), "{words}: {text:?} in {}", ran.err);
    }
    assert_eq!(place.names("."), before, "{words} leaves nothing behind");
}

/// A malformed line in the middle of a trace is named by file, line and field.
#[test]
fn a_malformed_line_is_named() {
    let place = Place::new();
    place.put(
        "broken.csv",
        &TRACE.replace("c,20,30,4,8", "c,20,thirty,4,8"),
    );
    check(
        &place,
        "simulate --trace broken.csv --grid grid.toml --policy best-fit --out results",
        1,
        &["broken.csv:4", "duration_s", "thirty", "expected"],
    );
}

/// A line cut short by a full disk or a broken download is named too.
#[test]
fn a_truncated_line_is_named() {
    let place = Place::new();
    place.put("broken.csv", &TRACE.replace("e,60,10,2,4\n", "e,60"));
    check(
        &place,
        "simulate --trace broken.csv --grid grid.toml --policy best-fit --json",
        1,
        &["broken.csv:6", "expected"],
    );
}

/// A negative core count is refused with its line, in a run and in a check.
#[test]
fn a_negative_core_count_is_refused() {
    let place = Place::new();
    place.put("bad.toml", &GRID.replace("cpu_cores = 4", "cpu_cores = -4"));
    let fault = "bad.toml:5: node[0].cpu_cores: found -4, expected a number from";
    check(
        &place,
        "simulate --trace trace.csv --grid bad.toml --policy best-fit --out results",
        1,
        &[fault],
    );
    let checked = place.run("check bad.toml");
    assert_eq!(checked.code, Some(1));
    assert!(checked.out.starts_with(fault), "{}", checked.out);
}

/// All faults of all files are told at once, beside the files that are sound.
#[test]
fn check_tells_all_faults() {
    let place = Place::new();
    place.put(
        "shop.toml",
        "[[component]]\nname = \"web\"\nkind = \"web-server\"\n\n[[link]]\nfrom = \"web\"\nto = \"db\"\n\n[[link]]\nfrom = \"lb\"\nto = \"web\"\n",
    );
    place.put(
        "rules.toml",
        "version = 1\nname = \"mine\"\n[[rule]]\nterm = \"lefover\"\n",
    );
    place.put("notes.txt", "nothing of ours\n");
    let ran = place.run("check grid.toml shop.toml rules.toml notes.txt none.toml");
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(lines[0], "grid.toml: ok, a grid of 2 nodes");
    for (start, found) in [
        ("shop.toml:7: link[0].to: found \"db\", expected ", 1),
        ("shop.toml:10: link[1].from: found \"lb\", expected ", 1),
        (
            "rules.toml:4: rule[0].term: found \"lefover\", expected ",
            1,
        ),
        ("notes.txt: found ", 1),
        ("none.toml: cannot read", 1),
    ] {
        let count = lines.iter().filter(|line| line.starts_with(start)).count();
        assert_eq!(count, found, "{start:?} in\n{}", ran.out);
    }
    assert_eq!(ran.err, "error: 4 of 5 files are faulty\n");
}

/// A licence for which the grid gives no price is sound, and told of.
#[test]
fn check_tells_of_licences_without_a_price() {
    let place = Place::new();
    let licences = "licences = [\"oracle\", \"windows\"]\n";
    let price = "[[licence]]\nname = \"windows\"\ncost_per_hour = 0.5\n";
    let grid = format!(
        "{price}[[node]]\nname = \"a\"\ncpu_cores = 4\nmem_gib = 8\nhypervisor = \"xen\"\n{licences}"
    );
    place.put("one.toml", &grid);
    let ran = place.run("check one.toml");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let expected = "one.toml: ok, a grid of 1 node; no [[licence]] gives a price for oracle\n";
    assert_eq!(ran.out, expected);
}

/// What is no file of ours is told by what it is: a folder, an empty file, bytes.
#[test]
fn check_tells_what_a_strange_file_is() {
    let place = Place::new();
    std::fs::create_dir(place.path().join("folder")).expect("a folder");
    std::fs::write(
        place.path().join("bytes"),
        [0x7f, b'E', b'L', b'F', 0xff, 0],
    )
    .expect("a file");
    place.put("empty.toml", "");
    place.put("é.txt", "é");
    let ran = place.run("check folder bytes empty.toml é.txt");
    let expected =
        "expected [[component]] of a design, [[node]] of a grid or [[rule]] of a rule chain";
    let lines = [
        format!("folder: found a folder, {expected}"),
        format!("bytes: found bytes that are no text, {expected}"),
        format!("empty.toml: found an empty file, {expected}"),
        format!("é.txt: found none of their tables, {expected}"),
    ];
    assert_eq!(ran.out.lines().collect::<Vec<_>>(), lines);
}

/// The node list of openb is a grid whatever the order of its columns, gzipped or not.
#[test]
fn node_lists_are_grids() {
    let place = Place::new();
    let text = "model,gpu,memory_mib,cpu_milli,sn\n,0,1024,4000,a\n";
    place.put("nodes.csv", text);
    let gzipped = std::fs::File::create(place.path().join("nodes.csv.gz")).expect("a file");
    let mut gzip = flate2::write::GzEncoder::new(gzipped, flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, text.as_bytes()).expect("there is space");
    gzip.finish().expect("there is space");
    let ran = place.run("check nodes.csv nodes.csv.gz");
    let told = "nodes.csv: ok, a grid of 1 node\nnodes.csv.gz: ok, a grid of 1 node\n";
    assert_eq!(ran.out, told, "{ran:?}");
}

/// A design for a grid, and the other way round, are usage, with what each option takes.
#[test]
fn swapped_files_are_told() {
    let place = Place::new();
    place.put(
        "web.toml",
        "[[component]]\nname = \"web\"\nkind = \"web-server\"\n",
    );
    let swapped = "plan --design grid.toml --grid web.toml";
    let told = [
        "--design names grid.toml, which is a grid, not a design",
        "hint: --design takes",
    ];
    check(&place, swapped, 2, &told);
    let twice = "plan --design web.toml --grid web.toml";
    check(
        &place,
        twice,
        2,
        &["--grid names web.toml, which is a design, not a grid"],
    );
    let run = "simulate --trace trace.csv --grid web.toml --policy best-fit";
    check(
        &place,
        run,
        2,
        &["--grid names web.toml, which is a design, not a grid"],
    );
}

/// A wait of less than nothing is refused as such, not as an unknown option.
#[test]
fn a_negative_patience_is_refused() {
    let run = "simulate --trace trace.csv --grid grid.toml --policy best-fit --queue --patience -1";
    check(
        &Place::new(),
        run,
        2,
        &["--patience", "not a number of seconds from 0 on"],
    );
}

/// What ships with the program is sound.
#[test]
fn shipped_files_are_sound() {
    let place = Place::new();
    let mut command = place.command();
    command.arg("check");
    for folder in ["designs", "grids", "hypervisors", "policies"] {
        let files = std::fs::read_dir(crate::program::asset(folder)).expect("assets are there");
        let paths = files.map(|file| file.expect("assets can be read").path());
        command.args(paths.filter(|path| path.extension().is_some_and(|e| e == "toml")));
    }
    let ran = Ran::from(command.output().expect("the binary can be run"));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.lines().count() >= 20, "{}", ran.out);
}

/// Wrong words on the command line are the user's, not the input's: exit code 2, with a hint.
#[test]
fn wrong_words_are_usage() {
    let place = Place::new();
    let on = "simulate --trace trace.csv --grid grid.toml";
    let unknown = ["unknown policy \"bestfit\"", "hint: ", "best-fit"];
    check(
        &place,
        &format!("{on} --policy bestfit --out results"),
        2,
        &unknown,
    );
    let format = ["unknown format \"xls\"", "vm-csv", "hint: "];
    check(
        &place,
        &format!("{on} --policy best-fit --format xls"),
        2,
        &format,
    );
    let twice = format!("{on} --policy best-fit --policy best-fit");
    check(&place, &twice, 2, &["best-fit is given twice"]);
    check(
        &place,
        &format!("{on} --policy best-fit --bins 0"),
        2,
        &["--bins"],
    );
    check(
        &place,
        &format!("{on} --policy best-fit --log"),
        2,
        &["--out"],
    );
    check(&place, on, 2, &["--policy"]);
    check(
        &place,
        "smulate",
        2,
        &["smulate is neither a command nor a file"],
    );
}

/// A trace or a grid that is not there, or is something else.
#[test]
fn missing_and_strange_files_are_told() {
    let place = Place::new();
    let policy = "--policy best-fit --json";
    let no_trace = format!("simulate --trace none.csv --grid grid.toml {policy}");
    check(&place, &no_trace, 1, &["none.csv", "No such file"]);
    let no_grid = format!("simulate --trace trace.csv --grid none.toml {policy}");
    check(&place, &no_grid, 1, &["none.toml", "No such file"]);
    place.put("prose.txt", "Call me Ishmael.\n");
    let prose = format!("simulate --trace prose.txt --grid grid.toml {policy}");
    check(&place, &prose, 1, &["prose.txt:1", "vm-csv"]);
}
