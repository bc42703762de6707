//! Typed values of attributes on the cold path: requests and answers of TURN, errors, discovery.
//!
//! stun_codec encodes and decodes single *values* here, each with a decoder of its own; it never sees a whole
//! message, because its message decoder is unfit for what a network sends. Addresses and DATA are read in place
//! by [`wire`](super::wire). SOFTWARE is read leniently: nobody's product name may cost a message.
//!
//! Readers return `None` if the attribute is absent or malformed; [`Attributes::has`] tells the two apart.
//! A value that its attribute does not allow makes [`Writer::finish`] fail.
#![warn(clippy::indexing_slicing)]

use std::borrow::Cow;
use std::marker::PhantomData;
use std::net::{IpAddr, SocketAddr};

use bytecodec::bytes::{BytesEncoder, RemainingBytesDecoder};
use bytecodec::{
    ByteCount, Decode, DecodeExt as _, Encode, EncodeExt as _, Eos, ErrorKind, SizedEncode, TryTaggedDecode,
};
use stun_codec::rfc5389::attributes::{ErrorCode, Nonce, Realm, Software, UnknownAttributes, Username};
use stun_codec::rfc5766::attributes::{
    ChannelNumber, DontFragment, EvenPort as EvenPortValue, Lifetime, RequestedTransport, ReservationToken,
};
use stun_codec::rfc8656::attributes::{AdditionalAddressFamily, AddressFamily, RequestedAddressFamily};
use stun_codec::{Attribute, AttributeType};

use super::wire::{Attributes, Writer, attr};
use crate::time::Duration;

/// The protocol number of UDP in REQUESTED-TRANSPORT (RFC 8656 §18.8).
pub const PROTOCOL_UDP: u8 = 17;
/// The protocol number of TCP in REQUESTED-TRANSPORT (RFC 6062 §4.1).
pub const PROTOCOL_TCP: u8 = 6;
/// Longest text that is read, in bytes: 127 characters of six bytes (RFC 8489 §14).
pub(super) const MAX_TEXT: usize = 763;

/// An address family as TURN names it (RFC 8656 §18.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// 0x01.
    V4,
    /// 0x02.
    V6,
}

impl From<IpAddr> for Family {
    fn from(ip: IpAddr) -> Self {
        if ip.is_ipv4() { Self::V4 } else { Self::V6 }
    }
}

impl From<Family> for AddressFamily {
    fn from(family: Family) -> Self {
        match family {
            Family::V4 => Self::V4,
            Family::V6 => Self::V6,
        }
    }
}

impl From<AddressFamily> for Family {
    fn from(family: AddressFamily) -> Self {
        match family {
            AddressFamily::V4 => Self::V4,
            AddressFamily::V6 => Self::V6,
        }
    }
}

/// EVEN-PORT (RFC 8656 §18.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EvenPort {
    /// R = 0: an even port.
    Even,
    /// R = 1: an even port, and the next higher one is to be reserved.
    EvenAndNext,
}

impl<'a> Attributes<'a> {
    /// REALM, below 128 characters (RFC 8489 §14.9).
    pub fn realm(&self) -> Option<String> {
        self.value(attr::REALM).map(|realm: Realm| realm.text().to_owned())
    }

    /// NONCE, below 128 characters, to be echoed byte for byte (RFC 8489 §14.10).
    pub fn nonce(&self) -> Option<String> {
        self.value(attr::NONCE).map(|nonce: Nonce| nonce.value().to_owned())
    }

