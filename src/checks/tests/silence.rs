//! Pairs that nobody answers on, and those of their foundation (RFC 8445 §6.1.4.2, beyond its letter).

use super::*;

const NEAR: &str = "192.0.2.1:5000";

/// Three pairs of one foundation, best first; the addresses end on 2, 3 and 4.
fn siblings() -> (ChecklistSet, BaseId) {
    let mut set = set(Role::Controlled, &[1]);
    let near = base(&mut set, 0, at(0, 1), 1, NEAR);
    for number in 2..5 {
        remote(&mut set, at(0, 1), 7, 900 - number, &format!("192.0.2.{number}:5000"));
    }
    (set, near)
}

fn states(set: &ChecklistSet, near: BaseId) -> [PairState; 3] {
    [2, 3, 4].map(|number| state(set, pair(set, near, &format!("192.0.2.{number}:5000"))))
}

/// What is sent at `now`: retransmissions, and all checks that begin.
fn sent(set: &mut ChecklistSet, now: Instant) -> (usize, Vec<String>) {
    let again = std::iter::from_fn(|| set.poll_timeout(now)).count();
    let begun = std::iter::from_fn(|| set.begin_check(now, &mut rng())).collect::<Vec<_>>();
    (again, begun.into_iter().map(|id| written(set, id).1.ip().to_string()).collect())
}

/// One at a time: 3 RTO after the one before, which itself goes on.
#[test]
fn two_unanswered_requests_hold_the_next_of_the_foundation_back_no_longer() {
    use PairState::{Frozen, InProgress};
    let ((mut set, near), start) = (siblings(), test_epoch());
    let mut at = |rto: u32| {
        let (again, begun) = sent(&mut set, start + RTO * rto);
        (again, begun, states(&set, near))
    };
    assert_eq!(at(0), (0, vec!["192.0.2.2".to_owned()], [InProgress, Frozen, Frozen]));
    assert_eq!(at(1), (1, vec![], [InProgress, Frozen, Frozen]));
    assert_eq!(at(2), (0, vec![], [InProgress, Frozen, Frozen]));
    assert_eq!(at(3), (1, vec!["192.0.2.3".to_owned()], [InProgress, InProgress, Frozen]));
    assert_eq!(at(4), (1, vec![], [InProgress, InProgress, Frozen]));
    assert_eq!(at(6), (1, vec!["192.0.2.4".to_owned()], [InProgress; 3]));
    assert_eq!(at(7).0, 2, "the first, and the third");
}

/// RFC 8445 §6.1.4.2 step 3 comes first, whatever its priority.
#[test]
fn nothing_thaws_while_a_pair_is_waiting() {
    let ((mut set, near), start) = (siblings(), test_epoch());
    assert!(set.begin_check(start, &mut rng()).is_some());
    while set.poll_timeout(start + RTO).is_some() {}
    while set.poll_timeout(start + RTO * 3).is_some() {}
    remote(&mut set, at(0, 1), 8, 1, "192.0.2.9:5000");
    let check = set.begin_check(start + RTO * 3, &mut rng()).expect("the one that waits");
    assert_eq!(written(&mut set, check).1.to_string(), "192.0.2.9:5000");
    assert_eq!(states(&set, near)[1..], [PairState::Frozen; 2]);
    let check = set.begin_check(start + RTO * 3, &mut rng()).expect("the next of the foundation");
    assert_eq!(written(&mut set, check).1.to_string(), "192.0.2.3:5000");
}

/// Who is heard of again is waited for again.
#[test]
fn a_check_that_begins_anew_holds_the_others_back_as_the_first_did() {
    let ((mut set, near), start) = (siblings(), test_epoch());
    assert!(set.begin_check(start, &mut rng()).is_some());
    while set.poll_timeout(start + RTO).is_some() {}
    while set.poll_timeout(start + RTO * 3).is_some() {}
    let _ = request(&mut set, near, at(0, 1), "192.0.2.2:5000", false);
    let (_, begun) = sent(&mut set, start + RTO * 3);
    assert_eq!(begun, ["192.0.2.2"]);
    assert_eq!(states(&set, near), [PairState::InProgress, PairState::Frozen, PairState::Frozen]);
    assert!(!set.wants_slot(start + RTO * 3));
    // What is under way is under way, answered or not (RFC 8445 §14.3).
    let _ = sent(&mut set, start + RTO * 4);
    let (_, begun) = sent(&mut set, start + RTO * 6);
    assert_eq!((begun, set.groups.active()), (vec!["192.0.2.3".to_owned()], 2));
}
