use super::*;
use crate::net::clock;

fn local(addr: &str) -> Local {
    let addr: IpAddr = addr.parse().unwrap();
    // As Docker's.
    let is_bridge = addr.to_string().starts_with("172.17.");
    let interface = if is_bridge { Interface::Unreliable } else { Interface::Reliable };
    Local { addr: (addr, 0).into(), mtu: 1500, interface }
}

/// These addresses; the first one has the default route.
fn network(addrs: &[&str]) -> Network {
    let bound: Vec<Local> = addrs.iter().map(|addr| local(addr)).collect();
    let routed = bound.iter().filter(|it| it.interface == Interface::Reliable).take(1).copied().collect();
    let assigned = bound.iter().map(|it| it.addr.ip()).collect();
    Network { bound, routed, assigned, sleeps: 0 }
}

const WIFI: &str = "192.0.2.1";
const LAN: &str = "198.51.100.1";
const BRIDGE: &str = "172.17.0.1";

struct Host {
    presence: Presence,
    now: Instant,
}

impl Host {
    fn on(addrs: &[&str]) -> Self {
        let began = network(addrs);
        let presence = Presence::new(&began, began.bound.iter().map(|it| it.addr));
        Self { presence, now: clock::now() }
    }

    /// What is added, and what it is worth.
    fn moves(&mut self, to: &Network) -> (Vec<String>, Worth) {
        let change = self.presence.follow(self.now, to, Source::Bound);
        (change.added.iter().map(|it| it.addr.ip().to_string()).collect(), change.worth)
    }

    /// The addresses that are left so many milliseconds later.
    fn leaves(&mut self, after: u64) -> Vec<String> {
        self.now += Duration::from_millis(after);
        self.presence.take_gone(self.now).iter().map(ToString::to_string).collect()
    }
}

#[test]
fn an_address_in_place_of_another_is_taken_at_once() {
    let mut host = Host::on(&[WIFI]);
    assert_eq!(host.moves(&network(&[LAN])), (vec![LAN.to_owned()], Worth::Restart));
    assert_eq!(host.leaves(0), [WIFI]);
    assert_eq!(host.leaves(5000), [""; 0], "once");
}

#[test]
fn a_second_address_is_worth_a_restart_and_nothing_is_left() {
    let mut host = Host::on(&[WIFI]);
    assert_eq!(host.moves(&network(&[WIFI, LAN])), (vec![LAN.to_owned()], Worth::Restart));
    assert_eq!(host.leaves(5000), [""; 0]);
    assert_eq!(host.presence.deadline(), None);
}

#[test]
fn one_of_two_that_goes_is_held_for_a_while() {
    let mut host = Host::on(&[WIFI, LAN]);
    assert_eq!(host.moves(&network(&[WIFI])), (vec![], Worth::Nothing));
    assert_eq!(host.leaves(499), [""; 0]);
    assert_eq!(host.presence.deadline(), Some(host.now + Duration::from_millis(1)));
    assert_eq!(host.leaves(1), [LAN]);
}

#[test]
fn a_link_that_flaps_keeps_its_sockets() {
    let mut host = Host::on(&[WIFI, LAN]);
    host.moves(&network(&[WIFI]));
    assert_eq!(host.leaves(400), [""; 0]);
    assert_eq!(host.moves(&network(&[WIFI, LAN])), (vec![], Worth::Restart));
    assert_eq!(host.leaves(5000), [""; 0]);
}

#[test]
fn the_only_address_is_waited_for_and_a_bridge_is_no_other() {
    for rest in [&[][..], &[BRIDGE]] {
        let mut host = Host::on(&[&[WIFI], rest].concat());
        assert_eq!(host.moves(&network(rest)), (vec![], Worth::Nothing));
        assert_eq!(host.leaves(3_600_000), [""; 0]);
        assert_eq!(host.presence.deadline(), None);
        // It comes back, maybe to another network.
        assert_eq!(host.moves(&network(&[&[WIFI], rest].concat())), (vec![], Worth::Restart));
        assert_eq!(host.leaves(5000), [""; 0]);
    }
    // Or another one comes instead.
    let mut host = Host::on(&[WIFI]);
    host.moves(&network(&[]));
    host.leaves(3000);
    assert_eq!(host.moves(&network(&[LAN])), (vec![LAN.to_owned()], Worth::Restart));
    assert_eq!(host.leaves(0), [WIFI]);
}

#[test]
fn bridges_of_containers_come_and_go_without_a_restart() {
    let mut host = Host::on(&[WIFI]);
    for _ in 0..3 {
        assert_eq!(host.moves(&network(&[WIFI, BRIDGE])), (vec![BRIDGE.to_owned()], Worth::Nothing));
        assert_eq!(host.moves(&network(&[WIFI])), (vec![], Worth::Nothing));
        assert_eq!(host.leaves(500), [BRIDGE]);
    }
}

#[test]
fn a_tunnel_that_takes_the_default_route_is_worth_a_restart() {
    let mut host = Host::on(&[WIFI]);
    let mut tunnel = network(&[WIFI, BRIDGE]);
    tunnel.routed = vec![local(BRIDGE)];
    assert_eq!(host.moves(&tunnel).1, Worth::Restart);
    assert_eq!(host.moves(&tunnel).1, Worth::Nothing);
}

#[test]
fn a_deprecated_address_is_not_left() {
    let mut host = Host::on(&["2001:db8::1"]);
    let mut renewed = network(&["2001:db8::2"]);
    renewed.assigned.push("2001:db8::1".parse().unwrap());
    assert_eq!(host.moves(&renewed), (vec!["2001:db8::2".to_owned()], Worth::Restart));
    assert_eq!(host.leaves(5000), [""; 0]);
    assert_eq!(host.moves(&network(&["2001:db8::2"])), (vec![], Worth::Nothing));
    assert_eq!(host.leaves(500), ["2001:db8::1"]);
}

#[test]
fn a_sleep_is_worth_one_restart() {
    let mut host = Host::on(&[WIFI]);
    let awake = Network { sleeps: 1, ..network(&[WIFI]) };
    assert_eq!(host.moves(&awake), (vec![], Worth::Restart));
    assert_eq!(host.moves(&awake), (vec![], Worth::Nothing));
}
