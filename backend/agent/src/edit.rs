//! What is changed in a guest's files, as data: asked for by [`Edit`]s, done by [`Change`]s.
//!
//! Edits speak of users and lines; whoever holds the files reads those that [`wanted`] names, and
//! [`resolve`] turns edits and texts into plain writes and deletions. So the same rules hold for a
//! folder, for an image that is being built and for one that is changed in place.

use model::blueprint::User;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

const PASSWD: &str = "/etc/passwd";
const SHADOW: &str = "/etc/shadow";
const GROUP: &str = "/etc/group";

/// User ids of people, by Debian's and systemd's rules.
const PEOPLE: std::ops::Range<u32> = 1_000..60_000;

/// One thing to change in a guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "edit", rename_all = "kebab-case")]
pub enum Edit {
    /// Write a whole file, and the folders above it.
    File {
        /// Its absolute path.
        path: String,
        /// What it is to hold.
        text: String,
        /// Its mode bits.
        mode: u32,
    },
    /// Put a symbolic link in place of whatever is there.
    Link {
        /// Its absolute path.
        path: String,
        /// Where it points.
        target: String,
    },
    /// Put a line in place of the first one that begins so, or at the end.
    Line {
        /// The file's absolute path.
        path: String,
        /// How the old line begins.
        beginning: String,
        /// The new line.
        line: String,
    },
    /// Make a user unless there is one, and let these keys in.
    User {
        /// Who.
        user: User,
    },
    /// Take a file or an empty folder away, if it is there.
    Delete {
        /// Its absolute path.
        path: String,
    },
}

impl Edit {
    /// Writes a whole file.
    pub fn file(path: impl Into<String>, text: impl Into<String>, mode: u32) -> Self {
        let (path, text) = (path.into(), text.into());
        Self::File { path, text, mode }
    }

    /// The path that it names; `None`: it names a user.
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::File { path, .. }
            | Self::Link { path, .. }
            | Self::Line { path, .. }
            | Self::Delete { path } => Some(path),
            Self::User { .. } => None,
        }
    }

    /// Puts a symbolic link.
    pub fn link(path: &str, target: &str) -> Self {
        let (path, target) = (path.to_owned(), target.to_owned());
        Self::Link { path, target }
    }
}

/// One write or deletion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Make a folder unless it is there.
    Folder {
        /// Its absolute path.
        path: String,
        /// Its mode and owner, if it is made.
        access: Access,
    },
    /// Write a whole file, and the folders above it.
    File {
        /// Its absolute path.
        path: String,
        /// What it is to hold.
        bytes: Vec<u8>,
        /// Its mode and owner; `None`: those it has, or root's with 0644.
        access: Option<Access>,
    },
    /// Put a symbolic link in place of whatever is there.
    Link {
        /// Its absolute path.
        path: String,
        /// Where it points.
        target: String,
    },
    /// Take a file or an empty folder away, if it is there.
    Delete {
        /// Its absolute path.
        path: String,
    },
}

impl Change {
    /// The path that it changes.
    pub fn path(&self) -> &str {
        match self {
            Self::Folder { path, .. }
            | Self::File { path, .. }
            | Self::Link { path, .. }
            | Self::Delete { path } => path,
        }
    }
}

/// Who may do what with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Mode bits, the type left out.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl Access {
    /// Root's, with these mode bits.
    pub const fn root(mode: u32) -> Self {
        Self {
            mode,
            uid: 0,
            gid: 0,
        }
    }
}

/// Why an edit cannot be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// A path of the guest is not absolute, or not plain.
    #[error("{path:?} is no path of a guest\nhint: absolute, without .. and quotes")]
    Path {
        /// The path.
        path: String,
    },
    /// A user's name or key would break the files it goes to.
    #[error("{text:?} is no {what}")]
    User {
        /// The text.
        text: String,
        /// What it should be.
        what: &'static str,
    },
    /// The guest has no list of users.
    #[error("the guest has no {PASSWD}, so it cannot have user {user}")]
    NoPasswd {
        /// Who was to be made.
        user: String,
    },
    /// All ids of people are given away.
    #[error("the guest has no user id left for {user}")]
    NoId {
        /// Who was to be made.
        user: String,
    },
}

/// The files whose texts [`resolve`] needs, if they are there.
///
/// # Errors
/// Where an edit names what is no path of a guest.
pub fn wanted(edits: &[Edit]) -> Result<BTreeSet<String>, EditError> {
    let mut paths = BTreeSet::new();
    for edit in edits {
        match edit {
            Edit::Line { path, .. } => {
                paths.insert(checked(path)?);
            }
            Edit::User { .. } => paths.extend([PASSWD, SHADOW, GROUP].map(str::to_owned)),
            Edit::File { path, .. } | Edit::Link { path, .. } | Edit::Delete { path } => {
                checked(path)?;
            }
        }
    }
    Ok(paths)
}

