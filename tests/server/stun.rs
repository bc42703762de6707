//! The server of RFC 8489 §6.3.1 and §9.2.4, where its requests are not those of TURN.

use floe::stun::auth::Integrity;
use floe::stun::codec::PROTOCOL_UDP;
use floe::stun::error_code::reason;
use floe::stun::wire::attr;
use floe::stun::{Class, Method, Writer};

use super::client::{Login, World, addr, client, config, message};

fn udp(writer: &mut Writer<'_>) {
    writer.put_requested_transport(PROTOCOL_UDP);
}

/// RFC 8489 §5: success or error, of whatever method.
#[test]
fn every_answer_has_the_id_of_its_request() {
    let mut world = World::new(config());
    let (login, _) = world.allocate(client(1));
    for method in
        [Method::BINDING, Method::ALLOCATE, Method::REFRESH, Method::CREATE_PERMISSION, Method::CHANNEL_BIND]
    {
        for id in [0, u64::MAX, 0x0123_4567_89ab_cdef] {
            let bare = message(Class::Request, method, id, |_| {});
            let signed = message(Class::Request, method, id, |writer| login.sign(writer));
            for request in [bare, signed] {
                let answers = world.send(client(1), &request);
                assert_eq!(answers.len(), 1);
                assert_eq!(answers[0].raw[4..20], request[4..20], "{method:?}");
            }
        }
    }
}

/// RFC 8489 §6.3.1: what was granted is granted again, and nothing is there twice.
#[test]
fn repeated_requests_get_the_same_success() {
    let mut world = World::new(config());
    let (login, _) = world.allocate(client(1));
    let peer = addr("192.0.2.7:6000");
    let requests = [
        message(Class::Request, Method::BINDING, 1, |_| {}),
        message(Class::Request, Method::REFRESH, 2, |writer| {
            writer.put_u32(attr::LIFETIME, 1200);
            login.sign(writer);
        }),
        message(Class::Request, Method::CREATE_PERMISSION, 3, |writer| {
            writer.put_xor_address(attr::XOR_PEER_ADDRESS, peer);
            login.sign(writer);
        }),
        message(Class::Request, Method::CHANNEL_BIND, 4, |writer| {
            writer.put(attr::CHANNEL_NUMBER, &[0x40, 0, 0, 0]).put_xor_address(attr::XOR_PEER_ADDRESS, peer);
            login.sign(writer);
        }),
    ];
    for request in &requests {
        let first = world.ask(client(1), request);
        assert_eq!(first.code(), 0);
        assert_eq!(world.ask(client(1), request), first);
    }
    let stats = world.server.stats();
    assert_eq!((stats.allocations, stats.permissions, stats.channels), (1, 1, 1));
}

/// The error responses to requests of all kinds.
fn errors(world: &mut World) -> Vec<super::client::Answer> {
    let (login, _) = world.allocate(client(1));
    let peer = addr("192.0.2.7:6000");
    let wrong = Login { password: "builder".into(), ..login.clone() };
    let mut errors = vec![
        world.challenge(client(2)),
        world.request(client(1), &wrong, Method::REFRESH, |_| {}),
        world.request(client(1), &login, Method::CREATE_PERMISSION, |_| {}),
        world.request(client(1), &login, Method::ALLOCATE, udp),
        world.request(client(1), &login, Method::REFRESH, |writer| {
            writer.put(0x7001, &[]);
        }),
        world.request(client(1), &login, Method::CREATE_PERMISSION, |writer| {
            writer.put_xor_address(attr::XOR_PEER_ADDRESS, addr("127.0.0.1:1"));
        }),
        world.request(client(1), &login, Method::CREATE_PERMISSION, |writer| {
            writer.put_xor_address(attr::XOR_PEER_ADDRESS, addr("[2001:db8::7]:1"));
        }),
        world.request(client(2), &login, Method::REFRESH, |_| {}),
    ];
    assert_eq!(world.permit(client(1), &login, &[peer]), 0);
    errors.push(world.ask(
        client(1),
        &message(Class::Request, Method::BINDING, 9, |writer| {
            writer.put(0x7001, &[]);
        }),
    ));
    errors
}

/// RFC 8489 §6.3.1.1: ERROR-CODE is there, with the phrase that belongs to the code.
#[test]
fn an_error_response_says_which_and_in_words() {
    let mut world = World::new(config());
    let errors = errors(&mut world);
    let codes: Vec<u16> = errors.iter().map(super::client::Answer::code).collect();
    assert_eq!(codes, [401, 401, 400, 437, 420, 403, 443, 438, 420]);
    for answer in &errors {
        assert_eq!(answer.message().class(), Class::Error);
        let error = answer.attributes().error_code().unwrap();
        assert!(!error.reason.is_empty());
        assert_eq!(error.reason, reason(error.code));
    }
}

/// RFC 8489 §6.3.1.1: UNKNOWN-ATTRIBUTES of a 420, byte for byte.
#[test]
fn a_420_has_unknown_attributes() {
    let mut world = World::new(config());
    let request = message(Class::Request, Method::BINDING, 9, |writer| {
        writer.put(0x7001, &[]);
    });
    let answer = world.ask(client(1), &request);
    assert_eq!(answer.raw[answer.raw.len() - 8..], [0x00, 0x0a, 0x00, 0x02, 0x70, 0x01, 0, 0]);
}

/// RFC 8489 §9.2.4: MESSAGE-INTEGRITY-SHA256 protects what answers an authentic request, which is told nothing that it
/// has said itself.
#[test]
fn whoever_is_authentic_gets_signed_answers_without_credentials() {
    let mut world = World::new(config());
    let (login, _) = world.allocate(client(1));
    let mut signed = vec![world.refresh(client(1), &login, None)];
    signed.push(world.request(client(1), &login, Method::ALLOCATE, udp));
    signed.push(world.request(client(1), &login, Method::CREATE_PERMISSION, |writer| {
        writer.put_xor_address(attr::XOR_PEER_ADDRESS, addr("127.0.0.1:1"));
    }));
    assert_eq!(signed.iter().map(super::client::Answer::code).collect::<Vec<_>>(), [0, 437, 403]);
    for answer in signed {
        assert_eq!(answer.message().verify(&login.key()).unwrap().by(), Integrity::Sha256);
        for kind in [attr::REALM, attr::NONCE, attr::USERNAME, attr::USERHASH] {
            assert!(!answer.attributes().has(kind), "{kind:#06x}");
        }
    }
}

/// RFC 8489 §6.3, §14: optional attributes are ignored, from 0x8000 on.
#[test]
fn an_unknown_optional_attribute_of_a_request_is_ignored() {
    let mut world = World::new(config());
    for (kind, code) in [(0x7fff, 420), (0x8000, 0), (0xc123, 0), (0xffff, 0)] {
        let request = message(Class::Request, Method::BINDING, 1, |writer| {
            writer.put(kind, &[1, 2, 3]);
        });
        assert_eq!(world.ask(client(1), &request).code(), code, "{kind:#06x}");
    }
}
