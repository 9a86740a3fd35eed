//! Recipes as files.

use model::design::{Component, ComponentKind};
use recipe::book::Book;

/// All faults of a file are told, with their lines.
#[test]
fn all_faults_of_a_recipe_are_told() {
    let text = "name = 'mine'\nkind = 'databse'\npasswrods = true\napply = ['echo {{ x']\n\
        [[parameter]]\nname = 'size'\ntype = 'whole'\nleast = 5\nmost = 9\ndefault = '4'\n\
        [[file]]\npath = 'etc/x'\ntext = 'a'\n\
        [[file]]\npath = '/etc/y'\nmode = 0o10000\n";
    let faults = Book::with(&[("mine.toml", text)]).expect_err("faults");
    let faults = faults.to_string();
    let expected = [
        "mine.toml:2: kind: found \"databse\", expected one of ",
        "mine.toml:3: passwrods: found an unknown key, expected one of ",
        "mine.toml:4: apply[0]: found line 1: syntax error",
        "mine.toml:10: parameter[0].default: found \"4\", expected a whole number from 5 to 9",
        "mine.toml:12: file[0].path: found \"etc/x\", expected an absolute path without . and ..",
        "mine.toml:14: file[1].text: found nothing, expected a text",
        "mine.toml:16: file[1].mode: found 0o10000, expected a whole number from 0 to 4095",
    ];
    for (found, expected) in faults.lines().zip(expected) {
        assert!(found.starts_with(expected), "{found}\n{expected}");
    }
    assert_eq!(faults.lines().count(), expected.len(), "{faults}");
    assert!(faults.contains("did you mean \"database\"?"), "{faults}");
}

/// A recipe of a customer's own stands before the kind's, and what it includes must be there.
#[test]
fn a_customers_recipe_is_found() {
    let text = "name = 'mine'\nkind = 'database'\napplication = 'valkey'\nincludes = ['guard']\n";
    let book = Book::with(&[("mine.toml", text)]).expect("a right recipe");
    let name = |component: &Component| book.recipe(component).map(|found| found.name.clone());
    let mut component = Component::new(ComponentKind::Database, "db");
    assert_eq!(name(&component), Ok("postgresql".to_owned()));
    component.add_applications = vec!["valkey".to_owned()];
    assert_eq!(name(&component), Ok("mine".to_owned()));
    component.kind = ComponentKind::Storage;
    assert_eq!(name(&component), Ok("plain".to_owned()));

    let faults = Book::with(&[("mine.toml", &text.replace("guard", "gard"))]);
    let faults = faults.expect_err("no gard").to_string();
    assert!(faults.contains("did you mean \"guard\"?"), "{faults}");
}
