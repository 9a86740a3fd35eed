//! What the window tells: cards that can be dismissed, and a log that stays.

/// Lines that the log keeps; an hour of the busiest use leaves a few hundred.
const MAX_LOG: usize = 1_000;

/// How grave a notice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Good to know; goes by itself.
    Info,
    /// Something did not work.
    Error,
}

/// One thing told.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// How grave.
    pub level: Level,
    /// One line.
    pub text: String,
    /// What is known beyond it, one line each: the faults of a file.
    pub details: Vec<String>,
    /// When the window had run for so many seconds.
    pub at_seconds: f64,
}

/// All notices.
#[derive(Clone, Debug, Default)]
pub struct Notices {
    /// Still shown.
    pub open: Vec<Notice>,
    /// All, oldest first.
    pub log: Vec<Notice>,
    now_seconds: f64,
}

impl Notices {
    /// Sets the time that later notices carry.
    pub fn set_now(&mut self, seconds: f64) {
        self.now_seconds = seconds;
    }

    /// Says something in passing: the log alone.
    pub fn info(&mut self, text: impl Into<String>) {
        let notice = self.notice(Level::Info, text.into(), Vec::new());
        self.keep(notice);
    }

    /// Says that something failed: a card and the log.
    pub fn error(&mut self, text: impl Into<String>, details: Vec<String>) {
        let notice = self.notice(Level::Error, text.into(), details);
        self.open.push(notice.clone());
        self.keep(notice);
    }

    fn notice(&self, level: Level, text: String, details: Vec<String>) -> Notice {
        Notice {
            level,
            text,
            details,
            at_seconds: self.now_seconds,
        }
    }

    fn keep(&mut self, notice: Notice) {
        if self.log.len() == MAX_LOG {
            self.log.remove(0);
        }
        self.log.push(notice);
    }
}
