//! Clients that move with their allocation (RFC 8016).

use std::net::SocketAddr;

use floe::stun::wire::attr;
use floe::stun::{Class, Method, Writer};

use super::client::{
    Answer, CLIENTS, Login, World, addr, channel_data, client, config, message, send_indication,
};

const PEER: &str = "192.0.2.9:7000";

fn login(world: &mut World, source: SocketAddr, user: &str, password: &str) -> Login {
    let nonce = world.challenge(source).nonce();
    Login { user: user.into(), password: password.into(), nonce }
}

fn ticket(answer: &Answer) -> Vec<u8> {
    answer.attributes().find(attr::MOBILITY_TICKET).expect("a ticket").to_vec()
}

/// An allocation of `client(1)` with a channel to the peer: its address and its ticket.
fn allocate(world: &mut World) -> (SocketAddr, Vec<u8>) {
    let login = world.login(client(1));
    let answer = world.request(client(1), &login, Method::ALLOCATE, |writer| {
        writer.put_requested_transport(17).put(attr::MOBILITY_TICKET, &[]);
    });
    assert_eq!(answer.code(), 0);
    assert_eq!(world.bind(client(1), &login, 0x4000, addr(PEER)), 0);
    (answer.relayed(), ticket(&answer))
}

fn move_to(world: &mut World, source: SocketAddr, ticket: &[u8]) -> Answer {
    let login = world.login(source);
    world.request(source, &login, Method::REFRESH, |writer| {
        writer.put(attr::MOBILITY_TICKET, ticket);
    })
}

/// Where data of the peer goes.
fn home(world: &mut World, relayed: SocketAddr) -> Option<SocketAddr> {
    world.forward_at(relayed, addr(PEER), b"y").map(|forward| forward.destination)
}

/// MOB-3.1.2-a.
#[test]
fn a_ticket_is_given_to_whom_asks_with_an_empty_one_only() {
    let mut world = World::new(config());
    let (_, ticket) = allocate(&mut world);
    // At least 128 random bits, and no byte that would end a text: uclient of coturn takes it for one.
    assert!(ticket.len() >= 22 && ticket.iter().all(u8::is_ascii_graphic), "{ticket:?}");
    for (number, mobile, value, code) in [
        (2, config(), &b"not empty"[..], 400),
        (3, config().without_mobility(), b"", 405),
        (4, config().without_mobility(), b"x", 400),
    ] {
        let mut world = World::new(mobile);
        let login = world.login(client(number));
        let answer = world.request(client(number), &login, Method::ALLOCATE, |writer| {
            writer.put_requested_transport(17).put(attr::MOBILITY_TICKET, value);
        });
        assert_eq!(answer.code(), code);
    }
    let (login, _) = world.allocate(client(5));
    let answer = world.refresh(client(5), &login, None);
    assert!(!answer.attributes().has(attr::MOBILITY_TICKET));
}

/// MOB-3.2.2-c, MOB-3.2.2-f.
#[test]
fn data_goes_to_the_old_place_until_the_client_sends_from_the_new_one_and_channels_survive() {
    let mut world = World::new(config());
    let (relayed, ticket) = allocate(&mut world);
    assert_eq!(move_to(&mut world, client(2), &ticket).code(), 0);
    assert_eq!(home(&mut world, relayed), Some(client(1)));
    assert!(world.forward(client(1), &channel_data(0x4000, b"old")).is_some(), "the old place still works");
    assert_eq!(home(&mut world, relayed), Some(client(1)));

    let data = channel_data(0x4000, b"new");
    let out = world.forward(client(2), &data).unwrap();
    assert_eq!(out.destination, addr(PEER));
    assert_eq!(home(&mut world, relayed), Some(client(2)));
    assert!(world.forward(client(1), &channel_data(0x4000, b"old")).is_none(), "and then no more");
    let login = world.login(client(1));
    assert_eq!(world.refresh(client(1), &login, None).code(), 437);
    let login = world.login(client(2));
    assert_eq!(world.refresh(client(2), &login, None).code(), 0);
    assert_eq!((world.relays.len(), world.server.stats().allocations, world.server.stats().moves), (1, 1, 1));
}

#[test]
fn a_send_indication_completes_a_move_too() {
    let mut world = World::new(config());
    let (relayed, ticket) = allocate(&mut world);
    assert_eq!(move_to(&mut world, client(2), &ticket).code(), 0);
    assert!(world.forward(client(2), &send_indication(addr(PEER), b"new")).is_some());
    assert_eq!(home(&mut world, relayed), Some(client(2)));
}

/// MOB-3.2.2-b.
#[test]
fn each_move_has_a_new_ticket_and_uses_the_old_one_up() {
    let mut world = World::new(config());
    let (relayed, first) = allocate(&mut world);
    let mut tickets = vec![first];
    for number in 2..5 {
        let answer = move_to(&mut world, client(number), tickets.last().unwrap());
        assert_eq!(answer.code(), 0);
        let new = ticket(&answer);
        assert!(!tickets.contains(&new));
        tickets.push(new);
    }
    assert_eq!(home(&mut world, relayed), Some(client(1)), "it has not sent from anywhere else");
    assert!(world.forward(client(3), &channel_data(0x4000, b"x")).is_none(), "a place that was left");
    assert!(world.forward(client(4), &channel_data(0x4000, b"x")).is_some());
    assert_eq!(home(&mut world, relayed), Some(client(4)));
    for used in &tickets[..3] {
        let code = move_to(&mut world, client(9), used).code();
        assert!(code == 400 || code == 437, "{code}");
    }
}

