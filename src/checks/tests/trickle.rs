//! Checklists that grow while they are checked (RFC 8838 §7 to §12).

use super::*;
use crate::checks::checklist::ChecklistState;

const HOST: &str = "192.0.2.1:5000";

fn states(set: &ChecklistSet) -> Vec<PairState> {
    set.pairs().map(|(_, pair)| pair.state).collect()
}

fn destinations(set: &ChecklistSet) -> Vec<String> {
    set.pairs().map(|(_, pair)| pair.destination.to_string()).collect()
}

fn reflexive(set: &mut ChecklistSet, base: BaseId, addr: &str) {
    let mut candidate = candidate(at(0, 1), 50, 65535, addr);
    candidate.kind = CandidateType::ServerReflexive;
    set.add_reflexive(base, at(0, 1), candidate);
}

/// TRK-8-b.
#[test]
fn the_turn_of_an_empty_checklist_goes_to_the_next_one_at_once() {
    let mut set = set(Role::Controlling, &[1, 1]);
    base(&mut set, 0, at(0, 1), 1, HOST);
    base(&mut set, 1, at(1, 1), 1, "192.0.2.1:5001");
    for number in 1..=4 {
        remote(&mut set, at(1, 1), u32::from(number), number, &format!("192.0.2.2:600{number}"));
    }
    for _ in 0..4 {
        assert!(set.begin_check(test_epoch(), &mut rng()).is_some());
    }
    assert_eq!(set.begin_check(test_epoch(), &mut rng()), None);
}

/// TRK-8-c: the pairs are spent and no local candidate is expected; the PAC timer is the caller's, and the peer's
/// end-of-candidates may be missing when it is over (PAC-5-b).
#[test]
fn a_checklist_fails_when_it_is_spent_and_no_local_candidate_is_expected() {
    for (spent, local_ended) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut set = set(Role::Controlling, &[1]);
        let near = base(&mut set, 0, at(0, 1), 1, HOST);
        remote(&mut set, at(0, 1), 7, 65535, "192.0.2.2:5000");
        if spent {
            let check = set.begin_check(test_epoch(), &mut rng()).expect("a check");
            assert!(matches!(answer(&mut set, test_epoch(), near, check, Some(400)), Outcome::Failed(_)));
        }
        if local_ended {
            set.end_local_candidates();
        }
        set.conclude_exhausted(test_epoch());
        let failed = set.checklists()[0].state == ChecklistState::Failed;
        assert_eq!(failed, spent && local_ended, "{spent} {local_ended}");
    }
}

/// TRK-10-b, TRK-11-a: they are kept until the other side has one.
#[test]
fn candidates_without_a_counterpart_in_their_component_form_no_pair() {
    let mut set = set(Role::Controlling, &[2]);
    base(&mut set, 0, at(0, 1), 1, HOST);
    remote(&mut set, at(0, 2), 7, 65535, "192.0.2.2:5001");
    assert_eq!((set.locals().len(), set.remotes().len(), set.pairs().count()), (1, 1, 0));
    base(&mut set, 1, at(0, 2), 1, "192.0.2.1:5001");
    remote(&mut set, at(0, 1), 7, 65535, "192.0.2.2:5000");
    assert_eq!(destinations(&set), ["192.0.2.2:5001", "192.0.2.2:5000"]);
}

/// TRK-10-c, TRK-11-b: in pairs a server-reflexive candidate is replaced by its base, whichever side came first.
#[test]
fn a_reflexive_candidate_adds_no_pair_to_those_of_its_base() {
    let mut set = set(Role::Controlling, &[1]);
    let near = base(&mut set, 0, at(0, 1), 1, HOST);
    remote(&mut set, at(0, 1), 7, 65535, "192.0.2.2:5000");
    reflexive(&mut set, near, "203.0.113.9:4000");
    remote(&mut set, at(0, 1), 8, 65534, "192.0.2.3:5000");
    assert_eq!(set.locals().len(), 2);
    assert!(set.pairs().all(|(_, pair)| pair.base == near));
    assert_eq!(destinations(&set), ["192.0.2.2:5000", "192.0.2.3:5000"]);
}

