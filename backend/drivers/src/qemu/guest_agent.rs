//! A configuration by way of QEMU's agent inside the guest (`qemu-ga`), which speaks as QMP does but
//! for its greeting, and hears nobody until it runs.

use super::qmp::Qmp;
use super::record;
use super::step::{GuestCommand, Plan, Step};
use crate::folder::Folder;
use agent::driver::DriverError;
use agent::secret::Keys;
use agent::watch::Watch;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use model::configuration::{Configuration, Piece};
use model::id::VmId;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// A guest that boots by emulation on a busy node takes some minutes to its agent; one without an
/// agent never does.
const BOOT_PATIENCE: Duration = Duration::from_secs(300);

/// An agent that was not there when it was called is called again.
const CALL_AGAIN: Duration = Duration::from_secs(2);

/// A command is asked after this often.
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// No more of what a command said than a person reads.
const MOST_CHARS: usize = 2_000;

/// What a file is called beside its place until all have passed.
const BESIDE: &str = ".gridwright";

/// `$1`: the file; `$2`: its owner; `$3`: its mode. It is nobody's but root's until it is whole.
const WRITE: &str = "mkdir -p \"${1%/*}\" && umask 077 && cat >\"$1.gridwright\" \
    && chown \"$2:\" \"$1.gridwright\" && chmod \"$3\" \"$1.gridwright\"";
/// All words: files that are put in place.
const PUT: &str = "for file; do mv -f \"$file.gridwright\" \"$file\" || exit; done";
/// All words: files that are not.
const DROP: &str = "for file; do rm -f \"$file.gridwright\"; done";

/// The calls that let a guest take a configuration.
pub(super) fn configure(configuration: &Configuration) -> Plan {
    let mut plan = Plan::default();
    let files = &configuration.files;
    for (path, file) in files {
        let mode = format!("{:o}", file.mode & 0o7777);
        plan.steps.push(Step::Guest(GuestCommand {
            script: WRITE.to_owned(),
            words: vec![path.clone(), file.owner.clone(), mode],
            input: file.pieces.clone(),
        }));
    }
    for (path, file) in files {
        if let Some(check) = &file.check {
            plan.steps.push(run(check, vec![format!("{path}{BESIDE}")]));
        }
    }
    if !files.is_empty() {
        let paths: Vec<String> = files.keys().cloned().collect();
        plan.undo.push(run(DROP, paths.clone()));
        plan.steps.push(run(PUT, paths));
    }
    let apply = configuration.apply.iter();
    plan.steps.extend(apply.map(|line| run(line, Vec::new())));
    plan
}

fn run(script: &str, words: Vec<String>) -> Step {
    Step::Guest(GuestCommand {
        script: script.to_owned(),
        words,
        input: Vec::new(),
    })
}

/// A connection to the agent of one guest.
pub(super) struct GuestAgent(Qmp);

impl GuestAgent {
    /// Connects, and waits for the guest to be up.
    ///
    /// # Errors
    /// Where no agent answers in time.
    pub(super) fn connect(
        folder: &Folder,
        vm: VmId,
        watch: &dyn Watch,
    ) -> Result<Self, DriverError> {
        let socket = folder.of(vm).join(record::GUEST_SOCKET);
        let mut qmp = Qmp::open(&socket, watch)?;
        let begun = Instant::now();
        let mut call = 0_u64;
        while begun.elapsed() < BOOT_PATIENCE {
            call += 1;
            let sync = json!({ "execute": "guest-sync", "arguments": { "id": call } });
            // 0xFF is in no text: it ends whatever a former caller has left half said.
            qmp.send(
                "guest-sync",
                &[b"\xff", sync.to_string().as_bytes(), b"\n"].concat(),
                watch,
            )?;
            if qmp.hears(call, CALL_AGAIN, watch)? {
                return Ok(Self(qmp));
            }
        }
        Err(DriverError::Missing {
            what: format!("an agent in the guest of {vm}"),
            hint: "add qemu-guest-agent to its image".to_owned(),
        })
    }

    /// Runs a command to its end.
    ///
    /// # Errors
    /// What it said where it failed, keys by id.
    pub(super) fn run(
        &mut self,
        command: &GuestCommand,
        keys: &Keys,
        watch: &dyn Watch,
    ) -> Result<(), DriverError> {
        self.run_aloud(command, keys, watch)
            .map_err(|error| match error {
                DriverError::Hypervisor { doing, said } => DriverError::Hypervisor {
                    doing,
                    said: without_keys(said.into_bytes(), command, keys),
                },
                error => error,
            })
    }

