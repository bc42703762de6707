//! Attribute values, byte for byte, and what is refused.

use std::time::Duration;

use floe::stun::attributes::{AddressError, ChangeRequest, PasswordAlgorithms};
use floe::stun::auth::{PasswordAlgorithm, userhash};
use floe::stun::codec::{EvenPort, PROTOCOL_UDP};
use floe::stun::wire::attr;
use floe::stun::{Attributes, Class, Family, Message, Method, TransactionId, Writer, code};

/// Writes a message, and reads it with `read`.
fn written<R>(put: impl FnOnce(&mut Writer<'_>), read: impl FnOnce(Attributes<'_>) -> R) -> R {
    let mut buf = [0; 1280];
    let mut writer = Writer::new(&mut buf, Class::Request, Method::ALLOCATE, TransactionId([7; 12]));
    put(&mut writer);
    let raw = writer.finish().expect("1280 bytes are enough");
    read(Message::parse(raw).expect("floe reads what it writes").plain().attributes())
}

/// RFC 8656 §18: the layout, with reserved bits of zero.
#[test]
fn values_of_turn_have_the_layout_of_rfc_8656_18() {
    let layout: [(u16, &[u8]); 9] = [
        (0x000C, &[0x40, 0x01, 0, 0]),
        (0x000D, &[0, 0, 2, 0x58]),
        (0x0017, &[2, 0, 0, 0]),
        (0x8000, &[2, 0, 0, 0]),
        (0x0018, &[0x80]),
        (0x0019, &[17, 0, 0, 0]),
        (0x001A, &[]),
        (0x0022, &[1, 2, 3, 4, 5, 6, 7, 8]),
        (0x000A, &[0x70, 0x01]),
    ];
    let put = |writer: &mut Writer<'_>| {
        writer
            .put_channel_number(0x4001)
            .put_lifetime(Duration::from_secs(600))
            .put_requested_address_family(Family::V6)
            .put_additional_address_family(Family::V6)
            .put_even_port(EvenPort::EvenAndNext)
            .put_requested_transport(PROTOCOL_UDP)
            .put_dont_fragment()
            .put_reservation_token(0x0102_0304_0506_0708)
            .put_unknown_attributes([0x7001]);
    };
    written(put, |attributes| assert_eq!(attributes.iter().collect::<Vec<_>>(), layout));
}

/// RFC 8656 §18.1, §18.6, §18.12; RFC 8489 §14.8: reserved bits are ignored.
#[test]
fn reserved_bits_are_ignored() {
    let put = |writer: &mut Writer<'_>| {
        writer
            .put(attr::CHANNEL_NUMBER, &[0x40, 0x01, 0xff, 0xff])
            .put(attr::REQUESTED_TRANSPORT, &[6, 0xff, 0xff, 0xff])
            .put(attr::REQUESTED_ADDRESS_FAMILY, &[1, 0xff, 0xff, 0xff])
            .put(attr::EVEN_PORT, &[0x7f])
            .put(attr::ADDRESS_ERROR_CODE, &[2, 0xff, 0xfd, 8])
            .put(attr::ERROR_CODE, &[0xff, 0xff, 0xfb, 0]);
    };
    written(put, |attributes| {
        assert_eq!(attributes.channel_number(), Some(0x4001));
        assert_eq!(attributes.requested_transport(), Some(6));
        assert_eq!(attributes.requested_address_family(), Some(Family::V4));
        assert_eq!(attributes.even_port(), Some(EvenPort::Even));
        let error = attributes.address_error().unwrap();
        assert_eq!((error.family, error.code), (Family::V6, code::INSUFFICIENT_CAPACITY));
        assert_eq!(attributes.error_code().unwrap().code, code::TRY_ALTERNATE);
    });
}

