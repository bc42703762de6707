//! Forming, pruning and limiting pairs, and the order of checks over a whole set (RFC 8445 §6.1).

use PairState::{Failed, Frozen, InProgress, Succeeded, Waiting};

use super::super::checklist::ChecklistState;
use std::cmp::Reverse;

use super::*;
use crate::candidate::address::{Interface, local_preferences};
use crate::candidate::priority::pair_priority;

fn reflexive(component: ComponentId, foundation: u32, addr: &str) -> Candidate {
    let kind = CandidateType::ServerReflexive;
    let priority = candidate_priority(kind, 65535, component.component);
    let (foundation, addr) = (Foundation::from_number(foundation), addr.parse().expect(addr));
    Candidate::udp(foundation, component.component, priority, addr, kind, None)
}

/// The destinations of all checks that can begin now, in their order.
fn order(set: &mut ChecklistSet) -> Vec<String> {
    let next = || {
        let check = set.begin_check(test_epoch(), &mut rng())?;
        Some(written(set, check).1.to_string())
    };
    std::iter::from_fn(next).collect()
}

fn of_stream(set: &ChecklistSet, stream: u16) -> usize {
    set.pairs().filter(|(_, pair)| pair.component.stream == stream).count()
}

/// ICE-6.1.2-a: what is known of the other pairs stays, and the newcomer has its place among them.
#[test]
fn a_late_candidate_disturbs_no_pair() {
    let (mut set, now) = (set(Role::Controlling, &[1]), test_epoch());
    let near = base(&mut set, 0, at(0, 1), 1, "192.0.2.1:5000");
    for (number, preference) in [(1, 900), (2, 800), (3, 700), (4, 600)] {
        remote(&mut set, at(0, 1), number, preference, &format!("192.0.2.9:600{number}"));
    }
    let first = set.begin_check(now, &mut rng()).expect("a check");
    assert!(matches!(answer(&mut set, now, near, first, None), Outcome::Validated { .. }));
    let second = set.begin_check(now, &mut rng()).expect("a check");
    assert!(matches!(answer(&mut set, now, near, second, Some(400)), Outcome::Failed(_)));
    let _ = set.begin_check(now, &mut rng()).expect("a check");
    let known = [1, 2, 3, 4].map(|number| pair(&set, near, &format!("192.0.2.9:600{number}")));
    let before = known.map(|id| state(&set, id));
    assert_eq!(before, [Succeeded, Failed, InProgress, Waiting]);
    remote(&mut set, at(0, 1), 5, 650, "192.0.2.9:6005");
    base(&mut set, 1, at(0, 1), 2, "192.0.2.2:5000");
    assert_eq!(known.map(|id| state(&set, id)), before);
    let rest = order(&mut set);
    let place = |addr: &str| rest.iter().position(|it| it == addr).expect("a check");
    assert!(place("192.0.2.9:6005") < place("192.0.2.9:6004"), "{rest:?}");
}

/// ICE-6.1.2.1-a: Running, until each component has a nominated pair, or one of them has neither a valid pair nor one that
/// may become valid.
#[test]
fn a_checklist_runs_until_it_is_completed_or_failed() {
    for (answers, expected) in [
        ([None, None], ChecklistState::Completed),
        ([None, Some(400)], ChecklistState::Failed),
        ([Some(400), Some(400)], ChecklistState::Failed),
    ] {
        let (mut set, now) = (set(Role::Controlling, &[2]), test_epoch());
        set.end_local_candidates();
        let [first, second] = [at(0, 1), at(0, 2)];
        let bases =
            [base(&mut set, 0, first, 1, "192.0.2.1:5000"), base(&mut set, 1, second, 2, "192.0.2.1:5001")];
        remote(&mut set, first, 1, 9, "192.0.2.9:6000");
        remote(&mut set, second, 1, 9, "192.0.2.9:6001");
        let checks = [set.begin_check(now, &mut rng()), set.begin_check(now, &mut rng())]
            .map(|check| check.expect("a check"));
        for ((check, base), code) in checks.into_iter().zip(bases).zip(answers) {
            assert_eq!(set.checklists()[0].state, ChecklistState::Running);
            let _ = answer(&mut set, now, base, check, code);
            if code.is_none() {
                set.conclude_exhausted(now);
            }
        }
        set.nominate(now);
        while let Some(nomination) = set.begin_check(now, &mut rng()) {
            assert_eq!(set.checklists()[0].state, ChecklistState::Running, "not nominated yet");
            let component = set.transactions.find(nomination).map(|it| it.owner.pair).expect("open");
            let base = set.pair(component).expect("a pair").base;
            let _ = answer(&mut set, now, base, nomination, None);
        }
        set.conclude_exhausted(now);
        assert_eq!(set.checklists()[0].state, expected, "{answers:?}");
    }
}

