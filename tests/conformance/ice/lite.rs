//! Candidates of lite agents (RFC 8445 §5.2), and the choice of two of them (§6.2).

use std::collections::BTreeSet;
use std::net::SocketAddr;

use floe::candidate::{Candidate, CandidateType};
use floe::io::{ComponentId, Socket, SocketId};
use floe::signal::{Signal, What};
use floe::sim::{Interface, Nat, World};
use floe::{Agent, Config, Event, Output, Role, State};
use proptest::prelude::*;

use super::gathering::{candidates, config};
use crate::bench::{Bench, PEER_PWD, ms, secs};

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

/// What a host has signalled with this word.
fn said(world: &World, host: floe::sim::HostId, kind: &str) -> Vec<String> {
    let lines = world.signals(host).into_iter().map(|signal| signal.to_string());
    lines.filter(|line| line.split(' ').any(|it| it == kind)).collect()
}

/// ICE-8.2-c: nobody completes before the controlled agent has the selected pair, nor the controlling one before its
/// answer; with one pair there is nothing to agree on.
#[test]
fn two_lite_agents_with_several_pairs_complete_after_the_updated_exchange() {
    let both = || vec![Interface::v6(Nat::none()), Interface::v4(Nat::none())];
    for (far, agree) in [(both(), true), (vec![Interface::v4(Nat::none())], false)] {
        let mut world = World::new(5);
        let near = both();
        let a = world.agent(near, Config::new(Role::Controlling, [1; 32]).lite());
        let b = world.agent(far, Config::new(Role::Controlled, [2; 32]).lite());
        world.signal_one_way(a, b, ms(100));
        world.signal_one_way(b, a, ms(100));
        let mut done = [a, b].map(|host| (host, None));
        for _ in 0..50 {
            world.run_for(ms(10));
            for (host, at) in &mut done {
                if at.is_none() && world.completed(*host) {
                    *at = Some(world.elapsed());
                }
            }
        }
        let expected = if agree { [300, 200] } else { [100, 100] };
        assert_eq!(done.map(|(_, at)| at), expected.map(|at| Some(ms(at))), "{world}");
        let count = usize::from(agree);
        assert_eq!([said(&world, a, "selected").len(), said(&world, b, "confirmed").len()], [count; 2]);
        assert_eq!([said(&world, b, "selected").len(), said(&world, a, "confirmed").len()], [0; 2]);
    }
}

/// A lite agent of `role` with two pairs, whose peer is a lite one too.
fn with_two_pairs(role: Role) -> Bench {
    let mut bench = Bench::of(Config::new(role, [7; 32]).lite());
    bench.signal(&format!("0 credentials ufrag=peer pwd={PEER_PWD} lite options=ice2,trickle"));
    for (port, priority) in [(6000, 900), (6001, 800)] {
        bench.signal(&format!("0 candidate:{port} 1 udp {priority} 192.0.2.2 {port} typ host"));
    }
    bench.signal("0 end-of-candidates");
    bench
}

/// ICE-8.2-c: what the controlling agent has selected is what it waits for, and only that.
#[test]
fn a_lite_agent_takes_no_other_pair_than_the_one_that_both_have_selected() {
    let ours = "192.0.2.1 5000";
    let mut bench = with_two_pairs(Role::Controlling);
    let line = bench.signals().pop().expect("a signal");
    assert!(line.ends_with(" selected 1 192.0.2.1 5000 192.0.2.2 6000"), "{line}");
    bench.signal(&format!("0 confirmed 1 192.0.2.2 6001 {ours}"));
    bench.wait(secs(10));
    assert_eq!((bench.agent.state(), bench.is_usable()), (State::Checking, false), "not what was selected");
    bench.signal(&format!("0 confirmed 1 192.0.2.2 6000 {ours}"));
    assert_eq!((bench.agent.state(), bench.is_usable()), (State::Completed, true));

    let mut bench = with_two_pairs(Role::Controlled);
    bench.wait(secs(10));
    assert_eq!(bench.agent.state(), State::Checking);
    bench.signal(&format!("0 confirmed 1 192.0.2.2 6000 {ours}"));
    assert_eq!(bench.agent.state(), State::Checking, "who is controlled has nothing confirmed");
    let unknown: Signal = format!("0 selected 1 192.0.2.2 6002 {ours}").parse().expect("a signal");
    assert!(bench.with_agent(|agent, now| agent.handle_signal(now, unknown)).is_err());
    bench.signal(&format!("0 selected 1 192.0.2.2 6001 {ours}"));
    assert_eq!(bench.agent.state(), State::Completed);
    let line = bench.signals().pop().expect("a signal");
    assert!(line.ends_with(" confirmed 1 192.0.2.1 5000 192.0.2.2 6001"), "{line}");

    // A peer that never agrees is not waited for without end.
    let mut bench = with_two_pairs(Role::Controlling);
    bench.wait(secs(45));
    assert_eq!(bench.agent.state(), State::Failed);
    // A full agent is told by checks.
    let mut bench = Bench::new(Role::Controlled);
    let selected: Signal = format!("0 selected 1 192.0.2.2 6000 {ours}").parse().expect("a signal");
    assert!(bench.with_agent(|agent, now| agent.handle_signal(now, selected)).is_err());
}

/// SDP-4.4.2.2-a without the order of offers: one of the two yields, whichever word comes first.
#[test]
fn two_lite_agents_that_both_believe_to_control_end_with_one_pair() {
    for seed in 1..20 {
        let mut world = World::new(seed);
        let hosts = [1, 2].map(|byte| {
            let interfaces = [(); 2].map(|()| Interface::v4(Nat::none()));
            world.agent(interfaces, Config::new(Role::Controlling, [byte * seed as u8; 32]).lite())
        });
        let [a, b] = hosts;
        world.signal(a, b);
        world.run_until(secs(5), |w| w.completed(a) && w.completed(b));
        let [(la, ra), (lb, rb)] = hosts.map(|host| world.selected(host).expect("a pair"));
        assert_eq!((&la.address, &ra.address), (&rb.address, &lb.address), "{world}");
        let roles = hosts.map(|host| world.agent_ref(host).role());
        assert_ne!(roles[0], roles[1], "{world}");
    }
}