/// One pair in each state: Succeeded, Failed, In-Progress, Waiting, Frozen.
fn one_of_each(set: &mut ChecklistSet) -> BaseId {
    let near = base(set, 0, at(0, 1), 1, HOST);
    for (number, foundation) in [(1, 11), (2, 12), (3, 13), (4, 14), (5, 14)] {
        remote(set, at(0, 1), foundation, 100 - number, &format!("192.0.2.2:500{number}"));
    }
    for code in [None, Some(400)] {
        let check = set.begin_check(test_epoch(), &mut rng()).expect("a check");
        let _ = answer(set, test_epoch(), near, check, code);
    }
    set.begin_check(test_epoch(), &mut rng()).expect("a check");
    assert_eq!(states(set), ALL);
    near
}

const ALL: [PairState; 5] =
    [PairState::Succeeded, PairState::Failed, PairState::InProgress, PairState::Waiting, PairState::Frozen];

/// TRK-10-d: a redundant pair is never formed, so that none has to go for it, whatever its state.
#[test]
fn a_redundant_local_candidate_leaves_every_pair_as_it_is() {
    let mut set = set(Role::Controlling, &[1]);
    let near = one_of_each(&mut set);
    let before = destinations(&set);
    reflexive(&mut set, near, "203.0.113.9:4000");
    assert_eq!((states(&set), destinations(&set)), (ALL.to_vec(), before));
}

/// TRK-11-c.
#[test]
fn a_redundant_remote_candidate_leaves_every_pair_as_it_is() {
    let mut set = set(Role::Controlling, &[1]);
    one_of_each(&mut set);
    let before = destinations(&set);
    for number in 1..=5 {
        remote(&mut set, at(0, 1), 90, 65535, &format!("192.0.2.2:500{number}"));
    }
    assert_eq!((states(&set), destinations(&set)), (ALL.to_vec(), before));
}

/// Three pairs and room for no other; the second one failed if `code` says so.
fn full(fails: Option<u16>) -> ChecklistSet {
    let theirs = Credentials::new(REMOTE_UFRAG.parse().unwrap(), REMOTE_PWD.parse().unwrap());
    let mut set = limited(Limits::default().pairs(3), &[theirs]);
    for (number, preference) in [(1, 300), (2, 200), (3, 100)] {
        remote(&mut set, at(0, 1), number, preference, &format!("192.0.2.2:500{number}"));
    }
    if let Some(code) = fails {
        let _first = set.begin_check(test_epoch(), &mut rng()).expect("a check");
        let second = set.begin_check(test_epoch(), &mut rng()).expect("a check");
        let _ = answer(&mut set, test_epoch(), BaseId(0), second, Some(code));
    }
    set
}

fn ports(set: &ChecklistSet) -> Vec<u16> {
    let mut ports: Vec<u16> = set.pairs().map(|(_, pair)| pair.destination.port()).collect();
    ports.sort_unstable();
    ports
}

/// TRK-11-e: a failed pair goes first, then the one of lowest priority, which may be the new one.
#[test]
fn a_remote_candidate_beyond_the_limit_takes_the_place_of_a_failed_pair_or_of_the_lowest() {
    for (fails, preference, left) in
        [(Some(400), 50, [5001, 5003, 5004]), (None, 250, [5001, 5002, 5004]), (None, 50, [5001, 5002, 5003])]
    {
        let mut set = full(fails);
        remote(&mut set, at(0, 1), 4, preference, "192.0.2.2:5004");
        assert_eq!(ports(&set), left, "{fails:?} {preference}");
    }
}

/// TRK-10-e.
#[test]
fn a_local_candidate_beyond_the_limit_takes_the_place_of_failed_pairs_or_of_the_lowest() {
    let pairs = |set: &ChecklistSet| -> Vec<_> {
        let mut pairs: Vec<_> = set.pairs().map(|(_, pair)| (pair.base.0, pair.destination.port())).collect();
        pairs.sort_unstable();
        pairs
    };
    // A base of lower preference: its pair with the best remote candidate is the third of all.
    let mut unfailed = full(None);
    base(&mut unfailed, 9, at(0, 1), 2, "192.0.2.9:5000");
    assert_eq!(pairs(&unfailed), [(0, 5001), (0, 5002), (9, 5001)]);
    let mut failed = full(Some(400));
    base(&mut failed, 9, at(0, 1), 2, "192.0.2.9:5000");
    let left = pairs(&failed);
    assert!(!left.contains(&(0, 5002)) && left.contains(&(9, 5001)), "{left:?}");
}

