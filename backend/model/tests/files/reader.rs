//! What every file has in common: syntax, lines, kinds of values.

use model::toml_reader::{Table, field_lines, read};

fn check(text: &str, keys: &[&'static str], ask: fn(&Table<'_>), expected: &str) {
    let faults = read("f.toml", text, keys, |table| {
        ask(table);
        Some(())
    })
    .map_or_else(|faults| faults.to_string(), |()| String::new());
    assert_eq!(faults, expected, "of {text:?}");
}

/// Every value that is not of its kind or range is told with its line, its path, and what would do.
#[test]
fn wrong_values_are_told() {
    let ask = |table: &Table<'_>| {
        table.optional("whole", |v| v.whole(1..=9));
        table.optional("scaled", |v| v.scaled(1_000, 1..=u32::MAX));
        table.optional("switch", |v| v.switch());
        table.optional("name", |v| v.name());
        table.optional("list", |v| v.list(|item| item.text()));
        table.optional("number", |v| v.number(0.0..=1.0));
        table.required("must", |v| v.text());
    };
    let keys = &[
        "whole", "scaled", "switch", "name", "list", "number", "must",
    ];
    check(
        "must = 'x'\nwhole = 0x5\nscaled = 0.001\nswitch = true\nname = 'a b'\nnumber = 1\nlist = []",
        keys,
        ask,
        "",
    );
    check(
        "whole = 99999999999999999999\nscaled = -0.5\nswitch = 1\nname = ' a'\nlist = ['a',\n2]\nnumber = nan",
        keys,
        ask,
        "\
f.toml: must: found nothing, expected a text of at most 200 characters
f.toml:1: whole: found 99999999999999999999, expected a whole number from 1 to 9
f.toml:2: scaled: found -0.5, expected a number from 0.001 to 4294967.295
f.toml:3: switch: found 1, expected true or false
f.toml:4: name: found \" a\", expected a name of 1 to 200 characters, without control characters or outer blanks
f.toml:6: list[1]: found 2, expected a text of at most 200 characters
f.toml:7: number: found nan, expected a number from 0 to 1",
    );
}

/// Every broken line is told once; wrong values are told beside them, what is missing or unknown is not.
#[test]
fn syntax_errors_are_told_together_and_without_echoes() {
    check(
        "whole = \nscaled = 12\nswitch = tru\nwhole = 3\n[table\n",
        &["whole", "scaled", "must"],
        |table| {
            table.optional("whole", |v| v.whole(1..=9));
            table.optional("scaled", |v| v.whole(1..=9));
            table.required("must", |v| v.text());
        },
        "\
f.toml:1: found `whole =`, expected a value after the equals sign
f.toml:2: scaled: found 12, expected a whole number from 1 to 9
f.toml:3: found `switch = tru`, expected TOML (invalid boolean, expected `true`)
f.toml:4: found `whole = 3`, expected TOML (duplicate key)
f.toml:5: found `[table`, expected TOML (unclosed table, expected `]`)",
    );
}

/// A single table where a list of tables belongs gets a hint.
#[test]
fn one_bracket_too_few_gets_a_hint() {
    check(
        "[node]\nname = 'a'",
        &["node"],
        |table| {
            table.tables("node", &["name"], |_| Some(()));
        },
        "f.toml:1: node: found one table [node], expected a list of tables [[node]]; hint: write [[node]] with two brackets",
    );
}

/// Lines of fields are found by the paths that faults give.
#[test]
fn fields_have_lines() {
    let lines = field_lines("a = 1\n[[node]]\nb = 2\n[[node]]\n[node.sub]\nc = [\n1]");
    let line = |path: &str| lines.get(path).copied();
    assert_eq!(line("a"), Some(1));
    assert_eq!(line("node[0]"), Some(2));
    assert_eq!(line("node[0].b"), Some(3));
    assert_eq!(line("node[1].sub.c[0]"), Some(7));
    assert_eq!(line("none"), None);
}

/// Faults stay on one line, whatever a key or a broken line holds.
#[test]
fn faults_stay_on_one_line() {
    check(
        "\"a\\nb\" = 1\n\"c d\" = 2\nmust = 'x'",
        &["must"],
        |_| (),
        "\
f.toml:1: \"a\\u000Ab\": found an unknown key, expected one of must
f.toml:2: \"c d\": found an unknown key, expected one of must",
    );
    check(
        "must = 'x'\na\u{1}b",
        &["must"],
        |_| (),
        "f.toml:2: found `a�b`, expected TOML (key with no value, expected `=`)",
    );
}
