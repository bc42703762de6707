//! Messages that somebody in the middle, or a careless peer, could send. What they cost is counted beside the
//! parser, in `src/stun/wire/tests.rs`.

use floe::stun::auth::{Integrity, Unverified};
use floe::stun::wire::{BufferTooSmall, Malformed, attr};
use floe::stun::{Class, Key, Message, Method, TransactionId, Writer, code};

const ID: TransactionId = TransactionId([7; 12]);
/// A header without attributes: a Binding request.
const HEADER: [u8; 20] = [0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7];
const PADDING: [u8; 3] = [0; 3];

fn key() -> Key {
    Key::short_term("VOkJxbRl1RmTxUk/WvJxBt")
}

/// A Binding request with what `fill` puts in.
fn request(fill: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut buf = [0; 1280];
    let mut writer = Writer::new(&mut buf, Class::Request, Method::BINDING, ID);
    fill(&mut writer);
    writer.finish().expect("1280 bytes are enough").to_vec()
}

/// Appends an attribute as an attacker would, without the key.
fn append(raw: &mut Vec<u8>, kind: u16, value: &[u8]) {
    raw.extend(kind.to_be_bytes());
    raw.extend((value.len() as u16).to_be_bytes());
    raw.extend(value);
    raw.extend(&PADDING[..value.len().next_multiple_of(4) - value.len()]);
    set_length(raw);
}

fn set_length(raw: &mut [u8]) {
    let length = (raw.len() - 20) as u16;
    raw[2..4].copy_from_slice(&length.to_be_bytes());
}

fn append_fingerprint(raw: &mut Vec<u8>) {
    append(raw, attr::FINGERPRINT, &[0; 4]);
    let at = raw.len() - 8;
    let crc = crc32fast::hash(&raw[..at]) ^ 0x5354_554e;
    raw[at + 4..].copy_from_slice(&crc.to_be_bytes());
}

/// RFC 8489 §9: what follows MESSAGE-INTEGRITY is ignored, but for the SHA-256 one and FINGERPRINT.
#[test]
fn attributes_after_message_integrity_are_invisible() {
    for integrity in [Integrity::Sha1, Integrity::Sha256] {
        let mut raw = request(|writer| {
            writer.put(attr::USERNAME, b"a:b").integrity(&key(), integrity);
        });
        append(&mut raw, attr::USE_CANDIDATE, &[]);
        append(&mut raw, attr::USERNAME, b"c:d");
        append_fingerprint(&mut raw);
        let message = Message::parse(&raw).unwrap();
        assert!(message.has_fingerprint());
        let verified = message.verify(&key()).unwrap();
        assert_eq!(verified.by(), integrity);
        assert_eq!(verified.attributes().iter().collect::<Vec<_>>(), [(attr::USERNAME, &b"a:b"[..])]);
        assert!(!message.plain().attributes().has(attr::USE_CANDIDATE));
    }
}

/// RFC 8489 §9.1.3: SHA-256 counts, also where the SHA-1 one would fit.
#[test]
fn with_both_integrity_attributes_sha256_counts() {
    let raw = request(|writer| {
        writer
            .put(attr::USERNAME, b"a:b")
            .integrity(&key(), Integrity::Sha1)
            .integrity(&key(), Integrity::Sha256);
        writer.fingerprint();
    });
    assert_eq!(Message::parse(&raw).unwrap().verify(&key()).unwrap().by(), Integrity::Sha256);
    // RFC 8489 §14.6: each verifies alone after the later ones are cut off.
    let mut cut = raw[..raw.len() - 8 - 36].to_vec();
    set_length(&mut cut);
    assert_eq!(Message::parse(&cut).unwrap().verify(&key()).unwrap().by(), Integrity::Sha1);

    let other = Key::short_term("another password of the attacker");
    let raw = request(|writer| {
        writer
            .put(attr::USERNAME, b"a:b")
            .integrity(&key(), Integrity::Sha1)
            .integrity(&other, Integrity::Sha256);
    });
    assert_eq!(Message::parse(&raw).unwrap().verify(&key()).err(), Some(Unverified::Mismatch));
}

/// RFC 8489 §14.5: of two of a kind the first counts, and only that one is verified.
#[test]
fn a_second_message_integrity_is_ignored() {
    let mut raw = request(|writer| {
        writer.put(attr::USERNAME, b"a:b").integrity(&key(), Integrity::Sha1);
    });
    append(&mut raw, attr::MESSAGE_INTEGRITY, &[0; 20]);
    assert!(Message::parse(&raw).unwrap().verify(&key()).is_ok());

    let mut raw = HEADER.to_vec();
    append(&mut raw, attr::MESSAGE_INTEGRITY, &[0; 20]);
    let mut buf = [0; 1280];
    let mut writer = Writer::new(&mut buf, Class::Request, Method::BINDING, ID);
    writer.put(attr::MESSAGE_INTEGRITY, &[0; 20]).integrity(&key(), Integrity::Sha1);
    assert!(Message::parse(writer.finish().unwrap()).unwrap().verify(&key()).is_err());
}

