//! NAT × NAT: where two agents meet, and how.

use floe::candidate::CandidateType::Relayed;
use floe::sim::{Gateway, Hairpin, Host, HostId, Interface, Link, Nat, Ports, Udp, World};
use floe::{Config, State};

use super::{ROLES, secs, seed};

/// Every kind of NAT, with its name.
pub(super) fn nats() -> Vec<(&'static str, Gateway)> {
    vec![
        ("none", Nat::none()),
        ("full cone", Nat::full_cone().into()),
        ("full cone, random ports", Nat::full_cone().ports(Ports::Random).into()),
        ("address-restricted", Nat::address_restricted().into()),
        ("port-restricted", Nat::port_restricted().into()),
        ("port-restricted, random ports", Nat::port_restricted().ports(Ports::Random).into()),
        ("symmetric", Nat::symmetric().into()),
        ("symmetric, sequential ports", Nat::symmetric().ports(Ports::Sequential).into()),
        ("linux", Nat::linux().into()),
        ("firewall", Nat::firewall().into()),
    ]
}

/// Whether the kinds meet directly, from the literature: the filter of one must admit what the mapping of the other
/// one makes of its packets. It is the oracle's oracle.
pub(super) fn meet(a: &str, b: &str) -> bool {
    let dependent = |name: &str| name.starts_with("symmetric");
    // Who is mapped anew for each destination is found by those only who do not filter by port.
    let by_port = |name: &str| {
        name.starts_with("port-restricted") || name == "linux" || name == "firewall" || dependent(name)
    };
    !(dependent(a) && by_port(b) || dependent(b) && by_port(a))
}

#[test]
fn the_oracle_says_what_the_literature_says() {
    for (a_name, a_nat) in nats() {
        for (b_name, b_nat) in nats() {
            let mut world = World::new(1);
            let [a, b] = [a_nat.clone(), b_nat].map(|nat| world.host(nat));
            assert_eq!(world.direct_path_possible(a, b), meet(a_name, b_name), "{a_name} – {b_name}");
        }
    }
}

/// Two agents with a STUN server: Completed on a direct path where one is possible, Failed where none is.
fn meets_where_the_oracle_says(name: &str, build: impl Fn(&mut World) -> [Host; 2]) {
    for (roles, round) in [(ROLES[0], 1), (ROLES[1], 2), (ROLES[0], 3), (ROLES[1], 4)] {
        let mut world = World::new(round);
        let server = world.stun_server();
        let [a, b] = build(&mut world);
        let a = world.agent(a, Config::new(roles[0], world_seed(round, 1)).stun_server(server));
        let b = world.agent(b, Config::new(roles[1], world_seed(round, 2)).stun_server(server));
        world.signal(a, b);
        if !world.direct_path_possible(a, b) {
            world.run_until(secs(60), |w| w.state(a) == State::Failed && w.state(b) == State::Failed);
            continue;
        }
        let took = world.run_until(secs(20), |w| w.completed(a) && w.completed(b));
        assert!(took < secs(4), "{name}: {took:?} {world}");
        assert_one_path(&world, a, b, name);
        // And it carries data, both ways.
        world.send(a, b"from a");
        world.send(b, b"from b");
        world.run_for(secs(1));
        assert_eq!((world.received(a).len(), world.received(b).len()), (1, 1), "{name}: {world}");
    }
}

fn world_seed(round: u64, side: u8) -> [u8; 32] {
    seed(round as u8 * 16 + side)
}

/// Both ends have selected the same path: what one sends to is where the other one is seen.
fn assert_one_path(world: &World, a: HostId, b: HostId, name: &str) {
    let [(a_local, a_remote), (b_local, b_remote)] = [a, b].map(|host| world.selected(host).expect("a pair"));
    assert_eq!(a_local.address, b_remote.address, "{name}: {world}");
    assert_eq!(b_local.address, a_remote.address, "{name}: {world}");
    assert!(!world.selected_types(a, b).contains(&Relayed), "{name}: {world}");
}

#[test]
fn agents_meet_directly_exactly_where_it_is_possible() {
    for (a_name, a_nat) in nats() {
        for (b_name, b_nat) in nats() {
            let name = format!("{a_name} – {b_name}");
            meets_where_the_oracle_says(&name, |_| [a_nat.clone().into(), b_nat.clone().into()]);
        }
    }
}

/// Two behind one NAT that do not share a network have to be hairpinned by it (RFC 4787 §6).
#[test]
fn agents_behind_one_provider_meet_where_it_hairpins() {
    let mut direct = 0;
    for hairpin in [Hairpin::None, Hairpin::ExternalSource, Hairpin::InternalSource] {
        for provider in [Nat::full_cone(), Nat::port_restricted(), Nat::symmetric()] {
            for home in [Nat::full_cone(), Nat::port_restricted(), Nat::symmetric()] {
                let name = format!("{hairpin:?} {provider:?} {home:?}");
                let build = |world: &mut World| {
                    let provider = world.nat(provider.clone().hairpin(hairpin));
                    [0, 1].map(|_| world.nat_behind(provider, home.clone()).into())
                };
                let mut world = World::new(1);
                let [a, b] = build(&mut world).map(|host| world.host(host));
                let possible = world.direct_path_possible(a, b);
                assert!(!possible || hairpin != Hairpin::None, "{name}");
                direct += usize::from(possible);
                meets_where_the_oracle_says(&name, build);
            }
        }
    }
    assert!(direct >= 6, "{direct} of 27");
}

#[test]
fn agents_behind_one_nat_meet_in_their_network() {
    for (name, nat) in nats() {
        let Gateway::New(nat) = nat else { continue };
        meets_where_the_oracle_says(name, |world| {
            let home = world.nat(nat.clone());
            [home.into(), home.into()]
        });
    }
}

/// A home behind a provider's NAT, against every kind.
#[test]
fn agents_behind_two_nats_meet_where_the_stricter_one_lets_them() {
    for provider in [Nat::full_cone(), Nat::port_restricted(), Nat::symmetric(), Nat::linux()] {
        for (far_name, far) in nats() {
            let name = format!("home behind {provider:?} – {far_name}");
            meets_where_the_oracle_says(&name, |world| {
                let provider = world.nat(provider.clone());
                [world.nat_behind(provider, Nat::port_restricted()).into(), far.clone().into()]
            });
        }
    }
}

/// The same private address at both ends is two hosts (RFC 4787 REQ-7), and a check to the own address is not the
/// peer's.
#[test]
fn agents_with_equal_private_addresses_meet() {
    meets_where_the_oracle_says("equal addresses", |_| {
        let ip = "192.168.1.2".parse().expect("an address");
        [(); 2].map(|()| Interface::v4(Nat::port_restricted()).address(ip).into())
    });
}

#[test]
fn agents_without_udp_fail() {
    for udp in [Udp::Blocked, Udp::Only(vec![3478])] {
        meets_where_the_oracle_says("blocked", |_| {
            let blocked = Interface::v4(Nat::full_cone()).link(Link::lan().udp(udp.clone()));
            [blocked.into(), Nat::none().into()]
        });
    }
}

/// What IPv4 does not allow IPv6 does: firewalls do not change ports.
#[test]
fn agents_behind_symmetric_nats_meet_over_ipv6() {
    meets_where_the_oracle_says("dual stack", |world| {
        [0, 1].map(|_| {
            let home = world.nat(Nat::symmetric());
            [Interface::v4(home), Interface::v6(home)].into()
        })
    });
}
