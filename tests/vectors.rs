//! Messages that others published: RFC 5769, and RFC 8489 Appendix B.1.

use floe::stun::auth::{Integrity, PasswordAlgorithm, userhash};
use floe::stun::wire::{Malformed, attr};
use floe::stun::{Class, Key, Message, Method, TransactionId, Writer};

/// The password of RFC 5769 §2.1 to §2.3.
const PASSWORD: &str = "VOkJxbRl1RmTxUk/WvJxBt";
const ID: TransactionId =
    TransactionId([0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae]);
const LONG_TERM_ID: TransactionId =
    TransactionId([0x78, 0xad, 0x34, 0x33, 0xc6, 0xad, 0x72, 0xc0, 0x29, 0xda, 0x41, 0x2e]);

/// §2.1.
const REQUEST: &str = "
    00 01 00 58  21 12 a4 42  b7 e7 a7 01  bc 34 d6 86  fa 87 df ae  80 22 00 10
    53 54 55 4e  20 74 65 73  74 20 63 6c  69 65 6e 74  00 24 00 04  6e 00 01 ff
    80 29 00 08  93 2f f9 b1  51 26 3b 36  00 06 00 09  65 76 74 6a  3a 68 36 76
    59 20 20 20  00 08 00 14  9a ea a7 0c  bf d8 cb 56  78 1e f2 b5  b2 d3 f2 49
    c1 b5 71 a2  80 28 00 04  e5 7a 3b cf";
/// §2.2.
const IPV4_RESPONSE: &str = "
    01 01 00 3c  21 12 a4 42  b7 e7 a7 01  bc 34 d6 86  fa 87 df ae  80 22 00 0b
    74 65 73 74  20 76 65 63  74 6f 72 20  00 20 00 08  00 01 a1 47  e1 12 a6 43
    00 08 00 14  2b 91 f5 99  fd 9e 90 c3  8c 74 89 f9  2a f9 ba 53  f0 6b e7 d7
    80 28 00 04  c0 7d 4c 96";
/// §2.3.
const IPV6_RESPONSE: &str = "
    01 01 00 48  21 12 a4 42  b7 e7 a7 01  bc 34 d6 86  fa 87 df ae  80 22 00 0b
    74 65 73 74  20 76 65 63  74 6f 72 20  00 20 00 14  00 02 a1 47  01 13 a9 fa
    a5 d3 f1 79  bc 25 f4 b5  be d2 b9 d9  00 08 00 14  a3 82 95 4e  4b e6 7b f1
    17 84 c9 7c  82 92 c2 75  bf e3 ed 41  80 28 00 04  c8 fb 0b 4c";
/// §2.4.
const LONG_TERM_REQUEST: &str = "
    00 01 00 60  21 12 a4 42  78 ad 34 33  c6 ad 72 c0  29 da 41 2e  00 06 00 12
    e3 83 9e e3  83 88 e3 83  aa e3 83 83  e3 82 af e3  82 b9 00 00  00 15 00 1c
    66 2f 2f 34  39 39 6b 39  35 34 64 36  4f 4c 33 34  6f 4c 39 46  53 54 76 79
    36 34 73 41  00 14 00 0b  65 78 61 6d  70 6c 65 2e  6f 72 67 00  00 08 00 14
    f6 70 24 65  6d d6 4a 3e  02 b8 e0 71  2e 85 c9 a2  8c a8 96 66";
/// RFC 8489 Appendix B.1. Its length field counts the header too.
const USERHASH_REQUEST: &str = "
    00 01 00 9c  21 12 a4 42  78 ad 34 33  c6 ad 72 c0  29 da 41 2e  00 1e 00 20
    4a 3c f3 8f  ef 69 92 bd  a9 52 c6 78  04 17 da 0f  24 81 94 15  56 9e 60 b2
    05 c4 6e 41  40 7f 17 04  00 15 00 29  6f 62 4d 61  74 4a 6f 73  32 41 41 41
    43 66 2f 2f  34 39 39 6b  39 35 34 64  36 4f 4c 33  34 6f 4c 39  46 53 54 76
    79 36 34 73  41 00 00 00  00 14 00 0b  65 78 61 6d  70 6c 65 2e  6f 72 67 00
    00 1c 00 20  e4 68 6c 8f  0e de b5 90  13 e0 70 90  01 0a 93 ef  cc bc cc 54
    4c 0a 45 d9  f8 30 aa 6d  6f 73 5a 01";

fn bytes(hex: &str) -> Vec<u8> {
    hex.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).expect("two hexadecimal digits")).collect()
}

/// Types and values, without padding.
fn attributes(message: &Message<'_>) -> Vec<(u16, Vec<u8>)> {
    message.plain().attributes().iter().map(|(kind, value)| (kind, value.to_vec())).collect()
}

#[test]
fn verifies_the_request_of_rfc_5769_2_1() {
    let raw = bytes(REQUEST);
    let message = Message::parse(&raw).unwrap();
    assert_eq!((message.class(), message.method()), (Class::Request, Method::BINDING));
    assert_eq!(message.transaction_id(), ID);
    assert_eq!(message.username(), Some(&b"evtj:h6vY"[..]));
    assert!(message.has_fingerprint());
    assert!(message.verify(&Key::short_term("VOkJxbRl1RmTxUk/WvJxBu")).is_err());
    let verified = message.verify(&Key::short_term(PASSWORD)).unwrap();
    assert_eq!(verified.by(), Integrity::Sha1);
    let attributes = verified.attributes();
    assert_eq!(attributes.software().as_deref(), Some("STUN test client"));
    assert_eq!(attributes.u32(attr::PRIORITY), Some(0x6e00_01ff));
    assert_eq!(attributes.u64(attr::ICE_CONTROLLED), Some(0x932f_f9b1_5126_3b36));
    assert!(!attributes.has(attr::MESSAGE_INTEGRITY) && !attributes.has(attr::FINGERPRINT));
}