/// RFC 8489 §14.6: 16 to 32 bytes in steps of 4; no usage of floe allows less than all 32.
#[test]
fn a_truncated_sha256_does_not_verify() {
    let whole = request(|writer| {
        writer.put(attr::USERNAME, b"a:b").integrity(&key(), Integrity::Sha256);
    });
    for length in 0..=36 {
        let mut raw = whole[..whole.len() - 36].to_vec();
        let value: Vec<u8> = whole[whole.len() - 32..].iter().copied().chain([0; 4]).take(length).collect();
        append(&mut raw, attr::MESSAGE_INTEGRITY_SHA256, &value);
        match (Message::parse(&raw), length) {
            (Ok(message), 32) => assert!(message.verify(&key()).is_ok()),
            (Ok(message), 16 | 20 | 24 | 28) => {
                assert_eq!(message.verify(&key()).err(), Some(Unverified::Mismatch));
            }
            (read, _) => assert_eq!(read.err(), Some(Malformed::Attribute(attr::MESSAGE_INTEGRITY_SHA256))),
        }
    }
}

/// RFC 8489 §14.7.
#[test]
fn fingerprint_must_be_the_last_attribute() {
    let mut raw = request(|writer| {
        writer.put(attr::USERNAME, b"a:b").fingerprint();
    });
    append(&mut raw, attr::USE_CANDIDATE, &[]);
    assert_eq!(Message::parse(&raw).err(), Some(Malformed::FingerprintNotLast));
    append_fingerprint(&mut raw);
    assert_eq!(Message::parse(&raw).err(), Some(Malformed::FingerprintNotLast));
}

/// RFC 8489 §14.5, §14.7: a message with one flipped bit is refused, or is no longer a protected one.
#[test]
fn every_flipped_bit_is_noticed() {
    let protected = request(|writer| {
        writer.put(attr::USERNAME, b"a:b").integrity(&key(), Integrity::Sha1);
    });
    let mut fingerprinted = protected.clone();
    append_fingerprint(&mut fingerprinted);
    assert!(Message::parse(&protected).unwrap().verify(&key()).is_ok());
    assert!(Message::parse(&fingerprinted).unwrap().has_fingerprint());
    let flip = |raw: &[u8], bit: usize| {
        let mut raw = raw.to_vec();
        raw[bit / 8] ^= 1 << (bit % 8);
        raw
    };
    for bit in 0..protected.len() * 8 {
        let raw = flip(&protected, bit);
        assert!(!Message::parse(&raw).is_ok_and(|message| message.verify(&key()).is_ok()), "bit {bit}");
    }
    for bit in 0..fingerprinted.len() * 8 {
        let raw = flip(&fingerprinted, bit);
        assert!(!Message::parse(&raw).is_ok_and(|message| message.has_fingerprint()), "bit {bit}");
    }
}

/// RFC 8489 §14, §14.1: they are ignored, and covered as received.
#[test]
fn reserved_bits_and_padding_that_are_not_zero_still_verify() {
    use hmac::Mac as _;
    let mut raw = HEADER.to_vec();
    append(&mut raw, attr::USERNAME, b"a:b");
    *raw.last_mut().unwrap() = 0xff;
    append(&mut raw, attr::XOR_MAPPED_ADDRESS, &[0xee, 1, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43]);
    append(&mut raw, attr::REQUESTED_TRANSPORT, &[17, 0xff, 0xff, 0xff]);
    append(&mut raw, attr::MESSAGE_INTEGRITY, &[0; 20]);
    let at = raw.len() - 24;
    let mut mac = hmac::Hmac::<sha1::Sha1>::new_from_slice(b"VOkJxbRl1RmTxUk/WvJxBt").unwrap();
    mac.update(&raw[..at]);
    raw[at + 4..].copy_from_slice(&mac.finalize().into_bytes());
    append_fingerprint(&mut raw);
    let verified = Message::parse(&raw).unwrap().verify(&key()).unwrap();
    let mapped = verified.attributes().xor_address(attr::XOR_MAPPED_ADDRESS);
    assert_eq!(mapped, Some("192.0.2.1:32853".parse().unwrap()));
    assert_eq!(verified.attributes().requested_transport(), Some(17));
}

