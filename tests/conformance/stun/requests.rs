//! How an agent takes requests and indications (RFC 8489 §6.3, §9.1.3), and what it leaves to others (RFC 7983).

use floe::stun::auth::Integrity;
use floe::stun::wire::attr;
use floe::stun::{Class, Key, Method, TransactionId, Writer};
use floe::{Received, Role};

use crate::bench::{Bench, PEER, Sent, addr, message};

/// Where nobody is known.
const STRANGER: &str = "192.0.2.66:666";

fn bench() -> Bench {
    Bench::new(Role::Controlled)
}

/// What a check is made of, each part as it should be or not.
#[derive(Clone, Copy)]
struct Parts<'a> {
    class: Class,
    username: Option<&'a str>,
    integrity: Option<Integrity>,
    pwd: &'a str,
}

fn made(parts: Parts<'_>) -> Vec<u8> {
    message(parts.class, Method::BINDING, TransactionId([9; 12]), |writer| {
        if let Some(username) = parts.username {
            writer.put_username(username);
        }
        writer.put_u32(attr::PRIORITY, 1_862_270_975).put_u64(attr::ICE_CONTROLLING, 1);
        if let Some(integrity) = parts.integrity {
            writer.integrity(&Key::short_term(parts.pwd), integrity);
        }
        writer.fingerprint();
    })
}

fn one(mut answers: Vec<Sent>) -> Sent {
    assert_eq!(answers.len(), 1, "{answers:?}");
    answers.remove(0)
}

/// The codes of the answers to a request and to an indication with these parts; `None`: no answer.
fn codes(username: Option<&str>, integrity: Option<Integrity>, pwd: Option<&str>) -> [Option<u16>; 2] {
    [Class::Request, Class::Indication].map(|class| {
        let mut bench = bench();
        let (own, ufrag) = (bench.pwd.clone(), bench.ufrag.clone());
        let username = username.map(|it| it.replace("OWN", &ufrag));
        let parts = Parts { class, username: username.as_deref(), integrity, pwd: pwd.unwrap_or(&own) };
        bench.answers(STRANGER, &made(parts)).first().map(Sent::code)
    })
}

/// §9.1.3: without a username or without integrity a request is answered 400, an indication not at all.
#[test]
fn a_request_without_username_or_integrity_is_400() {
    let sha1 = Some(Integrity::Sha1);
    assert_eq!(codes(None, None, None), [Some(400), None]);
    assert_eq!(codes(Some("OWN:peer"), None, None), [Some(400), None]);
    assert_eq!(codes(None, sha1, None), [Some(400), None]);
    assert_eq!(codes(Some("OWN:peer"), sha1, None), [Some(0), None]);
}

/// §9.1.3.
#[test]
fn a_request_with_a_username_of_nobody_is_401() {
    for username in ["nobody:peer", "OWN", "OWNx:peer", ":"] {
        assert_eq!(codes(Some(username), Some(Integrity::Sha1), None), [Some(401), None], "{username}");
    }
}

/// §9.1.3: with either kind of integrity.
#[test]
fn a_request_with_wrong_integrity_is_401() {
    for integrity in [Integrity::Sha1, Integrity::Sha256] {
        let wrong = codes(Some("OWN:peer"), Some(integrity), Some("another password of a stranger"));
        assert_eq!(wrong, [Some(401), None], "{integrity:?}");
        assert_eq!(codes(Some("OWN:peer"), Some(integrity), None), [Some(0), None], "{integrity:?}");
    }
}

