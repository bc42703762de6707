//! What else RFC 4787 and RFC 6888 say of a NAT: pools of addresses, parity, blocks of ports, payloads, limits.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use floe::sim::{Alg, HostId, Nat, NatId, Parity, Pooling, Ports, Refresh, World};

use super::{ms, secs};

/// Hosts behind one NAT, and one on the Internet.
struct Scene {
    world: World,
    nat: NatId,
    outside: HostId,
}

impl Scene {
    fn new(nat: Nat) -> Self {
        let mut world = World::new(6888);
        let nat = world.nat(nat);
        let outside = world.host(Nat::none());
        Self { world, nat, outside }
    }

    fn host(&mut self) -> HostId {
        self.world.host(self.nat)
    }

    fn at(&self, host: HostId, port: u16) -> SocketAddr {
        SocketAddr::new(self.world.addresses(host)[0], port)
    }

    /// How the host outside sees a port of one inside; `None` if nothing arrives.
    fn seen(&mut self, host: HostId, port: u16) -> Option<SocketAddr> {
        let (from, to) = (self.at(host, port), self.at(self.outside, 9));
        let before = self.world.received(self.outside).len();
        self.world.transmit(host, from, to, b"x");
        self.world.run_for(ms(100));
        self.world.received(self.outside).get(before).map(|it| it.source)
    }

    /// Whether the host outside gets through.
    fn gets_in(&mut self, host: HostId, to: SocketAddr) -> bool {
        let before = self.world.received(host).len();
        let from = self.at(self.outside, 9);
        self.world.transmit(self.outside, from, to, b"x");
        self.world.run_for(ms(100));
        self.world.received(host).len() > before
    }
}

/// RFC 4787 §4.1, REQ-2.
#[test]
fn a_paired_pool_gives_each_host_one_address_and_an_arbitrary_one_any() {
    for (pooling, of_each, of_all) in [(Pooling::Paired, 1, 3), (Pooling::Arbitrary, 3, 3)] {
        let mut scene = Scene::new(Nat::full_cone().pool(3, pooling));
        let mut all = BTreeSet::new();
        for _ in 0..3 {
            let host = scene.host();
            let own: BTreeSet<_> =
                (0..40).map(|n| scene.seen(host, 5000 + n).expect("it gets out").ip()).collect();
            assert_eq!(own.len(), of_each, "{pooling:?}");
            all.extend(own);
        }
        assert_eq!(all.len(), of_all, "{pooling:?}");
    }
}

#[test]
fn every_address_of_a_pool_leads_in() {
    let mut scene = Scene::new(Nat::full_cone().pool(3, Pooling::Arbitrary));
    let host = scene.host();
    for port in 5000..5020 {
        let external = scene.seen(host, port).expect("it gets out");
        assert!(scene.gets_in(host, external));
    }
}

/// RFC 4787 §4.2.2, REQ-4.
#[test]
fn ports_keep_their_parity_where_they_are_told_to() {
    for ports in [Ports::Random, Ports::Sequential, Ports::Preserving] {
        for (parity, kept) in [(Parity::Preserved, true), (Parity::Ignored, ports == Ports::Preserving)] {
            let mut scene = Scene::new(Nat::full_cone().ports(ports).parity(parity));
            let host = scene.host();
            // Even, odd, odd: no counter has that step.
            let all = [0, 1, 3].into_iter().cycle().zip(0..100).map(|(odd, n)| 5000 + 10 * n + odd);
            let changed =
                all.filter(|port| (scene.seen(host, *port).expect("it gets out").port() ^ port) & 1 == 1);
            assert_eq!(changed.count() == 0, kept, "{ports:?} {parity:?}");
        }
    }
}

/// RFC 6888 §2.
#[test]
fn ports_stay_in_their_block_until_it_is_full() {
    for ports in [Ports::Random, Ports::Sequential, Ports::Preserving] {
        let mut scene = Scene::new(Nat::full_cone().ports(ports).step(3).port_range(2048..=2063));
        let host = scene.host();
        let block: BTreeSet<_> = (0..16).filter_map(|n| scene.seen(host, 5000 + n)).collect();
        assert!(block.iter().all(|it| (2048..=2063).contains(&it.port())), "{ports:?}: {block:?}");
        assert_eq!(block.len(), 16, "{ports:?}");
        assert_eq!(scene.seen(host, 5016), None, "{ports:?}");
    }
}

/// RFC 6888 §3, REQ-4.
#[test]
fn a_nat_with_a_limit_lets_no_further_mapping_out_until_one_is_over() {
    let mut scene = Scene::new(Nat::full_cone().limit(2).lifetime(secs(30)));
    let host = scene.host();
    assert!(scene.seen(host, 5000).is_some() && scene.seen(host, 5001).is_some());
    assert_eq!(scene.seen(host, 5002), None);
    assert!(scene.seen(host, 5001).is_some(), "what is mapped stays mapped");
    scene.world.run_for(secs(30));
    assert!(scene.seen(host, 5002).is_some());
}

/// RFC 4787 §7, REQ-10.
#[test]
fn a_generic_alg_translates_addresses_in_payloads_and_without_one_they_pass() {
    for (alg, is_changed) in [(Alg::Off, false), (Alg::Generic, true)] {
        let mut scene = Scene::new(Nat::full_cone().alg(alg));
        let host = scene.host();
        let external = scene.seen(host, 5000).expect("it gets out");
        let octets = |at: SocketAddr| match at.ip() {
            std::net::IpAddr::V4(ip) => ip.octets().to_vec(),
            std::net::IpAddr::V6(_) => panic!("no IPv6 here"),
        };
        let (outer, inner) = (octets(external), octets(scene.at(host, 5000)));
        let in_words = |ip: &[u8]| [b"from ".as_slice(), ip, b"!"].concat();
        let (from, to) = (scene.at(host, 5000), scene.at(scene.outside, 9));
        scene.world.transmit(host, from, to, &in_words(&inner));
        scene.world.transmit(scene.outside, to, external, &in_words(&outer));
        scene.world.run_for(ms(100));
        let arrived = |host: HostId| scene.world.received(host).last().expect("a datagram").payload.clone();
        assert_eq!(arrived(scene.outside) == in_words(&outer), is_changed, "{alg:?}");
        assert_eq!(arrived(scene.outside) == in_words(&inner), !is_changed, "{alg:?}");
        assert_eq!(arrived(host) == in_words(&inner), is_changed, "{alg:?}");
    }
}

/// RFC 4787 §4.3, REQ-6, and what breaks it.
#[test]
fn a_mapping_that_nothing_refreshes_ends_in_its_time_and_another_lives_from_outside() {
    for (refresh, by_outbound, by_inbound) in [
        (Refresh::Outbound, true, false),
        (Refresh::Both, true, true),
        (Refresh::Inbound, false, true),
        (Refresh::Neither, false, false),
    ] {
        for (inbound, lives) in [(false, by_outbound), (true, by_inbound)] {
            let mut scene =
                Scene::new(Nat::full_cone().ports(Ports::Random).lifetime(secs(30)).refresh(refresh));
            let host = scene.host();
            let external = scene.seen(host, 5000).expect("it gets out");
            scene.world.run_for(secs(20));
            if inbound {
                assert!(scene.gets_in(host, external));
            } else {
                assert_eq!(scene.seen(host, 5000), Some(external));
            }
            scene.world.run_for(secs(20));
            assert_eq!(scene.gets_in(host, external), lives, "{refresh:?}, inbound: {inbound}");
        }
    }
}
