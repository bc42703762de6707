//! Clients that come over connections: TCP and TLS.

use floe::server::Received;
use floe::stun::{Class, Method};

use super::client::{CLIENTS, World, addr, client, config, message, send_indication};

const PEER: &str = "192.0.2.9:7000";

fn binding(world: &mut World, number: u16) -> u16 {
    let id = world.id();
    world.ask(client(number), &message(Class::Request, Method::BINDING, id, |_| {})).code()
}

/// RFC 8656 §3.2 (TURN-3.2-a): the 5-tuple has the transport in it.
#[test]
fn one_address_over_udp_and_over_two_connections_are_three_clients() {
    let mut world = World::new(config());
    let (_, over_udp) = world.allocate(client(1));
    let first = world.connect(client(1));
    let (login, over_first) = world.allocate(client(1));
    world.connect(client(1));
    let (_, over_second) = world.allocate(client(1));
    assert!(over_udp != over_first && over_first != over_second);
    assert_eq!(world.server.stats().allocations, 3);

    world.over = first;
    assert_eq!(world.permit(client(1), &login, &[addr(PEER)]), 0);
    assert!(world.forward(client(1), &send_indication(addr(PEER), b"x")).is_some());
    let back = world.forward_at(over_first, addr(PEER), b"y").unwrap();
    assert_eq!((back.socket, back.destination), (first, client(1)));
    world.over = CLIENTS;
    assert!(
        world.forward(client(1), &send_indication(addr(PEER), b"x")).is_none(),
        "no permission of its own"
    );
}

#[test]
fn an_allocation_ends_with_its_connection() {
    let mut world = World::new(config().quota(1));
    let socket = world.connect(client(1));
    world.allocate(client(1));
    assert_eq!(world.relays.len(), 1);
    world.disconnect(socket);
    assert!(world.relays.is_empty());
    assert_eq!((world.server.stats().allocations, world.server.stats().connections), (0, 0));
    // And the slot of the user is free again.
    world.connect(client(1));
    world.allocate(client(1));
}

#[test]
fn a_relay_socket_that_opens_after_its_connection_has_gone_is_closed() {
    let mut world = World::new(config().quota(1));
    let socket = world.connect(client(1));
    let login = world.login(client(1));
    world.kept = Some(Vec::new());
    let request = message(Class::Request, Method::ALLOCATE, 77, |writer| {
        writer.put_requested_transport(floe::stun::codec::PROTOCOL_UDP);
        login.sign(writer);
    });
    assert!(world.send(client(1), &request).is_empty());
    world.disconnect(socket);
    let kept = world.kept.take().unwrap();
    world.open(kept[0]);
    assert!(world.drain().is_empty());
    assert!(world.relays.is_empty());
    world.connect(client(1));
    world.allocate(client(1));
}

#[test]
fn a_connection_without_a_message_is_closed_after_15_s_and_one_without_an_allocation_after_its_idle_time() {
    let mut world = World::new(config());
    world.connect(client(1));
    world.pass(14);
    assert_eq!(world.connections.len(), 1);
    assert_eq!(binding(&mut world, 1), 0);
    world.pass(59);
    assert_eq!(world.connections.len(), 1);
    assert_eq!(binding(&mut world, 1), 0);
    world.pass(60);
    assert!(world.connections.is_empty());

    world.connect(client(2));
    world.pass(15);
    assert!(world.connections.is_empty());
    assert_eq!(world.server.stats().connections_idle, 2);
    assert_eq!(
        world.receive(client(2), &message(Class::Request, Method::BINDING, 1, |_| {})),
        Received::Unclaimed
    );
}

#[test]
fn a_connection_stays_as_long_as_its_allocation_and_the_idle_time_after_it() {
    let mut world = World::new(config());
    world.connect(client(1));
    let (login, _) = world.allocate(client(1));
    world.pass(599);
    assert_eq!(world.connections.len(), 1);
    assert_eq!(world.refresh(client(1), &login, Some(600)).code(), 0);
    world.pass(600);
    assert_eq!((world.relays.len(), world.connections.len()), (0, 1));
    world.pass(59);
    assert_eq!(world.connections.len(), 1);
    world.pass(1);
    assert!(world.connections.is_empty());
}

#[test]
fn connections_too_many_in_all_or_from_one_source_are_closed_at_once() {
    let mut world = World::new(config().max_connections(5).max_connections_per_source(3));
    for number in 0..4 {
        world.connect(client(number));
    }
    assert_eq!(world.connections.len(), 3, "of one source");
    let network = |host: u16| addr(&format!("[2001:db8:0:1::{host:x}]:9"));
    for host in 1..4 {
        world.connect(network(host));
    }
    assert_eq!(world.connections.len(), 5, "in all");
    assert_eq!(world.server.stats().connections_refused, 2);
    let leaving = world.connections[0];
    world.disconnect(leaving);
    world.connect(client(9));
    assert_eq!(world.connections.len(), 5, "there is room again");
}

#[test]
fn addresses_of_one_ipv6_network_are_one_source() {
    let mut world = World::new(config().max_connections_per_source(2));
    for text in
        ["[2001:db8:0:1::1]:9", "[2001:db8:0:1::2]:9", "[2001:db8:0:1:ffff::3]:9", "[2001:db8:0:2::1]:9"]
    {
        world.connect(addr(text));
    }
    assert_eq!(world.connections.len(), 3);
}

#[test]
fn closing_the_server_closes_the_connections() {
    let mut world = World::new(config());
    world.connect(client(1));
    world.allocate(client(1));
    world.server.close(world.now);
    assert!(world.drain().is_empty());
    assert!(world.connections.is_empty() && world.relays.is_empty());
    world.connect(client(2));
    assert!(world.connections.is_empty());
}

/// RFC 8656 §21.2: where connections are accepted no peer is.
#[test]
fn an_address_of_a_listener_is_not_relayed_to() {
    let mut world = World::new(config());
    world.server.add_listener(addr("192.0.2.77:5349"));
    let (login, _) = world.allocate(client(1));
    assert_eq!(world.permit(client(1), &login, &[addr("192.0.2.77:22")]), 403);
}