/// §9.1.3: the answer is protected as the request was, with one of the two.
#[test]
fn an_answer_mirrors_the_integrity_of_its_request() {
    for (both, sent, mirrored) in [
        (false, Integrity::Sha1, Integrity::Sha1),
        (false, Integrity::Sha256, Integrity::Sha256),
        (true, Integrity::Sha256, Integrity::Sha256),
    ] {
        let mut bench = bench();
        let (username, key) = (format!("{}:peer", bench.ufrag), Key::short_term(&bench.pwd));
        let check = message(Class::Request, Method::BINDING, TransactionId([9; 12]), |writer| {
            writer.put_username(&username).put_u32(attr::PRIORITY, 7).put_u64(attr::ICE_CONTROLLING, 1);
            if both {
                writer.integrity(&key, Integrity::Sha1);
            }
            writer.integrity(&key, sent).fingerprint();
        });
        let answer = one(bench.answers(PEER, &check));
        assert_eq!(answer.message().verify(&key).expect("our key").by(), mirrored);
        let protections = [attr::MESSAGE_INTEGRITY, attr::MESSAGE_INTEGRITY_SHA256];
        assert_eq!(answer.kinds().iter().filter(|kind| protections.contains(kind)).count(), 1);
    }
}

/// §9.1.3.
#[test]
fn no_answer_names_a_user() {
    let mut bench = bench();
    let check = bench.check();
    let refused = bench.check_with(|writer| {
        writer.put(0x7001, &[]);
    });
    for request in [check, refused] {
        assert!(!one(bench.answers(PEER, &request)).kinds().contains(&attr::USERNAME));
    }
}

/// §9.1.3: there is no key that the asker knows.
#[test]
fn a_400_or_401_has_neither_username_nor_integrity() {
    let mut bench = bench();
    let username = format!("{}:peer", bench.ufrag);
    for (integrity, code) in [(None, 400), (Some(Integrity::Sha1), 401), (Some(Integrity::Sha256), 401)] {
        let pwd = "another password of a stranger";
        let parts = Parts { class: Class::Request, username: Some(&username), integrity, pwd };
        let answer = one(bench.answers(STRANGER, &made(parts)));
        assert_eq!((answer.code(), answer.kinds()), (code, vec![attr::ERROR_CODE, attr::FINGERPRINT]));
    }
}

/// §6.3: what is no valid message of a known method and class is neither answered nor does it change anything.
#[test]
fn what_fails_a_basic_check_is_silently_discarded() {
    let mut bench = bench();
    bench.wait(crate::bench::secs(2));
    let check = bench.check();
    let with = |at: usize, byte: u8| {
        let mut raw = check.clone();
        raw[at] = byte;
        raw
    };
    let id = TransactionId([9; 12]);
    let strays: [(&str, Vec<u8>); 9] = [
        ("the first bits", with(0, 0xc0)),
        ("the cookie", with(4, 0)),
        ("the length", with(3, check[3] - 4)),
        ("an odd length", with(3, check[3] + 1)),
        ("a shorter datagram", check[..check.len() - 4].to_vec()),
        ("an unknown method", message(Class::Request, Method(0x0ff), id, |_| {})),
        ("a response to nothing", message(Class::Success, Method::BINDING, id, |_| {})),
        ("an error to nothing", message(Class::Error, Method::BINDING, id, |_| {})),
        ("FINGERPRINT", with(check.len() - 1, check[check.len() - 1] ^ 1)),
    ];
    for (what, raw) in strays {
        let events = bench.events.len();
        assert!(bench.answers(STRANGER, &raw).is_empty(), "{what} is answered");
        assert_eq!(bench.events.len(), events, "{what}");
    }
    assert_eq!(one(bench.answers(PEER, &check)).code(), 0);
}

/// §6.3: first the integrity, then what is unknown.
#[test]
fn integrity_is_looked_at_before_unknown_attributes() {
    let mut bench = bench();
    let check = bench.check_with(|writer| {
        writer.put(0x7001, &[]);
    });
    let mut forged = check.clone();
    let at = forged.len() - 8 - 1;
    forged[at] ^= 1;
    let before_fingerprint = forged.len() - 8;
    let crc = crc32fast::hash(&forged[..before_fingerprint]) ^ 0x5354_554e;
    forged[before_fingerprint + 4..].copy_from_slice(&crc.to_be_bytes());
    assert_eq!(one(bench.answers(PEER, &forged)).code(), 401);
    assert_eq!(one(bench.answers(PEER, &check)).code(), 420);
}

