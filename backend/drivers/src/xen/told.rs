//! What `xl` prints, read: as of Xen 4.17, whose tables have grown columns at their ends only.
//!
//! Readers take any text: what is not understood is left out, never guessed.

/// The most of an answer that is looked at; a node with a thousand domains prints a fifth of it.
pub const MOST_BYTES: usize = 1 << 20;

/// A domain as `xl list -v` tells of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Domain {
    /// What it is called.
    pub name: String,
    /// Its number, until it ends.
    pub id: u32,
    /// Memory that it has, in MiB.
    pub mem_mib: u32,
    /// vCPUs that are online.
    pub cpus: u32,
    /// What it does.
    pub doing: Doing,
    /// Processor time that it has used, in seconds.
    pub cpu_seconds: f64,
    /// Its UUID, in small letters.
    pub uuid: String,
}

/// What a domain does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// It runs, or waits for an event or for a processor.
    Runs,
    /// It was paused, or is being built.
    Paused,
    /// It has shut itself down, and is still there.
    Shut(Reason),
    /// It is being taken away.
    Dying,
}

/// Why a domain has shut itself down; `SHUTDOWN_*` of Xen's `public/sched.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It is done.
    Poweroff,
    /// It wants to start anew.
    Reboot,
    /// It is being saved.
    Suspend,
    /// It has given up, or what is not known to us.
    Crash,
}

/// The rows of `xl list -v`.
pub fn domains(text: &str) -> Vec<Domain> {
    bounded(text).lines().filter_map(domain).collect()
}

/// One row. A name may hold blanks and even look like the rest of a row, so it is what is left once
/// the known columns are taken from the right; a security label is one word.
fn domain(line: &str) -> Option<Domain> {
    let (rest, _label) = last_word(line)?;
    let (rest, reason) = last_word(rest)?;
    let (rest, uuid) = last_word(rest)?;
    let (rest, seconds) = last_word(rest)?;
    let (rest, flags) = last_word(rest)?;
    let (rest, cpus) = last_word(rest)?;
    let (rest, mem) = last_word(rest)?;
    let (name, id) = last_word(rest)?;
    Some(Domain {
        name: name.to_owned(),
        id: id.parse().ok()?,
        mem_mib: mem.parse().ok()?,
        cpus: cpus.parse().ok()?,
        doing: doing(flags, reason)?,
        cpu_seconds: seconds_of(seconds)?,
        uuid: is_uuid(uuid).then(|| uuid.to_ascii_lowercase())?,
    })
}

/// Flags are `rbpscd`, each a hyphen where it does not hold; see xl(1).
fn doing(flags: &str, reason: &str) -> Option<Doing> {
    let known = b"rbpscd";
    let flags = flags.as_bytes();
    let sound = flags.len() == known.len()
        && flags
            .iter()
            .zip(known)
            .all(|(flag, known)| flag == known || *flag == b'-');
    if !sound {
        return None;
    }
    Some(match flags {
        [.., b'd'] => Doing::Dying,
        [.., b'c', _] => Doing::Shut(Reason::Crash),
        [.., b's', _, _] => Doing::Shut(match reason {
            "0" => Reason::Poweroff,
            "1" => Reason::Reboot,
            "2" => Reason::Suspend,
            _ => Reason::Crash,
        }),
        [_, _, b'p', ..] => Doing::Paused,
        _ => Doing::Runs,
    })
}

/// Processor time of each vCPU that is online, in seconds, from `xl vcpu-list` of one domain: the
/// vCPU's number with its time.
pub fn vcpus(text: &str, name: &str) -> Vec<(u32, f64)> {
    let rows = bounded(text).lines();
    rows.filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let mut words = rest.strip_prefix(char::is_whitespace)?.split_whitespace();
        let _domain: u32 = words.next()?.parse().ok()?;
        let vcpu = words.next()?.parse().ok()?;
        let (_on, flags) = (words.next()?, words.next()?);
        let seconds = seconds_of(words.next()?)?;
        // The third flag is `p` of one that is offline; see `print_vcpuinfo` of xl.
        (flags.len() == 3 && !flags.ends_with('p')).then_some((vcpu, seconds))
    })
    .collect()
}

/// A field of `xl info`; `None`: it is not told.
pub fn info<'t>(text: &'t str, field: &str) -> Option<&'t str> {
    bounded(text).lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name.trim_end() == field).then(|| value.trim())
    })
}

/// The end of a text whose last line it is cut off at is not read.
fn bounded(text: &str) -> &str {
    if text.len() <= MOST_BYTES {
        return text;
    }
    let end = text.as_bytes()[..MOST_BYTES]
        .iter()
        .rposition(|&byte| byte == b'\n');
    &text[..end.unwrap_or(0)]
}

fn last_word(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_end();
    let at = text.rfind(char::is_whitespace)?;
    let word = text[at..].trim_start();
    let rest = text[..at].trim_end();
    (!rest.is_empty()).then_some((rest, word))
}

fn seconds_of(text: &str) -> Option<f64> {
    let plain = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    plain.then(|| text.parse().ok())?
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}
