//! What a file is, told from its content.

use lab::read::ReadError;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
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

    /// The kind of a file; `None` also where it cannot be read as text, as a compressed trace.
    ///
    /// # Errors
    /// Where the file cannot be opened.
    pub fn of_file(path: &Path) -> Result<Option<Self>, ReadError> {
        /// A header of comments may come first; a trace of millions of lines, or a file without
        /// line ends, is not worth more.
        const MOST_BYTES: u64 = 1 << 20;
        let file = File::open(path).map_err(|source| ReadError::Io {
            path: path.display().to_string(),
            line: 0,
            source,
        })?;
        let lines = BufReader::new(file.take(MOST_BYTES)).lines();
        let lines = lines.map_while(Result::ok);
        let mut first = true;
        for line in lines {
            // The node list of openb is the one CSV that is a grid.
            if first && line.starts_with("sn,") {
                return Ok(Some(Self::Grid));
            }
            first = false;
            if let Some(kind) = Self::of(&line) {
                return Ok(Some(kind));
            }
        }
        Ok(None)
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