#[test]
fn malformed_values_read_as_none_and_are_told_from_absent_ones() {
    type IsNone = fn(Attributes<'_>) -> bool;
    let malformed: [(u16, &[u8], IsNone); 19] = [
        (attr::LIFETIME, &[0, 0, 2], |a| a.lifetime().is_none()),
        (attr::LIFETIME, &[0, 0, 2, 0x58, 0], |a| a.lifetime().is_none()),
        (attr::CHANNEL_NUMBER, &[0x3f, 0xff, 0, 0], |a| a.channel_number().is_none()),
        (attr::CHANNEL_NUMBER, &[0x50, 0x00, 0, 0], |a| a.channel_number().is_none()),
        (attr::REQUESTED_TRANSPORT, &[17], |a| a.requested_transport().is_none()),
        (attr::REQUESTED_ADDRESS_FAMILY, &[3, 0, 0, 0], |a| a.requested_address_family().is_none()),
        (attr::EVEN_PORT, &[], |a| a.even_port().is_none()),
        (attr::RESERVATION_TOKEN, &[0; 7], |a| a.reservation_token().is_none()),
        (attr::REALM, &[0xff], |a| a.realm().is_none()),
        (attr::NONCE, &[b'n'; 128], |a| a.nonce().is_none()),
        (attr::UNKNOWN_ATTRIBUTES, &[0x70], |a| a.unknown_attributes().is_none()),
        (attr::XOR_PEER_ADDRESS, &[0, 1, 0, 0, 1, 2, 3], |a| a.peer_address().is_none()),
        (attr::ALTERNATE_SERVER, &[0, 3, 0, 0, 1, 2, 3, 4], |a| a.alternate_server().is_none()),
        (attr::ERROR_CODE, &[0, 0, 7, 0], |a| a.error_code().is_none()),
        (attr::ERROR_CODE, &[0, 0, 4, 100], |a| a.error_code().is_none()),
        (attr::ERROR_CODE, &[0, 0, 4], |a| a.error_code().is_none()),
        (attr::USERHASH, &[0; 31], |a| a.userhash().is_none()),
        (attr::PASSWORD_ALGORITHMS, &[0, 1, 0, 4, 1, 2, 3], |a| a.password_algorithms().is_none()),
        (attr::PASSWORD_ALGORITHM, &[0, 3, 0, 0], |a| a.password_algorithm().is_none()),
    ];
    for (kind, value, is_none) in malformed {
        written(
            |writer| {
                writer.put(kind, value);
            },
            |attributes| assert!(is_none(attributes) && attributes.has(kind), "{kind:#06x} {value:?}"),
        );
    }
}

/// RFC 8656 §10.1: CreatePermission names several peers, and one bad one spoils the request.
#[test]
fn each_peer_address_is_read_in_order_and_a_malformed_one_shows() {
    let (first, second) = ("192.0.2.1:1".parse().unwrap(), "[2001:db8::1]:2".parse().unwrap());
    let put = |writer: &mut Writer<'_>| {
        writer.put_xor_address(attr::XOR_PEER_ADDRESS, first).put(attr::XOR_PEER_ADDRESS, &[0, 9]);
        writer.put_dont_fragment().put_xor_address(attr::XOR_PEER_ADDRESS, second);
    };
    written(put, |attributes| {
        assert_eq!(attributes.peer_addresses().collect::<Vec<_>>(), [Some(first), None, Some(second)]);
    });
}

/// RFC 8656 §11.4: empty DATA is a datagram too.
#[test]
fn empty_data_is_not_absent_data() {
    let put = |writer: &mut Writer<'_>| {
        writer.put(attr::DATA, &[]);
    };
    written(put, |attributes| assert_eq!(attributes.data(), Some(&[][..])));
    written(|_| {}, |attributes| assert_eq!(attributes.data(), None));
}

/// RFC 8489 §14.4, §14.11, §14.12; RFC 8656 §18.12; RFC 5780 §7.2, §7.5: what stun_codec lacks or gets wrong.
#[test]
fn floes_own_values_have_the_layout_of_their_rfcs() {
    let mut buf = [0; 500];
    let mut writer = Writer::new(&mut buf, Class::Request, Method::BINDING, TransactionId([7; 12]));
    let offer = PasswordAlgorithms::offer(&[PasswordAlgorithm::Sha256, PasswordAlgorithm::Md5]);
    let hash = userhash("user", "realm");
    let error = AddressError::new(Family::V6, code::ADDRESS_FAMILY_NOT_SUPPORTED);
    writer
        .put_password_algorithms(&offer)
        .put_password_algorithm(PasswordAlgorithm::Md5)
        .put_userhash(hash)
        .put_change_request(ChangeRequest { ip: true, port: false })
        .put_response_port(0x1234)
        .put_address_error(&error);
    let message = Message::parse(writer.finish().unwrap()).unwrap();
    let attributes = message.plain().attributes();
    let reason = b"\x02\0\x04\x28Address Family not Supported";
    let layout: [(u16, &[u8]); 6] = [
        (0x8002, &[0, 2, 0, 0, 0, 1, 0, 0]),
        (0x001D, &[0, 1, 0, 0]),
        (0x001E, &hash),
        (0x0003, &[0, 0, 0, 4]),
        (0x0027, &[0x12, 0x34, 0, 0]),
        (0x8001, reason),
    ];
    assert_eq!(attributes.iter().collect::<Vec<_>>(), layout);
    assert_eq!(attributes.password_algorithms(), Some(offer));
    assert_eq!(attributes.password_algorithm(), Some(PasswordAlgorithm::Md5));
    assert_eq!(attributes.userhash(), Some(hash));
    assert_eq!(attributes.change_request(), Some(ChangeRequest { ip: true, port: false }));
    assert_eq!(attributes.response_port(), Some(0x1234));
    assert_eq!(attributes.address_error(), Some(error));
}

/// RFC 8489 §9.2.5, §14.11: unknown algorithms and garbage in the padding travel back untouched.
#[test]
fn password_algorithms_are_echoed_byte_for_byte() {
    let list = [0, 9, 0, 3, 1, 2, 3, 0xFF, 0, 2, 0, 0, 0, 1, 0, 0];
    let mut buf = [0; 100];
    let mut writer = Writer::new(&mut buf, Class::Error, Method::ALLOCATE, TransactionId([7; 12]));
    writer.put(attr::PASSWORD_ALGORITHMS, &list);
    let received =
        Message::parse(writer.finish().unwrap()).unwrap().plain().attributes().password_algorithms();
    let received = received.unwrap();
    assert_eq!(received.supported().collect::<Vec<_>>(), [PasswordAlgorithm::Sha256, PasswordAlgorithm::Md5]);
    let mut buf = [0; 100];
    let mut writer = Writer::new(&mut buf, Class::Request, Method::ALLOCATE, TransactionId([8; 12]));
    writer.put_password_algorithms(&received);
    let message = Message::parse(writer.finish().unwrap()).unwrap();
    assert_eq!(message.plain().attributes().find(attr::PASSWORD_ALGORITHMS), Some(&list[..]));
}
