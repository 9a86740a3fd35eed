//! The controller's database: its journal, the history, its peers, and keys that are encrypted.
//!
//! One process writes, over a few connections. What is committed is on disk: SQLite syncs its log.

use control::journal::Entry;
use control::ledger::Ledger;
use control::shown::EventShown;
use link::identity::Fingerprint;
use link::membership::{Peer, Role};
use model::grid::Grid;
use model::id::KeyId;
use model::time::Time;
use rusqlite::TransactionBehavior::Immediate;
use rusqlite::{Connection, OptionalExtension, params};
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Duration;

/// The version of the tables.
const VERSION: u32 = 2;

/// How long one connection waits for another.
const PATIENCE: Duration = Duration::from_secs(10);

const TABLES: &str = "
    CREATE TABLE journal (number INTEGER PRIMARY KEY, entry TEXT NOT NULL) STRICT;
    CREATE TABLE event (number INTEGER PRIMARY KEY, text TEXT NOT NULL, event TEXT NOT NULL) STRICT;
    CREATE TABLE node (place INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;
    CREATE TABLE peer (
        fingerprint TEXT PRIMARY KEY, role TEXT NOT NULL, since INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE token (
        digest TEXT PRIMARY KEY, role TEXT NOT NULL, until INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE key (id INTEGER PRIMARY KEY, sealed BLOB NOT NULL) STRICT;
";

/// Why the database cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite's own.
    #[error("the controller's database: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// It cannot be opened in turn.
    #[error("the controller's database: {0}")]
    Io(#[from] io::Error),
    /// A row is not what was written.
    #[error("the controller's database, a {what}: {source}")]
    Row {
        /// Of which table.
        what: &'static str,
        /// Why.
        source: serde_json::Error,
    },
    /// It was made by another version.
    #[error(
        "the controller's database is of version {0}, expected {VERSION}; hint: use the program that \
         made it"
    )]
    Version(u32),
    /// The grid's file does not go with it.
    #[error(
        "node {place} of the grid's file is {found}, expected {expected} as before; hint: add nodes at \
         the end of the file, and set those that are gone down"
    )]
    OtherGrid {
        /// Its place in the file, from 0.
        place: usize,
        /// The file's.
        found: String,
        /// The database's.
        expected: String,
    },
}

/// A connection to it.
#[derive(Debug)]
pub struct Store(Connection);

