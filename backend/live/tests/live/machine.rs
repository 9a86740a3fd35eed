//! What a node's kernel tells: texts of known machines, and this one.

use live::machine::{cores, fingerprint, kib, processor};
use std::path::Path;

/// The processor is named on x86 and RISC-V alike, and nameless where it gives no name.
#[test]
fn processors_are_named() {
    let check = |text: &str, expected: &str| assert_eq!(processor(text), expected);
    check(
        "processor\t: 0\nvendor_id\t: AuthenticAMD\nmodel\t\t: 2\nmodel name\t: AMD EPYC\n",
        "AMD EPYC",
    );
    check(
        "processor\t: 0\nhart\t\t: 0\nisa\t\t: rv64imafdc\nuarch\t\t: sifive,u74-mc\n",
        "sifive,u74-mc",
    );
    check("processor\t: 0\nBogoMIPS\t: 50.00\nCPU part\t: 0xd08\n", "");
}

/// Cores are counted from the times of each, memory is found by its name.
#[test]
fn cores_and_memory_are_counted() {
    let stat = "cpu  100 20 30 4000 50 6 7 8 90 0\ncpu0 60 10 10 2000 20 3 3 4 50 0\n\
                cpu1 40 10 20 2000 30 3 4 4 40 0\nintr 1 2 3\nctxt 9\n";
    assert_eq!(cores(stat), 2);
    let meminfo = "MemTotal:        2048000 kB\nMemFree:   1000 kB\n";
    assert_eq!(kib(meminfo, "MemTotal"), Some(2_048_000));
    assert_eq!(kib(meminfo, "Mem"), None);
}

/// This machine has a kernel, cores and memory.
#[test]
fn this_machine_is_found_out_about() {
    let found = fingerprint(Path::new("/")).expect("a Linux machine");
    let threads = std::thread::available_parallelism().expect("it tells");
    assert!(found.cores as usize >= threads.get(), "{found:?}");
    assert!(found.kernel.starts_with("Linux "), "{found:?}");
    assert!(found.mem_mib > 100, "{found:?}");
    assert!(found.interfaces.iter().all(|i| i.name != "lo"), "{found:?}");
}