/// ICE-6.1.2.4-a, RFC 8445 §6.1.2.4: what a server saw of a base is checked from the base, and there is one pair for it.
#[test]
fn a_reflexive_candidate_forms_no_pair_of_its_own() {
    let mut set = set(Role::Controlling, &[1]);
    let near = base(&mut set, 0, at(0, 1), 1, "10.0.1.1:5000");
    remote(&mut set, at(0, 1), 7, 900, "192.0.2.9:6000");
    set.add_reflexive(near, at(0, 1), reflexive(at(0, 1), 2, "198.51.100.1:4000"));
    remote(&mut set, at(0, 1), 8, 800, "192.0.2.9:6001");
    assert_eq!(set.locals().len(), 2);
    assert_eq!(set.pairs().count(), 2);
    for (_, pair) in set.pairs() {
        let local = set.local_at(pair.base).expect("a candidate");
        assert_eq!(local.candidate.kind, CandidateType::Host);
    }
}

/// ICE-6.1.2.4-b: the topology of RFC 8445 §15.1, with repetitions. L has one pair, R has two, one from each of its bases.
#[test]
fn a_base_and_a_remote_candidate_make_one_pair() {
    for (bases, remotes) in [(1, 1), (2, 1), (1, 2), (3, 4)] {
        let mut set = set(Role::Controlling, &[1]);
        for round in 0..2 {
            for number in 0..bases {
                if round == 0 {
                    base(&mut set, number, at(0, 1), u32::from(number) + 1, &format!("10.0.{number}.1:5000"));
                }
                let seen = reflexive(at(0, 1), 90 + u32::from(number), &format!("198.51.100.{number}:4000"));
                set.add_reflexive(BaseId(number), at(0, 1), seen);
            }
            for number in 0..remotes {
                remote(&mut set, at(0, 1), number + 1, 900 - round, &format!("192.0.2.9:600{number}"));
            }
        }
        let mut keys: Vec<_> = set.pairs().map(|(_, pair)| (pair.base, pair.destination)).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!((keys.len(), set.pairs().count()), (usize::from(bases) * remotes as usize, keys.len()));
        let best = set
            .pairs()
            .map(|(_, pair)| set.remote(pair.remote).expect("one").candidate.priority >> 8 & 0xFFFF);
        assert!(best.into_iter().all(|preference| preference == 900), "the higher one stays");
    }
}

/// Streams with so many remote candidates each.
fn streams(limits: Limits, remotes: &[u16]) -> ChecklistSet {
    let settings = Settings {
        order: crate::checks::CheckOrder::Priority,
        recheck: crate::checks::Recheck::Off,
        role: Role::Controlling,
        nomination: Nomination::First,
        pacing: Duration::from_millis(50),
        implementation: Implementation::Full,
        limits,
        tcp: crate::candidate::TcpRank::default(),
    };
    let mut set = ChecklistSet::new(settings, &vec![1; remotes.len()], &mut rng());
    for (stream, count) in (0..).zip(remotes) {
        base(&mut set, stream, at(stream, 1), u32::from(stream) + 1, &format!("10.0.{stream}.1:5000"));
        for number in 0..*count {
            let addr = format!("192.0.2.{stream}:{}", 6000 + number);
            remote(&mut set, at(stream, 1), u32::from(number) + 1, 1000 - number, &addr);
        }
        set.set_remote_credentials(stream, their_credentials());
    }
    set
}

