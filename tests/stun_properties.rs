//! Properties of STUN messages: reading never panics, what is written is read back and verified, and floe reads
//! well-formed messages as stun_codec does.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use floe::stun::auth::Integrity;
use floe::stun::codec::EvenPort;
use floe::stun::wire::{BufferTooSmall, attr};
use floe::stun::{Attributes, Class, Family, Key, Message, Method, TransactionId, Writer};
use proptest::prelude::*;

#[path = "../fuzz/bodies/stun.rs"]
mod bodies;

use bodies::Taken;

/// One attribute and its value.
#[derive(Debug, Clone)]
enum Value {
    Username(String),
    Realm(String),
    Nonce(String),
    Software(String),
    Error(u16, String),
    Unknown(Vec<u16>),
    Lifetime(u32),
    Channel(u16),
    Transport(u8),
    Family(Family),
    EvenPort(EvenPort),
    DontFragment,
    Token(u64),
    Data(Vec<u8>),
    Xor(u16, SocketAddr),
    Clear(u16, SocketAddr),
    Priority(u32),
    Controlling(u64),
    Other(u16, Vec<u8>),
}

impl Value {
    fn put(&self, writer: &mut Writer<'_>) {
        match self {
            Self::Username(text) => writer.put_username(text),
            Self::Realm(text) => writer.put_realm(text),
            Self::Nonce(text) => writer.put_nonce(text),
            Self::Software(text) => writer.put_software(text),
            Self::Error(code, reason) => writer.put_error_code(*code, reason),
            Self::Unknown(kinds) => writer.put_unknown_attributes(kinds.iter().copied()),
            Self::Lifetime(seconds) => writer.put_lifetime(Duration::from_secs(u64::from(*seconds))),
            Self::Channel(number) => writer.put_channel_number(*number),
            Self::Transport(protocol) => writer.put_requested_transport(*protocol),
            Self::Family(family) => writer.put_requested_address_family(*family),
            Self::EvenPort(even_port) => writer.put_even_port(*even_port),
            Self::DontFragment => writer.put_dont_fragment(),
            Self::Token(token) => writer.put_reservation_token(*token),
            Self::Data(data) => writer.put(attr::DATA, data),
            Self::Xor(kind, addr) => writer.put_xor_address(*kind, *addr),
            Self::Clear(kind, addr) => writer.put_address(*kind, *addr),
            Self::Priority(priority) => writer.put_u32(attr::PRIORITY, *priority),
            Self::Controlling(tiebreaker) => writer.put_u64(attr::ICE_CONTROLLING, *tiebreaker),
            Self::Other(kind, value) => writer.put(*kind, value),
        };
    }

    /// Whether it reads as it was written, if it is the first of its type.
    fn is_read(&self, attributes: Attributes<'_>) -> bool {
        match self {
            Self::Username(text) => attributes.find(attr::USERNAME) == Some(text.as_bytes()),
            Self::Realm(text) => attributes.realm().as_ref() == Some(text),
            Self::Nonce(text) => attributes.nonce().as_ref() == Some(text),
            Self::Software(text) => attributes.software().as_deref() == Some(text),
            Self::Error(code, reason) => {
                attributes.error_code().is_some_and(|error| error.code == *code && error.reason == *reason)
            }
            Self::Unknown(kinds) => attributes.unknown_attributes().as_ref() == Some(kinds),
            Self::Lifetime(seconds) => {
                attributes.lifetime() == Some(Duration::from_secs(u64::from(*seconds)))
            }
            Self::Channel(number) => attributes.channel_number() == Some(*number),
            Self::Transport(protocol) => attributes.requested_transport() == Some(*protocol),
            Self::Family(family) => attributes.requested_address_family() == Some(*family),
            Self::EvenPort(even_port) => attributes.even_port() == Some(*even_port),
            Self::DontFragment => attributes.has_dont_fragment(),
            Self::Token(token) => attributes.reservation_token() == Some(*token),
            Self::Data(data) => attributes.data() == Some(data),
            Self::Xor(kind, addr) => attributes.xor_address(*kind) == Some(*addr),
            Self::Clear(kind, addr) => attributes.address(*kind) == Some(*addr),
            Self::Priority(priority) => attributes.u32(attr::PRIORITY) == Some(*priority),
            Self::Controlling(tiebreaker) => attributes.u64(attr::ICE_CONTROLLING) == Some(*tiebreaker),
            Self::Other(kind, value) => attributes.find(*kind) == Some(value),
        }
    }
}

