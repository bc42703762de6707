//! How a NAT behaves (RFC 5780): answers from four sockets.

use std::net::SocketAddr;

use floe::io::{Datagram, SocketId};
use floe::server::{Input, Output, Received, Server};
use floe::stun::attributes::ChangeRequest;
use floe::stun::wire::attr;
use floe::stun::{Class, Message, Method, Writer};

use super::client::{World, addr, client, config, message};

const SOCKETS: [&str; 4] = ["203.0.113.1:3478", "203.0.113.1:3479", "203.0.113.7:3478", "203.0.113.7:3479"];

/// The server with its four sockets, 10 to 13.
struct Four(World);

/// An answer with the socket that it is sent from, and where to.
type Sent = (SocketId, SocketAddr, Vec<u8>);

impl Four {
    fn new() -> Self {
        let mut world = World::new(config());
        world.server = Server::new(config(), world.now);
        let bound = |number: usize| (SocketId(10 + number as u32), addr(SOCKETS[number]));
        world.server.add_behavior_sockets([[bound(0), bound(1)], [bound(2), bound(3)]]);
        Self(world)
    }

    fn ask(&mut self, number: usize, fill: impl FnOnce(&mut Writer<'_>)) -> Sent {
        let id = self.0.id();
        let payload = message(Class::Request, Method::BINDING, id, fill);
        let (socket, local) = (SocketId(10 + number as u32), addr(SOCKETS[number]).ip());
        let datagram = Datagram { socket, local, source: client(1), ecn: None, payload: &payload };
        let received = self.0.server.handle_input(self.0.now, Input::Datagram(datagram));
        assert_eq!(received, Received::Consumed);
        let mut buf = [0; 1280];
        let Output::Transmit(transmit) = self.0.server.poll_output(&mut buf) else { panic!("no answer") };
        (transmit.socket, transmit.destination, transmit.payload.to_vec())
    }

    fn code(&mut self, fill: impl FnOnce(&mut Writer<'_>)) -> u16 {
        let (socket, to, raw) = self.ask(0, fill);
        assert_eq!((socket, to), (SocketId(10), client(1)), "an error goes the way back");
        let attributes = Message::parse(&raw).unwrap().plain().attributes();
        attributes.error_code().map_or(0, |error| error.code)
    }
}

/// RFC 5780 §6.1, table 1 (NATD-6.1-a, NATD-6.1-b, NATD-6.1-c).
#[test]
fn an_answer_comes_from_the_address_and_port_that_were_asked_for_and_says_so() {
    let mut four = Four::new();
    for asked in 0..4_usize {
        for (change, flip) in [
            (None, 0),
            (Some(ChangeRequest { ip: false, port: false }), 0),
            (Some(ChangeRequest { ip: false, port: true }), 1),
            (Some(ChangeRequest { ip: true, port: false }), 2),
            (Some(ChangeRequest { ip: true, port: true }), 3),
        ] {
            let (from, to, raw) = four.ask(asked, |writer| {
                if let Some(change) = change {
                    writer.put_change_request(change);
                }
            });
            // The bits of a place are its port and its address.
            assert_eq!((from, to), (SocketId(10 + (asked ^ flip) as u32), client(1)), "{asked} {change:?}");
            let attributes = Message::parse(&raw).unwrap().plain().attributes();
            assert_eq!(attributes.address(attr::RESPONSE_ORIGIN), Some(addr(SOCKETS[asked ^ flip])));
            assert_eq!(attributes.address(attr::OTHER_ADDRESS), Some(addr(SOCKETS[asked ^ 3])));
            assert_eq!(attributes.address(attr::MAPPED_ADDRESS), Some(client(1)));
            assert_eq!(attributes.xor_address(attr::XOR_MAPPED_ADDRESS), Some(client(1)));
        }
    }
}

/// RFC 5780 §6 (NATD-6-c).
#[test]
fn without_another_address_nothing_of_it_is_known() {
    let mut world = World::new(config());
    for (kind, value) in [
        (attr::CHANGE_REQUEST, &[0, 0, 0, 6][..]),
        (attr::RESPONSE_PORT, &[0x13, 0x88, 0, 0]),
        (attr::PADDING, &[0; 8]),
    ] {
        let id = world.id();
        let request = message(Class::Request, Method::BINDING, id, |writer| {
            writer.put(kind, value);
        });
        let answer = world.ask(client(1), &request);
        assert_eq!(answer.code(), 420);
        assert_eq!(answer.attributes().unknown_attributes(), Some(vec![kind]));
    }
    let answer = world.ask(client(1), &message(Class::Request, Method::BINDING, 77, |_| {}));
    assert_eq!(answer.kinds(), [attr::XOR_MAPPED_ADDRESS]);
}

/// RFC 5780 §7.5 (NATD-7.5-a).
#[test]
fn an_answer_goes_to_the_port_that_was_asked_for_at_the_address_of_the_source() {
    let mut four = Four::new();
    let (from, to, raw) = four.ask(1, |writer| {
        writer.put_response_port(7777);
    });
    assert_eq!((from, to), (SocketId(11), SocketAddr::new(client(1).ip(), 7777)));
    let attributes = Message::parse(&raw).unwrap().plain().attributes();
    assert_eq!(attributes.xor_address(attr::XOR_MAPPED_ADDRESS), Some(client(1)));
    for (kind, value) in
        [(attr::RESPONSE_PORT, &[0, 0, 0, 0][..]), (attr::RESPONSE_PORT, &[1]), (attr::CHANGE_REQUEST, &[1])]
    {
        let code = four.code(|writer| {
            writer.put(kind, value);
        });
        assert_eq!(code, 400, "{kind:#x} {value:?}");
    }
}

/// RFC 5780 §6.1, §7.6 (NATD-6.1-d); nobody gets more than they sent but for the addresses.
#[test]
fn padding_is_answered_with_no_more_padding_and_never_to_another_port() {
    let mut four = Four::new();
    for (asked, answered) in [(0, 0), (4, 4), (5, 5), (1024, 1024), (1500, 1024)] {
        let (_, _, raw) = four.ask(0, |writer| {
            writer.put(attr::PADDING, &vec![7; asked]).fingerprint();
        });
        let attributes = Message::parse(&raw).unwrap().plain().attributes();
        assert_eq!(attributes.find(attr::PADDING).map(<[u8]>::len), Some(answered));
    }
    let both = |writer: &mut Writer<'_>| {
        writer.put(attr::PADDING, &[7; 100]).put_response_port(7777);
    };
    assert_eq!(four.code(both), 400);
}

/// RFC 8489 §16.1: a forged source is worth no more than without all this.
#[test]
fn answers_from_all_four_sockets_are_counted_by_one_rate() {
    let mut four = Four::new();
    let mut answers = 0;
    for round in 0..1000 {
        let payload = message(Class::Request, Method::BINDING, round, |_| {});
        let number = round as usize % 4;
        let (socket, local) = (SocketId(10 + number as u32), addr(SOCKETS[number]).ip());
        let datagram = Datagram { socket, local, source: client(1), ecn: None, payload: &payload };
        let _ = four.0.server.handle_input(four.0.now, Input::Datagram(datagram));
        let mut buf = [0; 1280];
        answers += usize::from(matches!(four.0.server.poll_output(&mut buf), Output::Transmit(_)));
    }
    assert_eq!(answers, 500);
}

#[test]
#[should_panic(expected = "the same two ports")]
fn two_addresses_with_other_ports_are_a_bug_of_the_caller() {
    let mut world = World::new(config());
    let bound = |number: u32, text: &str| (SocketId(number), addr(text));
    world.server.add_behavior_sockets([
        [bound(1, SOCKETS[0]), bound(2, SOCKETS[1])],
        [bound(3, SOCKETS[2]), bound(4, "203.0.113.7:3480")],
    ]);
}
