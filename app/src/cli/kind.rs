//! What a file is, told from its content.

use super::failure::Failure;
use lab::read::{self, ReadError};
use std::fmt;
use std::path::Path;

/// A kind of file that people write or draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `[[component]]` and `[[link]]`.
    Design,
    /// `[[node]]`; or a node list of Alibaba's GPU cluster.
    Grid,
    /// `[[rule]]`.
    RuleChain,
    /// `archs` or `[efficiency]` of a hypervisor profile.
    Hypervisor,
}

impl Kind {
    /// The kind of the first line that gives one away, whatever else is wrong with the text;
    /// `None` where no line does.
    pub fn of(text: &str) -> Option<Self> {
        text.lines().find_map(|line| {
            let line = line.trim_start();
            let table = line.strip_prefix("[[").or_else(|| line.strip_prefix('['));
            let words = table.unwrap_or(line).trim_start();
            let end = words.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
            let (word, rest) = words.split_at(end.unwrap_or(words.len()));
            let is_key = table.is_some() || rest.trim_start().starts_with('=');
            match word {
                _ if !is_key => None,
                "component" | "link" => Some(Self::Design),
                "node" => Some(Self::Grid),
                "rule" => Some(Self::RuleChain),
                "efficiency" | "archs" => Some(Self::Hypervisor),
                _ => None,
            }
        })
    }

    /// The kind of a file, plain or gzipped; `None` also of a folder, and where it is no text, as a
    /// database is.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn of_file(path: &Path) -> Result<Option<Self>, ReadError> {
        if path.is_dir() {
            return Ok(None);
        }
        if read::is_node_list(path)? {
            return Ok(Some(Self::Grid));
        }
        let start = read::start(path)?;
        let text = start.utf8_chunks().next().map(|chunk| chunk.valid());
        Ok(text.and_then(Self::of))
    }

    /// Refuses a file that was given in the place of one of this kind, as a grid for a design.
    ///
    /// # Errors
    /// Usage, where it is of another kind; what cannot be read is left to its reader to tell.
    pub fn expect_of(self, flag: &str, path: &Path) -> Result<(), Failure> {
        match Self::of_file(path) {
            Ok(Some(kind)) if kind != self => Err(Failure::usage(
                format!(
                    "{flag} names {}, which is {kind}, not {self}",
                    path.display()
                ),
                format!("{flag} takes {self}; gridwright check tells what a file is"),
            )),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Design => "a design",
            Self::Grid => "a grid",
            Self::RuleChain => "a rule chain",
            Self::Hypervisor => "a hypervisor profile",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Kind;

    fn check(text: &str, expected: Option<Kind>) {
        assert_eq!(Kind::of(text), expected, "{text}");
    }

    /// The first telling table or key decides; values and comments do not.
    #[test]
    fn content_tells_the_kind() {
        check(
            "name = \"node\"\n[[component]]\nname = 1",
            Some(Kind::Design),
        );
        check("# [[component]]\n[[ node ]]", Some(Kind::Grid));
        check("[[node]]\n[[rule]]", Some(Kind::Grid));
        check("version = 1\n  [[rule]] # why", Some(Kind::RuleChain));
        check("node = [{ name = \"a\" }]", Some(Kind::Grid));
        check("archs = []", Some(Kind::Hypervisor));
        check("vm_id,start_s\n1,2", None);
        check("node,1\n", None);
    }
}