/// TRK-12-a: the topmost of its foundation waits, also one that comes above others.
#[test]
fn a_new_pair_on_top_of_its_foundation_is_waiting() {
    let mut set = set(Role::Controlling, &[2]);
    let near = base(&mut set, 0, at(0, 1), 1, HOST);
    base(&mut set, 1, at(0, 2), 1, "192.0.2.1:5001");
    remote(&mut set, at(0, 2), 7, 100, "192.0.2.2:5001");
    remote(&mut set, at(0, 1), 7, 100, "192.0.2.2:5000");
    remote(&mut set, at(0, 1), 7, 200, "192.0.2.2:5002");
    assert_eq!(states(&set), [PairState::Waiting; 3]);
    assert_eq!(set.pair(pair(&set, near, "192.0.2.2:5002")).map(|pair| pair.state), Some(PairState::Waiting));
}

/// TRK-12-b.
#[test]
fn a_new_pair_whose_foundation_has_succeeded_is_waiting() {
    let mut set = set(Role::Controlling, &[2]);
    let near = base(&mut set, 0, at(0, 1), 1, HOST);
    base(&mut set, 1, at(0, 2), 1, "192.0.2.1:5001");
    remote(&mut set, at(0, 1), 7, 100, "192.0.2.2:5000");
    let check = set.begin_check(test_epoch(), &mut rng()).expect("a check");
    let _ = answer(&mut set, test_epoch(), near, check, None);
    remote(&mut set, at(0, 2), 7, 100, "192.0.2.2:5001");
    assert_eq!(states(&set), [PairState::Succeeded, PairState::Waiting]);
}

/// TRK-12-c.
#[test]
fn any_other_new_pair_is_frozen() {
    for first in [None, Some(400)] {
        let mut set = set(Role::Controlling, &[2]);
        let near = base(&mut set, 0, at(0, 1), 1, HOST);
        base(&mut set, 1, at(0, 2), 1, "192.0.2.1:5001");
        remote(&mut set, at(0, 1), 7, 100, "192.0.2.2:5000");
        // Not checked, or failed: neither is a success.
        if first.is_some() {
            let check = set.begin_check(test_epoch(), &mut rng()).expect("a check");
            let _ = answer(&mut set, test_epoch(), near, check, first);
        }
        remote(&mut set, at(0, 2), 7, 100, "192.0.2.2:5001");
        remote(&mut set, at(0, 1), 7, 50, "192.0.2.2:5002");
        assert_eq!(states(&set)[1..], [PairState::Frozen; 2], "{first:?}");
    }
}

/// TRK-17-b.
#[test]
fn candidates_are_paired_in_the_order_in_which_they_come() {
    let mut set = set(Role::Controlling, &[1]);
    base(&mut set, 0, at(0, 1), 1, HOST);
    let addrs = ["192.0.2.4:5000", "192.0.2.2:5000", "192.0.2.3:5000"];
    for (number, addr) in addrs.into_iter().enumerate() {
        remote(&mut set, at(0, 1), 7, number as u16, addr);
    }
    assert_eq!(destinations(&set), addrs);
}

/// SDP-4.4.3.1-d: candidates of a later description, of the same generation.
#[test]
fn a_candidate_that_comes_while_checks_run_changes_no_pair_that_was_there() {
    let mut set = set(Role::Controlling, &[1]);
    one_of_each(&mut set);
    remote(&mut set, at(0, 1), 14, 1, "192.0.2.2:5006");
    remote(&mut set, at(0, 1), 15, 1, "192.0.2.2:5007");
    let expected = [&ALL[..], &[PairState::Frozen, PairState::Waiting]].concat();
    assert_eq!(states(&set), expected);
}