    /// SOFTWARE (RFC 8489 §14.14); bytes that are no UTF-8 are replaced, and what is too long is cut.
    pub fn software(&self) -> Option<Cow<'a, str>> {
        self.find(attr::SOFTWARE).map(lenient_text)
    }

    /// The types that a 420 complains of (RFC 8489 §14.13).
    pub fn unknown_attributes(&self) -> Option<Vec<u16>> {
        let unknown: UnknownAttributes = self.value(attr::UNKNOWN_ATTRIBUTES)?;
        Some(unknown.unknowns().iter().map(|kind| kind.as_u16()).collect())
    }

    /// LIFETIME, in seconds on the wire (RFC 8656 §18.2).
    pub fn lifetime(&self) -> Option<Duration> {
        self.value(attr::LIFETIME).map(|lifetime: Lifetime| lifetime.lifetime())
    }

    /// CHANNEL-NUMBER, 0x4000..=0x4FFF (RFC 8656 §18.1).
    pub fn channel_number(&self) -> Option<u16> {
        self.value(attr::CHANNEL_NUMBER).map(|number: ChannelNumber| number.value())
    }

    /// REQUESTED-TRANSPORT: a protocol number such as [`PROTOCOL_UDP`] (RFC 8656 §18.8).
    pub fn requested_transport(&self) -> Option<u8> {
        self.value(attr::REQUESTED_TRANSPORT).map(|transport: RequestedTransport| transport.protocol())
    }

    /// REQUESTED-ADDRESS-FAMILY (RFC 8656 §18.6). A family that does not exist reads as `None`.
    pub fn requested_address_family(&self) -> Option<Family> {
        let family: RequestedAddressFamily = self.value(attr::REQUESTED_ADDRESS_FAMILY)?;
        Some(family.address_family().into())
    }

    /// ADDITIONAL-ADDRESS-FAMILY (RFC 8656 §18.11). A family that does not exist reads as `None`.
    pub fn additional_address_family(&self) -> Option<Family> {
        let family: AdditionalAddressFamily = self.value(attr::ADDITIONAL_ADDRESS_FAMILY)?;
        Some(family.address_family().into())
    }

    /// EVEN-PORT (RFC 8656 §18.7).
    pub fn even_port(&self) -> Option<EvenPort> {
        let even_port: EvenPortValue = self.value(attr::EVEN_PORT)?;
        Some(if even_port.is_requested() { EvenPort::EvenAndNext } else { EvenPort::Even })
    }

    /// Whether DONT-FRAGMENT is there (RFC 8656 §18.9).
    pub fn has_dont_fragment(&self) -> bool {
        self.has(attr::DONT_FRAGMENT)
    }

    /// RESERVATION-TOKEN (RFC 8656 §18.10).
    pub fn reservation_token(&self) -> Option<u64> {
        self.value(attr::RESERVATION_TOKEN).map(|token: ReservationToken| token.token())
    }

    /// The first XOR-PEER-ADDRESS (RFC 8656 §18.3).
    pub fn peer_address(&self) -> Option<SocketAddr> {
        self.xor_address(attr::XOR_PEER_ADDRESS)
    }

    /// Each XOR-PEER-ADDRESS, in order; `None` stands for a malformed one (RFC 8656 §10.1).
    pub fn peer_addresses(&self) -> impl Iterator<Item = Option<SocketAddr>> + use<'a> {
        self.xor_addresses(attr::XOR_PEER_ADDRESS)
    }

    /// Each XOR-RELAYED-ADDRESS: one, or two of a dual allocation; `None` stands for a malformed one
    /// (RFC 8656 §7.3).
    pub fn relayed_addresses(&self) -> impl Iterator<Item = Option<SocketAddr>> + use<'a> {
        self.xor_addresses(attr::XOR_RELAYED_ADDRESS)
    }

    /// DATA: a sub-slice of the message, possibly empty (RFC 8656 §18.4).
    pub fn data(&self) -> Option<&'a [u8]> {
        self.find(attr::DATA)
    }

    /// ALTERNATE-SERVER (RFC 8489 §14.15): to be followed only if the message is verified.
    pub fn alternate_server(&self) -> Option<SocketAddr> {
        self.address(attr::ALTERNATE_SERVER)
    }

    /// Each ALTERNATE-SERVER, in order: one of each family, as a rule; `None` stands for a malformed one
    /// (RFC 8489 §10).
    pub fn alternate_servers(&self) -> impl Iterator<Item = Option<SocketAddr>> + use<'a> {
        self.addresses(attr::ALTERNATE_SERVER)
    }

    /// Decodes the first attribute of this type.
    pub(super) fn value<A: Attribute>(&self, kind: u16) -> Option<A> {
        let value = self.find(kind)?;
        let mut decoder = A::Decoder::default();
        decoder.try_start_decoding(AttributeType::new(kind)).ok().filter(|known| *known)?;
        decoder.decode_from_bytes(value).ok()
    }
}

