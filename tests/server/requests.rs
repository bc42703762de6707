//! Binding, authentication, and the four requests of TURN.

use std::time::Duration;

use floe::io::SocketId;
use floe::server::{Cidr, Input, Output, PeerRules, Received};
use floe::stun::auth::{Integrity, PasswordAlgorithm, userhash};
use floe::stun::codec::{EvenPort, PROTOCOL_TCP, PROTOCOL_UDP};
use floe::stun::wire::attr;
use floe::stun::{Class, Family, Key, Method, Writer};

use super::client::{
    Login, RELAY, RELAY_V6, SERVER, World, addr, channel_data, client, config, message, ports,
    send_indication,
};

fn udp(writer: &mut Writer<'_>) {
    writer.put_requested_transport(PROTOCOL_UDP);
}

/// RFC 8489 §12, §6.3.1.1.
#[test]
fn binding_is_answered_with_the_source_address_and_a_fingerprint_if_the_request_has_one() {
    let mut world = World::new(config());
    let answer = world.ask(client(1), &message(Class::Request, Method::BINDING, 1, |_| {}));
    let mut expected =
        vec![0x01, 0x01, 0x00, 0x0c, 0x21, 0x12, 0xa4, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    // 198.51.100.1:5001, XORed with the magic cookie.
    expected.extend([0x00, 0x20, 0x00, 0x08, 0x00, 0x01, 0x32, 0x9b, 0xe7, 0x21, 0xc0, 0x43]);
    assert_eq!(answer.raw, expected);

    let marked = message(Class::Request, Method::BINDING, 2, |writer| {
        writer.fingerprint();
    });
    for source in [client(1), addr("[2001:db8::9]:4000")] {
        let answer = world.ask(source, &marked);
        assert!(answer.message().has_fingerprint());
        assert_eq!(answer.attributes().xor_address(attr::XOR_MAPPED_ADDRESS), Some(source));
    }
}

/// RFC 8489 §6.3.1; RFC 5780 §7.2: CHANGE-REQUEST needs a second address.
#[test]
fn a_request_with_an_unknown_required_attribute_is_answered_420_with_their_types() {
    let mut world = World::new(config());
    let binding = message(Class::Request, Method::BINDING, 1, |writer| {
        writer.put(0x7001, &[]).put(attr::CHANGE_REQUEST, &[0, 0, 0, 2]).put(0xC057, &[]).put(0x7001, &[1]);
    });
    let answer = world.ask(client(1), &binding);
    assert_eq!(answer.code(), 420);
    assert_eq!(answer.attributes().unknown_attributes(), Some(vec![0x7001, attr::CHANGE_REQUEST]));

    let login = world.login(client(1));
    let answer = world.request(client(1), &login, Method::ALLOCATE, |writer| {
        udp(writer);
        writer.put(0x7002, &[]);
    });
    assert_eq!(answer.code(), 420);
    assert_eq!(answer.attributes().unknown_attributes(), Some(vec![0x7002]));
    assert_eq!(world.server.stats().allocations, 0);
}

#[test]
fn indications_responses_and_unknown_methods_are_not_answered() {
    let mut world = World::new(config());
    for (class, method) in [
        (Class::Indication, Method::BINDING),
        (Class::Indication, Method::DATA),
        (Class::Success, Method::BINDING),
        (Class::Error, Method::ALLOCATE),
        (Class::Request, Method::SEND),
        (Class::Request, Method::CONNECT),
        (Class::Request, Method(0x07f)),
    ] {
        assert!(world.send(client(1), &message(class, method, 1, |_| {})).is_empty(), "{class:?} {method:?}");
    }
    assert_eq!(world.receive(client(1), b"\x80 neither STUN nor ChannelData"), Received::Unclaimed);
}

/// RFC 8489 §9.2.4, RFC 8656 §7.2: byte for byte where nothing is random.
#[test]
fn an_allocation_in_two_round_trips() {
    let mut world = World::new(config());
    let challenge = world.challenge(client(1));
    assert_eq!(challenge.code(), 401);
    assert_eq!(
        challenge.kinds(),
        [attr::ERROR_CODE, attr::REALM, attr::NONCE, attr::PASSWORD_ALGORITHMS],
        "and no integrity, no USERNAME"
    );
    assert!(!challenge.message().has_integrity());
    assert_eq!(challenge.attributes().realm().as_deref(), Some("example.org"));
    assert_eq!(challenge.attributes().find(attr::PASSWORD_ALGORITHMS), Some(&[0, 2, 0, 0, 0, 1, 0, 0][..]));
    assert!(challenge.nonce().starts_with("obMatJos2wAAA"));

    let login = Login { user: "alice".into(), password: "wonderland".into(), nonce: challenge.nonce() };
    let answer = world.request(client(1), &login, Method::ALLOCATE, udp);
    assert_eq!(answer.kinds(), [attr::XOR_RELAYED_ADDRESS, attr::LIFETIME, attr::XOR_MAPPED_ADDRESS]);
    assert_eq!(answer.raw[..2], [0x01, 0x03]);
    assert_eq!(answer.raw[32..40], [0x00, 0x0d, 0x00, 0x04, 0x00, 0x00, 0x02, 0x58], "LIFETIME 600");
    assert_eq!(answer.raw[52..56], [0x00, 0x1c, 0x00, 0x20], "MESSAGE-INTEGRITY-SHA256 comes last");
    assert_eq!(answer.raw.len(), 52 + 36);
    assert_eq!(answer.attributes().xor_address(attr::XOR_MAPPED_ADDRESS), Some(client(1)));
    assert_eq!(world.relays.iter().map(|(_, local)| *local).collect::<Vec<_>>(), [answer.relayed()]);
    assert_eq!(answer.relayed().ip().to_string(), RELAY);
    assert!(answer.relayed().port() >= 49152);
    assert_eq!(world.wake, Some(world.now + Duration::from_secs(600)));
    assert_eq!(world.server.stats().allocations, 1);
}

/// RFC 8489 §9.2.4: what kind of key, what kind of integrity, what kind of name.
#[test]
fn md5_and_sha256_username_and_userhash_are_let_in_and_answered_the_same_way() {
    for (algorithm, integrity) in [
        (PasswordAlgorithm::Md5, Integrity::Sha1),
        (PasswordAlgorithm::Md5, Integrity::Sha256),
        (PasswordAlgorithm::Sha256, Integrity::Sha256),
    ] {
        for hashed in [false, true] {
            let mut world = World::new(config());
            let nonce = world.challenge(client(1)).nonce();
            let key = Key::long_term(algorithm, "bob", "example.org", "builder");
            let request = message(Class::Request, Method::ALLOCATE, 1, |writer| {
                udp(writer);
                if hashed {
                    writer.put_userhash(userhash("bob", "example.org"));
                } else {
                    writer.put_username("bob");
                }
                writer.put_realm("example.org").put_nonce(&nonce);
                if integrity == Integrity::Sha256 {
                    writer.put(attr::PASSWORD_ALGORITHMS, &[0, 2, 0, 0, 0, 1, 0, 0]);
                    writer.put_password_algorithm(algorithm);
                }
                writer.integrity(&key, integrity).fingerprint();
            });
            let answer = world.ask(client(1), &request);
            assert_eq!(answer.code(), 0, "{algorithm:?} {integrity:?} {hashed}");
            assert_eq!(answer.message().verify(&key).unwrap().by(), integrity);
            assert!(answer.message().has_fingerprint());
        }
    }
}

/// RFC 8489 §9.2.4: wrong or unknown is 401 with a new nonce and without integrity.
#[test]
fn a_wrong_password_an_unknown_user_and_a_flipped_bit_are_401() {
    let mut world = World::new(config());
    let login = world.login(client(1));
    let wrong = Login { password: "builder".into(), ..login.clone() };
    let unknown = Login { user: "carol".into(), ..login.clone() };
    for login in [wrong, unknown] {
        let answer = world.request(client(1), &login, Method::ALLOCATE, udp);
        assert_eq!(answer.code(), 401);
        assert!(answer.attributes().has(attr::NONCE) && answer.attributes().has(attr::REALM));
        assert!(answer.attributes().has(attr::PASSWORD_ALGORITHMS));
        assert!(!answer.message().has_integrity() && !answer.attributes().has(attr::USERNAME));
    }
    let mut request = message(Class::Request, Method::ALLOCATE, 1, |writer| {
        udp(writer);
        login.sign(writer);
    });
    *request.last_mut().unwrap() ^= 1;
    assert_eq!(world.ask(client(1), &request).code(), 401);
    assert_eq!(world.server.stats().allocations, 0);
}

/// RFC 8489 §9.2.4: integrity without the rest is 400, without NONCE and REALM in the answer.
#[test]
fn integrity_without_username_realm_or_nonce_is_400() {
    let mut world = World::new(config());
    let login = world.login(client(1));
    for left_out in [attr::USERNAME, attr::REALM, attr::NONCE] {
        let request = message(Class::Request, Method::ALLOCATE, 1, |writer| {
            udp(writer);
            for (kind, value) in
                [(attr::USERNAME, "alice"), (attr::REALM, "example.org"), (attr::NONCE, login.nonce.as_str())]
            {
                if kind != left_out {
                    writer.put(kind, value.as_bytes());
                }
            }
            writer.integrity(&login.key(), Integrity::Sha1);
        });
        let answer = world.ask(client(1), &request);
        assert_eq!((answer.code(), answer.kinds()), (400, vec![attr::ERROR_CODE]), "{left_out:#06x}");
    }
}

/// RFC 8489 §9.2.4: both attributes or none, the list as it was sent, the choice from the list.
#[test]
fn half_or_altered_password_algorithms_are_400() {
    type Value = Option<&'static [u8]>;
    let list: &[u8] = &[0, 2, 0, 0, 0, 1, 0, 0];
    let (sha256, md5, other): (&[u8], &[u8], &[u8]) = (&[0, 2, 0, 0], &[0, 1, 0, 0], &[0, 3, 0, 0]);
    let cases: [(Value, Value, u16); 7] = [
        (None, None, 401), // read as MD5, which this key is not
        (Some(list), None, 400),
        (None, Some(sha256), 400),
        (Some(md5), Some(md5), 400),
        (Some(&[0, 1, 0, 0, 0, 2, 0, 0]), Some(sha256), 400),
        (Some(list), Some(other), 400),
        (Some(list), Some(sha256), 0),
    ];
    for (list, choice, code) in cases {
        let mut world = World::new(config());
        let login = world.login(client(1));
        let request = message(Class::Request, Method::ALLOCATE, 1, |writer| {
            udp(writer);
            writer.put_username("alice").put_realm("example.org").put_nonce(&login.nonce);
            for (kind, value) in [(attr::PASSWORD_ALGORITHMS, list), (attr::PASSWORD_ALGORITHM, choice)] {
                if let Some(value) = value {
                    writer.put(kind, value);
                }
            }
            writer.integrity(&login.key(), Integrity::Sha256);
        });
        assert_eq!(world.ask(client(1), &request).code(), code, "{list:?} {choice:?}");
    }
}

/// RFC 8489 §9.2.4: the nonce is looked at after the integrity; RFC 8656 §5: it ends within the hour.
#[test]
fn a_stale_or_foreign_nonce_is_438_with_a_new_one_but_401_with_a_wrong_password() {
    let mut world = World::new(config());
    let login = world.login(client(1));
    assert_eq!(world.request(client(2), &login, Method::ALLOCATE, udp).code(), 438, "of another client");
    world.pass(3600);
    let stale = world.request(client(1), &login, Method::ALLOCATE, udp);
    assert_eq!(stale.code(), 438);
    assert!(stale.attributes().has(attr::REALM) && stale.attributes().has(attr::PASSWORD_ALGORITHMS));
    let wrong = Login { password: "builder".into(), ..login.clone() };
    assert_eq!(world.request(client(1), &wrong, Method::ALLOCATE, udp).code(), 401);
    let fresh = Login { nonce: stale.nonce(), ..login };
    assert_eq!(world.request(client(1), &fresh, Method::ALLOCATE, udp).code(), 0);
}

#[test]
fn a_server_without_users_answers_binding_only() {
    let mut world = World::new(floe::server::Config::new([1; 32]).relay_address(RELAY.parse().unwrap()));
    assert_eq!(world.challenge(client(1)).code(), 403);
    assert_eq!(world.ask(client(1), &message(Class::Request, Method::BINDING, 1, |_| {})).code(), 0);
}

/// RFC 8656 §7.2, §5: a retransmission is no second request.
#[test]
fn a_repeated_allocate_gets_the_same_answer_and_another_one_437() {
    let mut world = World::new(config());
    let login = world.login(client(1));
    let allocate = message(Class::Request, Method::ALLOCATE, 77, |writer| {
        udp(writer);
        writer.put_u32(attr::LIFETIME, 1200);
        login.sign(writer);
    });
    world.kept = Some(Vec::new());
    assert!(world.send(client(1), &allocate).is_empty(), "the relay socket is not open yet");
    assert!(world.send(client(1), &allocate).is_empty());
    assert_eq!(world.request(client(1), &login, Method::ALLOCATE, udp).code(), 437);
    let kept = world.kept.take().unwrap();
    assert_eq!(kept.len(), 1);
    world.open(kept[0]);
    let first = world.drain();
    assert_eq!((first.len(), first[0].code()), (1, 0));
    world.pass(39);
    assert_eq!(world.send(client(1), &allocate), first);
    assert_eq!(world.request(client(1), &login, Method::ALLOCATE, udp).code(), 437);
    world.pass(1);
    assert_eq!(world.ask(client(1), &allocate).code(), 437);
    assert_eq!(world.server.stats().allocations_made, 1);
    // Another 5-tuple is another allocation.
    let (_, relayed) = world.allocate(client(2));
    assert_ne!(relayed, first[0].relayed());
}

/// RFC 8656 §7.2: one fault each, in the order of the checks; with two faults the earlier counts.
#[test]
fn what_is_wrong_with_an_allocate_is_said_in_the_order_of_rfc_8656_7_2() {
    type Fill = fn(&mut Writer<'_>);
    let token: Fill = |writer| {
        writer.put_reservation_token(1);
    };
    let dont_fragment: Fill = |writer| {
        writer.put_dont_fragment();
    };
    let even_and_next: Fill = |writer| {
        writer.put_even_port(EvenPort::EvenAndNext);
    };
    let family: Fill = |writer| {
        writer.put_requested_address_family(Family::V4);
    };
    let additional: Fill = |writer| {
        writer.put_additional_address_family(Family::V6);
    };
    let additional_v4: Fill = |writer| {
        writer.put(attr::ADDITIONAL_ADDRESS_FAMILY, &[1, 0, 0, 0]);
    };
    let no_family: Fill = |writer| {
        writer.put(attr::REQUESTED_ADDRESS_FAMILY, &[3, 0, 0, 0]);
    };
    let tcp: Fill = |writer| {
        writer.put_requested_transport(PROTOCOL_TCP);
    };
    let cases: [(&[Fill], u16); 13] = [
        (&[], 400),
        (&[dont_fragment], 400),
        (&[tcp, dont_fragment], 442),
        (&[udp, dont_fragment], 420),
        (&[udp, dont_fragment, token], 420),
        (&[udp, token], 508),
        (&[udp, token, even_and_next], 400),
        (&[udp, token, family], 400),
        (&[udp, token, additional], 400),
        (&[udp, family, additional], 400),
        (&[udp, no_family], 440),
        (&[udp, even_and_next, additional], 400),
        (&[udp, additional_v4], 400),
    ];
    let mut world = World::new(config());
    let login = world.login(client(1));
    for (at, (fills, code)) in cases.iter().enumerate() {
        let answer = world.request(client(1), &login, Method::ALLOCATE, |writer| {
            fills.iter().for_each(|fill| fill(writer));
        });
        assert_eq!(answer.code(), *code, "case {at}");
    }
    assert_eq!(world.server.stats().allocations, 0);
    let (login, _) = world.allocate(client(1));
    assert_eq!(world.request(client(1), &login, Method::ALLOCATE, |_| {}).code(), 437);
}

/// RFC 8656 §7.2: families the server has or has not.
#[test]
fn a_family_without_a_relay_address_is_440() {
    let only = |ip: &str| {
        floe::server::Config::new([1; 32])
            .realm("example.org")
            .user("alice", "wonderland")
            .relay_address(ip.parse().unwrap())
    };
    for (config, none, v4, v6) in
        [(only(RELAY), 0, 0, 440), (only(RELAY_V6), 440, 440, 0), (config(), 0, 0, 0)]
    {
        let mut world = World::new(config);
        for (number, (family, code)) in
            [(None, none), (Some(Family::V4), v4), (Some(Family::V6), v6)].into_iter().enumerate()
        {
            let source = client(number as u16);
            let login = world.login(source);
            let answer = world.request(source, &login, Method::ALLOCATE, |writer| {
                udp(writer);
                if let Some(family) = family {
                    writer.put_requested_address_family(family);
                }
            });
            assert_eq!(answer.code(), code, "{family:?}");
            if code == 0 {
                assert_eq!(Family::from(answer.relayed().ip()), family.unwrap_or(Family::V4));
            }
        }
    }
}

/// RFC 8656 §18.7.
#[test]
fn an_even_port_is_even() {
    let mut world = World::new(config());
    for number in 0..32 {
        let login = world.login(client(number));
        let answer = world.request(client(number), &login, Method::ALLOCATE, |writer| {
            udp(writer);
            writer.put_even_port(EvenPort::Even);
        });
        assert_eq!((answer.code(), answer.relayed().port() % 2), (0, 0));
    }
}

/// RFC 8656 §7.2: the next port waits 30 s for whoever has the token.
#[test]
fn an_even_port_and_the_next_one_are_a_pair_of_allocations() {
    let even_and_next = |writer: &mut Writer<'_>| {
        udp(writer);
        writer.put_even_port(EvenPort::EvenAndNext);
    };
    let mut world = World::new(ports(50_001..=50_004).quota(9));
    let login = world.login(client(1));
    world.failing = 2;
    let first = world.request(client(1), &login, Method::ALLOCATE, even_and_next);
    assert_eq!((first.code(), first.relayed().port()), (0, 50_002), "the only pair of the range");
    let token = first.attributes().reservation_token().unwrap();
    let claim = |world: &mut World, number, token| {
        let login = world.login(client(number));
        world.request(client(number), &login, Method::ALLOCATE, |writer| {
            udp(writer);
            writer.put_reservation_token(token);
        })
    };
    assert_eq!(claim(&mut world, 2, token ^ 1).code(), 508);
    // The reserved port goes to nobody else.
    assert_eq!(
        [world.allocate(client(3)).1.port(), world.allocate(client(4)).1.port()].iter().max(),
        Some(&50_004)
    );
    world.pass(29);
    let second = claim(&mut world, 2, token);
    assert_eq!((second.code(), second.relayed().port()), (0, 50_003));
    assert_eq!(claim(&mut world, 5, token).code(), 508, "once only");

    // Not claimed in time, it is anybody's.
    world.pass(571);
    world.pass(29);
    assert!(world.relays.is_empty());
    let login = world.login(client(1));
    let first = world.request(client(1), &login, Method::ALLOCATE, even_and_next);
    let token = first.attributes().reservation_token().unwrap();
    world.pass(30);
    assert_eq!(claim(&mut world, 2, token).code(), 508);
    let others: Vec<_> = (3..6).map(|number| world.allocate(client(number)).1.port()).collect();
    assert!(others.contains(&50_003));
}

/// RFC 8656 §7.2: limits by user, and of the server.
#[test]
fn beyond_the_quota_of_a_user_is_486_and_beyond_the_server_508() {
    let mut world = World::new(config().quota(2).max_allocations(3));
    let (alice, _) = world.allocate(client(1));
    world.allocate(client(2));
    let third = world.login(client(3));
    assert_eq!(world.request(client(3), &third, Method::ALLOCATE, udp).code(), 486);
    let bob = |login: Login| Login { user: "bob".into(), password: "builder".into(), ..login };
    let login = bob(third.clone());
    assert_eq!(world.request(client(3), &login, Method::ALLOCATE, udp).code(), 0);
    let login = bob(world.login(client(4)));
    assert_eq!(world.request(client(4), &login, Method::ALLOCATE, udp).code(), 508);
    assert_eq!(world.refresh(client(1), &alice, Some(0)).code(), 0);
    assert_eq!(world.request(client(4), &login, Method::ALLOCATE, udp).code(), 0);
}

/// RFC 8656 §7.2: ports are unique, in range and not in order; a full range is 508.
#[test]
fn relayed_ports_are_unique_and_random_until_there_is_none() {
    let mut world = World::new(ports(50_000..=50_063));
    let relayed: Vec<_> = (0..64).map(|number| world.allocate(client(number)).1.port()).collect();
    let mut sorted = relayed.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, (50_000..=50_063).collect::<Vec<_>>());
    assert_ne!(relayed, sorted);
    let login = world.login(client(64));
    assert_eq!(world.request(client(64), &login, Method::ALLOCATE, udp).code(), 508);
    world.pass(600);
    assert!(world.relays.is_empty());
    world.allocate(client(64));
}

