//! Lets kernels run on processors that have more registers than they know.

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};
use std::fs;
use std::process::{Command, ExitStatus};
use std::thread;

/// How a kernel keeps the vector registers of its processes; see [`Registers::of_this_node`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registers {
    /// All that the processor has.
    Whole,
    /// Those of the SSE age only.
    Legacy,
}

impl Registers {
    /// User-mode Linux up to 6.12 gives ptrace a buffer of fixed size for the extended state
    /// (`HOST_FP_SIZE` in the kernel's `arch/x86/um/user-offsets.c`); on processors with AMX the
    /// state is larger, and every guest process dies at its first step. If that ptrace request
    /// looks unknown, the kernel falls back to the legacy one.
    pub fn of_this_node() -> Self {
        let tiles = fs::read_to_string("/proc/cpuinfo")
            .is_ok_and(|text| text.split_whitespace().any(|flag| flag == "amx_tile"));
        if tiles { Self::Legacy } else { Self::Whole }
    }
}

/// Runs a command to its end, where needed under a filter that all its children inherit. A filter
/// is of a thread, so it is put on one that ends with the command.
pub fn execute(mut command: Command, registers: Registers) -> Result<ExitStatus, String> {
    if registers == Registers::Whole {
        return command.status().map_err(|error| error.to_string());
    }
    let filter = legacy_registers().map_err(|error| error.to_string())?;
    let execute = move || {
        seccompiler::apply_filter(&filter).map_err(|error| error.to_string())?;
        command.status().map_err(|error| error.to_string())
    };
    let thread = thread::spawn(execute);
    thread
        .join()
        .map_err(|_| "the thread that executes it panicked".to_owned())?
}

/// Answers `ENODEV` to the ptrace requests for the extended state, and lets all else through.
fn legacy_registers() -> Result<BpfProgram, seccompiler::BackendError> {
    /// The system call's number on x86-64.
    const PTRACE: i64 = 101;
    const GET_REGISTER_SET: u64 = 0x4204;
    const SET_REGISTER_SET: u64 = 0x4205;
    /// `NT_X86_XSTATE`.
    const EXTENDED_STATE: u64 = 0x202;
    /// "No such device", as on processors without the set.
    const ENODEV: u32 = 19;
    let is = |argument, value| {
        SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)
    };
    let rule = |request| SeccompRule::new(vec![is(0, request)?, is(2, EXTENDED_STATE)?]);
    SeccompFilter::new(
        [(
            PTRACE,
            vec![rule(GET_REGISTER_SET)?, rule(SET_REGISTER_SET)?],
        )]
        .into(),
        SeccompAction::Allow,
        SeccompAction::Errno(ENODEV),
        TargetArch::x86_64,
    )?
    .try_into()
}
