//! Each property of a link, with plain packets.

use std::net::SocketAddr;
use std::time::Duration;

use floe::sim::{Arrival, Fate, HostId, Interface, Link, Nat, Udp, World};

use super::{ms, secs};

/// Sends `count` numbered datagrams, 1 ms apart, over this link. The other end adds nothing.
fn cross(link: Link, count: u16, length: usize) -> (World, HostId, Vec<(Duration, Arrival)>) {
    let mut world = World::new(1);
    let from = world.host(Interface::v4(Nat::none()).link(link));
    let to = world.host(Interface::v4(Nat::none()).link(Link::ideal()));
    let [source, destination] = [from, to].map(|host| SocketAddr::new(world.addresses(host)[0], 9));
    let mut payload = vec![0; length];
    for number in 0..count {
        payload[..2].copy_from_slice(&number.to_be_bytes());
        world.transmit(from, source, destination, &payload);
        world.run_for(ms(1));
    }
    world.run_for(secs(1));
    let sent = |it: &Arrival| ms(number_of(it).into());
    let arrivals = world.received(to).iter().map(|it| (it.at - sent(it), it.clone())).collect();
    (world, from, arrivals)
}

fn number_of(arrival: &Arrival) -> u16 {
    u16::from_be_bytes([arrival.payload[0], arrival.payload[1]])
}

fn numbers(arrivals: &[(Duration, Arrival)]) -> Vec<u16> {
    arrivals.iter().map(|(_, arrival)| number_of(arrival)).collect()
}

#[test]
fn latency_delays_everything_alike() {
    let (_, _, arrivals) = cross(Link::ideal().latency(ms(30)), 100, 2);
    assert_eq!(arrivals.len(), 100);
    assert!(arrivals.iter().all(|(took, _)| *took == ms(30)));
}

#[test]
fn jitter_varies_and_keeps_the_order() {
    let (_, _, arrivals) = cross(Link::ideal().latency(ms(30)).jitter(ms(10)), 500, 2);
    let took: Vec<_> = arrivals.iter().map(|(took, _)| *took).collect();
    assert!(took.iter().all(|it| (ms(30)..=ms(40)).contains(it)));
    assert!(took.iter().any(|it| *it < ms(35)) && took.iter().any(|it| *it > ms(38)));
    assert!(numbers(&arrivals).is_sorted());
}

#[test]
fn reordering_lets_later_ones_overtake() {
    let (_, _, arrivals) = cross(Link::ideal().latency(ms(30)).reordering(0.1), 500, 2);
    assert_eq!(arrivals.len(), 500);
    let late = arrivals.iter().filter(|(took, _)| *took == ms(60)).count();
    assert!((25..=75).contains(&late), "{late} of 500 at 10 %");
    assert!(!numbers(&arrivals).is_sorted());
}

#[test]
fn loss_and_duplication_happen_as_often_as_they_say() {
    let (world, from, arrivals) = cross(Link::ideal().loss(0.3), 1000, 2);
    let lost = world.packets_of(from).lost;
    assert!((250..=350).contains(&lost), "{lost} of 1000 at 30 %");
    assert_eq!(arrivals.len() as u64 + lost, 1000);

    let (_, _, arrivals) = cross(Link::ideal().duplication(0.3), 1000, 2);
    assert!((1250..=1350).contains(&arrivals.len()), "{} of 1000 at 30 %", arrivals.len());
}

/// The MTU counts the headers of IP and UDP.
#[test]
fn what_is_larger_than_the_mtu_is_dropped() {
    let link = Link::ideal().mtu(1280);
    for (length, fits) in [(1280 - 28, true), (1280 - 27, false)] {
        let (world, from, arrivals) = cross(link.clone(), 1, length);
        assert_eq!((arrivals.len() == 1, world.packets_of(from).too_large == 0), (fits, fits), "{length}");
    }
}

#[test]
fn blocked_udp_goes_neither_in_nor_out() {
    for (udp, passes) in [(Udp::Open, true), (Udp::Blocked, false), (Udp::Only(vec![443]), false)] {
        let (world, from, arrivals) = cross(Link::ideal().udp(udp), 1, 2);
        assert_eq!((arrivals.len() == 1, world.packets_of(from).blocked == 0), (passes, passes));
    }
}

/// A firewall that lets out to some ports only, and their answers in.
#[test]
fn ports_that_are_open_are_those_of_the_far_end() {
    let mut world = World::new(1);
    let limited = world.host(Interface::v4(Nat::none()).link(Link::lan().udp(Udp::Only(vec![443]))));
    let free = world.host(Nat::none());
    let [own, far] = [limited, free].map(|host| world.addresses(host)[0]);
    for (own_port, far_port, passes) in [(9, 443, 1), (443, 9, 0)] {
        let (own, far) = (SocketAddr::new(own, own_port), SocketAddr::new(far, far_port));
        let before = world.packets();
        world.transmit(limited, own, far, b"out");
        world.transmit(free, far, own, b"in");
        world.run_for(ms(100));
        assert_eq!(world.packets().delivered - before.delivered, 2 * passes);
        assert_eq!(world.packets().blocked - before.blocked, 2 - 2 * passes);
    }
}

#[test]
fn a_path_is_cut_and_mended_one_way_at_a_time() {
    let mut world = World::new(1);
    let hosts = [world.host(Nat::none()), world.host(Nat::none())];
    let [a, b] = hosts.map(|host| SocketAddr::new(world.addresses(host)[0], 9));
    let exchange = |world: &mut World| {
        let before = hosts.map(|host| world.received(host).len());
        world.transmit(hosts[0], a, b, b"x");
        world.transmit(hosts[1], b, a, b"x");
        world.run_for(ms(100));
        [0, 1].map(|at| world.received(hosts[at]).len() - before[at])
    };
    assert_eq!(exchange(&mut world), [1, 1]);
    world.cut(hosts[0], hosts[1]);
    assert_eq!(exchange(&mut world), [0, 0]);
    world.set_path(hosts[0], hosts[1], Link::ideal());
    assert_eq!(exchange(&mut world), [0, 1]);
}

#[test]
fn datagrams_to_nobody_are_unroutable() {
    let mut world = World::new(1);
    let host = world.host(Nat::full_cone());
    let source = SocketAddr::new(world.addresses(host)[0], 9);
    world.capture();
    world.transmit(host, source, "192.0.2.99:9".parse().expect("an address"), b"x");
    world.run_for(secs(1));
    assert_eq!(world.packets().unroutable, 1);
    assert_eq!(world.captured().iter().map(|it| it.fate).collect::<Vec<_>>(), [Fate::Sent, Fate::Unroutable]);
}