#[test]
fn an_empty_range_of_ports_is_508() {
    #[expect(clippy::reversed_empty_ranges, reason = "a range without ports is the case")]
    let mut world = World::new(ports(50_001..=50_000));
    let login = world.login(client(1));
    assert_eq!(world.request(client(1), &login, Method::ALLOCATE, udp).code(), 508);
}

#[test]
fn a_port_that_cannot_be_opened_gives_way_to_another_and_at_last_to_508() {
    let mut world = World::new(config().quota(1));
    world.failing = 3;
    world.allocate(client(1));
    assert_eq!(world.asked.len(), 4);
    world.pass(600);
    world.asked.clear();
    world.failing = usize::MAX;
    let login = world.login(client(1));
    assert_eq!(world.request(client(1), &login, Method::ALLOCATE, udp).code(), 508);
    assert!(world.asked.len() < 20);
    world.failing = 0;
    world.allocate(client(1));
}

/// RFC 8656 §7.2, §8.2: max(600, min(requested, maximum)).
#[test]
fn lifetimes_are_granted_between_the_default_and_the_maximum() {
    let cases = [
        (None, 600),
        (Some(10), 600),
        (Some(600), 600),
        (Some(1200), 1200),
        (Some(3600), 3600),
        (Some(u32::MAX), 3600),
    ];
    for (requested, granted) in cases.into_iter().chain([(Some(0), 600)]) {
        let mut world = World::new(config());
        let login = world.login(client(1));
        let answer = world.request(client(1), &login, Method::ALLOCATE, |writer| {
            udp(writer);
            if let Some(seconds) = requested {
                writer.put_u32(attr::LIFETIME, seconds);
            }
        });
        assert_eq!(answer.attributes().lifetime(), Some(Duration::from_secs(granted)), "{requested:?}");
        assert_eq!(world.wake, Some(world.now + Duration::from_secs(granted)));
    }
    let mut world = World::new(config());
    let (login, _) = world.allocate(client(1));
    for (requested, granted) in cases {
        let answer = world.refresh(client(1), &login, requested);
        assert_eq!(answer.attributes().lifetime(), Some(Duration::from_secs(granted)), "{requested:?}");
        assert_eq!(world.wake, Some(world.now + Duration::from_secs(granted)));
    }
}

