//! One call of a program of the node, as data, and how it is made.

use super::NetworkError;
use agent::driver::NativeCall;
use std::io::{ErrorKind, Write};
use std::process::{Command, Output, Stdio};

/// Programs that are called, with the Debian packages that have them.
const PACKAGES: &[(&str, &str)] = &[
    ("bridge", "iproute2"),
    ("dnsmasq", "dnsmasq-base"),
    ("ip", "iproute2"),
    ("kill", "procps"),
    ("nft", "nftables"),
];

/// One run of a program, to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The program and its arguments.
    pub words: Vec<String>,
    /// What it reads.
    pub input: String,
}

impl Call {
    /// A call of a program that reads nothing; the words are parted by blanks.
    pub fn words(line: &str) -> Self {
        Self::lines(line, &[])
    }

    /// A call of a program that reads lines.
    pub fn lines(line: &str, lines: &[String]) -> Self {
        Self {
            words: line.split_whitespace().map(str::to_owned).collect(),
            input: lines.iter().map(|line| format!("{line}\n")).collect(),
        }
    }

    /// The call as an admin reads it, lines of input parted by ` ; `.
    pub fn native(&self) -> NativeCall {
        let mut call = self.words.join(" ");
        if !self.input.is_empty() {
            let lines: Vec<&str> = self.input.lines().collect();
            call = format!("{call} <<< {}", lines.join(" ; "));
        }
        NativeCall {
            interface: "exec".to_owned(),
            call,
        }
    }

    /// Makes the call behind these words and gives what was printed.
    ///
    /// # Errors
    /// Where the program is missing or refuses.
    pub fn perform(&self, inside: &[String]) -> Result<String, NetworkError> {
        let refused = |said: String| NetworkError::Refused {
            call: self.words.join(" "),
            said,
        };
        let output = match run(inside, &self.words, &self.input) {
            Ok(output) => output,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let program = inside.first().unwrap_or(&self.words[0]);
                return Err(missing(program));
            }
            Err(error) => return Err(refused(error.to_string())),
        };
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        // What `nsenter` answers for a program that is not there.
        if output.status.code() == Some(127) {
            return Err(missing(&self.words[0]));
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let said = match said.trim() {
            "" => output.status.to_string(),
            said => said.replace('\n', "; "),
        };
        let hint = hint(&said);
        Err(refused(said + hint))
    }
}

fn run(inside: &[String], words: &[String], input: &str) -> std::io::Result<Output> {
    let mut all = inside.iter().chain(words);
    let program = all.next().expect("a call has a program");
    let mut child = Command::new(program)
        .args(all)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let fed = child
        .stdin
        .take()
        .expect("the input is piped")
        .write_all(input.as_bytes());
    let output = child.wait_with_output()?;
    match fed {
        // A program that refused may not have read to the end; what it said counts.
        Err(error) if output.status.success() => Err(error),
        _ => Ok(output),
    }
}

fn missing(program: &str) -> NetworkError {
    let known = PACKAGES.iter().find(|(name, _)| *name == program);
    NetworkError::Missing {
        program: program.to_owned(),
        package: known.map_or("it", |(_, package)| package),
    }
}

/// What the admin can do about a refusal that the kernel words badly; empty: nothing known.
fn hint(said: &str) -> &'static str {
    if said.contains("Operation not permitted") {
        "; hint: the agent needs the capability CAP_NET_ADMIN"
    } else if said.contains("Unknown device type") || said.contains("Operation not supported") {
        "; hint: the kernel lacks this; load its module (vxlan, 8021q, tun, veth, bridge, nf_tables)"
    } else {
        ""
    }
}