/// Text of a peer that nothing depends on.
pub(super) fn lenient_text(value: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(value.get(..MAX_TEXT).unwrap_or(value))
}

impl Writer<'_> {
    /// Adds USERNAME, at most 508 bytes (RFC 8489 §14.3).
    pub fn put_username(&mut self, username: &str) -> &mut Self {
        if username.len() > 508 {
            return self.refuse();
        }
        self.put_value(Username::new(username.to_owned()))
    }

    /// Adds ERROR-CODE: 300..=599, with a phrase below 128 characters (RFC 8489 §14.8).
    pub fn put_error_code(&mut self, code: u16, reason: &str) -> &mut Self {
        if reason.chars().count() >= 128 {
            return self.refuse();
        }
        self.put_value(ErrorCode::new(code, reason.to_owned()))
    }

    /// Adds REALM, below 128 characters (RFC 8489 §14.9).
    pub fn put_realm(&mut self, realm: &str) -> &mut Self {
        self.put_value(Realm::new(realm.to_owned()))
    }

    /// Adds NONCE, below 128 characters (RFC 8489 §14.10).
    pub fn put_nonce(&mut self, nonce: &str) -> &mut Self {
        self.put_value(Nonce::new(nonce.to_owned()))
    }

    /// Adds SOFTWARE, below 128 characters (RFC 8489 §14.14).
    pub fn put_software(&mut self, software: &str) -> &mut Self {
        self.put_value(Software::new(software.to_owned()))
    }

    /// Adds UNKNOWN-ATTRIBUTES for a 420 (RFC 8489 §14.13).
    pub fn put_unknown_attributes(&mut self, kinds: impl IntoIterator<Item = u16>) -> &mut Self {
        self.put_value(Ok(UnknownAttributes::new(kinds.into_iter().map(AttributeType::new).collect())))
    }

    /// Adds LIFETIME, in whole seconds (RFC 8656 §18.2).
    pub fn put_lifetime(&mut self, lifetime: Duration) -> &mut Self {
        self.put_value(Lifetime::new(lifetime))
    }

    /// Adds CHANNEL-NUMBER, 0x4000..=0x4FFF (RFC 8656 §18.1).
    pub fn put_channel_number(&mut self, number: u16) -> &mut Self {
        self.put_value(ChannelNumber::new(number))
    }

    /// Adds REQUESTED-TRANSPORT (RFC 8656 §18.8).
    pub fn put_requested_transport(&mut self, protocol: u8) -> &mut Self {
        self.put_value(Ok(RequestedTransport::new(protocol)))
    }

    /// Adds REQUESTED-ADDRESS-FAMILY (RFC 8656 §18.6).
    pub fn put_requested_address_family(&mut self, family: Family) -> &mut Self {
        self.put_value(Ok(RequestedAddressFamily::new(family.into())))
    }

    /// Adds ADDITIONAL-ADDRESS-FAMILY: only [`Family::V6`] is lawful (RFC 8656 §18.11).
    pub fn put_additional_address_family(&mut self, family: Family) -> &mut Self {
        self.put_value(Ok(AdditionalAddressFamily::new(family.into())))
    }

    /// Adds EVEN-PORT (RFC 8656 §18.7).
    pub fn put_even_port(&mut self, even_port: EvenPort) -> &mut Self {
        self.put_value(Ok(EvenPortValue::new(even_port == EvenPort::EvenAndNext)))
    }

    /// Adds DONT-FRAGMENT (RFC 8656 §18.9).
    pub fn put_dont_fragment(&mut self) -> &mut Self {
        self.put_value(Ok(DontFragment))
    }

    /// Adds RESERVATION-TOKEN (RFC 8656 §18.10).
    pub fn put_reservation_token(&mut self, token: u64) -> &mut Self {
        self.put_value(Ok(ReservationToken::new(token)))
    }

    /// Encodes a value and adds it; a value that could not be made refuses the message.
    pub(super) fn put_value<A: Attribute>(&mut self, value: bytecodec::Result<A>) -> &mut Self {
        let encoded = value.and_then(|value| {
            let kind = value.get_type().as_u16();
            Ok((kind, A::Encoder::default().encode_into_bytes(value)?))
        });
        match encoded {
            Ok((kind, bytes)) => self.put(kind, &bytes),
            Err(_) => self.refuse(),
        }
    }
}