    /// As [`Self::run`], with errors of which a guest may have said anything.
    fn run_aloud(
        &mut self,
        command: &GuestCommand,
        keys: &Keys,
        watch: &dyn Watch,
    ) -> Result<(), DriverError> {
        let line = spoken(command, keys)?;
        let started = self.0.ask("guest-exec", line.as_bytes(), watch)?;
        let pid = json!({ "pid": started["pid"] });
        loop {
            let status = self.0.execute("guest-exec-status", Some(&pid), watch)?;
            if status["exited"] == true {
                let code = status["exitcode"].as_i64();
                if code == Some(0) {
                    return Ok(());
                }
                let told = without_keys(said(&status), command, keys);
                let told: String = told.trim().chars().take(MOST_CHARS).collect();
                let code = code.map_or("a signal".to_owned(), |code| code.to_string());
                return Err(DriverError::Hypervisor {
                    doing: format!("run {} in the guest", command.told()),
                    said: format!("{told} (ended with {code})"),
                });
            }
            watch
                .checkpoint()
                .map_err(|why| DriverError::called_off("wait for the guest", why))?;
            std::thread::sleep(ASK_AGAIN);
        }
    }
}

/// What a command has printed, complaints first.
fn said(status: &Value) -> Vec<u8> {
    let bytes = |key: &str| {
        let text = status[key].as_str().unwrap_or_default();
        STANDARD.decode(text).unwrap_or_default()
    };
    let (complaints, output) = (bytes("err-data"), bytes("out-data"));
    [complaints.trim_ascii(), b" ", output.trim_ascii()].concat()
}

/// What a guest said, with the ids of a command's keys in their place.
fn without_keys(said: Vec<u8>, command: &GuestCommand, keys: &Keys) -> String {
    let mut said = Zeroizing::new(said);
    for piece in &command.input {
        if let Piece::Key(id) = piece
            && let Some(key) = keys.bytes(*id).map(<[u8]>::trim_ascii)
            && !key.is_empty()
        {
            let name = id.to_string();
            let mut clean = Zeroizing::new(Vec::with_capacity(said.len()));
            let mut left = &said[..];
            while let Some(at) = left.windows(key.len()).position(|part| part == key) {
                clean.extend_from_slice(&left[..at]);
                clean.extend_from_slice(name.as_bytes());
                left = &left[at + key.len()..];
            }
            clean.extend_from_slice(left);
            said = clean;
        }
    }
    String::from_utf8_lossy(&said).into_owned()
}

/// A command as it goes over the wire. Its input, and nothing else of it, may hold keys, and is
/// wiped when dropped; each buffer has its full length at once, as one that grows leaves copies behind.
fn spoken(command: &GuestCommand, keys: &Keys) -> Result<Zeroizing<String>, DriverError> {
    let pieces = command.input.iter().map(|piece| match piece {
        Piece::Text(text) => Ok(text.as_bytes()),
        Piece::Key(key) => keys
            .bytes(*key)
            .ok_or(DriverError::KeyMissing { key: *key }),
    });
    let pieces = pieces.collect::<Result<Vec<_>, _>>()?;
    let input = Zeroizing::new(pieces.concat());
    let mut words = vec!["-c", &command.script, "sh"];
    words.extend(command.words.iter().map(String::as_str));
    let words = Value::from(words);
    let encoded = Zeroizing::new(STANDARD.encode(&*input));
    let before = format!(
        "{{\"execute\":\"guest-exec\",\"arguments\":{{\"path\":\"/bin/sh\",\"arg\":{words},\
         \"input-data\":\""
    );
    let behind = "\",\"capture-output\":true}}\n";
    Ok(Zeroizing::new([before.as_str(), &encoded, behind].concat()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::id::KeyId;

    const KEY: &str = "correct horse battery";

    fn command() -> (GuestCommand, Keys) {
        let mut keys = Keys::default();
        keys.insert(KeyId(5), format!("{KEY}\n").into_bytes());
        let command = GuestCommand {
            script: WRITE.to_owned(),
            words: vec!["/etc/key".to_owned()],
            input: vec![Piece::Text("key=".to_owned()), Piece::Key(KeyId(5))],
        };
        (command, keys)
    }

    /// What a guest says of a key that it was given names the key, and does not show it.
    #[test]
    fn a_guest_tells_nobody_its_keys() {
        let (command, keys) = command();
        let encode = |text: String| STANDARD.encode(text);
        let status = json!({
            "err-data": encode(format!("{KEY}: not found")),
            "out-data": encode(format!("twice {KEY}{KEY}")),
        });
        let told = without_keys(said(&status), &command, &keys);
        let id = KeyId(5);
        assert_eq!(told, format!("{id}: not found twice {id}{id}"));
    }

    /// What is sent has had its full length from the first byte, and says what it should.
    #[test]
    fn no_part_of_a_key_is_left_by_a_buffer_that_grew() {
        let (command, keys) = command();
        let line = spoken(&command, &keys).expect("all its keys");
        assert_eq!(line.capacity(), line.len());
        let line: Value = serde_json::from_str(&line).expect("JSON");
        let input = line["arguments"]["input-data"].as_str().expect("its input");
        let input = STANDARD.decode(input).expect("base64");
        assert_eq!(input, format!("key={KEY}\n").into_bytes());
    }
}