/// RFC 8656 §8.2, §5.
#[test]
fn refresh_0_ends_the_allocation_and_closes_its_socket() {
    let mut world = World::new(config());
    let (login, _) = world.allocate(client(1));
    let answer = world.refresh(client(1), &login, Some(0));
    assert_eq!(answer.attributes().lifetime(), Some(Duration::ZERO));
    assert!(world.relays.is_empty());
    assert_eq!(world.refresh(client(1), &login, Some(0)).code(), 437);
    assert_eq!((world.server.stats().allocations, world.wake), (0, None));
    world.allocate(client(1));
}

#[test]
fn an_allocation_ends_with_its_lifetime_unless_it_is_refreshed() {
    let mut world = World::new(config());
    let (login, _) = world.allocate(client(1));
    world.allocate(client(2));
    world.pass(599);
    assert_eq!(world.refresh(client(1), &login, None).code(), 0);
    world.pass(1);
    assert_eq!(world.relays.len(), 1);
    world.pass(598);
    assert_eq!(world.relays.len(), 1);
    world.pass(1);
    assert!(world.relays.is_empty());
}

/// RFC 8656 §5.
#[test]
fn without_an_allocation_437_and_of_another_user_441() {
    let mut world = World::new(config());
    let login = world.login(client(1));
    let peer = addr("192.0.2.1:9");
    assert_eq!(world.refresh(client(1), &login, None).code(), 437);
    assert_eq!(world.permit(client(1), &login, &[peer]), 437);
    assert_eq!(world.bind(client(1), &login, 0x4000, peer), 437);
    let (login, _) = world.allocate(client(1));
    let bob = Login { user: "bob".into(), password: "builder".into(), ..login };
    assert_eq!(world.refresh(client(1), &bob, Some(0)).code(), 441);
    assert_eq!(world.permit(client(1), &bob, &[peer]), 441);
    assert_eq!(world.bind(client(1), &bob, 0x4000, peer), 441);
    assert_eq!(world.server.stats().allocations, 1);
}