fn value() -> impl Strategy<Value = Value> {
    let text = || "[a-zA-Zäß€ マ\"\\\\]{0,20}";
    let addr = || (any::<IpAddr>(), any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(ip, port));
    prop_oneof![
        text().prop_map(Value::Username),
        text().prop_map(Value::Realm),
        text().prop_map(Value::Nonce),
        text().prop_map(Value::Software),
        (300..600_u16, text()).prop_map(|(code, reason)| Value::Error(code, reason)),
        prop::collection::vec(any::<u16>(), 0..5).prop_map(Value::Unknown),
        any::<u32>().prop_map(Value::Lifetime),
        (0x4000..=0x4FFF_u16).prop_map(Value::Channel),
        any::<u8>().prop_map(Value::Transport),
        prop_oneof![Just(Family::V4), Just(Family::V6)].prop_map(Value::Family),
        prop_oneof![Just(EvenPort::Even), Just(EvenPort::EvenAndNext)].prop_map(Value::EvenPort),
        Just(Value::DontFragment),
        any::<u64>().prop_map(Value::Token),
        prop::collection::vec(any::<u8>(), 0..20).prop_map(Value::Data),
        (
            prop_oneof![
                Just(attr::XOR_MAPPED_ADDRESS),
                Just(attr::XOR_PEER_ADDRESS),
                Just(attr::XOR_RELAYED_ADDRESS)
            ],
            addr()
        )
            .prop_map(|(kind, addr)| Value::Xor(kind, addr)),
        (
            prop_oneof![Just(attr::MAPPED_ADDRESS), Just(attr::OTHER_ADDRESS), Just(attr::RESPONSE_ORIGIN)],
            addr()
        )
            .prop_map(|(kind, addr)| Value::Clear(kind, addr)),
        any::<u32>().prop_map(Value::Priority),
        any::<u64>().prop_map(Value::Controlling),
        (0xC100..0xC104_u16, prop::collection::vec(any::<u8>(), 0..9))
            .prop_map(|(kind, bytes)| Value::Other(kind, bytes)),
    ]
}

fn class() -> impl Strategy<Value = Class> {
    prop_oneof![Just(Class::Request), Just(Class::Indication), Just(Class::Success), Just(Class::Error)]
}

/// A message with these values, MESSAGE-INTEGRITY and FINGERPRINT. stun_codec encodes no method above 15.
fn write<'b>(
    buf: &'b mut [u8],
    (class, method): (Class, u16),
    id: [u8; 12],
    values: &[Value],
    integrity: Option<Integrity>,
) -> Result<&'b [u8], BufferTooSmall> {
    let mut writer = Writer::new(buf, class, Method(method), TransactionId(id));
    for value in values {
        value.put(&mut writer);
    }
    if let Some(integrity) = integrity {
        writer.integrity(&Key::short_term("password"), integrity);
    }
    writer.fingerprint();
    writer.finish()
}

proptest! {
    #[test]
    fn reading_any_bytes_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        bodies::read_everything(&bytes);
        bodies::read_twice(&bytes);
    }

    /// Arbitrary attributes under a right header: these get past the first checks.
    #[test]
    fn reading_any_attributes_never_panics(
        kind in (0..0x4000_u16), id in any::<[u8; 12]>(),
        attributes in prop::collection::vec(
            (prop_oneof![0..0x30_u16, 0x8000..0x8030_u16], prop::collection::vec(any::<u8>(), 0..40)), 0..6),
    ) {
        let mut raw = kind.to_be_bytes().to_vec();
        raw.extend([0, 0, 0x21, 0x12, 0xA4, 0x42]);
        raw.extend(id);
        for (kind, value) in attributes {
            raw.extend(kind.to_be_bytes());
            raw.extend((value.len() as u16).to_be_bytes());
            raw.extend(&value);
            raw.resize(raw.len().next_multiple_of(4), 0xAA);
        }
        let length = (raw.len() - 20) as u16;
        raw[2..4].copy_from_slice(&length.to_be_bytes());
        bodies::read_everything(&raw);
        bodies::read_twice(&raw);
    }

    #[test]
    fn what_is_written_is_read_and_verified(
        class in class(), method in 0..0x1000_u16, id in any::<[u8; 12]>(),
        values in prop::collection::vec(value(), 0..8),
        integrity in prop_oneof![Just(Integrity::Sha1), Just(Integrity::Sha256)],
    ) {
        let mut buf = [0xEE; 1500];
        let raw = write(&mut buf, (class, method), id, &values, Some(integrity)).unwrap();
        let message = Message::parse(raw).unwrap();
        prop_assert_eq!((message.class(), message.method().0, message.transaction_id().0), (class, method, id));
        let verified = message.verify(&Key::short_term("password")).unwrap();
        prop_assert_eq!(verified.by(), integrity);
        prop_assert!(message.verify(&Key::short_term("passwore")).is_err());
        prop_assert_eq!(verified.attributes().iter().count(), values.len());
        let mut seen = Vec::new();
        for ((kind, _), value) in verified.attributes().iter().zip(&values) {
            prop_assert!(seen.contains(&kind) || value.is_read(verified.attributes()), "{:?}", value);
            seen.push(kind);
        }
    }

    /// The second opinion: stun_codec takes the same messages and reads the same values.
    #[test]
    fn floe_and_stun_codec_read_the_same(
        class in class(), method in 0..16_u16, id in any::<[u8; 12]>(),
        values in prop::collection::vec(value(), 0..8), integrity in prop::option::of(Just(Integrity::Sha1)),
    ) {
        let mut buf = [0; 1500];
        let raw = write(&mut buf, (class, method), id, &values, integrity).unwrap();
        prop_assume!(raw.len() <= 600);
        prop_assert_eq!(bodies::read_twice(raw), Taken::Both);
    }

    #[test]
    fn floe_and_stun_codec_do_not_contradict_each_other_on_damaged_messages(
        class in class(), method in 0..16_u16, values in prop::collection::vec(value(), 0..6),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut buf = [0; 1500];
        let mut writer = Writer::new(&mut buf, class, Method(method), TransactionId([7; 12]));
        for value in &values {
            value.put(&mut writer);
        }
        let mut raw = writer.finish().unwrap().to_vec();
        for (at, with) in damage {
            let at = at.index(raw.len());
            raw[at] = with;
        }
        bodies::read_twice(&raw);
        bodies::read_everything(&raw);
    }
}
