//! Allocations of both families (RFC 8656 §7.2, §8.1, §8.2).

use std::net::SocketAddr;

use floe::stun::wire::attr;
use floe::stun::{Family, Method, Writer};
use floe::turn::data::Framing;

use super::client::{
    Answer, Login, RELAY, RELAY_V6, World, addr, channel_data, client, config, ports, send_indication,
};

const PEER_V4: &str = "192.0.2.9:7000";
const PEER_V6: &str = "[2001:db8:9::9]:7000";

fn only(relay: &str) -> floe::server::Config {
    let config = floe::server::Config::new([1; 32]).realm("example.org").user("alice", "wonderland");
    config.relay_address(relay.parse().unwrap())
}

fn dual(writer: &mut Writer<'_>) {
    writer.put_requested_transport(17).put_additional_address_family(Family::V6);
}

fn ask(world: &mut World) -> (Login, Answer) {
    let login = world.login(client(1));
    let answer = world.request(client(1), &login, Method::ALLOCATE, dual);
    (login, answer)
}

fn addresses(answer: &Answer) -> Vec<SocketAddr> {
    answer.attributes().relayed_addresses().map(Option::unwrap).collect()
}

/// Both addresses, with a permission and a channel in each family.
fn allocate(world: &mut World) -> (Login, SocketAddr, SocketAddr) {
    let (login, answer) = ask(world);
    assert_eq!(answer.code(), 0);
    let [v4, v6] = addresses(&answer)[..] else { panic!("two addresses") };
    assert_eq!(world.bind(client(1), &login, 0x4000, addr(PEER_V4)), 0);
    assert_eq!(world.bind(client(1), &login, 0x4001, addr(PEER_V6)), 0);
    (login, v4, v6)
}

fn refresh(world: &mut World, login: &Login, family: Family, lifetime: u32) -> u16 {
    let put = |writer: &mut Writer<'_>| {
        writer.put_u32(attr::LIFETIME, lifetime).put_requested_address_family(family);
    };
    world.request(client(1), login, Method::REFRESH, put).code()
}

/// TURN-7.2-i.
#[test]
fn a_dual_request_gets_an_address_of_each_family_in_one_allocation() {
    let mut world = World::new(config().quota(1));
    let (_, answer) = ask(&mut world);
    let kinds =
        [attr::XOR_RELAYED_ADDRESS, attr::XOR_RELAYED_ADDRESS, attr::LIFETIME, attr::XOR_MAPPED_ADDRESS];
    assert_eq!(answer.kinds(), kinds);
    let ips: Vec<_> = addresses(&answer).iter().map(|addr| addr.ip().to_string()).collect();
    assert_eq!(ips, [RELAY, RELAY_V6]);
    assert_eq!((world.relays.len(), world.server.stats().allocations), (2, 1));
}

#[test]
fn the_retransmission_of_a_dual_request_gets_the_same_two_addresses() {
    let mut world = World::new(config());
    let login = world.login(client(1));
    let request = super::client::message(floe::stun::Class::Request, Method::ALLOCATE, 99, |writer| {
        dual(writer);
        login.sign(writer);
    });
    let first = world.ask(client(1), &request);
    assert_eq!(world.ask(client(1), &request).raw, first.raw);
    assert_eq!(world.relays.len(), 2);
}

/// RFC 8656 §7.2, check 9 (TURN-7.2-d).
#[test]
fn a_dual_request_that_is_met_in_part_says_which_family_is_lacking_and_why() {
    for (config, lacks) in [(only(RELAY), Family::V6), (only(RELAY_V6), Family::V4)] {
        let mut world = World::new(config);
        let (_, answer) = ask(&mut world);
        assert_eq!((answer.code(), addresses(&answer).len()), (0, 1));
        let error = answer.attributes().address_error().unwrap();
        assert_eq!((error.family, error.code), (lacks, 440));
    }
    // One port in each family: the next client finds none of IPv4 and, after that one, none at all.
    let mut world = World::new(ports(50_000..=50_000));
    world.allocate(client(2));
    let (_, answer) = ask(&mut world);
    assert_eq!(addresses(&answer), [addr("[2001:db8::2]:50000")]);
    let error = answer.attributes().address_error().unwrap();
    assert_eq!((error.family, error.code), (Family::V4, 508));
    let login = world.login(client(3));
    assert_eq!(world.request(client(3), &login, Method::ALLOCATE, dual).code(), 508);
    assert_eq!(world.server.stats().allocations, 2);
}

