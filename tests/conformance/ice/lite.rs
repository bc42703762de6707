//! Candidates of lite agents (RFC 8445 §5.2), and the choice of two of them (§6.2).

use std::collections::BTreeSet;
use std::net::SocketAddr;

use floe::candidate::{Candidate, CandidateType};
use floe::io::{ComponentId, Socket, SocketId};
use floe::signal::{Signal, What};
use floe::sim::{Interface, Nat, World};
use floe::{Agent, Config, Event, Output, Role};
use proptest::prelude::*;

use super::gathering::{candidates, config};
use crate::bench::secs;

/// The candidates of a lite agent that gets sockets on these addresses, in this order.
fn lite(addresses: &[&str], components: u16) -> Vec<Candidate> {
    let now = World::new(1).now();
    let mut agent = Agent::new(config(Role::Controlled).components(&[components]).lite(), now);
    let mut next = 0;
    for ip in addresses {
        for component in 1..=components {
            let component = ComponentId { stream: 0, component };
            let local = SocketAddr::new(ip.parse().expect(ip), 5000 + next);
            let socket = Socket::Udp { local, component };
            agent.add_socket(now, SocketId(next.into()), socket).expect("room");
            next += 1;
        }
    }
    let mut found = Vec::new();
    let mut buf = [0; 1500];
    loop {
        match agent.poll_output(&mut buf) {
            Output::Event(Event::Signal(Signal { what: What::Candidate(candidate), .. })) => {
                assert_eq!(candidate.kind, CandidateType::Host);
                found.push(candidate);
            }
            Output::Wait(_) => return found,
            _ => {}
        }
    }
}

/// ICE-5.2-c: whoever does not ask for a lite agent has a full one, on many addresses too.
#[test]
fn an_agent_is_a_full_one_by_default() {
    let mut world = World::new(2);
    let interfaces = [(); 3].map(|()| Interface::v4(Nat::none()));
    let host = world.agent(interfaces, config(Role::Controlled));
    assert_eq!(candidates(&world, host).len(), 3);
    assert!(world.signals(host).iter().all(|signal| !signal.to_string().contains(" lite")));
}

/// ICE-5.2-d, ICE-5.2-g, ICE-5.2-h: each component has its candidate, 126 for the type and 65535 for the address.
#[test]
fn a_lite_agent_of_ipv4_has_the_highest_priority_for_each_component() {
    let found = lite(&["198.51.100.7"], 2);
    let priorities: Vec<_> = found.iter().map(|it| (it.component, it.priority)).collect();
    assert_eq!(priorities, [(1, 2_130_706_431), (2, 2_130_706_430)]);
}

/// ICE-5.2-i: the precedence of RFC 6724 §2.1.
#[test]
fn a_lite_agent_with_ipv6_prefers_addresses_as_rfc_6724_does() {
    for (ip, precedence) in
        [("2001:db8::1", 40), ("2002:c633:6407::1", 30), ("2001:0:1::1", 5), ("fd00::1", 3), ("3ffe::1", 1)]
    {
        let found = lite(&[ip, "198.51.100.7"], 1);
        let preferences: Vec<_> = found.iter().map(|it| it.priority >> 8 & 0xFFFF).collect();
        assert_eq!(preferences, [precedence, 35], "{ip}");
        assert!(found.iter().all(|it| it.priority >> 24 == 126));
    }
}

/// ICE-5.2-e: one foundation an address.
#[test]
fn a_lite_agent_has_one_foundation_for_each_address() {
    let mut world = World::new(3);
    let interfaces = [Interface::v6(Nat::none()), Interface::v4(Nat::none())];
    let host = world.agent(interfaces, config(Role::Controlled).components(&[2]).lite());
    let found = candidates(&world, host);
    let ip = |at: usize| found[at].address.socket().expect("an address").ip();
    assert_eq!(found.len(), 4);
    for (one, other) in (0..4).flat_map(|one| (0..4).map(move |other| (one, other))) {
        assert_eq!(found[one].foundation == found[other].foundation, ip(one) == ip(other));
    }
}

proptest! {
    /// ICE-5.2-f: whatever the addresses, and in whatever order they come.
    #[test]
    fn priorities_of_a_lite_agent_are_unique_in_each_stream(
        addresses in prop::collection::btree_set((any::<bool>(), 1..200_u8), 1..30),
        components in 1..=3_u16,
        shuffled: u64,
    ) {
        let mut addresses: Vec<_> = addresses.into_iter().collect();
        let by = (shuffled % addresses.len() as u64) as usize;
        addresses.rotate_left(by);
        let addresses: Vec<_> = addresses
            .into_iter()
            .map(|(v6, host)| if v6 { format!("2001:db8:1::{host:x}") } else { format!("203.0.113.{host}") })
            .collect();
        let addresses: Vec<_> = addresses.iter().map(String::as_str).collect();
        let found = lite(&addresses, components);
        prop_assert_eq!(found.len(), addresses.len() * usize::from(components));
        prop_assert_eq!(found.iter().map(|it| it.priority).collect::<BTreeSet<_>>().len(), found.len());
    }
}

/// ICE-6.2-a: both take the pair that RFC 6724 prefers, so nothing has to be told anew.
#[test]
fn two_lite_agents_with_both_families_select_ipv6() {
    let mut world = World::new(4);
    let hosts = [Role::Controlling, Role::Controlled].map(|role| {
        let interfaces = [Interface::v6(Nat::none()), Interface::v4(Nat::none())];
        world.agent(interfaces, Config::new(role, [role as u8 + 1; 32]).lite())
    });
    let [a, b] = hosts;
    world.signal(a, b);
    world.run_until(secs(5), |w| w.completed(a) && w.completed(b));
    let [(a_local, a_remote), (b_local, b_remote)] = hosts.map(|host| world.selected(host).expect("a pair"));
    assert_eq!((&a_local.address, &a_remote.address), (&b_remote.address, &b_local.address));
    assert!(a_local.address.socket().is_some_and(|addr| addr.is_ipv6()), "{world}");
}