/// RFC 8656 §8.2, §10.2, §12.2.
#[test]
fn another_family_than_that_of_the_allocation_is_443() {
    let mut world = World::new(config());
    let (login, _) = world.allocate(client(1));
    let (v4, v6) = (addr("192.0.2.1:9"), addr("[2001:db8:1::1]:9"));
    assert_eq!(world.permit(client(1), &login, &[v4, v6]), 443);
    assert_eq!(world.bind(client(1), &login, 0x4000, v6), 443);
    for (family, code) in [(Family::V4, 0), (Family::V6, 443)] {
        let answer = world.request(client(1), &login, Method::REFRESH, |writer| {
            writer.put_requested_address_family(family);
        });
        assert_eq!(answer.code(), code);
    }
    assert_eq!(world.server.stats().permissions, 0);
}

/// RFC 8656 §10.2.
#[test]
fn create_permission_installs_all_peers_or_none() {
    let mut world = World::new(config());
    let (login, _) = world.allocate(client(1));
    let (a, b) = (addr("192.0.2.1:9"), addr("192.0.2.2:9"));
    assert_eq!(world.permit(client(1), &login, &[]), 400);
    let malformed = world.request(client(1), &login, Method::CREATE_PERMISSION, |writer| {
        writer.put_xor_address(attr::XOR_PEER_ADDRESS, a).put(attr::XOR_PEER_ADDRESS, &[0, 1, 0]);
    });
    assert_eq!(malformed.code(), 400);
    assert_eq!(world.permit(client(1), &login, &[a, addr("127.0.0.1:9")]), 403);
    assert_eq!(world.server.stats().permissions, 0);
    assert_eq!(world.permit(client(1), &login, &[a, b, a]), 0);
    assert_eq!(world.server.stats().permissions, 2);
}