#[test]
fn a_dual_request_whose_second_socket_does_not_open_has_the_first_one() {
    let mut world = World::new(config());
    let login = world.login(client(1));
    world.kept = Some(Vec::new());
    let request = super::client::message(floe::stun::Class::Request, Method::ALLOCATE, 99, |writer| {
        dual(writer);
        login.sign(writer);
    });
    assert!(world.send(client(1), &request).is_empty());
    let first = world.kept.take().unwrap()[0];
    world.open(first);
    world.failing = 100;
    let answers = world.drain();
    assert_eq!(addresses(&answers[0]), [first.local]);
    let error = answers[0].attributes().address_error().unwrap();
    assert_eq!((error.family, error.code), (Family::V6, 508));
}

#[test]
fn each_family_goes_through_its_own_relay_socket() {
    let mut world = World::new(config());
    let (_, v4, v6) = allocate(&mut world);
    for (number, relayed, peer) in [(0x4000, v4, addr(PEER_V4)), (0x4001, v6, addr(PEER_V6))] {
        for datagram in [channel_data(number, b"x"), send_indication(peer, b"x")] {
            let out = world.forward(client(1), &datagram).unwrap();
            assert_eq!((out.local, out.destination), (relayed.ip(), peer));
        }
        let back = world.forward_at(relayed, peer, b"y").unwrap();
        assert_eq!((back.destination, back.framing), (client(1), Framing::Channel(number)));
    }
}

/// TURN-8.1-b, TURN-8.2-a.
#[test]
fn deleting_one_family_leaves_the_other_with_its_permissions_and_channels() {
    let mut world = World::new(config());
    let (login, v4, v6) = allocate(&mut world);
    assert_eq!(refresh(&mut world, &login, Family::V6, 0), 0);
    assert_eq!(world.relays.iter().map(|(_, addr)| *addr).collect::<Vec<_>>(), [v4]);
    assert!(world.forward(client(1), &channel_data(0x4001, b"x")).is_none());
    assert!(world.forward(client(1), &channel_data(0x4000, b"x")).is_some());
    assert!(world.forward_at(v4, addr(PEER_V4), b"y").is_some());
    assert_eq!((world.server.stats().permissions, world.server.stats().channels), (1, 1));
    assert_eq!(refresh(&mut world, &login, Family::V6, 600), 443, "it is not there any more");
    assert_eq!(world.permit(client(1), &login, &[addr(PEER_V6)]), 443);
    assert_eq!(world.bind(client(1), &login, 0x4001, addr(PEER_V6)), 443);
    assert!(v6.is_ipv6());
    // The last one takes the allocation along.
    assert_eq!(refresh(&mut world, &login, Family::V4, 0), 0);
    assert_eq!(refresh(&mut world, &login, Family::V4, 0), 437);
    assert_eq!(world.server.stats().allocations, 0);
}

/// RFC 8656 §8.1.
#[test]
fn each_family_has_a_lifetime_of_its_own_and_a_refresh_without_a_family_is_for_both() {
    let mut world = World::new(config());
    let (login, v4, v6) = allocate(&mut world);
    world.pass(300);
    assert_eq!(refresh(&mut world, &login, Family::V6, 600), 0);
    world.pass(300);
    assert_eq!(world.relays.iter().map(|(_, addr)| *addr).collect::<Vec<_>>(), [v6], "IPv4 has ended");
    assert!(v4.is_ipv4());

    let mut world = World::new(config());
    let (login, ..) = allocate(&mut world);
    world.pass(300);
    assert_eq!(world.refresh(client(1), &login, Some(600)).code(), 0);
    world.pass(599);
    assert_eq!(world.relays.len(), 2);
    assert_eq!(world.refresh(client(1), &login, Some(0)).code(), 0);
    assert!(world.relays.is_empty());
}
