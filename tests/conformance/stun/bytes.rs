//! What a message looks like (RFC 8489 §5, §14).

use floe::stun::auth::Integrity;
use floe::stun::wire::{HEADER, Malformed, attr};
use floe::stun::{Attributes, Class, Key, Message, Method, TransactionId, Writer};

use crate::bench::{addr, message};

const ID: TransactionId = TransactionId([7; 12]);
const CLASSES: [Class; 4] = [Class::Request, Class::Indication, Class::Success, Class::Error];

fn request(fill: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    message(Class::Request, Method::BINDING, ID, fill)
}

fn read<T>(raw: &[u8], what: impl FnOnce(Attributes<'_>) -> T) -> T {
    what(Message::parse(raw).expect("a message").plain().attributes())
}

/// §5.
#[test]
fn a_message_whose_first_two_bits_are_not_zero_is_none() {
    let raw = request(|_| {});
    for first in 0..=255_u8 {
        let mut raw = raw.clone();
        raw[0] = first;
        assert_eq!(Message::parse(&raw).is_ok(), first < 0x40, "{first:#04x}");
    }
}

/// §5.
#[test]
fn the_magic_cookie_is_written_and_asked_for() {
    let raw = request(|_| {});
    assert_eq!(raw[4..8], [0x21, 0x12, 0xa4, 0x42]);
    for bit in 32..64 {
        let mut raw = raw.clone();
        raw[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(Message::parse(&raw).err(), Some(Malformed::Header), "bit {bit}");
    }
}

/// §5: the length is that of the datagram without the header, and a multiple of 4.
#[test]
fn a_length_other_than_that_of_the_datagram_or_no_multiple_of_4_is_refused() {
    let raw = request(|writer| {
        writer.put(attr::USERNAME, b"a:b");
    });
    assert_eq!(usize::from(u16::from_be_bytes([raw[2], raw[3]])), raw.len() - HEADER);
    for length in 0..64_u16 {
        let mut raw = raw.clone();
        raw[2..4].copy_from_slice(&length.to_be_bytes());
        assert_eq!(Message::parse(&raw).is_ok(), usize::from(length) + HEADER == raw.len(), "{length}");
    }
    for odd in [1_u16, 2, 3, 5, 6, 7] {
        let mut raw = request(|_| {});
        raw[2..4].copy_from_slice(&odd.to_be_bytes());
        raw.extend([0xc0, 0x57, 0, 3, 1, 2, 3].iter().take(usize::from(odd)));
        assert_eq!(Message::parse(&raw).err(), Some(Malformed::Length), "{odd}");
    }
}

/// §14: type, length without the padding, value, padding to 4 bytes.
#[test]
fn an_attribute_is_type_length_and_value_on_4_bytes() {
    for size in 0..=8_usize {
        let value = &[1, 2, 3, 4, 5, 6, 7, 8][..size];
        let raw = request(|writer| {
            writer.put(0xc057, value).put(0xc058, &[9]);
        });
        assert_eq!(raw[HEADER..HEADER + 4], [0xc0, 0x57, 0, size as u8]);
        assert_eq!(raw[HEADER + 4..HEADER + 4 + size], *value);
        assert_eq!(raw.len(), HEADER + 4 + size.next_multiple_of(4) + 8);
        read(&raw, |attributes| {
            assert_eq!(attributes.iter().collect::<Vec<_>>(), [(0xc057, value), (0xc058, &[9][..])]);
        });
    }
}

/// §14: zero on sending, anything on receipt.
#[test]
fn padding_is_written_as_zero_and_read_as_anything() {
    let mut raw = vec![0xff; 64];
    let mut writer = Writer::new(&mut raw, Class::Request, Method::BINDING, ID);
    writer.put(0xc057, &[1]);
    let len = writer.finish().expect("room").len();
    assert_eq!(raw[len - 4..len], [1, 0, 0, 0]);
    raw[len - 3..len].fill(0xee);
    read(&raw[..len], |attributes| assert_eq!(attributes.find(0xc057), Some(&[1][..])));
}

/// §14.
#[test]
fn of_several_attributes_of_a_type_the_first_counts() {
    let (first, second) = (addr("192.0.2.1:1"), addr("192.0.2.2:2"));
    let raw = request(|writer| {
        writer
            .put_xor_address(attr::XOR_MAPPED_ADDRESS, first)
            .put_xor_address(attr::XOR_MAPPED_ADDRESS, second);
        writer.put_username("one").put_username("two");
    });
    read(&raw, |attributes| {
        assert_eq!(attributes.xor_address(attr::XOR_MAPPED_ADDRESS), Some(first));
        assert_eq!(attributes.find(attr::USERNAME), Some(&b"one"[..]));
    });
}

/// §14: 0x7FFF must be understood, 0x8000 need not.
#[test]
fn comprehension_is_required_below_0x8000() {
    let raw = request(|writer| {
        writer.put(0x7fff, &[]).put(0x8000, &[]).put(0xffff, &[]).put(0x0000, &[]);
    });
    read(&raw, |attributes| {
        assert_eq!(attributes.unknown_required(&[]).collect::<Vec<_>>(), [0x7fff, 0x0000]);
    });
}

/// §14.1: 4 or 16 bytes of address; the first byte is zero, and ignored.
#[test]
fn a_mapped_address_has_the_length_of_its_family() {
    for (text, family, size) in [("192.0.2.1:32853", 1, 4), ("[2001:db8::1]:32853", 2, 16)] {
        let raw = request(|writer| {
            writer.put_address(attr::MAPPED_ADDRESS, addr(text));
        });
        assert_eq!(raw[HEADER + 4..HEADER + 8], [0, family, 0x80, 0x55]);
        let value = raw[HEADER + 4..].to_vec();
        assert_eq!(value.len(), 4 + size);
        let with = |value: &[u8]| {
            let raw = request(|writer| {
                writer.put(attr::MAPPED_ADDRESS, value);
            });
            read(&raw, |attributes| attributes.address(attr::MAPPED_ADDRESS))
        };
        assert_eq!(with(&value), Some(addr(text)));
        assert_eq!(with(&[&[0xff], &value[1..]].concat()), Some(addr(text)), "the first byte");
        for length in (0..24).filter(|length| *length != value.len()) {
            let wrong: Vec<u8> = value.iter().copied().chain([0; 24]).take(length).collect();
            assert_eq!(with(&wrong), None, "{length}");
        }
    }
}

/// §14.7.
#[test]
fn a_fingerprint_may_be_in_any_message() {
    for class in CLASSES {
        let raw = message(class, Method::BINDING, ID, |writer| {
            writer.fingerprint();
        });
        assert!(Message::parse(&raw).expect("a message").has_fingerprint(), "{class:?}");
    }
}

/// §14.5: the HMAC covers the length as if the message ended with it, so that what follows changes nothing.
#[test]
fn message_integrity_counts_itself_and_nothing_after_it() {
    use hmac::Mac as _;
    let key = Key::short_term("VOkJxbRl1RmTxUk/WvJxBt");
    let raw = request(|writer| {
        writer.put(attr::USERNAME, b"a:b").integrity(&key, Integrity::Sha1).fingerprint();
    });
    let at = raw.len() - 8 - 24;
    let mut covered = raw[..at].to_vec();
    let length = (at + 24 - HEADER) as u16;
    covered[2..4].copy_from_slice(&length.to_be_bytes());
    let mut mac = hmac::Hmac::<sha1::Sha1>::new_from_slice(b"VOkJxbRl1RmTxUk/WvJxBt").expect("any length");
    mac.update(&covered);
    assert_eq!(raw[at..at + 4], [0x00, 0x08, 0x00, 0x14]);
    assert_eq!(raw[at + 4..at + 24], *mac.finalize().into_bytes());
    assert!(Message::parse(&raw).expect("a message").verify(&key).is_ok());
}

/// §14.8: below 128 characters, so 508 bytes at most when written, and 763 when read.
#[test]
fn a_reason_has_less_than_128_characters() {
    let written = |reason: &str| {
        let mut buf = [0; 1280];
        let mut writer = Writer::new(&mut buf, Class::Error, Method::BINDING, ID);
        writer.put_error_code(400, reason);
        writer.finish().map(<[u8]>::to_vec)
    };
    let longest = "𝄞".repeat(127);
    let raw = written(&longest).expect("508 bytes");
    read(&raw, |attributes| assert_eq!(attributes.error_code().expect("a code").reason, longest));
    assert!(written(&"x".repeat(128)).is_err());
    let raw = request(|writer| {
        writer.put(attr::ERROR_CODE, &[&[0, 0, 4, 0][..], &[b'x'; 763]].concat());
    });
    read(&raw, |attributes| assert_eq!(attributes.error_code().expect("a code").reason.len(), 763));
}

/// §14.10: the nonce is the server's and comes back as it is.
#[test]
fn a_nonce_is_opaque() {
    let nonce = r#"a "quoted" \ nonce, with spaces "#;
    let raw = request(|writer| {
        writer.put_nonce(nonce);
    });
    assert_eq!(raw[HEADER + 4..HEADER + 4 + nonce.len()], *nonce.as_bytes());
    read(&raw, |attributes| assert_eq!(attributes.nonce().as_deref(), Some(nonce)));
    for (length, is_read) in [(127, true), (128, false)] {
        let raw = request(|writer| {
            writer.put(attr::NONCE, &vec![b'n'; length]);
        });
        assert_eq!(read(&raw, |attributes| attributes.nonce().is_some()), is_read, "{length}");
    }
}