/// RFC 8656 §21.2, §21.4, and the server's own addresses.
#[test]
fn peers_that_the_rules_forbid_are_403() {
    let cidr = |text: &str| text.parse::<Cidr>().unwrap();
    let rules = PeerRules::default().deny(cidr("192.0.2.128/25")).allow(cidr("169.254.7.0/24"));
    let mut world = World::new(config().peers(rules));
    let (login, _) = world.allocate(client(1));
    for (number, (peer, code)) in [
        ("127.0.0.1:9", 403),
        ("169.254.1.1:9", 403),
        ("169.254.7.1:9", 0),
        ("224.0.0.1:9", 403),
        ("255.255.255.255:9", 403),
        ("0.0.0.0:9", 403),
        ("192.0.2.129:9", 403),
        ("192.0.2.127:9", 0),
        ("10.0.0.1:9", 0),
        (SERVER, 403),
        ("203.0.113.2:9", 0), // the address of the relay sockets: another client may be there
    ]
    .into_iter()
    .enumerate()
    {
        let peer = addr(peer);
        assert_eq!(world.permit(client(1), &login, &[peer]), code, "{peer}");
        assert_eq!(world.bind(client(1), &login, 0x4000 + number as u16, peer), code, "{peer}");
    }
}

/// RFC 8656 §21.4.
#[test]
fn clients_behind_teredo_or_6to4_get_no_allocation() {
    for source in ["[2001:0:1::1]:5000", "[2002:c000:201::1]:5000"] {
        let mut world = World::new(config());
        let source = addr(source);
        let login = world.login(source);
        assert_eq!(world.request(source, &login, Method::ALLOCATE, udp).code(), 403);
    }
}

