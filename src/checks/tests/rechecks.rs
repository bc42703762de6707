//! What goes beyond RFC 8445: the likely pairs first, and again.

use super::*;
use crate::checks::{CheckOrder, Recheck};

const NEAR: &str = "198.18.1.1:5000";

fn beyond() -> (ChecklistSet, BaseId) {
    let mut set = set(Role::Controlling, &[1]);
    (set.order, set.recheck) = (CheckOrder::Likelihood, Recheck::On);
    let near = base(&mut set, 0, at(0, 1), 1, NEAR);
    (set, near)
}

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// A signalled server-reflexive candidate.
fn reflexive(set: &mut ChecklistSet, addr: &str) {
    let candidate = Candidate { kind: CandidateType::ServerReflexive, ..candidate(at(0, 1), 9, 1, addr) };
    let address = addr.parse().expect(addr);
    set.add_remote(at(0, 1), address, candidate, |_| Permission::Granted).expect("room");
}

/// Where the checks go that begin at `now`, in their order.
fn begun(set: &mut ChecklistSet, now: Instant) -> Vec<String> {
    let ids: Vec<_> = std::iter::from_fn(|| set.begin_check(now, &mut rng())).collect();
    ids.into_iter().map(|id| written(set, id).1.to_string()).collect()
}

/// From behind a NAT: the subnet, then what servers have told both sides, then what may be anywhere, and what is nowhere.
#[test]
fn pairs_are_checked_in_the_order_of_their_likelihood() {
    let (mut set, near) = beyond();
    remote(&mut set, at(0, 1), 1, 900, "10.9.9.9:5000");
    remote(&mut set, at(0, 1), 2, 800, "203.0.113.1:5000");
    remote(&mut set, at(0, 1), 3, 100, "198.18.1.77:5000");
    reflexive(&mut set, "192.0.2.9:5000");
    let told =
        Candidate { kind: CandidateType::ServerReflexive, ..candidate(at(0, 1), 4, 1, "192.0.2.1:5000") };
    set.add_reflexive(near, at(0, 1), told);
    let order = ["198.18.1.77:5000", "192.0.2.9:5000", "203.0.113.1:5000", "10.9.9.9:5000"];
    assert_eq!(begun(&mut set, test_epoch()), order);
}

#[test]
fn by_priority_the_best_pair_is_first_wherever_it_leads() {
    let (mut set, _) = beyond();
    set.order = CheckOrder::Priority;
    remote(&mut set, at(0, 1), 1, 900, "10.9.9.9:5000");
    remote(&mut set, at(0, 1), 3, 100, "198.18.1.77:5000");
    assert_eq!(begun(&mut set, test_epoch()), ["10.9.9.9:5000", "198.18.1.77:5000"]);
}

/// Not before 56 ms, eight times, and each with a transaction of its own, of which only the last is sent again.
#[test]
fn a_likely_pair_is_checked_again_until_it_answers() {
    let ((mut set, _), start) = (beyond(), test_epoch());
    remote(&mut set, at(0, 1), 3, 100, "198.18.1.77:5000");
    let first = set.begin_check(start, &mut rng()).expect("a check");
    assert_eq!(set.recheck_deadline(), Some(start + ms(56)));
    assert!(!set.wants_slot(start + ms(55)) && set.begin_check(start + ms(55), &mut rng()).is_none());
    let mut seen = vec![first];
    for number in 1..=8 {
        let now = start + ms(56 * number);
        assert!(set.wants_slot(now));
        seen.push(set.begin_check(now, &mut rng()).expect("a re-check"));
        assert_eq!(set.begin_check(now, &mut rng()), None);
    }
    let distinct: std::collections::BTreeSet<_> = seen.iter().collect();
    assert_eq!(distinct.len(), 9);
    assert_eq!(set.recheck_deadline(), None, "eight are enough");
    let last = start + ms(56 * 8) + RTO;
    assert_eq!(set.poll_timeout(last), Some(Timeout::Retransmit(seen[8])));
    assert_eq!(set.poll_timeout(last), None, "the others are cancelled");
}

#[test]
fn the_answer_to_any_of_its_checks_counts_and_ends_them() {
    let ((mut set, near), start) = (beyond(), test_epoch());
    remote(&mut set, at(0, 1), 3, 100, "198.18.1.77:5000");
    let first = set.begin_check(start, &mut rng()).expect("a check");
    let _ = set.begin_check(start + ms(56), &mut rng()).expect("a re-check");
    let outcome = answer(&mut set, start + ms(100), near, first, None);
    assert!(matches!(outcome, Outcome::Validated { .. }), "{outcome:?}");
    assert!(!set.wants_slot(start + ms(112)) && set.begin_check(start + ms(112), &mut rng()).is_none());
}

/// Those that are less likely have their first check only every second slot meanwhile.
#[test]
fn first_checks_and_rechecks_share_the_slots() {
    let ((mut set, _), start) = (beyond(), test_epoch());
    remote(&mut set, at(0, 1), 1, 100, "198.18.1.77:5000");
    assert!(set.begin_check(start, &mut rng()).is_some());
    for number in 1..5_u32 {
        remote(&mut set, at(0, 1), 1 + number, 900, &format!("10.9.9.{number}:5000"));
    }
    let at_slot = |set: &mut ChecklistSet, slot: u64| {
        let check = set.begin_check(start + ms(56 + 50 * slot), &mut rng()).expect("a check");
        written(set, check).1.ip().to_string()
    };
    assert_eq!(at_slot(&mut set, 0), "198.18.1.77");
    assert_eq!(at_slot(&mut set, 1), "10.9.9.1");
    assert_eq!(at_slot(&mut set, 2), "198.18.1.77", "110 ms are over");
    assert_eq!(at_slot(&mut set, 3), "10.9.9.2");
}

/// RFC 8445 §7.3.1.4 wants another triggered check for each request; one that is under way has its re-check to come.
#[test]
fn requests_in_a_row_trigger_one_check() {
    for recheck in [Recheck::On, Recheck::Off] {
        let ((mut set, near), start) = (beyond(), test_epoch());
        set.recheck = recheck;
        remote(&mut set, at(0, 1), 3, 100, "198.18.1.77:5000");
        assert!(set.begin_check(start, &mut rng()).is_some());
        let mut checks = 0;
        for step in 1..5 {
            let _ = request(&mut set, near, at(0, 1), "198.18.1.77:5000", false);
            checks += usize::from(set.begin_check(start + ms(10 * step), &mut rng()).is_some());
        }
        assert_eq!(checks, if recheck == Recheck::On { 1 } else { 4 });
    }
}