/// Turns edits into writes and deletions, given the texts of the [`wanted`] files that are there.
///
/// # Errors
/// Where an edit is malformed, or the guest cannot take it.
pub fn resolve(
    edits: &[Edit],
    mut texts: BTreeMap<String, String>,
) -> Result<Vec<Change>, EditError> {
    let mut changes = Vec::new();
    let mut rewritten = BTreeSet::new();
    for edit in edits {
        match edit {
            Edit::File { path, text, mode } => changes.push(Change::File {
                path: checked(path)?,
                bytes: text.clone().into_bytes(),
                access: Some(Access::root(*mode)),
            }),
            Edit::Link { path, target } => changes.push(Change::Link {
                path: checked(path)?,
                target: plain(target)?,
            }),
            Edit::Delete { path } => changes.push(Change::Delete {
                path: checked(path)?,
            }),
            Edit::Line {
                path,
                beginning,
                line,
            } => {
                let text = texts.entry(checked(path)?).or_default();
                *text = with_line(text, beginning, line);
                rewritten.insert(path.clone());
            }
            Edit::User { user } => {
                rewritten.extend(add_user(user, &mut texts)?);
                changes.extend(let_in(user, &texts[PASSWD]));
            }
        }
    }
    let rewritten = rewritten.into_iter().map(|path| Change::File {
        bytes: texts.remove(&path).unwrap_or_default().into_bytes(),
        access: None,
        path,
    });
    // Users first, as a file of theirs should not exist without them.
    Ok(rewritten.chain(changes).collect())
}

/// That a path is absolute and plain, so that it names one file of a guest.
///
/// # Errors
/// Where it is not.
pub fn check_path(path: &str) -> Result<(), EditError> {
    checked(path).map(drop)
}

fn checked(path: &str) -> Result<String, EditError> {
    let parts = path.strip_prefix('/').unwrap_or_default().split('/');
    if parts.clone().any(|part| matches!(part, "" | "." | "..")) {
        return Err(EditError::Path {
            path: path.to_owned(),
        });
    }
    plain(path)
}

/// Quotes and control characters would end a name early in the scripts that editors of file systems
/// take.
fn plain(path: &str) -> Result<String, EditError> {
    if path.is_empty() || path.contains(|c: char| c == '"' || c.is_control()) {
        return Err(EditError::Path {
            path: path.to_owned(),
        });
    }
    Ok(path.to_owned())
}

fn with_line(text: &str, beginning: &str, line: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    match lines.iter_mut().find(|old| old.starts_with(beginning)) {
        Some(old) => *old = line,
        None => lines.push(line),
    }
    lines.join("\n") + "\n"
}

fn add_user(user: &User, texts: &mut BTreeMap<String, String>) -> Result<Vec<String>, EditError> {
    let name = &user.name;
    let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c);
    if !name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        || !name.chars().all(letters)
        || name.len() > 32
    {
        let text = name.clone();
        return Err(EditError::User {
            text,
            what: "user name",
        });
    }
    if let Some(key) = user
        .ssh_keys
        .iter()
        .find(|key| key.contains(char::is_control))
    {
        let text = key.clone();
        return Err(EditError::User {
            text,
            what: "one-line key",
        });
    }
    let Some(passwd) = texts.get(PASSWD) else {
        let user = name.clone();
        return Err(EditError::NoPasswd { user });
    };
    if account(passwd, name).is_some() {
        return Ok(Vec::new());
    }
    let group = texts.get(GROUP).map_or("", String::as_str);
    let taken: BTreeSet<u32> = [passwd.as_str(), group]
        .into_iter()
        .flat_map(str::lines)
        .filter_map(|line| line.split(':').nth(2)?.parse().ok())
        .collect();
    let id = PEOPLE.clone().find(|id| !taken.contains(id));
    let id = id.ok_or_else(|| EditError::NoId { user: name.clone() })?;
    // The password is no password at all, rather than a locked one, which some servers take to shut
    // out keys too.
    for (path, line) in [
        (PASSWD, format!("{name}:x:{id}:{id}::/home/{name}:/bin/sh")),
        (SHADOW, format!("{name}:*:::::::")),
        (GROUP, format!("{name}:x:{id}:")),
    ] {
        let text = texts.entry(path.to_owned()).or_default();
        *text = with_line(text, &format!("{name}:"), &line);
    }
    Ok([PASSWD, SHADOW, GROUP].map(str::to_owned).to_vec())
}

fn let_in(user: &User, passwd: &str) -> Vec<Change> {
    let Some((uid, gid, home)) = account(passwd, &user.name) else {
        return Vec::new();
    };
    let own = |mode| Access { mode, uid, gid };
    let mut changes = vec![Change::Folder {
        path: home.to_owned(),
        access: own(0o755),
    }];
    if !user.ssh_keys.is_empty() {
        changes.push(Change::Folder {
            path: format!("{home}/.ssh"),
            access: own(0o700),
        });
        changes.push(Change::File {
            path: format!("{home}/.ssh/authorized_keys"),
            bytes: (user.ssh_keys.join("\n") + "\n").into_bytes(),
            access: Some(own(0o600)),
        });
    }
    changes
}

/// Id, group and home of a user.
fn account<'p>(passwd: &'p str, name: &str) -> Option<(u32, u32, &'p str)> {
    let fields = passwd
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>());
    let found = fields.into_iter().find(|fields| fields[0] == name)?;
    let home = found.get(5).filter(|home| checked(home).is_ok())?;
    Some((found[2].parse().ok()?, found[3].parse().ok()?, home))
}
