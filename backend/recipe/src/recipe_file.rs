//! Reads recipes.
//!
//! At the top stand `version = 1` and `name` (else the file's). What it is for: `kind`,
//! `application`, `guest` (else Linux). What it is: `image`, `data` (a mount point), `includes`
//! (names of recipes), and the switches `faces_outside`, `one_port`, `passwords` and
//! `any_parameter`. `apply` lists commands. The rest are tables:
//!
//! | Table | Keys |
//! |---|---|
//! | `[[parameter]]` | `name`, `about`, `type`, `default`; `least` and `most` of `whole`, `words` of `word` |
//! | `[[file]]` | `path`, `text`, `mode` (else `0o644`), `owner` (else root), `check` |
//! | `[handed]` | `apply`, and `[[handed.file]]` as `[[file]]` |

use crate::parameter::{Parameter, ParameterKind};
use crate::recipe::{Recipe, Stock, TemplateFile};
use crate::template;
use model::fault::Faults;
use model::hypervisor::Guest;
use model::toml_reader::{Table, Value, read};

/// The version of the format that is read.
pub const RECIPE_VERSION: u32 = 1;
/// The longest template, in characters.
const MAX_TEMPLATE_CHARS: usize = 65_536;
/// The longest command, in characters.
const MAX_COMMAND_CHARS: usize = 4_096;

const KEYS: &[&str] = &[
    "version",
    "name",
    "kind",
    "application",
    "guest",
    "image",
    "data",
    "includes",
    "faces_outside",
    "one_port",
    "passwords",
    "any_parameter",
    "parameter",
    "file",
    "apply",
    "handed",
];
const PARAMETER_KEYS: &[&str] = &["name", "about", "type", "default", "least", "most", "words"];
const FILE_KEYS: &[&str] = &["path", "text", "mode", "owner", "check"];
const TYPES: &[&str] = &["whole", "word", "bytes", "networks", "name"];

/// Reads one recipe; `file` is what faults call it, and its stem the recipe's name if it has none.
///
/// # Errors
/// All faults of the file.
pub fn read_recipe(file: &str, text: &str) -> Result<Recipe, Faults> {
    read(file, text, KEYS, |top| {
        top.version(RECIPE_VERSION);
        let name = top.required("name", |v| v.name());
        let kind = top.optional("kind", |v| v.word());
        let application = top.optional("application", |v| v.name());
        let guest = top.optional("guest", |v| v.word());
        let image = top.optional("image", |v| v.name());
        let data = top.optional("data", path);
        let switch = |key| top.optional(key, |v| v.switch()).unwrap_or(false);
        let includes = top.optional("includes", |v| v.list(|item| item.name()));
        let parameters = top.tables("parameter", PARAMETER_KEYS, parameter);
        let handed = top.optional("handed", |v| {
            v.table(&["file", "apply"], |t| Some(stock(t)))
        });
        Some(Recipe {
            kind,
            application,
            guest: guest.unwrap_or(Guest::Linux),
            image,
            data,
            faces_outside: switch("faces_outside"),
            one_port: switch("one_port"),
            passwords: switch("passwords"),
            includes: includes.unwrap_or_default(),
            parameters,
            any_parameter: switch("any_parameter"),
            own: stock(top),
            handed: handed.unwrap_or_default(),
            name: name?,
        })
    })
}

fn stock(table: &Table<'_>) -> Stock {
    let apply = table.optional("apply", |v| {
        v.list(|item| template_of(item, MAX_COMMAND_CHARS))
    });
    Stock {
        files: table.tables("file", FILE_KEYS, file),
        apply: apply.unwrap_or_default(),
    }
}

fn file(table: &Table<'_>) -> Option<TemplateFile> {
    let path = table.required("path", path);
    let text = table.required("text", |v| template_of(v, MAX_TEMPLATE_CHARS));
    let mode = table.optional("mode", |v| v.whole(0..=0o7777));
    let owner = table.optional("owner", |v| v.name());
    let check = table.optional("check", |v| v.text_within(MAX_COMMAND_CHARS));
    Some(TemplateFile {
        path: path?,
        text: text?,
        mode: mode.unwrap_or(0o644),
        owner: owner.unwrap_or_else(|| "root".to_owned()),
        check,
    })
}

/// An absolute path, which may be a template.
fn path(value: &Value<'_>) -> Option<String> {
    let text = template_of(value, MAX_COMMAND_CHARS)?;
    let parts = text.strip_prefix('/').unwrap_or_default().split('/');
    if parts.clone().any(|part| matches!(part, "" | "." | "..")) {
        value.refuse(&value.found(), "an absolute path without . and ..");
        return None;
    }
    Some(text)
}

fn template_of(value: &Value<'_>, most: usize) -> Option<String> {
    let text = value.text_within(most)?;
    let fault = match template::check(&text) {
        Err(error) => Some(error.to_string()),
        Ok(()) if template::has_mark(&text) => Some("a character that marks passwords".to_owned()),
        Ok(()) => None,
    };
    if let Some(fault) = fault {
        value.refuse(&fault, "a template");
        return None;
    }
    Some(text)
}

fn parameter(table: &Table<'_>) -> Option<Parameter> {
    let name = table.required("name", |v| v.name());
    let about = table.optional("about", |v| v.text());
    let place = table.required("type", |v| v.one_of(TYPES));
    let default = table.required("default", |v| v.text());
    let range = |key, otherwise| {
        table
            .optional(key, |v| v.whole_wide(0..=u64::MAX >> 1))
            .unwrap_or(otherwise)
    };
    let (least, most) = (range("least", 0), range("most", u64::MAX >> 1));
    let words = table.optional("words", |v| v.list(|item| item.name()));
    let (kind, takes): (_, &[&str]) = match TYPES[place?] {
        "whole" => (ParameterKind::Whole { least, most }, &["least", "most"]),
        "word" => (ParameterKind::Word(words.unwrap_or_default()), &["words"]),
        "bytes" => (ParameterKind::Bytes, &[]),
        "networks" => (ParameterKind::Networks, &[]),
        _ => (ParameterKind::Name, &[]),
    };
    for key in ["least", "most", "words"] {
        if table.has(key) && !takes.contains(&key) {
            table.refuse(key, "a key of another type", "nothing", "");
        }
    }
    let default = default?;
    if let Err(expected) = kind.check(&default) {
        table.refuse("default", &format!("{default:?}"), &expected, "");
    }
    Some(Parameter {
        name: name?,
        about: about.unwrap_or_default(),
        kind,
        default,
    })
}
