//! What reading costs, counted and not timed: an attacker must not choose our work.
#![expect(clippy::indexing_slicing, reason = "the bytes are the test's own")]

use super::work::{Work, take};
use super::*;
use crate::stun::Key;

/// A message whose attributes are these bytes, with a right header.
fn message(class: Class, method: Method, attributes: &[u8]) -> Vec<u8> {
    let mut raw = join_type(class, method).to_be_bytes().to_vec();
    raw.extend((attributes.len() as u16).to_be_bytes());
    raw.extend(MAGIC_COOKIE.to_be_bytes());
    raw.extend([7; 12]);
    raw.extend(attributes);
    raw
}

fn repeated(attribute: &[u8], bytes: usize) -> Vec<u8> {
    attribute.repeat(bytes / attribute.len())
}

/// What an attacker repeats.
fn floods() -> [Vec<u8>; 3] {
    let mut integrity = vec![0x00, 0x08, 0x00, 0x14];
    integrity.extend([0; 20]);
    let fingerprint = vec![0x80, 0x28, 0x00, 0x04, 0, 0, 0, 0];
    let empty = vec![0xC0, 0x00, 0x00, 0x00];
    [integrity, fingerprint, empty]
}

/// A row of FINGERPRINTs, each of them right for the bytes before it.
fn valid_fingerprints(class: Class, method: Method, bytes: usize) -> Vec<u8> {
    let mut raw = message(class, method, &repeated(&[0; 8], bytes));
    for at in (HEADER..raw.len()).step_by(8) {
        let value = fingerprint(&raw[..at]).to_be_bytes();
        raw[at..at + 4].copy_from_slice(&[0x80, 0x28, 0x00, 0x04]);
        raw[at + 4..at + 8].copy_from_slice(&value);
    }
    raw
}

fn cost(raw: &[u8]) -> Work {
    take();
    if let Ok(message) = Message::parse(raw) {
        let _ = message.verify(&Key::short_term("password"));
    }
    take()
}

#[test]
fn a_message_above_the_limit_is_dropped_before_its_attributes_are_visited() {
    for flood in floods() {
        let raw = message(Class::Request, Method::BINDING, &repeated(&flood, 65_504));
        assert_eq!(Message::parse(&raw).err(), Some(Malformed::TooLong));
        assert_eq!(cost(&raw), Work::default());
    }
    let raw = valid_fingerprints(Class::Request, Method::BINDING, 65_504);
    assert_eq!(cost(&raw), Work::default());
}

#[test]
fn a_message_below_the_limit_costs_one_visit_an_attribute_and_one_hash() {
    let mut raw_messages: Vec<_> = floods()
        .iter()
        .map(|flood| message(Class::Request, Method::BINDING, &repeated(flood, MAX_MESSAGE - HEADER)))
        .collect();
    raw_messages.push(valid_fingerprints(Class::Request, Method::BINDING, MAX_MESSAGE - HEADER));
    for raw in raw_messages {
        let work = cost(&raw);
        assert!(
            work.attributes <= MAX_ATTRIBUTES && work.crc <= MAX_MESSAGE && work.mac <= MAX_MESSAGE,
            "{work:?}"
        );
    }
}

#[test]
fn one_hash_however_many_integrity_attributes() {
    let mut integrity = vec![0x00, 0x08, 0x00, 0x14];
    integrity.extend([0; 20]);
    let raw = message(Class::Request, Method::BINDING, &integrity.repeat(60));
    assert_eq!(cost(&raw), Work { attributes: 60, crc: 0, mac: HEADER });
}

/// Send and Data indications may be long: their DATA is opaque (RFC 8656 §18.4).
#[test]
fn floods_inside_or_beside_data_of_an_indication_are_not_visited() {
    for method in [Method::SEND, Method::DATA] {
        for flood in floods() {
            let mut attributes = vec![0x00, 0x13];
            let inside = repeated(&flood, 65_000);
            attributes.extend((inside.len() as u16).to_be_bytes());
            attributes.extend(&inside);
            let raw = message(Class::Indication, method, &attributes);
            let parsed = Message::parse(&raw).unwrap();
            assert_eq!(parsed.plain().attributes().data(), Some(&inside[..]));
            assert_eq!(cost(&raw), Work { attributes: 1, crc: 0, mac: 0 });

            let raw = message(Class::Indication, method, &repeated(&flood, 65_504));
            assert!(Message::parse(&raw).is_err());
            let work = cost(&raw);
            assert!(work.attributes <= MAX_ATTRIBUTES && work.crc <= raw.len() && work.mac == 0, "{work:?}");
        }
        let work = cost(&valid_fingerprints(Class::Indication, method, 65_504));
        assert_eq!(work, Work { attributes: 1, crc: 0, mac: 0 });
    }
}

#[test]
fn junk_costs_nothing() {
    for raw in
        [&[][..], &[0; 19], &[0; 20], &[0xff; 1500], &message(Class::Request, Method::BINDING, &[0; 3])]
    {
        assert!(Message::parse(raw).is_err());
        assert_eq!(cost(raw), Work::default());
    }
}

/// RFC 8489 §5, Appendix A.
#[test]
fn class_and_method_interleave_for_all_types() {
    for method in (0..0x1000).map(Method) {
        for class in [Class::Request, Class::Indication, Class::Success, Class::Error] {
            let kind = join_type(class, method);
            assert_eq!(kind & 0xC000, 0);
            assert_eq!(split_type(kind), (class, method));
        }
    }
    assert_eq!(join_type(Class::Success, Method::BINDING), 0x0101);
    assert_eq!(join_type(Class::Request, Method(0xFFF)), 0x3EEF);
}

#[test]
fn first_bytes_tell_the_protocols_apart_as_rfc_7983_7_says() {
    let stun = message(Class::Request, Method::BINDING, &[]);
    assert_eq!(classify(&stun), Kind::Stun);
    assert_eq!(classify(&stun[..19]), Kind::Other);
    for first in 0..=255 {
        let mut raw = stun.clone();
        raw[0] = first;
        let kind = match first {
            0..=3 => Kind::Stun,
            64..=79 => Kind::ChannelData,
            _ => Kind::Other,
        };
        assert_eq!(classify(&raw), kind, "{first}");
    }
}

#[test]
fn a_buffer_of_any_size_is_enough_or_an_error() {
    let mut whole = [0; 200];
    let write = |buf: &mut [u8]| {
        let mut writer = Writer::new(buf, Class::Request, Method::BINDING, TransactionId([7; 12]));
        writer
            .put(attr::USERNAME, b"a:b")
            .integrity(&Key::short_term("p"), crate::stun::auth::Integrity::Sha256);
        writer.fingerprint();
        writer.finish().map(<[u8]>::len)
    };
    let needed = write(&mut whole).unwrap();
    assert_eq!(needed, 20 + 8 + 36 + 8);
    for size in 0..200 {
        let mut buf = vec![0; size];
        assert_eq!(write(&mut buf).is_ok(), size >= needed);
    }
}
