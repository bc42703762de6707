//! What the fuzz targets of STUN do with their input; the tests replay it on a stable compiler.

use floe::stun::wire::Malformed;
use floe::stun::{Attributes, Class, Key, Message};

use bytecodec::{DecodeExt as _, EncodeExt as _};
use stun_codec::rfc5245::attributes::{IceControlled, IceControlling, Priority, UseCandidate};
use stun_codec::rfc5389::attributes::{
    ErrorCode, Fingerprint, MappedAddress, MessageIntegrity, Nonce, Realm, Software, UnknownAttributes,
    Username, XorMappedAddress,
};
use stun_codec::rfc5766::attributes::{
    ChannelNumber, Data, DontFragment, EvenPort, Lifetime, RequestedTransport, ReservationToken,
    XorPeerAddress, XorRelayAddress,
};
use stun_codec::rfc5780::attributes::{OtherAddress, ResponseOrigin};
use stun_codec::rfc8656::attributes::RequestedAddressFamily;
use stun_codec::{MessageClass, MessageDecoder, MessageEncoder};

stun_codec::define_attribute_enums!(
    Known,
    KnownDecoder,
    KnownEncoder,
    [
        MappedAddress,
        Username,
        MessageIntegrity,
        ErrorCode,
        UnknownAttributes,
        Realm,
        Nonce,
        XorMappedAddress,
        Software,
        Fingerprint,
        ChannelNumber,
        Lifetime,
        XorPeerAddress,
        Data,
        XorRelayAddress,
        EvenPort,
        RequestedTransport,
        DontFragment,
        ReservationToken,
        Priority,
        UseCandidate,
        IceControlled,
        IceControlling,
        ResponseOrigin,
        OtherAddress,
        RequestedAddressFamily
    ]
);

/// Reads everything that can be read of any bytes: nothing may panic.
pub(crate) fn read_everything(datagram: &[u8]) {
    let Ok(message) = Message::parse(datagram) else { return };
    let _ = message.username();
    let _ = message.verify(&Key::short_term("VOkJxbRl1RmTxUk/WvJxBt"));
    let attributes = message.plain().attributes();
    assert!(attributes.iter().count() <= floe::stun::wire::MAX_ATTRIBUTES);
    for (kind, _) in attributes.iter() {
        let _ = (
            attributes.u32(kind),
            attributes.u64(kind),
            attributes.address(kind),
            attributes.xor_address(kind),
        );
    }
    let _ = (attributes.error_code(), attributes.unknown_attributes(), attributes.software());
    let _ =
        (attributes.realm(), attributes.nonce().map(|nonce| floe::stun::nonce::SecurityFeatures::of(&nonce)));
    let _ = (attributes.lifetime(), attributes.channel_number(), attributes.requested_transport());
    let _ = (attributes.requested_address_family(), attributes.additional_address_family());
    let _ = (attributes.even_port(), attributes.has_dont_fragment(), attributes.reservation_token());
    let _ = (attributes.peer_addresses().count(), attributes.relayed_addresses().count());
    let _ = (attributes.data(), attributes.alternate_server(), attributes.userhash());
    let _ = (
        attributes.password_algorithms().map(|list| list.supported().count()),
        attributes.password_algorithm(),
    );
    let _ = (attributes.change_request(), attributes.response_port(), attributes.address_error());
    assert!(attributes.unknown_required(&[]).count() <= floe::stun::wire::MAX_ATTRIBUTES);
}

/// Who took the datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    Both,
    OnlyByFloe,
    OnlyByStunCodec(Malformed),
    ByNeither,
}

/// Reads a datagram twice, by floe and by stun_codec, and panics where the two contradict each other. What
/// stun_codec refuses for a value that floe reads leniently, or not at all, is no contradiction.
pub(crate) fn read_twice(datagram: &[u8]) -> Taken {
    // stun_codec's work is cubic in the number of integrity attributes.
    let datagram = &datagram[..datagram.len().min(600)];
    let ours = Message::parse(datagram);
    let theirs = MessageDecoder::<Known>::new().decode_from_bytes(datagram).ok().and_then(Result::ok);
    match (ours, theirs) {
        (Ok(ours), Some(theirs)) => {
            compare(&ours, &theirs);
            Taken::Both
        }
        (Ok(_), None) => Taken::OnlyByFloe,
        (Err(_), None) => Taken::ByNeither,
        (Err(why), Some(theirs)) => {
            // What stun_codec verifies is its re-encoding: it may fit where the received bytes do not.
            let encoded = MessageEncoder::new().encode_into_bytes(theirs).ok();
            let ours_is_stricter = matches!(why, Malformed::TooMany | Malformed::FingerprintNotLast)
                || matches!(why, Malformed::Attribute(0x001C))
                || encoded.as_deref() != Some(datagram);
            assert!(ours_is_stricter, "stun_codec takes what floe refuses: {why}");
            Taken::OnlyByStunCodec(why)
        }
    }
}

