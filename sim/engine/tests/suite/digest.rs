//! The digest against published vectors.

use engine::digest::Digest;

/// The vectors of the FNV draft's appendix: the empty text, "a" and "foobar".
#[test]
fn digests_are_those_of_the_draft() {
    let check = |text: &str, expected: u64| {
        let mut digest = Digest::new();
        digest.bytes(text.as_bytes());
        assert_eq!(digest.value(), expected, "{text:?}");
    };
    check("", 0xcbf2_9ce4_8422_2325);
    check("a", 0xaf63_dc4c_8601_ec8c);
    check("foobar", 0x8594_4171_f739_67e8);
}

/// A word counts as its four bytes, the lowest first, and order matters.
#[test]
fn words_are_little_endian_and_ordered() {
    let digest = |words: &[u32]| {
        let mut digest = Digest::new();
        words.iter().for_each(|&word| digest.word(word));
        digest
    };
    let mut bytes = Digest::new();
    bytes.bytes(&[1, 0, 0, 0, 0, 1, 0, 0]);
    assert_eq!(digest(&[1, 256]), bytes);
    assert_ne!(digest(&[1, 256]), digest(&[256, 1]));
}