/// A value that stun_codec lacks or gets wrong, and what it is made of.
pub(super) trait Value: Clone {
    /// The attribute type.
    const TYPE: u16;
    /// `None` if the bytes are malformed.
    fn read(bytes: &[u8]) -> Option<Self>;
    fn write(&self) -> Vec<u8>;
}

/// A [`Value`] as stun_codec wants it.
#[derive(Clone)]
pub(super) struct Own<V>(pub(super) V);

impl<V: Value> Attribute for Own<V> {
    type Decoder = ValueDecoder<V>;
    type Encoder = ValueEncoder<V>;

    fn get_type(&self) -> AttributeType {
        AttributeType::new(V::TYPE)
    }
}

pub(super) struct ValueDecoder<V> {
    bytes: RemainingBytesDecoder,
    value: PhantomData<V>,
}

impl<V> Default for ValueDecoder<V> {
    fn default() -> Self {
        Self { bytes: RemainingBytesDecoder::new(), value: PhantomData }
    }
}

impl<V: Value> Decode for ValueDecoder<V> {
    type Item = Own<V>;

    fn decode(&mut self, buf: &[u8], eos: Eos) -> bytecodec::Result<usize> {
        self.bytes.decode(buf, eos)
    }

    fn finish_decoding(&mut self) -> bytecodec::Result<Self::Item> {
        let bytes = self.bytes.finish_decoding()?;
        V::read(&bytes).map(Own).ok_or_else(|| ErrorKind::InvalidInput.into())
    }

    fn requiring_bytes(&self) -> ByteCount {
        self.bytes.requiring_bytes()
    }

    fn is_idle(&self) -> bool {
        self.bytes.is_idle()
    }
}

impl<V: Value> TryTaggedDecode for ValueDecoder<V> {
    type Tag = AttributeType;

    fn try_start_decoding(&mut self, tag: AttributeType) -> bytecodec::Result<bool> {
        Ok(tag.as_u16() == V::TYPE)
    }
}

pub(super) struct ValueEncoder<V> {
    bytes: BytesEncoder,
    value: PhantomData<V>,
}

impl<V> Default for ValueEncoder<V> {
    fn default() -> Self {
        Self { bytes: BytesEncoder::new(), value: PhantomData }
    }
}

impl<V: Value> Encode for ValueEncoder<V> {
    type Item = Own<V>;

    fn encode(&mut self, buf: &mut [u8], eos: Eos) -> bytecodec::Result<usize> {
        self.bytes.encode(buf, eos)
    }

    fn start_encoding(&mut self, Own(value): Own<V>) -> bytecodec::Result<()> {
        self.bytes.start_encoding(value.write())
    }

    fn requiring_bytes(&self) -> ByteCount {
        self.bytes.requiring_bytes()
    }

    fn is_idle(&self) -> bool {
        self.bytes.is_idle()
    }
}

impl<V: Value> SizedEncode for ValueEncoder<V> {
    fn exact_requiring_bytes(&self) -> u64 {
        self.bytes.exact_requiring_bytes()
    }
}
