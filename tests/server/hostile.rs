//! Senders that mean harm, or nothing at all.

use std::net::SocketAddr;

use floe::server::{Input, Received};
use floe::stun::wire::attr;
use floe::stun::{Class, Method};
use proptest::prelude::*;

use super::client::{Login, World, addr, channel_data, client, config, message, send_indication};

fn binding() -> Vec<u8> {
    message(Class::Request, Method::BINDING, 1, |_| {})
}

/// RFC 8489 §16.1, decision on amplification: a forged source gets no more than its rate.
#[test]
fn a_source_is_answered_without_authentication_up_to_its_rate() {
    let mut world = World::new(config().unauthenticated_rate(20));
    let answered =
        |world: &mut World| (0..100).map(|_| world.send(client(1), &binding()).len()).sum::<usize>();
    assert_eq!(answered(&mut world), 20);
    assert_eq!(world.server.stats().drops.rate, 80);
    assert!(world.send(client(2), &binding()).is_empty(), "the same address");
    assert_eq!(world.send(addr("198.51.100.2:5000"), &binding()).len(), 1);
    world.pass(1);
    assert_eq!(answered(&mut world), 20);
}

#[test]
fn who_is_authenticated_is_not_held_back_by_others_at_the_same_address() {
    let mut world = World::new(config().unauthenticated_rate(5));
    let (login, _) = world.allocate(client(1));
    for _ in 0..100 {
        world.send(client(2), &binding());
    }
    assert_eq!(world.refresh(client(1), &login, None).code(), 0);
}

/// What an attacker can make of the server: bytes sent for bytes received.
#[test]
fn an_unauthenticated_answer_is_short() {
    let mut world = World::new(config());
    let request = message(Class::Request, Method::ALLOCATE, 1, |_| {});
    for (answer, limit) in [(world.ask(client(1), &binding()), 32), (world.ask(client(1), &request), 160)] {
        assert!(answer.raw.len() <= limit, "{} bytes", answer.raw.len());
    }
}

/// 10,000 sources that ask and go leave nothing behind that would be asked for again.
#[test]
fn ten_thousand_hostile_sources_leave_no_state() {
    let mut world = World::new(config());
    let stranger =
        Login { user: "mallory".into(), password: "guess".into(), nonce: "obMatJos2wAAA0000000000".into() };
    for number in 0..10_000_u32 {
        let [_, a, b, c] = number.to_be_bytes();
        let source = SocketAddr::from(([198, a, b, c], 4000));
        for datagram in [
            binding(),
            message(Class::Request, Method::ALLOCATE, 1, |_| {}),
            message(Class::Request, Method::ALLOCATE, 2, |writer| stranger.sign(writer)),
            send_indication(addr("192.0.2.1:9"), b"data"),
            channel_data(0x4000, b"data"),
        ] {
            assert_eq!(world.receive(source, &datagram), Received::Consumed);
            assert!(world.drain().len() <= 1);
        }
    }
    let stats = world.server.stats();
    assert_eq!((stats.allocations, stats.allocations_made, stats.permissions), (0, 0, 0));
    assert_eq!((world.wake, world.asked.len()), (None, 0));
}

#[test]
fn answers_that_nobody_polls_are_bounded() {
    let mut world = World::new(config().unauthenticated_rate(100_000));
    for _ in 0..10_000 {
        assert_eq!(world.receive(client(1), &binding()), Received::Consumed);
    }
    assert!(world.drain().len() <= 256);
    assert!(world.server.stats().drops.queue >= 9_744);
}

#[test]
fn an_answer_to_an_open_that_was_never_asked_for_does_no_harm() {
    use floe::io::SocketId;
    use floe::server::{OpenId, Output};
    let mut world = World::new(config());
    let local = addr("203.0.113.2:50000");
    let failed = Input::OpenFailed { request: OpenId(9) };
    let opened = Input::Opened { request: OpenId(9), socket: SocketId(9), local };
    assert_eq!(world.server.handle_input(world.now, failed), Received::Consumed);
    assert_eq!(world.server.handle_input(world.now, opened), Received::Consumed);
    assert_eq!(world.server.poll_output(&mut [0; 1280]), Output::Close(SocketId(9)));
}

/// What a client says in its life, in the order of its life.
fn lifetime(login: &Login) -> Vec<Vec<u8>> {
    let peer = addr("192.0.2.1:4000");
    let request = |method, id, fill: &dyn Fn(&mut floe::stun::Writer<'_>)| {
        message(Class::Request, method, id, |writer| {
            fill(writer);
            login.sign(writer);
        })
    };
    vec![
        binding(),
        request(Method::ALLOCATE, 2, &|writer| {
            writer.put_requested_transport(17);
        }),
        request(Method::CREATE_PERMISSION, 3, &|writer| {
            writer.put_xor_address(attr::XOR_PEER_ADDRESS, peer);
        }),
        request(Method::CHANNEL_BIND, 4, &|writer| {
            writer.put_channel_number(0x4000).put_xor_address(attr::XOR_PEER_ADDRESS, peer);
        }),
        send_indication(peer, b"data"),
        channel_data(0x4000, b"data"),
        request(Method::REFRESH, 5, &|writer| {
            writer.put_u32(attr::LIFETIME, 0);
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn bytes_never_panic(datagrams in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..20)) {
        let mut world = World::new(config());
        let (_, relayed) = world.allocate(client(1));
        for datagram in &datagrams {
            let _ = world.receive(client(1), datagram);
            world.drain();
            prop_assert!(world.forward_at(relayed, addr("192.0.2.1:9"), datagram).is_none());
        }
    }

    /// A message whose bytes were changed by somebody without the key changes nothing.
    #[test]
    fn mutated_requests_never_panic_and_never_allocate(
        which in 0..7_usize, at in any::<prop::sample::Index>(), bit in 0..8_u8, cut in any::<Option<u8>>(),
    ) {
        let mut world = World::new(config());
        let login = world.login(client(1));
        let mut datagram = lifetime(&login).swap_remove(which);
        let at = at.index(datagram.len());
        datagram[at] ^= 1 << bit;
        if let Some(cut) = cut {
            datagram.truncate(usize::from(cut));
        }
        let _ = world.receive(client(1), &datagram);
        prop_assert!(world.drain().len() <= 1);
        prop_assert_eq!(world.server.stats().allocations, 0);
    }

    /// Valid messages in any order, time running: the books stay right.
    #[test]
    fn valid_messages_in_any_order_keep_the_books(
        steps in prop::collection::vec((0..7_usize, 0..3_u16, 0..200_u64), 1..60),
    ) {
        let mut world = World::new(config().quota(2));
        for (which, number, seconds) in steps {
            world.pass(seconds);
            let login = world.login(client(number));
            let datagram = lifetime(&login).swap_remove(which);
            let _ = world.receive(client(number), &datagram);
            world.drain();
            let stats = world.server.stats();
            prop_assert!(stats.allocations <= 2);
            prop_assert_eq!(stats.allocations, world.relays.len());
            prop_assert_eq!(stats.allocations == 0, world.wake.is_none());
        }
        world.pass(3600);
        prop_assert!(world.relays.is_empty());
    }
}