/// RFC 8656 §12.2.
#[test]
fn a_channel_and_a_peer_belong_to_each_other() {
    let mut world = World::new(config());
    let (login, _) = world.allocate(client(1));
    let (a, b) = (addr("192.0.2.1:9"), addr("192.0.2.1:10"));
    let no_number = world.request(client(1), &login, Method::CHANNEL_BIND, |writer| {
        writer.put_xor_address(attr::XOR_PEER_ADDRESS, a);
    });
    let no_peer = world.request(client(1), &login, Method::CHANNEL_BIND, |writer| {
        writer.put_channel_number(0x4000);
    });
    assert_eq!((no_number.code(), no_peer.code()), (400, 400));
    for (number, peer, code) in [
        (0x3fff, a, 400),
        (0x5000, a, 400),
        (0x4000, a, 0),
        (0x4000, a, 0),
        (0x4000, b, 400),
        (0x4001, a, 400),
        (0x4fff, b, 0),
    ] {
        assert_eq!(world.bind(client(1), &login, number, peer), code, "{number:#06x} {peer}");
    }
    assert_eq!((world.server.stats().channels, world.server.stats().permissions), (2, 1));
    // After 600 s both are free again (the client has to wait longer).
    world.pass(550);
    assert_eq!(world.refresh(client(1), &login, None).code(), 0);
    world.pass(50);
    assert_eq!(world.bind(client(1), &login, 0x4000, b), 0);
    assert_eq!(world.bind(client(1), &login, 0x4001, a), 0);
}