#[expect(clippy::redundant_closure_for_method_calls, reason = "the two readings stand side by side")]
fn compare(ours: &Message<'_>, theirs: &stun_codec::Message<Known>) {
    let class = match ours.class() {
        Class::Request => MessageClass::Request,
        Class::Indication => MessageClass::Indication,
        Class::Success => MessageClass::SuccessResponse,
        Class::Error => MessageClass::ErrorResponse,
    };
    assert_eq!(theirs.class(), class);
    assert_eq!(theirs.method().as_u16(), ours.method().0);
    assert_eq!(*theirs.transaction_id().as_bytes(), ours.transaction_id().0);
    // Of several of a type both read the first; what floe does not show, it hides on purpose.
    let attributes = ours.plain().attributes();
    macro_rules! same {
        ($attribute:ty, $ours:expr, $theirs:expr) => {
            if attributes.has(<$attribute>::CODEPOINT) {
                let theirs: Option<&$attribute> = theirs.get_attribute();
                let read: fn(Attributes<'_>) -> _ = $ours;
                let theirs = theirs.map($theirs);
                assert_eq!(read(attributes), theirs, stringify!($attribute));
            }
        };
    }
    same!(MappedAddress, |a| a.address(0x0001), |t| t.address());
    same!(XorMappedAddress, |a| a.xor_address(0x0020), |t| t.address());
    same!(XorPeerAddress, |a| a.peer_address(), |t| t.address());
    same!(XorRelayAddress, |a| a.relayed_addresses().next().flatten(), |t| t.address());
    same!(ResponseOrigin, |a| a.address(0x802B), |t| t.address());
    same!(OtherAddress, |a| a.address(0x802C), |t| t.address());
    same!(Username, |a| a.find(0x0006).map(<[u8]>::to_vec), |t| t.name().as_bytes().to_vec());
    same!(Data, |a| a.data().map(<[u8]>::to_vec), |t| t.data().to_vec());
    same!(Realm, |a| a.realm(), |t| t.text().to_owned());
    same!(Nonce, |a| a.nonce(), |t| t.value().to_owned());
    same!(Software, |a| a.software().map(String::from), |t| t.description().to_owned());
    same!(ErrorCode, |a| a.error_code().map(|e| (e.code, e.reason.into_owned())), |t| {
        (t.code(), t.reason_phrase().to_owned())
    });
    same!(UnknownAttributes, |a| a.unknown_attributes(), |t| t
        .unknowns()
        .iter()
        .map(|u| u.as_u16())
        .collect());
    same!(ChannelNumber, |a| a.channel_number(), |t| t.value());
    same!(Lifetime, |a| a.lifetime(), |t| t.lifetime());
    same!(RequestedTransport, |a| a.requested_transport(), |t| t.protocol());
    same!(
        RequestedAddressFamily,
        |a| a.requested_address_family().map(|f| f == floe::stun::Family::V6),
        |t| { t.address_family() == stun_codec::rfc8656::attributes::AddressFamily::V6 }
    );
    same!(ReservationToken, |a| a.reservation_token(), |t| t.token());
    same!(EvenPort, |a| a.even_port().map(|e| e == floe::stun::codec::EvenPort::EvenAndNext), |t| t
        .is_requested());
    same!(DontFragment, |a| Some(a.has_dont_fragment()), |_| true);
    same!(Priority, |a| a.u32(0x0024), |t| t.prio());
    same!(UseCandidate, |a| Some(a.has(0x0025)), |_| true);
    same!(IceControlled, |a| a.u64(0x8029), |t| t.prio());
    same!(IceControlling, |a| a.u64(0x802A), |t| t.prio());
}