/// Nobody's product name may cost a message.
#[test]
fn malformed_software_and_reason_do_not_kill_a_message() {
    let mut buf = [0; 2048];
    let mut writer = Writer::new(&mut buf, Class::Error, Method::ALLOCATE, ID);
    writer
        .put(attr::SOFTWARE, b"\xff\xfe turnserver")
        .put(attr::ERROR_CODE, b"\xff\xff\xfc\x26Stale \xf0\x28 nonce")
        .put(attr::REALM, b"example.org")
        .put(attr::NONCE, b"fresh");
    let message = Message::parse(writer.finish().unwrap()).unwrap();
    let attributes = message.plain().attributes();
    assert_eq!(attributes.software().as_deref(), Some("\u{fffd}\u{fffd} turnserver"));
    let error = attributes.error_code().unwrap();
    assert_eq!((error.code, &*error.reason), (code::STALE_NONCE, "Stale \u{fffd}( nonce"));
    assert_eq!(
        (attributes.realm().as_deref(), attributes.nonce().as_deref()),
        (Some("example.org"), Some("fresh"))
    );

    let mut writer = Writer::new(&mut buf, Class::Request, Method::BINDING, ID);
    writer.put(attr::SOFTWARE, &[b'x'; 1000]);
    let message = Message::parse(writer.finish().unwrap()).unwrap();
    assert_eq!(message.plain().attributes().software().map(|text| text.len()), Some(763));
}

/// RFC 8489 §6.3.1: all of them, once each, in order; optional ones and those after the integrity are ignored.
#[test]
fn lists_unknown_comprehension_required_attributes() {
    let mut raw = request(|writer| {
        writer
            .put(attr::USERNAME, b"a:b")
            .put(0x7002, &[])
            .put(0x7FFF, &[])
            .put(0x8000, &[])
            .put(0x7002, &[1]);
        writer.put(0x7001, &[]).integrity(&key(), Integrity::Sha1);
    });
    append(&mut raw, 0x7003, &[]);
    let attributes = Message::parse(&raw).unwrap().verify(&key()).unwrap().attributes();
    let unknown: Vec<u16> = attributes.unknown_required(&[attr::USERNAME]).collect();
    assert_eq!(unknown, [0x7002, 0x7FFF, 0x7001]);

    let mut buf = [0; 100];
    let mut answer = Writer::error(&mut buf, Method::BINDING, ID, code::UNKNOWN_ATTRIBUTE);
    answer.put_unknown_attributes(unknown.iter().copied());
    let answer = Message::parse(answer.finish().unwrap()).unwrap();
    assert_eq!(answer.class(), Class::Error);
    let error = answer.plain().attributes().error_code().unwrap().to_string();
    assert_eq!(error, "420 Unknown Attribute");
    assert_eq!(answer.plain().attributes().unknown_attributes(), Some(unknown));
}

/// RFC 8489 §5.
#[test]
fn a_length_field_that_does_not_fit_is_refused() {
    let raw = request(|writer| {
        writer.put(attr::USERNAME, b"a:b");
    });
    assert_eq!(Message::parse(&raw[..raw.len() - 4]).err(), Some(Malformed::Length));
    let longer: Vec<u8> = raw.iter().copied().chain([0; 4]).collect();
    assert_eq!(Message::parse(&longer).err(), Some(Malformed::Length));
    let mut beyond = raw;
    beyond[23] = 5;
    assert_eq!(Message::parse(&beyond).err(), Some(Malformed::Attribute(attr::USERNAME)));
}

/// RFC 8489 §14.3, §14.8, §14.9, §14.10, §14.14.
#[test]
fn values_that_are_too_long_are_never_written() {
    type Put = for<'w, 'b> fn(&'w mut Writer<'b>, &str) -> &'w mut Writer<'b>;
    let texts: [(Put, usize); 5] = [
        (|writer, text| writer.put_username(text), 508),
        (|writer, text| writer.put_realm(text), 127),
        (|writer, text| writer.put_nonce(text), 127),
        (|writer, text| writer.put_software(text), 127),
        (|writer, text| writer.put_error_code(400, text), 127),
    ];
    for (put, longest) in texts {
        for (length, written) in [(longest, true), (longest + 1, false)] {
            let mut buf = [0; 1280];
            let mut writer = Writer::new(&mut buf, Class::Error, Method::BINDING, ID);
            put(&mut writer, &"x".repeat(length));
            assert_eq!(writer.finish().is_ok(), written, "{length}");
        }
    }
    let mut buf = [0; 1280];
    let mut writer = Writer::new(&mut buf, Class::Request, Method::CHANNEL_BIND, ID);
    writer.put_channel_number(0x5000);
    assert_eq!(writer.finish(), Err(BufferTooSmall));
}

/// RFC 8489 §14.3.
#[test]
fn a_username_of_763_bytes_is_read_and_a_longer_one_is_none() {
    for (length, read) in [(763, true), (764, false)] {
        let raw = request(|writer| {
            writer.put(attr::USERNAME, &vec![b'x'; length]);
        });
        assert_eq!(Message::parse(&raw).unwrap().username().is_some(), read);
    }
}