/// ICE-6.1.2.5-b, ICE-6.1.2.5-d: 100, or what the deployment says, and so many are checked.
#[test]
fn the_limit_of_pairs_is_100_or_what_the_configuration_says() {
    for (limits, expected) in [(Limits::default(), 100), (Limits::default().pairs(10), 10)] {
        let mut set = streams(limits.remote_candidates(200), &[130]);
        assert_eq!(set.pairs().count(), expected);
        assert_eq!(order(&mut set).len(), expected);
    }
}

/// ICE-6.1.2.5-c: the lowest priorities go, of each checklist as many.
#[test]
fn checklists_give_way_evenly_and_keep_their_best_pairs() {
    let set = streams(Limits::default().remote_candidates(200), &[60, 60, 60]);
    let mut shares = [0, 1, 2].map(|stream| of_stream(&set, stream));
    shares.sort_unstable();
    assert_eq!(shares, [33, 33, 34]);
    for stream in 0..3 {
        let kept = of_stream(&set, stream) as u16;
        for number in 0..kept {
            pair(&set, BaseId(stream), &format!("192.0.2.{stream}:{}", 6000 + number));
        }
    }
}

/// RFC 8445 §6.1.2.5: whether a pair is formed and removed, or not formed at all, the best remain, in whatever order the
/// candidates come.
#[test]
fn of_more_candidates_than_pairs_the_best_pairs_are_kept() {
    for round in 0..20u64 {
        let mut set = streams(Limits::default().pairs(9).remote_candidates(64), &[0]);
        for number in 1..4 {
            base(&mut set, number, at(0, 1), u32::from(number) + 1, &format!("10.0.{number}.1:5000"));
        }
        for step in 0..12u64 {
            let preference = 1000 + ((step * 7 + round * 5) % 12) as u16;
            remote(&mut set, at(0, 1), step as u32 + 1, preference, &format!("192.0.2.7:{}", 6000 + step));
        }
        let mut all: Vec<u64> = Vec::new();
        for near in set.locals() {
            all.extend(
                set.remotes()
                    .iter()
                    .map(|far| pair_priority(near.candidate.priority, far.candidate.priority)),
            );
        }
        all.sort_unstable_by_key(|priority| Reverse(*priority));
        let mut kept: Vec<u64> = set.pairs().map(|(_, pair)| pair.priority).collect();
        kept.sort_unstable_by_key(|priority| Reverse(*priority));
        assert_eq!(kept, all[..9], "round {round}");
    }
}

/// ICE-6.1.2.6-a: both sides count.
#[test]
fn pairs_of_different_remote_foundations_have_different_foundations() {
    let mut set = set(Role::Controlling, &[1]);
    let near = base(&mut set, 0, at(0, 1), 1, "192.0.2.1:5000");
    let other = base(&mut set, 1, at(0, 1), 1, "192.0.2.1:5001");
    let third = base(&mut set, 2, at(0, 1), 2, "192.0.2.3:5000");
    remote(&mut set, at(0, 1), 1, 9, "192.0.2.9:6000");
    remote(&mut set, at(0, 1), 2, 8, "192.0.2.9:6001");
    let group = |base, addr: &str| set.pair(pair(&set, base, addr)).expect("a pair").group;
    let (first, second) = ("192.0.2.9:6000", "192.0.2.9:6001");
    assert_eq!(group(near, first), group(other, first));
    assert_ne!(group(near, first), group(near, second));
    assert_ne!(group(near, first), group(third, first));
    assert_ne!(group(near, second), group(third, first), "1 with 2 is not 2 with 1");
}

