//! Each behaviour of the simulated NAT against the words of RFC 4787, with plain packets.

use std::net::SocketAddr;

use floe::sim::{Fate, Filtering, Hairpin, HostId, Mapping, Nat, NatId, Ports, Refresh, Stray, World};

use super::{ms, secs};

use Filtering::{
    AddressAndPortDependent as PortFilter, AddressDependent as AddressFilter,
    EndpointIndependent as AnyFilter,
};
use Mapping::{AddressAndPortDependent, AddressDependent, EndpointIndependent};

/// A host behind a NAT, and two on the Internet.
struct Scene {
    world: World,
    inside: HostId,
    outside: [HostId; 2],
}

impl Scene {
    fn new(nat: Nat) -> Self {
        let mut world = World::new(4787);
        let inside = world.host(nat);
        let outside = [world.host(Nat::none()), world.host(Nat::none())];
        Self { world, inside, outside }
    }

    fn addr(&self, host: HostId, port: u16) -> SocketAddr {
        SocketAddr::new(self.world.addresses(host)[0], port)
    }

    fn nat(&self) -> NatId {
        self.world.gateway(self.inside, self.world.addresses(self.inside)[0]).expect("a NAT")
    }

    /// Sends from a port of a host, and lets it arrive; the number of datagrams at `to` tells whether it did.
    fn send(&mut self, host: HostId, port: u16, to: SocketAddr) {
        let source = self.addr(host, port);
        self.world.transmit(host, source, to, b"x");
        self.world.run_for(ms(100));
    }

    /// The external endpoint that a remote sees.
    fn seen(&mut self, port: u16, remote: HostId, remote_port: u16) -> SocketAddr {
        let to = self.addr(remote, remote_port);
        self.send(self.inside, port, to);
        let last = self.world.received(remote).last().expect("a datagram");
        assert_eq!(last.local, to);
        last.source
    }

    /// Whether a remote gets through to the host inside.
    fn gets_in(&mut self, remote: HostId, port: u16, to: SocketAddr) -> bool {
        let before = self.world.received(self.inside).len();
        self.send(remote, port, to);
        self.world.received(self.inside).len() > before
    }
}

/// RFC 4787 §4.1: X1':x1' = X2':x2' for all destinations, for those of one address, for those of one endpoint.
#[test]
fn mappings_are_shared_as_the_mapping_behaviour_says() {
    for (mapping, other_port_equal, other_address_equal) in [
        (EndpointIndependent, true, true),
        (AddressDependent, true, false),
        (AddressAndPortDependent, false, false),
    ] {
        for ports in [Ports::Preserving, Ports::Sequential, Ports::Random] {
            let mut scene = Scene::new(Nat::new(mapping, PortFilter).ports(ports));
            let [x, y] = scene.outside;
            let first = scene.seen(7000, x, 1);
            assert_eq!(scene.seen(7000, x, 1), first, "one endpoint, one mapping");
            assert_eq!(scene.seen(7000, x, 2) == first, other_port_equal, "{mapping:?} {ports:?}");
            assert_eq!(scene.seen(7000, y, 1) == first, other_address_equal, "{mapping:?} {ports:?}");
            assert_ne!(scene.seen(7001, x, 1), first, "another internal endpoint, another mapping");
        }
    }
}

/// RFC 4787 §5: filtering is independent of the mapping.
#[test]
fn packets_get_in_as_the_filtering_behaviour_says() {
    for mapping in [EndpointIndependent, AddressDependent, AddressAndPortDependent] {
        for (filtering, other_port, other_address) in
            [(AnyFilter, true, true), (AddressFilter, true, false), (PortFilter, false, false)]
        {
            let mut scene = Scene::new(Nat::new(mapping, filtering));
            let [x, y] = scene.outside;
            let external = scene.seen(7000, x, 1);
            assert!(scene.gets_in(x, 1, external), "the answer of whom was asked");
            assert_eq!(scene.gets_in(x, 2, external), other_port, "{mapping:?} {filtering:?}");
            assert_eq!(scene.gets_in(y, 1, external), other_address, "{mapping:?} {filtering:?}");
            let unmapped = SocketAddr::new(external.ip(), external.port() + 1);
            assert!(!scene.gets_in(x, 1, unmapped), "no mapping, no way in");
        }
    }
}

/// RFC 4787 §4.2.1.
#[test]
fn a_preserving_nat_keeps_the_port_while_it_is_free() {
    let mut scene = Scene::new(Nat::full_cone());
    let (nat, [x, _]) = (scene.nat(), scene.outside);
    let neighbour = scene.world.host(nat);
    assert_eq!(scene.seen(7000, x, 1).port(), 7000);
    let to = scene.addr(x, 1);
    scene.send(neighbour, 7000, to);
    let second = scene.world.received(x).last().expect("a datagram").source;
    assert_ne!(second.port(), 7000, "REQ-3: no port overloading");
}

