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
        let mut qmp = Qmp::open(&socket)?;
        let begun = Instant::now();
        let mut call = 0_u64;
        while begun.elapsed() < BOOT_PATIENCE {
            call += 1;
            let sync = json!({ "execute": "guest-sync", "arguments": { "id": call } });
            // 0xFF is in no text: it ends whatever a former caller has left half said.
            qmp.send(
                "guest-sync",
                &[b"\xff", sync.to_string().as_bytes(), b"\n"].concat(),
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
    /// What it said where it failed.
    pub(super) fn run(
        &mut self,
        command: &GuestCommand,
        keys: &Keys,
        watch: &dyn Watch,
    ) -> Result<(), DriverError> {
        let failed = |said: String| DriverError::Hypervisor {
            doing: format!("run {} in the guest", command.told()),
            said,
        };
        let line = spoken(command, keys)?;
        let started = self.0.ask("guest-exec", line.as_bytes(), watch)?;
        let pid = json!({ "pid": started["pid"] });
        loop {
            let status = self.0.execute("guest-exec-status", Some(&pid), watch)?;
            if status["exited"] == true {
                return match status["exitcode"].as_i64() {
                    Some(0) => Ok(()),
                    code => {
                        let told = said(&status);
                        let code = code.map_or("a signal".to_owned(), |code| code.to_string());
                        Err(failed(format!("{told} (ended with {code})")))
                    }
                };
            }
            watch
                .checkpoint()
                .map_err(|why| DriverError::called_off("wait for the guest", why))?;
            std::thread::sleep(ASK_AGAIN);
        }
    }
}

/// What a command has printed, complaints first; no more than a person reads.
fn said(status: &Value) -> String {
    const MOST_CHARS: usize = 2_000;
    let text = |key: &str| {
        let bytes = STANDARD.decode(status[key].as_str().unwrap_or_default());
        String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
    };
    let all = format!("{} {}", text("err-data").trim(), text("out-data").trim());
    all.trim().chars().take(MOST_CHARS).collect()
}

/// A command as it goes over the wire. Its input, and nothing else of it, may hold keys, and is
/// wiped when dropped.
fn spoken(command: &GuestCommand, keys: &Keys) -> Result<Zeroizing<String>, DriverError> {
    let mut input = Zeroizing::new(Vec::new());
    for piece in &command.input {
        match piece {
            Piece::Text(text) => input.extend_from_slice(text.as_bytes()),
            Piece::Key(key) => {
                let bytes = keys.bytes(*key);
                input.extend_from_slice(bytes.ok_or(DriverError::KeyMissing { key: *key })?);
            }
        }
    }
    let mut words = vec!["-c", &command.script, "sh"];
    words.extend(command.words.iter().map(String::as_str));
    let words = Value::from(words);
    let encoded = Zeroizing::new(STANDARD.encode(&*input));
    Ok(Zeroizing::new(format!(
        "{{\"execute\":\"guest-exec\",\"arguments\":{{\"path\":\"/bin/sh\",\"arg\":{words},\
         \"input-data\":\"{}\",\"capture-output\":true}}}}\n",
        *encoded
    )))
}