#[test]
fn a_client_may_come_back_before_it_has_sent_from_elsewhere() {
    let mut world = World::new(config());
    let (relayed, first) = allocate(&mut world);
    let second = ticket(&move_to(&mut world, client(2), &first));
    assert_eq!(move_to(&mut world, client(1), &second).code(), 0);
    assert_eq!(home(&mut world, relayed), Some(client(1)));
    assert!(world.forward(client(2), &channel_data(0x4000, b"x")).is_none());
    assert!(world.forward(client(1), &channel_data(0x4000, b"x")).is_some());
}

/// RFC 8016 §3.2.2: an old ticket is for retransmissions.
#[test]
fn a_repeated_refresh_gets_the_same_ticket_for_30_s() {
    let mut world = World::new(config());
    let (_, first) = allocate(&mut world);
    let login = world.login(client(2));
    let request = message(Class::Request, Method::REFRESH, 99, |writer: &mut Writer<'_>| {
        writer.put(attr::MOBILITY_TICKET, &first);
        login.sign(writer);
    });
    let answer = world.ask(client(2), &request);
    assert_eq!(answer.code(), 0);
    world.pass(29);
    assert_eq!(world.ask(client(2), &request).raw, answer.raw);
    world.pass(1);
    assert_eq!(world.ask(client(2), &request).code(), 400);
    assert_eq!(world.server.stats().moves, 1);
}

/// MOB-3.2.2-a, MOB-5-b.
#[test]
fn a_ticket_that_is_wrong_or_of_somebody_else_moves_nothing() {
    let mut world = World::new(config());
    let (relayed, good) = allocate(&mut world);
    assert_eq!(move_to(&mut world, client(1), &good).code(), 400, "from where it is");
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert_eq!(move_to(&mut world, client(2), &bad).code(), 400, "byte {at}");
    }
    for bad in [&good[1..], &[], &[good.clone(), vec![0]].concat()] {
        assert_eq!(move_to(&mut world, client(2), bad).code(), 400);
    }
    let bob = login(&mut world, client(3), "bob", "builder");
    let answer = world.request(client(3), &bob, Method::REFRESH, |writer| {
        writer.put(attr::MOBILITY_TICKET, &good);
    });
    assert_eq!(answer.code(), 441);
    // A place that has an allocation already.
    world.allocate(client(4));
    assert_eq!(move_to(&mut world, client(4), &good).code(), 437);
    assert_eq!(home(&mut world, relayed), Some(client(1)));
    world.pass(600);
    assert_eq!(move_to(&mut world, client(2), &good).code(), 437, "its allocation has ended");
}

/// RFC 8016 §3.2.2: "a message from the client to close the old connection".
#[test]
fn the_end_of_the_old_connection_completes_a_move() {
    let mut world = World::new(config());
    let old = world.connect(client(1));
    let (relayed, ticket) = allocate(&mut world);
    world.over = CLIENTS;
    assert_eq!(move_to(&mut world, client(2), &ticket).code(), 0);
    world.disconnect(old);
    let back = world.forward_at(relayed, addr(PEER), b"y").unwrap();
    assert_eq!((back.socket, back.destination), (CLIENTS, client(2)));
}

#[test]
fn a_client_whose_connection_broke_comes_back_with_its_ticket_until_the_allocation_ends() {
    let mut world = World::new(config());
    let old = world.connect(client(1));
    let (relayed, first) = allocate(&mut world);
    world.disconnect(old);
    assert_eq!(home(&mut world, relayed), None, "nobody is there");
    assert_eq!(world.server.stats().drops.no_client, 1);
    let new = world.connect(client(2));
    let answer = move_to(&mut world, client(2), &first);
    assert_eq!(answer.code(), 0);
    let back = world.forward_at(relayed, addr(PEER), b"y").unwrap();
    assert_eq!((back.socket, back.destination), (new, client(2)), "at once: there is no old place");
    world.pass(599);
    assert_eq!(world.connections, [new], "the new connection has the allocation");
    world.disconnect(new);
    world.over = CLIENTS;
    world.pass(1);
    assert!(world.relays.is_empty());
    assert_eq!(move_to(&mut world, client(3), &ticket(&answer)).code(), 437);
}

#[test]
fn the_end_of_a_connection_that_a_client_was_about_to_move_to_changes_nothing() {
    let mut world = World::new(config());
    let (relayed, first) = allocate(&mut world);
    let new = world.connect(client(2));
    let second = ticket(&move_to(&mut world, client(2), &first));
    world.disconnect(new);
    world.over = CLIENTS;
    assert_eq!(home(&mut world, relayed), Some(client(1)));
    assert_eq!(move_to(&mut world, client(3), &second).code(), 0);
    assert!(world.forward(client(3), &channel_data(0x4000, b"x")).is_some());
    assert_eq!(home(&mut world, relayed), Some(client(3)));
}

#[test]
fn a_move_with_lifetime_zero_ends_the_allocation() {
    let mut world = World::new(config());
    let (_, ticket) = allocate(&mut world);
    let login = world.login(client(2));
    let answer = world.request(client(2), &login, Method::REFRESH, |writer| {
        writer.put(attr::MOBILITY_TICKET, &ticket).put_u32(attr::LIFETIME, 0);
    });
    assert_eq!((answer.code(), world.relays.len()), (0, 0));
    world.allocate(client(2));
    world.allocate(client(1));
}