/// RFC 4787 §4.2.1: "port overloading" tells the hosts apart by the destination.
#[test]
fn an_overloading_nat_keeps_the_port_while_destinations_differ() {
    let mut scene = Scene::new(Nat::linux());
    let (nat, [x, y]) = (scene.nat(), scene.outside);
    let neighbour = scene.world.host(nat);
    assert_eq!(scene.seen(7000, x, 1).port(), 7000);
    let to = scene.addr(y, 1);
    scene.send(neighbour, 7000, to);
    let shared = scene.world.received(y).last().expect("a datagram").source;
    assert_eq!(shared.port(), 7000);
    scene.send(y, 1, shared);
    assert_eq!(scene.world.received(neighbour).len(), 1, "the answer finds its host");
    assert!(scene.gets_in(x, 1, shared), "and so does the other one's");
    let to = scene.addr(x, 1);
    scene.send(neighbour, 7000, to);
    assert_ne!(scene.world.received(x).last().expect("a datagram").source.port(), 7000);
}

#[test]
fn a_sequential_nat_counts() {
    let mut scene = Scene::new(Nat::symmetric().ports(Ports::Sequential));
    let [x, y] = scene.outside;
    let first = scene.seen(7000, x, 1).port();
    assert_eq!([scene.seen(7000, x, 2).port(), scene.seen(7001, y, 1).port()], [first + 1, first + 2]);
}

#[test]
fn a_random_nat_does_not_count_and_uses_no_well_known_port() {
    let mut scene = Scene::new(Nat::symmetric());
    let x = scene.outside[0];
    let ports: Vec<_> = (1..=20).map(|port| scene.seen(7000, x, port).port()).collect();
    assert!(ports.iter().all(|port| *port >= 1024));
    assert!(!ports.windows(2).any(|two| two[1] == two[0].wrapping_add(1)), "{ports:?}");
}

/// RFC 4787 §4.2.1: a well-known source port stays in 0 to 1023.
#[test]
fn well_known_ports_stay_well_known() {
    for ports in [Ports::Preserving, Ports::Sequential, Ports::Random] {
        let mut scene = Scene::new(Nat::symmetric().ports(ports));
        let x = scene.outside[0];
        assert!(scene.seen(500, x, 1).port() < 1024, "{ports:?}");
        assert!(scene.seen(500, x, 2).port() < 1024, "{ports:?}");
        assert!(scene.seen(5000, x, 1).port() >= 1024, "{ports:?}");
    }
}

/// RFC 4787 §4.3, REQ-5. The datagram reaches the NAT after 1 ms, an answer of the Internet after 40 ms.
#[test]
fn a_mapping_ends_with_its_lifetime() {
    for lifetime in [30, 120, 300] {
        for (at, alive) in [(secs(lifetime) - ms(1000), true), (secs(lifetime) + ms(1000), false)] {
            let mut scene = Scene::new(Nat::full_cone().lifetime(secs(lifetime)));
            let x = scene.outside[0];
            let external = scene.seen(7000, x, 1);
            scene.world.run_for(at - ms(100));
            assert_eq!(scene.gets_in(x, 1, external), alive, "{at:?} of {lifetime} s");
        }
    }
}

/// RFC 4787 §4.3, REQ-6: packets from inside refresh; those from outside only if the NAT is of that kind.
#[test]
fn a_mapping_is_refreshed_from_the_side_that_may() {
    for (refresh, inbound_alone_suffices) in [(Refresh::Outbound, false), (Refresh::Both, true)] {
        let mut scene = Scene::new(Nat::port_restricted().lifetime(secs(60)).refresh(refresh));
        let x = scene.outside[0];
        let external = scene.seen(7000, x, 1);
        for _ in 0..4 {
            scene.world.run_for(secs(25));
            assert_eq!(scene.seen(7000, x, 1), external);
        }
        scene.world.run_for(secs(40));
        assert!(scene.gets_in(x, 1, external), "refreshed from inside");
        scene.world.run_for(secs(40));
        assert_eq!(scene.gets_in(x, 1, external), inbound_alone_suffices, "{refresh:?}");
    }
}

/// The permission of a remote ends too, although others keep the mapping alive.
#[test]
fn a_remote_that_is_not_spoken_to_loses_its_permission() {
    let mut scene = Scene::new(Nat::port_restricted().lifetime(secs(60)));
    let [x, y] = scene.outside;
    let external = scene.seen(7000, x, 1);
    for _ in 0..3 {
        scene.world.run_for(secs(25));
        scene.seen(7000, y, 1);
    }
    assert!(scene.gets_in(y, 1, external));
    assert!(!scene.gets_in(x, 1, external));
}

#[test]
fn a_restarted_nat_forgets_its_mappings() {
    let mut scene = Scene::new(Nat::full_cone().ports(Ports::Random));
    let (nat, x) = (scene.nat(), scene.outside[0]);
    let external = scene.seen(7000, x, 1);
    scene.world.flush(nat);
    assert!(!scene.gets_in(x, 1, external));
    assert_ne!(scene.seen(7000, x, 1), external);
}

