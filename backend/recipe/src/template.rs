//! Fills a file; nothing that is filled in can end a line or a word of it.
//!
//! Templates are Jinja's. What `{{ … }}` gives must hold nothing but letters, digits and
//! `._:/@%+,=~-`, which mean nothing beyond themselves in any of the formats that recipes write;
//! anything else is refused, unless a filter has quoted it for the format at hand:
//!
//! | Filter | Gives |
//! |---|---|
//! | `socket(port)` | an address with its port, as `192.0.2.7:80` and `[2001:db8::7]:80` |
//! | `bracketed` | an address as it stands in URLs |
//! | `family` | `ip` or `ip6` |
//! | `network` | an address as a network of its own, with `/32` or `/128` |
//! | `addresses(family)` | of a list of instances all addresses of a family |
//! | `networks(family)` | of a text its networks of a family |
//! | `variable` | a name as a shell's variable is called, in upper case |
//! | `shell` | one word of a shell, or the value of a variable in a file of systemd's |
//! | `sql_name`, `sql_text` | a name or a text of SQL |
//!
//! A password is filled in as a mark, which [`fill`] takes apart again: so no text is ever one.

use minijinja::value::{Value, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior};
use model::configuration::Piece;
use model::id::KeyId;
use std::net::IpAddr;

/// Stands before and behind the id of a key; of the private use area, so in no recipe and no value.
const MARK: char = '\u{e000}';

/// Steps that a template may take: those of a list of 10,000 instances, hundredfold. A loop of a
/// customer's own must not hold the controller up.
const MOST_STEPS: u64 = 20_000_000;

/// Why a template cannot be filled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct TemplateError {
    /// Line of the template, from 1; 0 where it is not known.
    pub line: usize,
    /// Why.
    pub why: String,
}

/// A password, as templates hold it.
pub(crate) fn mark(key: KeyId) -> Value {
    Value::from_safe_string(format!("{MARK}{}{MARK}", key.0))
}

/// Whether a text could be taken for one with a password in it.
pub(crate) fn has_mark(text: &str) -> bool {
    text.contains(MARK)
}

/// That a text is a template.
///
/// # Errors
/// Where its syntax is none.
pub fn check(text: &str) -> Result<(), TemplateError> {
    environment()
        .template_from_str(text)
        .map(drop)
        .map_err(told)
}

/// Fills a template, and takes what became of it apart at its passwords.
///
/// # Errors
/// Where something that it asks for is not there, or must not be filled in as it is.
pub fn fill(text: &str, scene: &Value) -> Result<Vec<Piece>, TemplateError> {
    let filled = environment().render_str(text, scene).map_err(told)?;
    let mut pieces = Vec::new();
    for (place, part) in filled.split(MARK).enumerate() {
        match part.parse() {
            Ok(id) if place % 2 == 1 => pieces.push(Piece::Key(KeyId(id))),
            _ if part.is_empty() => {}
            _ => pieces.push(Piece::Text(part.to_owned())),
        }
    }
    Ok(pieces)
}

/// Fills a template of a path or a command, which everyone sees.
///
/// # Errors
/// As [`fill`], and where it holds a password.
pub fn fill_plain(text: &str, scene: &Value) -> Result<String, TemplateError> {
    let mut plain = String::new();
    for piece in fill(text, scene)? {
        match piece {
            Piece::Text(text) => plain += &text,
            Piece::Key(_) => {
                return Err(TemplateError {
                    line: 0,
                    why: "it shows a password; hint: write it to a file and name that".to_owned(),
                });
            }
        }
    }
    Ok(plain)
}