impl Store {
    /// Opens the one in a folder, made where it is not there.
    ///
    /// # Errors
    /// Where it cannot be opened or made, or is another program's.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        // Whoever changes the mode of a database waits for nobody.
        let turn = File::options()
            .create(true)
            .append(true)
            .open(folder.join("opening"))?;
        turn.lock()?;
        let connection = Connection::open(folder.join("controller.sqlite"))?;
        connection.busy_timeout(PATIENCE)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "full")?;
        let mut store = Self(connection);
        store.prepare()?;
        Ok(store)
    }

    fn prepare(&mut self) -> Result<(), StoreError> {
        let changes = self.0.transaction_with_behavior(Immediate)?;
        let version: u32 = changes.pragma_query_value(None, "user_version", |row| row.get(0))?;
        match version {
            0 => {
                changes.execute_batch(TABLES)?;
                changes.pragma_update(None, "user_version", VERSION)?;
            }
            VERSION => {}
            other => return Err(StoreError::Version(other)),
        }
        Ok(changes.commit()?)
    }

    /// Holds the grid's file against the nodes that were there before: nodes are known by their places.
    ///
    /// # Errors
    /// Where a node that was there is another one now.
    pub fn check(&mut self, grid: &Grid) -> Result<(), StoreError> {
        let changes = self.0.transaction_with_behavior(Immediate)?;
        let names: Vec<String> = {
            let mut known = changes.prepare("SELECT name FROM node ORDER BY place")?;
            let names = known.query_map([], |row| row.get(0))?;
            names.collect::<Result<_, _>>()?
        };
        for (place, expected) in names.iter().enumerate() {
            let found = grid.nodes.get(place).map(|node| &node.name);
            if found != Some(expected) {
                return Err(StoreError::OtherGrid {
                    place,
                    found: found.map_or("missing", |name| name).to_owned(),
                    expected: expected.clone(),
                });
            }
        }
        for (place, node) in grid.nodes.iter().enumerate().skip(names.len()) {
            let place = place as i64;
            changes.execute("INSERT INTO node VALUES (?, ?)", params![place, node.name])?;
        }
        Ok(changes.commit()?)
    }

    /// The whole journal, oldest first.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn journal(&self) -> Result<Vec<Entry>, StoreError> {
        let mut rows = self
            .0
            .prepare("SELECT entry FROM journal ORDER BY number")?;
        let rows = rows.query_map([], |row| row.get::<_, String>(0))?;
        rows.map(|row| parse("journal entry", &row?)).collect()
    }

    /// Writes entries and events, all or none of them; they are on disk then.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn write<'a>(
        &mut self,
        entries: impl IntoIterator<Item = &'a Entry>,
        events: &[EventShown],
    ) -> Result<(), StoreError> {
        let changes = self.0.transaction_with_behavior(Immediate)?;
        {
            let mut insert = changes.prepare_cached("INSERT INTO journal (entry) VALUES (?)")?;
            for entry in entries {
                insert.execute([text("journal entry", entry)?])?;
            }
            let mut insert = changes.prepare_cached("INSERT INTO event VALUES (?, ?, ?)")?;
            for told in events {
                let (number, event) = (told.number as i64, text("event", &told.event)?);
                insert.execute(params![number, told.text, event])?;
            }
        }
        Ok(changes.commit()?)
    }

    /// Puts the sum of the journal in its place.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn shorten(&mut self, ledger: &Ledger) -> Result<(), StoreError> {
        let ledger = Box::new(ledger.clone());
        let kept = text("journal entry", &Entry::Kept { ledger })?;
        let changes = self.0.transaction_with_behavior(Immediate)?;
        changes.execute("DELETE FROM journal", [])?;
        changes.execute("INSERT INTO journal (entry) VALUES (?)", [kept])?;
        Ok(changes.commit()?)
    }

    /// How many events there were.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn events_so_far(&self) -> Result<u64, StoreError> {
        let last = "SELECT coalesce(max(number) + 1, 0) FROM event";
        let count: i64 = self.0.query_row(last, [], |row| row.get(0))?;
        Ok(count as u64)
    }

    /// Events from this number on, at most so many.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub fn events(&self, from: u64, limit: usize) -> Result<Vec<EventShown>, StoreError> {
        let mut rows = self.0.prepare_cached(
            "SELECT number, text, event FROM event WHERE number >= ? ORDER BY number LIMIT ?",
        )?;
        let from = i64::try_from(from).unwrap_or(i64::MAX);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = rows.query_map([from, limit], |row| {
            let event: String = row.get(2)?;
            Ok((row.get::<_, i64>(0)? as u64, row.get(1)?, event))
        })?;
        let read = |row: rusqlite::Result<(u64, String, String)>| {
            let (number, text, event) = row?;
            let event = parse("event", &event)?;
            Ok(EventShown {
                number,
                text,
                event,
            })
        };
        rows.map(read).collect()
    }

    /// Lets somebody in once, by a token's digest, until an instant.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn admit(&self, digest: &str, role: &Role, until: Time) -> Result<(), StoreError> {
        let insert = "INSERT INTO token VALUES (?, ?, ?)";
        self.0
            .execute(insert, params![digest, text("token", role)?, until.0])?;
        Ok(())
    }

    /// Makes a peer of whoever has the token of this digest, which is of no use to anybody then; `None`:
    /// there is none, it was used, or its time is over. A node has one peer: the former is none any more.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn redeem(
        &mut self,
        digest: &str,
        peer: Fingerprint,
        now: Time,
    ) -> Result<Option<Redeemed>, StoreError> {
        let changes = self.0.transaction_with_behavior(Immediate)?;
        changes.execute("DELETE FROM token WHERE until <= ?", [now.0])?;
        let taken = "DELETE FROM token WHERE digest = ? RETURNING role";
        let role: Option<String> = changes
            .query_row(taken, [digest], |row| row.get(0))
            .optional()?;
        let Some(role) = role else {
            changes.commit()?;
            return Ok(None);
        };
        let redeemed = Redeemed {
            former: match parse("token", &role)? {
                Role::Node(_) => {
                    let gone = "DELETE FROM peer WHERE role = ? AND fingerprint <> ? \
                                RETURNING fingerprint";
                    let mut gone = changes.prepare(gone)?;
                    let gone = gone.query_map([&role, &peer.to_string()], fingerprint)?;
                    gone.collect::<Result<_, _>>()?
                }
                Role::Admin(_) => Vec::new(),
            },
            role: parse("token", &role)?,
        };
        let insert = "INSERT OR REPLACE INTO peer VALUES (?, ?, ?)";
        changes.execute(insert, params![peer.to_string(), role, now.0])?;
        changes.commit()?;
        Ok(Some(redeemed))
    }

    /// What a peer is; `None`: nobody.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn role(&self, peer: Fingerprint) -> Result<Option<Role>, StoreError> {
        let role = "SELECT role FROM peer WHERE fingerprint = ?";
        let role: Option<String> = self
            .0
            .query_row(role, [peer.to_string()], |row| row.get(0))
            .optional()?;
        role.map(|role| parse("peer", &role)).transpose()
    }

    /// All peers, the oldest first.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub fn peers(&self) -> Result<Vec<Peer>, StoreError> {
        let rows = "SELECT fingerprint, role, since FROM peer ORDER BY since, fingerprint";
        let mut rows = self.0.prepare(rows)?;
        let rows = rows.query_map([], |row| {
            Ok((fingerprint(row)?, row.get::<_, String>(1)?, row.get(2)?))
        })?;
        let read = |row: rusqlite::Result<(Fingerprint, String, i64)>| {
            let (fingerprint, role, since) = row?;
            Ok(Peer {
                fingerprint,
                role: parse("peer", &role)?,
                since: Time(since),
            })
        };
        rows.map(read).collect()
    }

    /// Makes nobody of a peer; whether it was one.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn revoke(&self, peer: Fingerprint) -> Result<bool, StoreError> {
        let gone = "DELETE FROM peer WHERE fingerprint = ?";
        Ok(self.0.execute(gone, [peer.to_string()])? > 0)
    }

    /// A key, as it was sealed.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn key(&self, id: KeyId) -> Result<Option<Vec<u8>>, StoreError> {
        let sealed = "SELECT sealed FROM key WHERE id = ?";
        let found = self.0.query_row(sealed, [id.0 as i64], |row| row.get(0));
        Ok(found.optional()?)
    }

    /// Keeps a key, sealed.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn keep_key(&self, id: KeyId, sealed: &[u8]) -> Result<(), StoreError> {
        let insert = "INSERT INTO key VALUES (?, ?)";
        self.0.execute(insert, params![id.0 as i64, sealed])?;
        Ok(())
    }
}

/// What a token was good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redeemed {
    /// What its bearer is now.
    pub role: Role,
    /// Peers that are none any more.
    pub former: Vec<Fingerprint>,
}

fn fingerprint(row: &rusqlite::Row<'_>) -> rusqlite::Result<Fingerprint> {
    let text: String = row.get(0)?;
    text.parse().map_err(|error| {
        let kind = rusqlite::types::Type::Text;
        rusqlite::Error::FromSqlConversionFailure(0, kind, Box::new(error))
    })
}

fn text<T: serde::Serialize>(what: &'static str, value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|source| StoreError::Row { what, source })
}

fn parse<T: serde::de::DeserializeOwned>(what: &'static str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|source| StoreError::Row { what, source })
}