/// RFC 4787 §6, REQ-9: a hairpinned packet comes from the external endpoint of its sender.
#[test]
fn a_hairpin_turns_packets_back_with_the_source_it_promises() {
    for hairpin in [Hairpin::None, Hairpin::ExternalSource, Hairpin::InternalSource] {
        let mut scene = Scene::new(Nat::full_cone().hairpin(hairpin));
        let (nat, x) = (scene.nat(), scene.outside[0]);
        let neighbour = scene.world.host(nat);
        let external = scene.seen(7000, x, 1);
        let before = scene.world.received(scene.inside).len();
        scene.send(neighbour, 8000, external);
        let sources: Vec<_> =
            scene.world.received(scene.inside)[before..].iter().map(|it| it.source).collect();
        match hairpin {
            Hairpin::None => assert!(sources.is_empty()),
            Hairpin::ExternalSource => {
                assert_eq!(sources, [SocketAddr::new(scene.world.external(nat), 8000)]);
            }
            Hairpin::InternalSource => assert_eq!(sources, [scene.addr(neighbour, 8000)]),
        }
    }
}

/// RFC 4787 §4.4, REQ-7: the same prefix on both sides of a NAT is two networks.
#[test]
fn a_nat_works_with_equal_addresses_inside_and_outside() {
    let mut world = World::new(7);
    let provider = world.nat(Nat::port_restricted());
    let home = world.nat_behind(provider, Nat::port_restricted());
    let ip = world.external(home);
    let host = world.host(floe::sim::Interface::v4(home).address(ip));
    let server = world.host(Nat::none());
    let to = SocketAddr::new(world.addresses(server)[0], 1);
    world.transmit(host, SocketAddr::new(ip, 7000), to, b"x");
    world.run_for(ms(100));
    let seen = world.received(server)[0].source;
    assert_eq!(seen, SocketAddr::new(world.external(provider), 7000));
    world.transmit(server, to, seen, b"y");
    world.run_for(ms(100));
    assert_eq!(world.received(host)[0].payload, b"y");
}

/// What nftables does without a rule that drops input: a stray packet occupies its tuple for 30 s.
#[test]
fn a_tracked_stray_packet_takes_the_port_from_the_mapping_that_comes_late() {
    for (stray, wait, preserved) in
        [(Stray::Dropped, secs(1), true), (Stray::Tracked, secs(1), false), (Stray::Tracked, secs(31), true)]
    {
        let mut scene = Scene::new(Nat::linux().stray(stray));
        let [x, y] = scene.outside;
        let early = SocketAddr::new(scene.world.external(scene.nat()), 7000);
        assert!(!scene.gets_in(x, 1, early));
        scene.world.run_for(wait);
        assert_eq!(scene.seen(7000, x, 1).port() == 7000, preserved, "{stray:?} {wait:?}");
        assert_eq!(scene.seen(7000, y, 1).port(), 7000, "others do not clash");
    }
}

/// RFC 6092: IPv6 is not translated, but only answers get in.
#[test]
fn ipv6_keeps_its_address_behind_a_nat_and_is_filtered() {
    let mut world = World::new(6);
    let inside = world.host(floe::sim::Interface::v6(Nat::port_restricted()));
    let outside = world.host(floe::sim::Interface::v6(Nat::none()));
    let [own, far] = [inside, outside].map(|host| SocketAddr::new(world.addresses(host)[0], 9));
    world.transmit(outside, far, own, b"too early");
    world.run_for(ms(100));
    assert!(world.received(inside).is_empty());
    world.transmit(inside, own, far, b"out");
    world.run_for(ms(100));
    assert_eq!(world.received(outside)[0].source, own);
    world.transmit(outside, far, own, b"in");
    world.run_for(ms(100));
    assert_eq!(world.received(inside).len(), 1);
}

#[test]
fn a_nat_without_a_free_port_drops() {
    let mut scene = Scene::new(Nat::symmetric());
    let x = scene.outside[0];
    // Well-known ports are few.
    for port in 1..=1024 {
        let (source, to) = (scene.addr(scene.inside, 1), scene.addr(x, port));
        scene.world.transmit(scene.inside, source, to, b"x");
    }
    scene.world.run_for(secs(1));
    assert_eq!(scene.world.received(x).len(), 1023);
    assert_eq!(scene.world.packets_of(scene.inside).filtered, 1);
}

/// What nobody has asked for can be tried by an attacker, and is seen on the wire.
#[test]
fn an_injected_datagram_is_filtered_and_captured() {
    let mut scene = Scene::new(Nat::port_restricted());
    let [x, y] = scene.outside;
    let external = scene.seen(7000, x, 1);
    let (spoofed, honest) = (scene.addr(x, 1), scene.addr(y, 1));
    scene.world.capture();
    scene.world.inject(honest, external, b"no");
    scene.world.inject(spoofed, external, b"yes");
    scene.world.run_for(ms(100));
    assert_eq!(scene.world.received(scene.inside).last().expect("a datagram").payload, b"yes");
    let fates: Vec<_> = scene.world.captured().iter().map(|it| (it.fate, it.payload.as_slice())).collect();
    assert_eq!(fates, [(Fate::Filtered, &b"no"[..]), (Fate::Delivered, b"yes")]);
}