fn told(error: Error) -> TemplateError {
    let why = error.detail().map_or_else(
        || error.kind().to_string(),
        |detail| format!("{}: {detail}", error.kind()),
    );
    TemplateError {
        line: error.line().unwrap_or(0),
        why,
    }
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_keep_trailing_newline(true);
    environment.set_trim_blocks(true);
    environment.set_lstrip_blocks(true);
    environment.set_fuel(Some(MOST_STEPS));
    environment.set_formatter(|out, _, value| {
        let text = value.to_string();
        let plain = |c: char| c.is_ascii_alphanumeric() || "._:/@%+,=~-".contains(c);
        let fits = match value.kind() {
            ValueKind::Number | ValueKind::Bool => true,
            ValueKind::String => value.is_safe() || text.chars().all(plain),
            _ => false,
        };
        if !fits {
            return Err(refused(format!(
                "{} cannot be written as it is; hint: a filter quotes it",
                shown(value)
            )));
        }
        out.write_str(&text).map_err(Error::from)
    });
    environment.add_filter("socket", |ip: String, port: u16| {
        Ok::<_, Error>(Value::from_safe_string(format!(
            "{}:{port}",
            bracketed(&ip)?
        )))
    });
    environment.add_filter("bracketed", |ip: String| {
        Ok::<_, Error>(Value::from_safe_string(bracketed(&ip)?))
    });
    environment.add_filter("family", |ip: String| family(&ip));
    environment.add_filter("network", |ip: String| {
        address(&ip).map(|ip| format!("{ip}/{}", if ip.is_ipv4() { 32 } else { 128 }))
    });
    environment.add_filter("addresses", |instances: Value, family: String| {
        let mut found = Vec::new();
        for instance in instances.try_iter()? {
            for ip in instance.get_attr("addresses")?.try_iter()? {
                found.push(ip.to_string());
            }
        }
        of_family(found, &family)
    });
    environment.add_filter("networks", |text: String, family: String| {
        of_family(
            text.split_whitespace().map(str::to_owned).collect(),
            &family,
        )
    });
    environment.add_filter("variable", |name: String| variable(&name));
    environment.add_filter("shell", |value: Value| {
        quoted(&value, |text| format!("'{}'", text.replace('\'', r"'\''")))
    });
    environment.add_filter("sql_name", |value: Value| {
        quoted(&value, |text| format!("\"{}\"", text.replace('"', "\"\"")))
    });
    environment.add_filter("sql_text", |value: Value| {
        quoted(&value, |text| format!("'{}'", text.replace('\'', "''")))
    });
    environment
}

/// Control characters end a line in every format, whatever is around them; of backslashes, formats
/// have different opinions.
fn quoted(value: &Value, quote: impl FnOnce(&str) -> String) -> Result<Value, Error> {
    let text = value.to_string();
    let is_text = matches!(value.kind(), ValueKind::String | ValueKind::Number);
    let is_mark = value.is_safe();
    if !is_text
        || text.chars().any(char::is_control)
        || text.contains('\\')
        || has_mark(&text) && !is_mark
    {
        return Err(refused(format!("{} cannot be quoted", shown(value))));
    }
    Ok(Value::from_safe_string(quote(&text)))
}

/// Of an address or a network.
fn family(text: &str) -> Result<&'static str, Error> {
    let ip = text.split_once('/').map_or(text, |(ip, _)| ip);
    address(ip).map(|ip| if ip.is_ipv4() { "ip" } else { "ip6" })
}

fn of_family(texts: Vec<String>, wanted: &str) -> Result<Vec<String>, Error> {
    let mut kept = Vec::new();
    for text in texts {
        if family(&text)? == wanted {
            kept.push(text);
        }
    }
    Ok(kept)
}

fn variable(name: &str) -> Result<String, Error> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || !name.chars().all(fits) {
        return Err(refused(format!("{name:?} cannot name a variable")));
    }
    let name = name.to_ascii_uppercase().replace(['-', '.'], "_");
    // A variable begins with a letter.
    let digit = name.starts_with(|c: char| c.is_ascii_digit());
    Ok(if digit { format!("_{name}") } else { name })
}

fn bracketed(ip: &str) -> Result<String, Error> {
    Ok(match address(ip)? {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    })
}

fn address(ip: &str) -> Result<IpAddr, Error> {
    ip.parse()
        .map_err(|_| refused(format!("{ip:?} is no address")))
}

fn shown(value: &Value) -> String {
    match value.kind() {
        ValueKind::String => format!("{:?}", value.to_string()),
        kind => format!("a {kind}"),
    }
}

fn refused(why: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, why)
}
