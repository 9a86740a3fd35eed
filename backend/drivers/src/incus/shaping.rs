//! Whether the node limits what flows towards a container as Incus has it do: by the kernel's
//! token buckets (`htb`, tc-htb(8)).

use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// What Incus calls for a limit, on a device of a network that ends with the calls.
const TRY: &str = "tc qdisc add dev lo root handle 1:0 htb default 10 && \
                   tc class add dev lo parent 1:0 classid 1:10 htb rate 1mbit";

/// What the node lacks for it, in the words of its programs; tried once. `None`: nothing.
pub fn lacking() -> Option<&'static str> {
    static LACKING: OnceLock<Option<String>> = OnceLock::new();
    let lacking = LACKING.get_or_init(|| {
        let tried = Command::new("unshare")
            .args(["--net", "sh", "-c", TRY])
            .stdin(Stdio::null())
            .output();
        match tried {
            Ok(output) if output.status.success() => None,
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr);
                let words: Vec<_> = said.split_whitespace().collect();
                Some(words.join(" "))
            }
            Err(error) => Some(format!("unshare, of util-linux: {error}")),
        }
    });
    lacking.as_deref()
}