/// §6.3.
#[test]
fn an_unknown_optional_attribute_of_a_check_is_ignored() {
    let mut bench = bench();
    let check = bench.check_with(|writer| {
        writer.put(0xc123, b"what?");
    });
    assert_eq!(one(bench.answers(PEER, &check)).code(), 0);
}

/// §6.3: what STUN defines and a check does not expect is ignored.
#[test]
fn a_known_but_unexpected_attribute_of_a_check_is_ignored() {
    let mut bench = bench();
    let check = bench.check_with(|writer| {
        writer.put_realm("example.org").put_nonce("nonce").put_address(attr::MAPPED_ADDRESS, addr(PEER));
    });
    assert_eq!(one(bench.answers(PEER, &check)).code(), 0);
}

/// §6.3.1.1: an error to an authentic request is signed.
#[test]
fn an_error_response_to_an_authentic_check_is_signed() {
    let mut bench = bench();
    let unknown = bench.check_with(|writer| {
        writer.put(0x7001, &[]);
    });
    let key = Key::short_term(&bench.pwd);
    let answer = one(bench.answers(PEER, &unknown));
    assert_eq!(answer.code(), 420);
    assert!(answer.message().verify(&key).is_ok());
}

/// §14.8: all of them, each once.
#[test]
fn a_420_to_a_check_lists_all_that_was_not_understood() {
    let mut bench = bench();
    let check = bench.check_with(|writer| {
        writer.put(0x7001, &[]).put(0x7002, &[1]).put(0xc057, &[]).put(0x7001, &[2]);
    });
    let answer = one(bench.answers(PEER, &check));
    assert_eq!(answer.code(), 420);
    let listed = answer.message().plain().attributes().unknown_attributes();
    assert_eq!(listed, Some(vec![0x7001, 0x7002]));
}

/// §6.3.2.
#[test]
fn an_indication_is_never_answered() {
    let mut bench = bench();
    let id = TransactionId([9; 12]);
    for fill in [
        |_: &mut Writer<'_>| {},
        |writer: &mut Writer<'_>| {
            writer.put(0x7001, &[]);
        },
    ] {
        let raw = message(Class::Indication, Method::BINDING, id, |writer| {
            fill(writer);
            writer.fingerprint();
        });
        let events = bench.events.len();
        assert!(bench.answers(PEER, &raw).is_empty());
        assert_eq!(bench.events.len(), events);
    }
}

fn data(bench: &mut Bench, payload: &[u8]) -> bool {
    match bench.receive(PEER, payload) {
        Received::Data { payload: received, .. } => {
            assert_eq!(received, payload);
            true
        }
        _ => false,
    }
}

/// RFC 7983 §7: 64 to 79 are channels of a TURN server only; from a peer they are data.
#[test]
fn what_looks_like_channel_data_is_data_when_a_peer_sends_it() {
    let mut bench = Bench::completed();
    for first in 0x40..=0x4f {
        assert!(data(&mut bench, &[first, 0, 0, 2, 1, 2]), "{first:#04x}");
    }
}

/// RFC 7983 §7: neither the first byte nor the cookie alone make a message of STUN.
#[test]
fn what_only_looks_like_stun_is_data() {
    let mut bench = Bench::completed();
    let without_cookie = [[0, 1, 0, 0].as_slice(), &[0x21, 0x12, 0xa4, 0x43], &[7; 12]].concat();
    assert!(data(&mut bench, &without_cookie), "no cookie");
    let check = bench.check();
    let mut bad_fingerprint = check.clone();
    *bad_fingerprint.last_mut().expect("bytes") ^= 1;
    assert!(data(&mut bench, &bad_fingerprint), "a FINGERPRINT that does not fit");
    assert!(data(&mut bench, &check[..check.len() - 4]), "a length that does not fit");
    assert!(!data(&mut bench, &check), "this is STUN");
    assert_ne!(bench.receive(STRANGER, &bad_fingerprint), Received::Unclaimed, "counted and dropped");
}