/// ICE-6.1.2.6-c: also if only the last checklist has it, as the agents of RFC 5245 did not.
#[test]
fn a_foundation_of_the_last_checklist_is_waiting_from_the_start() {
    let mut set = set(Role::Controlling, &[1, 1, 1]);
    for stream in 0..3 {
        base(&mut set, stream, at(stream, 1), 1, &format!("192.0.2.1:500{stream}"));
        remote(&mut set, at(stream, 1), 7, 900, &format!("192.0.2.9:600{stream}"));
    }
    remote(&mut set, at(2, 1), 8, 800, "192.0.2.9:7002");
    let states = ["192.0.2.9:6000", "192.0.2.9:6001", "192.0.2.9:6002", "192.0.2.9:7002"];
    let states = [0, 1, 2, 2]
        .map(BaseId)
        .into_iter()
        .zip(states)
        .map(|(base, addr)| state(&set, pair(&set, base, addr)));
    assert_eq!(states.collect::<Vec<_>>(), [Waiting, Frozen, Frozen, Waiting]);
}

/// ICE-6.1.4.1-a: first in, first out, whatever the priorities.
#[test]
fn triggered_checks_keep_the_order_of_the_peers_checks() {
    let mut set = set(Role::Controlled, &[1]);
    let near = base(&mut set, 0, at(0, 1), 1, "192.0.2.1:5000");
    for number in 0..5 {
        remote(&mut set, at(0, 1), number + 1, 900 - number as u16, &format!("192.0.2.9:600{number}"));
    }
    let came = [3, 0, 4, 1].map(|number| format!("192.0.2.9:600{number}"));
    assert!(!set.has_triggered(), "initially empty");
    for source in &came {
        let _ = request(&mut set, near, at(0, 1), source, false);
    }
    let order = order(&mut set);
    assert_eq!(order[..4], came);
    assert_eq!(order[4], "192.0.2.9:6002");
}

/// RFC 8445 §6.1.4.2: by turns, and a checklist that has nothing to check costs no slot.
#[test]
fn checklists_have_their_turns() {
    let mut set = streams(Limits::default(), &[3, 0, 1, 2]);
    let streams: Vec<String> =
        order(&mut set).iter().map(|addr| addr["192.0.2.".len()..][..1].to_owned()).collect();
    assert_eq!(streams, ["0", "2", "3", "0", "3", "0"]);
}

/// DUAL-4-a: the checklist is sorted by priority and nothing else; candidates are what makes the families alternate.
#[test]
fn families_alternate_by_priority_alone() {
    let near = ["2001:db8::1", "2001:db8::2", "2001:db8::3", "198.51.100.1"];
    let preferences = |ips: &[&str]| {
        let ips: Vec<_> = ips.iter().map(|ip| (ip.parse().unwrap(), Interface::Reliable)).collect();
        local_preferences(&ips)
    };
    let socket = |ip: &str| if ip.contains(':') { format!("[{ip}]:5000") } else { format!("{ip}:5000") };
    let mut orders = Vec::new();
    for role in [Role::Controlling, Role::Controlled] {
        let mut set = set(role, &[1]);
        for (id, (ip, preference)) in (0..4).zip(near.iter().zip(preferences(&near))).rev() {
            let local = candidate(at(0, 1), u32::from(id) + 1, preference, &socket(ip));
            set.add_base(BaseId(id), at(0, 1), local, Permission::Granted);
        }
        let far = ["2001:db8:9::1", "203.0.113.1"];
        for (number, (ip, preference)) in (1..).zip(far.iter().zip(preferences(&far))) {
            remote(&mut set, at(0, 1), number, preference, &socket(ip));
        }
        let mut priorities = Vec::new();
        let mut families = String::new();
        while let Some(check) = set.begin_check(test_epoch(), &mut rng()) {
            let pair = set.pair(set.transactions.find(check).expect("open").owner.pair).expect("a pair");
            priorities.push(pair.priority);
            families.push(if pair.destination.is_ipv6() { '6' } else { '4' });
        }
        assert!(priorities.is_sorted_by(|higher, lower| higher > lower), "{priorities:?}");
        orders.push(families);
    }
    assert_eq!(orders, ["6664", "6664"]);
}
