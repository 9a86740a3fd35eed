//! The only program of a probe's guest: it says a word and powers off.

/// What it says.
pub const WORD: &str = "GRIDWRIGHT-PROBE";

/// The program: an executable of x86-64 that needs no library and no file. As the first process of a
/// container it ends the container, for the kernel keeps its request within.
pub fn program() -> Vec<u8> {
    const BASE: u64 = 0x40_0000;
    const HEADERS: u64 = 64 + 56;
    #[rustfmt::skip]
    const CODE: [u8; 46] = [
        0xb8, 1, 0, 0, 0,                   // mov eax, 1 (write)
        0xbf, 1, 0, 0, 0,                   // mov edi, 1 (standard output)
        0x48, 0x8d, 0x35, 29, 0, 0, 0,      // lea rsi, [rip + 29] (what follows the code)
        0xba, WORD.len() as u8 + 1, 0, 0, 0,// mov edx, length
        0x0f, 0x05,                         // syscall
        0xb8, 0xa9, 0, 0, 0,                // mov eax, 169 (reboot)
        0xbf, 0xad, 0xde, 0xe1, 0xfe,       // mov edi, first magic
        0xbe, 0x69, 0x19, 0x12, 0x28,       // mov esi, second magic
        0xba, 0xdc, 0xfe, 0x21, 0x43,       // mov edx, power off
        0x0f, 0x05,                         // syscall, which does not return
    ];
    let size = HEADERS + (CODE.len() + WORD.len() + 1) as u64;
    let mut bytes = Vec::new();
    bytes.extend(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    bytes.extend([2, 0, 0x3e, 0, 1, 0, 0, 0]); // executable, x86-64, version 1
    for word in [BASE + HEADERS, 64, 0] {
        bytes.extend(u64::to_le_bytes(word)); // entry, program headers, no sections
    }
    bytes.extend([0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 0, 0, 0, 0, 0, 0]); // flags and sizes
    bytes.extend([1, 0, 0, 0, 5, 0, 0, 0]); // load, read and execute
    for word in [0, BASE, BASE, size, size, 4096] {
        bytes.extend(u64::to_le_bytes(word)); // offset, addresses, sizes, alignment
    }
    bytes.extend(CODE);
    bytes.extend(WORD.as_bytes());
    bytes.push(b'\n');
    bytes
}
