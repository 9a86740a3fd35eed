//! Fingerprints, tokens and memberships as texts.

use link::identity::Fingerprint;
use link::membership::Membership;
use link::token::{Secret, Token};
use proptest::prelude::*;
use std::fs;
use std::io::ErrorKind;

fn token(controller: [u8; 32], secret: [u8; 16]) -> Token {
    Token {
        controller: Fingerprint(controller),
        secret: Secret(secret),
    }
}

proptest! {
    #[test]
    fn a_token_comes_back(controller: [u8; 32], secret: [u8; 16]) {
        let token = token(controller, secret);
        prop_assert_eq!(token.to_string().parse(), Ok(token));
    }

    #[test]
    fn no_other_text_is_a_token(text in "\\PC*") {
        if let Ok(token) = text.parse::<Token>() {
            prop_assert_eq!(token.to_string(), text.trim().to_lowercase());
        }
    }

    #[test]
    fn a_shortened_token_is_none(secret: [u8; 16], cut in 0_usize..97) {
        let text = token([7; 32], secret).to_string();
        prop_assert!(text[..cut].parse::<Token>().is_err());
    }

    #[test]
    fn a_membership_comes_back(host in "[a-z0-9.:-]{1,40}", controller: [u8; 32]) {
        let folder = tempfile::tempdir().expect("a folder");
        let written = Membership { address: host, controller: Fingerprint(controller) };
        fs::write(folder.path().join(Membership::FILE), written.written()).expect("written");
        prop_assert_eq!(Membership::read(folder.path()).expect("read"), Some(written));
    }
}

/// Neither a log nor an error may hold what lets somebody in.
#[test]
fn a_secret_is_not_shown() {
    let token = token([1; 32], [0xab; 16]);
    assert!(!format!("{token:?} {:?}", token.secret).contains("abab"));
    let slip = token.to_string().replace('.', ",");
    let error = slip.parse::<Token>().expect_err("it is none");
    assert!(!error.to_string().contains("abab"), "{error}");
}

#[test]
fn a_faulty_membership_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    assert_eq!(
        Membership::read(folder.path()).expect("nothing is there"),
        None
    );
    let file = folder.path().join(Membership::FILE);
    fs::write(&file, "address = \"a:1\"\ncontroller = \"0x\"\n").expect("written");
    let error = Membership::read(folder.path()).expect_err("it is faulty");
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    let told = error.to_string();
    assert!(
        told.contains("controller.toml") && told.contains("64 hexadecimal"),
        "{told}"
    );
}