/// RFC 8656 §10.2, §12.2: capacity is 508, and what was there goes on.
#[test]
fn permissions_and_channels_are_bounded() {
    let mut world = World::new(config());
    let (login, _) = world.allocate(client(1));
    let peer = |number: u16| {
        let [high, low] = number.to_be_bytes();
        std::net::SocketAddr::from(([192, 0, high, low], 9))
    };
    let mut codes = (0..300).map(|number| world.bind(client(1), &login, 0x4000 + number, peer(number)));
    let bound = codes.by_ref().take_while(|code| *code == 0).count();
    assert!(codes.all(|code| code == 508));
    assert!((100..300).contains(&bound), "{bound}");
    assert_eq!(world.permit(client(1), &login, &[peer(0)]), 0);
    assert_eq!(world.permit(client(1), &login, &[peer(0), peer(1000)]), 508);
    let stats = world.server.stats();
    assert_eq!((stats.channels, stats.permissions), (bound, bound));
}

#[test]
fn closing_closes_every_relay_socket_and_answers_nobody() {
    let mut world = World::new(config());
    let (login, _) = world.allocate(client(1));
    world.allocate(client(2));
    world.kept = Some(Vec::new());
    let third = world.login(client(3));
    let allocate = message(Class::Request, Method::ALLOCATE, 77, |writer| {
        udp(writer);
        third.sign(writer);
    });
    assert!(world.send(client(3), &allocate).is_empty());
    world.server.close(world.now);
    assert!(world.drain().is_empty());
    assert!(world.relays.is_empty());
    assert_eq!((world.server.stats().allocations, world.wake), (0, None));
    let late = world.kept.take().unwrap()[0];
    let input = Input::Opened { request: late.request, socket: SocketId(7), local: late.local };
    assert_eq!(world.server.handle_input(world.now, input), Received::Consumed);
    let mut buf = [0; 1280];
    assert_eq!(world.server.poll_output(&mut buf), Output::Close(SocketId(7)));
    for payload in [
        message(Class::Request, Method::BINDING, 1, |_| {}),
        message(Class::Request, Method::REFRESH, 1, |writer| login.sign(writer)),
        send_indication(addr("192.0.2.1:9"), b"data"),
        channel_data(0x4000, b"data"),
    ] {
        assert_eq!(world.receive(client(1), &payload), Received::Unclaimed);
        assert!(world.drain().is_empty());
    }
}

/// RFC 8489 §10, RFC 8656 §7.2 check 11 (TURN-7.2-e): whoever proved who they are is sent on, the others are not told.
#[test]
fn a_server_that_redirects_answers_300_with_the_other_server_of_the_family() {
    let other = addr("203.0.113.99:3478");
    let mut world = World::new(config().redirect(other));
    assert_eq!(world.challenge(client(1)).code(), 401);
    let login = world.login(client(1));
    let answer = world.request(client(1), &login, Method::ALLOCATE, udp);
    assert_eq!((answer.code(), answer.attributes().alternate_server()), (300, Some(other)));
    assert!(answer.message().verify(&login.key()).is_ok());
    assert_eq!(world.server.stats().allocations, 0);
    world.allocate(addr("[2001:db8:5::1]:5000"));
    assert_eq!(world.ask(client(1), &message(Class::Request, Method::BINDING, 1, |_| {})).code(), 0);
}
