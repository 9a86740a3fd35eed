//! Whatever is filled in, it ends no line and no word.

use minijinja::context;
use model::configuration::Piece;
use proptest::prelude::*;
use recipe::parameter::ParameterKind;
use recipe::template::{fill, fill_plain};

fn text(template: &str, value: &str) -> Result<String, String> {
    let scene = context! { value };
    let pieces = fill(template, &scene).map_err(|error| error.to_string())?;
    let texts = pieces.into_iter().map(|piece| match piece {
        Piece::Text(text) => text,
        Piece::Key(key) => panic!("{key} of no password"),
    });
    Ok(texts.collect())
}

/// What is not there is told, and nothing is filled in its place.
#[test]
fn a_hole_is_told() {
    let error = text("port {{ prot }}", "80").expect_err("a hole");
    assert!(error.contains("line 1: undefined value"), "{error}");
}

/// A name cannot bring a directive with it.
#[test]
fn no_name_brings_a_directive() {
    for value in [
        "a b", "a;b", "a\nb", "{a", "$(a)", "a'b", "a\"b", "a#b", "a\\b", "ä",
    ] {
        assert!(text("server {{ value }}", value).is_err(), "{value:?}");
    }
    let plain = text("server {{ value }}", "web-0.a_b:80");
    assert_eq!(plain, Ok("server web-0.a_b:80".into()));
}

/// No text is a password, and no password is a part of a command.
#[test]
fn no_text_is_a_password() {
    let mark = "\u{e000}5\u{e000}";
    assert!(text("{{ value }}", mark).is_err());
    assert!(text("{{ value|shell }}", mark).is_err());
    let scene = context! { value => minijinja::Value::from_safe_string(mark.to_owned()) };
    assert!(fill("{{ value|shell }}", &scene).is_ok());
    assert!(fill_plain("echo {{ value|shell }}", &scene).is_err());
}

/// A loop without end is ended.
#[test]
fn a_loop_without_end_is_ended() {
    let loops = "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}\
        {% endfor %}{% endfor %}{% endfor %}";
    assert!(text(loops, "").is_err());
}

proptest! {
    /// Filled in plainly, any text is itself without blanks and quotes, or it is refused.
    #[test]
    fn plain_texts_stay_one_word(value in "\\PC*|.*") {
        if let Ok(filled) = text("{{ value }}", &value) {
            prop_assert_eq!(&filled, &value);
            let ends = |c: char| c.is_whitespace() || "'\"\\;#{}$`&|<>()".contains(c);
            prop_assert!(!filled.contains(|c: char| c.is_control() || ends(c)));
        }
    }

    /// Quoted, any text is one literal: its quote is nowhere in it but doubled or escaped.
    #[test]
    fn quoted_texts_stay_one_literal(value in "[a-z' \"\\\\\n;$-]{0,12}") {
        for (filter, quote, pair) in [
            ("sql_text", '\'', "''"),
            ("sql_name", '"', "\"\""),
            ("shell", '\'', r"'\''"),
        ] {
            let Ok(filled) = text(&format!("{{{{ value|{filter} }}}}"), &value) else {
                prop_assert!(value.contains(['\n', '\\']), "{value:?} is refused by {filter}");
                continue;
            };
            let inside = filled.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
            let inside = inside.expect("quotes around it");
            prop_assert!(!inside.replace(pair, "").contains(quote), "{filled}");
            prop_assert_eq!(inside.replace(pair, &quote.to_string()), value.clone());
        }
    }

    /// What a setting's type lets through may be filled in plainly, networks one by one.
    #[test]
    fn settings_are_plain(value in "[0-9a-zA-Z.:/ ;'%-]{0,20}") {
        for kind in [
            ParameterKind::Whole { least: 0, most: u64::MAX },
            ParameterKind::Bytes,
            ParameterKind::Networks,
            ParameterKind::Name,
        ] {
            if kind.check(&value).is_ok() {
                for word in value.split_whitespace() {
                    prop_assert_eq!(text("{{ value }}", word), Ok(word.to_owned()));
                }
            }
        }
    }
}
