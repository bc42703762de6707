//! Data both ways, and who may send it (RFC 8656 §9, §11, §12).

use std::net::SocketAddr;

use floe::server::{Cidr, PeerRules};
use floe::stun::wire::attr;
use floe::stun::{Class, Message, Method};
use floe::turn::data::{Framing, HEADROOM, TAILROOM, wrap};

use super::client::{CLIENTS, SERVER, World, addr, channel_data, client, config, message, send_indication};

fn peer() -> SocketAddr {
    addr("192.0.2.1:4000")
}

/// RFC 8656 §11.2, §9: a permission is of an IP address, not of a port.
#[test]
fn a_send_indication_reaches_every_port_of_a_permitted_peer_and_no_other() {
    let mut world = World::new(config());
    let (login, relayed) = world.allocate(client(1));
    assert_eq!(world.forward(client(1), &send_indication(peer(), b"data")), None);
    assert_eq!(world.server.stats().drops.no_permission, 1);
    assert_eq!(world.permit(client(1), &login, &[peer()]), 0);
    for destination in [peer(), addr("192.0.2.1:1")] {
        let indication = send_indication(destination, b"data");
        let forward = world.forward(client(1), &indication).unwrap();
        assert_eq!((forward.socket, forward.local), (world.relays[0].0, relayed.ip()));
        assert_eq!(forward.destination, destination);
        assert_eq!((forward.framing, forward.payload), (Framing::Direct, &b"data"[..]));
    }
    assert_eq!(world.forward(client(1), &send_indication(addr("192.0.2.2:4000"), b"data")), None);
    let stats = world.server.stats();
    assert_eq!((stats.packets_to_peers, stats.bytes_to_peers), (2, 8));
    // A permission is of one allocation.
    world.allocate(client(2));
    assert_eq!(world.forward(client(2), &send_indication(peer(), b"data")), None);
}