#[test]
fn verifies_the_responses_of_rfc_5769_2_2_and_2_3() {
    for (hex, mapped) in
        [(IPV4_RESPONSE, "192.0.2.1:32853"), (IPV6_RESPONSE, "[2001:db8:1234:5678:11:2233:4455:6677]:32853")]
    {
        let raw = bytes(hex);
        let message = Message::parse(&raw).unwrap();
        assert_eq!((message.class(), message.method()), (Class::Success, Method::BINDING));
        assert_eq!(message.transaction_id(), ID);
        let verified = message.verify(&Key::short_term(PASSWORD)).unwrap();
        assert_eq!(verified.attributes().software().as_deref(), Some("test vector"));
        let read = verified.attributes().xor_address(attr::XOR_MAPPED_ADDRESS);
        assert_eq!(read, Some(mapped.parse().unwrap()));
    }
}

#[test]
fn verifies_the_long_term_request_of_rfc_5769_2_4() {
    let raw = bytes(LONG_TERM_REQUEST);
    let message = Message::parse(&raw).unwrap();
    assert_eq!(message.transaction_id(), LONG_TERM_ID);
    let key = Key::long_term(PasswordAlgorithm::Md5, "マトリックス", "example.org", "TheMatrIX");
    let verified = message.verify(&key).unwrap();
    assert_eq!(message.username(), Some("マトリックス".as_bytes()));
    assert_eq!(verified.attributes().realm().as_deref(), Some("example.org"));
    assert_eq!(verified.attributes().nonce().as_deref(), Some("f//499k954d6OL34oL9FSTvy64sA"));
    let key = Key::long_term(PasswordAlgorithm::Sha256, "マトリックス", "example.org", "TheMatrIX");
    assert!(message.verify(&key).is_err());
}

#[test]
fn writes_the_long_term_request_of_rfc_5769_2_4_byte_for_byte() {
    let key = Key::long_term(PasswordAlgorithm::Md5, "マトリックス", "example.org", "TheMatrIX");
    let mut buf = [0xff; 1280];
    let mut writer = Writer::new(&mut buf, Class::Request, Method::BINDING, LONG_TERM_ID);
    writer
        .put_username("マトリックス")
        .put_nonce("f//499k954d6OL34oL9FSTvy64sA")
        .put_realm("example.org")
        .integrity(&key, Integrity::Sha1);
    assert_eq!(writer.finish().unwrap(), bytes(LONG_TERM_REQUEST));
}

/// These vectors pad with spaces, floe pads with zeros (RFC 8489 §14), so the HMAC and the CRC differ.
#[test]
fn writes_the_other_messages_of_rfc_5769_but_for_their_padding() {
    let key = Key::short_term(PASSWORD);
    let (mut request, mut ipv4, mut ipv6) = ([0; 1280], [0; 1280], [0; 1280]);
    let mut writer = Writer::new(&mut request, Class::Request, Method::BINDING, ID);
    writer
        .put_software("STUN test client")
        .put_u32(attr::PRIORITY, 0x6e00_01ff)
        .put_u64(attr::ICE_CONTROLLED, 0x932f_f9b1_5126_3b36)
        .put_username("evtj:h6vY")
        .integrity(&key, Integrity::Sha1)
        .fingerprint();
    let request = writer.finish().unwrap();
    let response = |buf, mapped: &str| {
        let mut writer = Writer::new(buf, Class::Success, Method::BINDING, ID);
        writer
            .put_software("test vector")
            .put_xor_address(attr::XOR_MAPPED_ADDRESS, mapped.parse().unwrap())
            .integrity(&key, Integrity::Sha1)
            .fingerprint();
        writer.finish().unwrap()
    };
    let ipv4 = response(&mut ipv4[..], "192.0.2.1:32853");
    let ipv6 = response(&mut ipv6[..], "[2001:db8:1234:5678:11:2233:4455:6677]:32853");
    for (written, hex) in [(request, REQUEST), (ipv4, IPV4_RESPONSE), (ipv6, IPV6_RESPONSE)] {
        let vector = bytes(hex);
        let (ours, theirs) = (Message::parse(written).unwrap(), Message::parse(&vector).unwrap());
        assert_eq!(written.len(), vector.len());
        assert_eq!(written[..20], vector[..20]);
        assert_eq!(attributes(&ours), attributes(&theirs));
        assert!(ours.verify(&key).is_ok() && ours.has_fingerprint());
    }
}

/// The rest of this vector contradicts the RFC's text, so only the hash counts; its HMAC is checked beside the code.
#[test]
fn computes_the_userhash_of_rfc_8489_b_1_and_refuses_its_length_field() {
    let raw = bytes(USERHASH_REQUEST);
    assert_eq!(userhash("マトリックス", "example.org"), raw[24..56]);
    assert_eq!(Message::parse(&raw).err(), Some(Malformed::Length));
}