/// RFC 8656 §11.2: each fault drops it.
#[test]
fn an_incomplete_or_misunderstood_send_indication_is_dropped() {
    let mut world = World::new(config());
    let (login, _) = world.allocate(client(1));
    assert_eq!(world.permit(client(1), &login, &[peer()]), 0);
    let indication =
        |fill: fn(&mut floe::stun::Writer<'_>)| message(Class::Indication, Method::SEND, 1, fill);
    for faulty in [
        indication(|writer| {
            writer.put(attr::DATA, b"data");
        }),
        indication(|writer| {
            writer.put_xor_address(attr::XOR_PEER_ADDRESS, peer());
        }),
        indication(|writer| {
            writer.put(attr::XOR_PEER_ADDRESS, &[0, 1, 0, 0]).put(attr::DATA, b"data");
        }),
        indication(|writer| {
            writer.put_xor_address(attr::XOR_PEER_ADDRESS, peer()).put(attr::DATA, b"data").put(0x7001, &[]);
        }),
        indication(|writer| {
            writer
                .put_xor_address(attr::XOR_PEER_ADDRESS, peer())
                .put_dont_fragment()
                .put(attr::DATA, b"data");
        }),
    ] {
        assert_eq!(world.forward(client(1), &faulty), None);
    }
    assert_eq!(world.server.stats().drops.malformed, 5);
    let empty = send_indication(peer(), b"");
    assert_eq!(world.forward(client(1), &empty).unwrap().payload, b"");
}

/// RFC 8656 §5.
#[test]
fn data_without_an_allocation_is_dropped_in_silence() {
    let mut world = World::new(config());
    let (login, _) = world.allocate(client(1));
    assert_eq!(world.bind(client(1), &login, 0x4000, peer()), 0);
    assert_eq!(world.forward(client(2), &send_indication(peer(), b"data")), None);
    assert_eq!(world.forward(client(2), &channel_data(0x4000, b"data")), None);
    assert_eq!(world.server.stats().drops.no_allocation, 2);
}

/// RFC 8656 §11.3, §12.7: nothing, a Data indication, ChannelData.
#[test]
fn data_of_a_peer_is_dropped_then_indicated_then_channelled() {
    let mut world = World::new(config());
    let (login, relayed) = world.allocate(client(1));
    assert_eq!(world.forward_at(relayed, peer(), b"data"), None);
    assert_eq!(world.server.stats().drops.no_permission, 1);

    assert_eq!(world.permit(client(1), &login, &[peer()]), 0);
    let forward = world.forward_at(relayed, peer(), b"hello").unwrap();
    assert_eq!((forward.socket, forward.local), (CLIENTS, addr(SERVER).ip()));
    assert_eq!((forward.destination, forward.payload), (client(1), &b"hello"[..]));
    let mut buf = [0xff; HEADROOM + 5 + TAILROOM];
    buf[HEADROOM..HEADROOM + 5].copy_from_slice(b"hello");
    let framed = wrap(forward.framing, &mut buf, 5);
    assert_eq!(framed.len(), 36 + 8);
    let indication = Message::parse(framed).unwrap();
    assert_eq!((indication.class(), indication.method()), (Class::Indication, Method::DATA));
    assert_eq!(indication.plain().attributes().peer_address(), Some(peer()));
    assert_eq!(indication.plain().attributes().data(), Some(&b"hello"[..]));

    assert_eq!(world.bind(client(1), &login, 0x4007, peer()), 0);
    let forward = world.forward_at(relayed, peer(), b"hello").unwrap();
    assert_eq!(forward.framing, Framing::Channel(0x4007));
    assert_eq!(wrap(forward.framing, &mut buf, 5)[..], [0x40, 0x07, 0, 5, b'h', b'e', b'l', b'l', b'o']);
    // A channel is of one port; another one comes as an indication.
    let other = world.forward_at(relayed, addr("192.0.2.1:4001"), b"hello").unwrap();
    assert!(matches!(other.framing, Framing::Data { .. }));
    let stats = world.server.stats();
    assert_eq!((stats.packets_to_clients, stats.bytes_to_clients), (3, 15));
}

/// RFC 8656 §12.6.
#[test]
fn channel_data_is_relayed_by_its_length_field() {
    let mut world = World::new(config());
    let (login, relayed) = world.allocate(client(1));
    assert_eq!(world.bind(client(1), &login, 0x4000, peer()), 0);
    let mut padded = channel_data(0x4000, b"hello");
    padded.extend([0; 3]);
    for (datagram, payload) in [
        (channel_data(0x4000, b"hello"), Some(&b"hello"[..])),
        (padded, Some(&b"hello"[..])),
        (channel_data(0x4000, b""), Some(&b""[..])),
        (channel_data(0x4001, b"hello"), None),
        (channel_data(0x4fff, b"hello"), None),
        (vec![0x40, 0, 0, 6, 1, 2, 3, 4, 5], None),
        (vec![0x40, 0, 0], None),
        (vec![0x40], None),
    ] {
        let forward = world.forward(client(1), &datagram);
        assert_eq!(forward.map(|forward| forward.payload), payload, "{datagram:?}");
        if let Some(forward) = forward {
            assert_eq!((forward.destination, forward.local), (peer(), relayed.ip()));
            assert_eq!(forward.framing, Framing::Direct);
        }
    }
    let drops = world.server.stats().drops;
    assert_eq!((drops.no_channel, drops.malformed), (2, 3));
}

/// RFC 8656 §9, §12: 300 s and 600 s, and data prolongs neither.
#[test]
fn permissions_last_300_s_and_channels_600_s_whatever_data_flows() {
    let mut world = World::new(config());
    let (login, relayed) = world.allocate(client(1));
    let other = addr("192.0.2.9:4000");
    assert_eq!(world.bind(client(1), &login, 0x4000, peer()), 0);
    assert_eq!(world.permit(client(1), &login, &[other]), 0);
    world.pass(1);
    assert_eq!(world.refresh(client(1), &login, Some(3600)).code(), 0);
    for second in 1..620_u64 {
        let permitted = second < 300;
        let channel = channel_data(0x4000, b"data");
        assert_eq!(world.forward(client(1), &channel).is_some(), second < 600, "{second} s");
        assert_eq!(world.forward_at(relayed, peer(), b"data").is_some(), permitted, "{second} s");
        let indication = send_indication(other, b"data");
        assert_eq!(world.forward(client(1), &indication).is_some(), permitted, "{second} s");
        assert_eq!(world.forward_at(relayed, other, b"data").is_some(), permitted, "{second} s");
        world.pass(1);
    }
    let stats = world.server.stats();
    assert_eq!((stats.permissions, stats.channels), (0, 0));
}

/// RFC 8656 §9, §12: ChannelBind refreshes both.
#[test]
fn a_channel_that_is_bound_again_goes_on() {
    let mut world = World::new(config());
    let (login, relayed) = world.allocate(client(1));
    assert_eq!(world.bind(client(1), &login, 0x4000, peer()), 0);
    for _ in 0..4 {
        world.pass(250);
        assert_eq!(world.refresh(client(1), &login, None).code(), 0);
        assert_eq!(world.bind(client(1), &login, 0x4000, peer()), 0);
    }
    world.pass(299);
    assert!(world.forward_at(relayed, peer(), b"data").is_some());
}

#[test]
fn two_clients_of_one_server_meet_and_nothing_else_on_its_address_can_be_reached() {
    let mut world = World::new(config());
    let (login, here) = world.allocate(client(1));
    let (_, there) = world.allocate(client(2));
    let service = SocketAddr::new(there.ip(), 22);
    assert_eq!(world.permit(client(1), &login, &[there]), 0);
    assert_eq!(world.bind(client(1), &login, 0x4000, service), 0);
    assert_eq!(world.forward(client(1), &send_indication(there, b"data")).unwrap().destination, there);
    assert_eq!(world.forward(client(1), &send_indication(service, b"data")), None);
    assert_eq!(world.forward(client(1), &channel_data(0x4000, b"data")), None);
    assert_eq!(world.server.stats().drops.forbidden_peer, 2);
    assert_eq!(world.forward_at(there, here, b"data"), None, "the other one has not permitted it");

    let rules = PeerRules::default().allow("203.0.113.2".parse::<Cidr>().unwrap());
    let mut world = World::new(config().peers(rules));
    let (login, _) = world.allocate(client(1));
    assert_eq!(world.permit(client(1), &login, &[service]), 0);
    assert!(world.forward(client(1), &send_indication(service, b"data")).is_some());
}

#[test]
fn data_that_no_frame_can_hold_is_dropped() {
    let mut world = World::new(config());
    let (login, relayed) = world.allocate(client(1));
    assert_eq!(world.permit(client(1), &login, &[peer()]), 0);
    let (longest, too_long) = (vec![1; 65_507 - 36], vec![1; 65_507 - 35]);
    assert!(world.forward_at(relayed, peer(), &longest).is_some());
    assert!(world.forward_at(relayed, peer(), &too_long).is_none());
    assert_eq!(world.server.stats().drops.too_long, 1);
}

/// IPv6: the frame is twelve bytes longer.
#[test]
fn an_ipv6_allocation_relays_to_ipv6() {
    let mut world = World::new(config());
    let login = world.login(client(1));
    let answer = world.request(client(1), &login, Method::ALLOCATE, |writer| {
        writer.put_requested_transport(17).put_requested_address_family(floe::stun::Family::V6);
    });
    let (relayed, peer) = (answer.relayed(), addr("[2001:db8:1::1]:4000"));
    assert_eq!(world.permit(client(1), &login, &[peer]), 0);
    let indication = send_indication(peer, b"data");
    assert_eq!(world.forward(client(1), &indication).unwrap().destination, peer);
    let forward = world.forward_at(relayed, peer, b"data").unwrap();
    let mut buf = [0; HEADROOM + 4 + TAILROOM];
    buf[HEADROOM..HEADROOM + 4].copy_from_slice(b"data");
    let framed = wrap(forward.framing, &mut buf, 4);
    assert_eq!(framed.len(), 48 + 4);
    assert_eq!(Message::parse(framed).unwrap().plain().attributes().peer_address(), Some(peer));
}
