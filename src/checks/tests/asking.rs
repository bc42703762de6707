//! Our checks and their answers (RFC 8445 §7.1, §7.2).

use super::*;
use crate::checks::pair::Failure;
use crate::checks::request::Check;

/// An answer of the peer that says what it saw.
fn seen(id: TransactionId, mapped: &str) -> Vec<u8> {
    let mut buf = [0; 200];
    let mut writer = Writer::new(&mut buf, Class::Success, Method::BINDING, id);
    writer.put_xor_address(attr::XOR_MAPPED_ADDRESS, mapped.parse().expect(mapped));
    writer.integrity(&Key::short_term(REMOTE_PWD), Integrity::Sha1).fingerprint();
    writer.finish().expect("an answer").to_vec()
}

/// The same, taken on `base` from `source`.
fn take(set: &mut ChecklistSet, id: TransactionId, base: BaseId, source: &str, mapped: &str) -> Outcome {
    let raw = seen(id, mapped);
    set.handle_answer(test_epoch(), base, source.parse().unwrap(), Message::parse(&raw).unwrap(), &mut rng())
}

fn one_pair(role: Role) -> (ChecklistSet, BaseId, PairId) {
    let mut set = set(role, &[1]);
    let near = base(&mut set, 0, at(0, 1), 1, "192.0.2.1:5000");
    remote(&mut set, at(0, 1), 7, 65535, "192.0.2.2:5000");
    let id = pair(&set, near, "192.0.2.2:5000");
    (set, near, id)
}

fn u32_of(raw: &[u8], kind: u16) -> Option<u32> {
    Message::parse(raw).unwrap().plain().attributes().u32(kind)
}

/// ICE-7.1.1-a: the type preference of a peer-reflexive candidate, and the rest of the local one.
#[test]
fn the_priority_of_a_check_is_that_of_a_peer_reflexive_twin() {
    for (component, preference, kind) in
        [(1, 65535, CandidateType::Host), (2, 300, CandidateType::Relayed), (256, 0, CandidateType::Host)]
    {
        let mut set = set(Role::Controlling, &[256]);
        let here = at(0, component);
        let mut near = candidate(here, 1, 0, "192.0.2.1:5000");
        near.kind = kind;
        near.priority = candidate_priority(kind, preference, component);
        set.add_base(BaseId(0), here, near, Permission::Granted);
        remote(&mut set, here, 7, 65535, "192.0.2.2:5000");
        let check = set.begin_check(test_epoch(), &mut rng()).expect("a check");
        let expected = (110 << 24) + (u32::from(preference) << 8) + (256 - u32::from(component));
        assert_eq!(u32_of(&written(&mut set, check).0, attr::PRIORITY), Some(expected), "{kind:?}");
    }
    // As in an agent with one address.
    assert_eq!((110 << 24) + (65535 << 8) + 255, 1_862_270_975);
}

/// ICE-7.2.5-a: an answer counts for the pair that was asked, whatever has come between, role switches too.
#[test]
fn an_answer_belongs_to_the_pair_that_was_asked() {
    let (mut set, now) = (set(Role::Controlled, &[1]), test_epoch());
    let near = base(&mut set, 0, at(0, 1), 1, "192.0.2.1:5000");
    for number in 2..5 {
        remote(&mut set, at(0, 1), number, 900 - number as u16, &format!("192.0.2.{number}:5000"));
    }
    let checks = [0, 1, 2].map(|_| set.begin_check(now, &mut rng()).expect("a check"));
    set.roles.role = Role::Controlling;
    set.reprioritize();
    for (check, number) in checks.into_iter().zip(2..5).rev() {
        let addr = format!("192.0.2.{number}:5000");
        let id = pair(&set, near, &addr);
        assert_eq!(state(&set, id), PairState::InProgress);
        let outcome = take(&mut set, check, near, &addr, "192.0.2.1:5000");
        assert_eq!(outcome, Outcome::Validated { pair: id, selected: false });
        assert_eq!(state(&set, id), PairState::Succeeded);
    }
}

/// ICE-7.2.5.1-b: checked again, before others, in the other role.
#[test]
fn after_a_487_the_pair_is_waiting_in_the_triggered_queue() {
    for role in [Role::Controlling, Role::Controlled] {
        let (mut set, near, id) = one_pair(role);
        let now = test_epoch();
        let check = set.begin_check(now, &mut rng()).expect("a check");
        remote(&mut set, at(0, 1), 8, 65535, "192.0.2.3:5000");
        assert_eq!(answer(&mut set, now, near, check, Some(487)), Outcome::Switched(role.other()));
        assert_eq!(state(&set, id), PairState::Waiting);
        assert_eq!(set.checklists()[0].triggered, [id]);
        let again = set.begin_check(now, &mut rng()).expect("a triggered check");
        let (raw, to) = written(&mut set, again);
        assert_eq!(to.to_string(), "192.0.2.2:5000");
        let attributes = Message::parse(&raw).unwrap();
        let attributes = attributes.plain().attributes();
        assert!(attributes.has(role.other().attribute()) && !attributes.has(role.attribute()));
    }
}

/// ICE-7.2.5.1-c: the next check has another tiebreaker than the refused one.
#[test]
fn after_a_487_the_tiebreaker_is_another_one() {
    let (mut set, near, _) = one_pair(Role::Controlling);
    let now = test_epoch();
    let mut values = Vec::new();
    for _ in 0..4 {
        let role = set.role();
        let check = set.begin_check(now, &mut rng()).expect("a check");
        let (raw, _) = written(&mut set, check);
        values.extend(Message::parse(&raw).unwrap().plain().attributes().u64(role.attribute()));
        let _ = answer(&mut set, now, near, check, Some(487));
    }
    assert_eq!(values.len(), 4);
    values.sort_unstable();
    values.dedup();
    assert_eq!(values.len(), 4, "each is drawn anew");
}

/// ICE-7.2.5.1-d: with the role all priorities change, and whose turn it is; who is controlled nominates no more.
#[test]
fn a_role_switch_ranks_all_pairs_anew_and_drops_nominations() {
    let (mut set, now) = (set(Role::Controlling, &[1]), test_epoch());
    let near = base(&mut set, 0, at(0, 1), 1, "192.0.2.1:5000");
    // Above and below the priority of the base: the last bit of the pair's tells which side is larger.
    for (number, preference) in [(2, 65535), (3, 9), (4, 8)] {
        remote(&mut set, at(0, 1), number, preference, &format!("192.0.2.{number}:5000"));
    }
    let mut better = candidate(at(0, 1), 9, 65535, "192.0.2.5:5000");
    better.priority += 4;
    let addr = better.address.socket().unwrap();
    set.add_remote(at(0, 1), addr, better, |_| Permission::Granted).expect("room");
    let check = set.begin_check(now, &mut rng()).expect("a check");
    let valid = pair(&set, near, "192.0.2.5:5000");
    assert!(matches!(answer(&mut set, now, near, check, None), Outcome::Validated { .. }));
    set.nominate(now);
    assert!(set.pair(valid).unwrap().nominating);
    let other = set.begin_check(now, &mut rng()).expect("the nomination");
    assert_eq!(answer(&mut set, now, near, other, Some(487)), Outcome::Switched(Role::Controlled));
    let local = set.local_at(near).unwrap().candidate.priority;
    let ids: Vec<_> = set.pairs().map(|(id, _)| id).collect();
    for id in &ids {
        let pair = set.pair(*id).unwrap();
        let theirs = u64::from(set.remote(pair.remote).unwrap().priority);
        let ours = u64::from(local);
        let expected = (ours.min(theirs) << 32) + 2 * ours.max(theirs) + u64::from(theirs > ours);
        assert_eq!(pair.priority, expected);
        assert!(!pair.nominating && pair.nominated == Nominated::No);
    }
    set.nominate(now);
    let order: Vec<_> = std::iter::from_fn(|| {
        let check = set.begin_check(now, &mut rng())?;
        let (raw, to) = written(&mut set, check);
        assert!(!Message::parse(&raw).unwrap().plain().attributes().has(attr::USE_CANDIDATE));
        Some(to.ip().to_string())
    })
    .collect();
    assert_eq!(order, ["192.0.2.5", "192.0.2.2", "192.0.2.3", "192.0.2.4"], "the refused one, then by rank");
}

/// ICE-7.2.5.2-a.
#[test]
fn a_failure_leaves_the_others_of_its_foundation_as_they_are() {
    for code in [Some(400), None] {
        let (mut set, now) = (set(Role::Controlling, &[2]), test_epoch());
        for id in 0..2 {
            let here = at(0, id + 1);
            base(&mut set, id, here, 1, &format!("192.0.2.1:{}", 5000 + id));
            remote(&mut set, here, 7, 65535, &format!("192.0.2.2:{}", 5000 + id));
        }
        let [first, frozen] = [0, 1].map(|id| pair(&set, BaseId(id), &format!("192.0.2.2:{}", 5000 + id)));
        let check = set.begin_check(now, &mut rng()).expect("a check");
        if let Some(code) = code {
            assert_eq!(answer(&mut set, now, BaseId(0), check, Some(code)), Outcome::Failed(first));
        } else {
            while let Some(due) = set.transaction_deadline() {
                assert!(set.poll_timeout(due).is_some());
            }
        }
        assert_eq!([first, frozen].map(|id| state(&set, id)), [PairState::Failed, PairState::Frozen]);
    }
}

/// ICE-7.2.5.2.1-a: from the address that was asked, to the base that asked; IP and port.
#[test]
fn only_a_symmetric_answer_validates_a_pair() {
    for (to, source, valid) in [
        (0, "192.0.2.2:5000", true),
        (1, "192.0.2.2:5000", false),
        (0, "192.0.2.2:5001", false),
        (0, "192.0.2.3:5000", false),
    ] {
        let (mut set, _, id) = one_pair(Role::Controlling);
        let check = set.begin_check(test_epoch(), &mut rng()).expect("a check");
        base(&mut set, 1, at(0, 1), 2, "192.0.2.9:5000");
        let outcome = take(&mut set, check, BaseId(to), source, "192.0.2.1:5000");
        assert_eq!(matches!(outcome, Outcome::Validated { .. }), valid, "{to} {source}");
        assert_eq!(set.pair(id).unwrap().valid.is_some(), valid);
        assert_eq!(set.checklists()[0].is_usable(), valid);
    }
}

/// ICE-7.2.5.2.1-b: at once, with the end of the transaction, and nothing is learnt from it.
#[test]
fn an_asymmetric_answer_fails_its_pair_at_once_and_teaches_nothing() {
    let (mut set, near, id) = one_pair(Role::Controlling);
    let check = set.begin_check(test_epoch(), &mut rng()).expect("a check");
    let (locals, remotes) = (set.locals().len(), set.remotes().len());
    let outcome = take(&mut set, check, near, "192.0.2.3:5000", "203.0.113.7:7000");
    assert_eq!((outcome, state(&set, id)), (Outcome::Failed(id), PairState::Failed));
    assert!(!set.has_transaction(check) && set.transaction_deadline().is_none());
    assert_eq!((set.locals().len(), set.remotes().len()), (locals, remotes));
    assert_eq!(take(&mut set, check, near, "192.0.2.2:5000", "192.0.2.1:5000"), Outcome::Ignored);
}

/// ICE-7.2.5.2.3-a, and not a moment before.
#[test]
fn a_check_without_an_answer_fails_its_pair_when_the_transaction_ends() {
    let (mut set, _, id) = one_pair(Role::Controlling);
    let now = test_epoch();
    let check = set.begin_check(now, &mut rng()).expect("a check");
    let mut seen = Vec::new();
    while let Some(due) = set.transaction_deadline() {
        assert_eq!(state(&set, id), PairState::InProgress);
        let timeout = set.poll_timeout(due).expect("something due");
        seen.push(((due - now).as_millis(), timeout));
    }
    assert_eq!(seen.pop(), Some((39_500, Timeout::Failed(id))));
    assert!(seen.iter().all(|(_, it)| *it == Timeout::Retransmit(check)) && seen.len() == 6);
    assert_eq!(set.pair(id).unwrap().failure, Some(Failure::Unanswered));
}

/// ICE-7.2.5.2.4-a: any authentic error response but 487.
#[test]
fn an_authentic_error_response_fails_the_pair() {
    for code in [400, 401, 403, 420, 500] {
        let (mut set, near, id) = one_pair(Role::Controlling);
        let now = test_epoch();
        let check = set.begin_check(now, &mut rng()).expect("a check");
        assert_eq!(answer(&mut set, now, near, check, Some(code)), Outcome::Failed(id), "{code}");
        assert_eq!(state(&set, id), PairState::Failed);
        assert!(set.transaction_deadline().is_none(), "it is not asked again");
    }
}

/// ICE-7.2.5.3-a, ICE-7.2.5.3.3-a: the candidate is learnt, the pair valid and Succeeded, others thawed, none nominated.
#[test]
fn a_success_through_a_nat_makes_a_valid_pair() {
    let (mut set, near, id) = one_pair(Role::Controlled);
    remote(&mut set, at(0, 1), 7, 100, "192.0.2.2:6000");
    let frozen = pair(&set, near, "192.0.2.2:6000");
    assert_eq!(state(&set, frozen), PairState::Frozen);
    let check = set.begin_check(test_epoch(), &mut rng()).expect("a check");
    let outcome = take(&mut set, check, near, "192.0.2.2:5000", "203.0.113.7:7000");
    assert_eq!(outcome, Outcome::Validated { pair: id, selected: false });
    let valid = set.pair(id).unwrap();
    let local = set.local(valid.valid.expect("a valid pair")).unwrap();
    assert_eq!(local.candidate.address.socket(), Some("203.0.113.7:7000".parse().unwrap()));
    assert_eq!((local.candidate.kind, local.base), (CandidateType::PeerReflexive, near));
    assert_eq!((valid.state, valid.nominated), (PairState::Succeeded, Nominated::No));
    assert_eq!(set.checklists()[0].components()[0].valid().collect::<Vec<_>>(), [id]);
    assert_eq!(state(&set, frozen), PairState::Waiting);
}

/// ICE-7.2.5.3.1-b: it is paired with nothing else.
#[test]
fn a_local_peer_reflexive_candidate_makes_no_pairs() {
    let (mut set, near, _) = one_pair(Role::Controlling);
    remote(&mut set, at(0, 1), 8, 100, "192.0.2.3:5000");
    let check = set.begin_check(test_epoch(), &mut rng()).expect("a check");
    let _ = take(&mut set, check, near, "192.0.2.2:5000", "203.0.113.7:7000");
    assert_eq!((set.locals().len(), set.pairs().count()), (2, 2));
    remote(&mut set, at(0, 1), 9, 100, "192.0.2.4:5000");
    assert_eq!(set.pairs().count(), 3, "nor with those that come later");
}

/// Validates the pair and has it nominated; returns the nominating check.
fn nominating(set: &mut ChecklistSet, near: BaseId) -> (TransactionId, Check) {
    let now = test_epoch();
    let check = set.begin_check(now, &mut rng()).expect("a check");
    assert!(matches!(answer(set, now, near, check, None), Outcome::Validated { .. }));
    set.nominate(now);
    let id = set.begin_check(now, &mut rng()).expect("a nomination");
    (id, set.transactions.find(id).expect("open").owner)
}

/// ICE-7.2.5.3.4-a: with the answer, not with the request.
#[test]
fn a_pair_is_nominated_when_the_nominating_check_is_answered() {
    let (mut set, near, id) = one_pair(Role::Controlling);
    let (nomination, check) = nominating(&mut set, near);
    assert!(check.use_candidate);
    let now = test_epoch();
    for _ in 0..3 {
        let due = set.transaction_deadline().unwrap();
        assert_eq!(set.poll_timeout(due), Some(Timeout::Retransmit(nomination)));
        assert!(!set.is_selected(id) && set.pair(id).unwrap().nominated == Nominated::No);
    }
    let outcome = answer(&mut set, now, near, nomination, None);
    assert_eq!(outcome, Outcome::Validated { pair: id, selected: true });
    assert!(set.is_selected(id) && set.pair(id).unwrap().nominated == Nominated::Yes);
}

/// ICE-7.2.5.3.4-b, with decision 2: the checklist fails when patience is over.
#[test]
fn a_nomination_that_fails_takes_its_pair_from_the_valid_list() {
    let (mut set, near, id) = one_pair(Role::Controlling);
    let (nomination, _) = nominating(&mut set, near);
    let now = test_epoch();
    assert_eq!(answer(&mut set, now, near, nomination, Some(400)), Outcome::Failed(id));
    assert_eq!(state(&set, id), PairState::Failed);
    assert_eq!(set.checklists()[0].components()[0].valid().count(), 0);
    set.end_local_candidates();
    assert_eq!(set.conclude_exhausted(now), [0]);
    assert_eq!(set.checklists()[0].state, ChecklistState::Failed);
}

/// ICE-7.2.5.4-a: Running while pairs may still work, or wait for their nomination; Failed when a component has none.
#[test]
fn a_checklist_fails_when_a_component_has_neither_a_valid_pair_nor_one_to_check() {
    let (mut set, now) = (set(Role::Controlled, &[2]), test_epoch());
    for id in 0..2 {
        base(&mut set, id, at(0, id + 1), u32::from(id) + 1, &format!("192.0.2.1:{}", 5000 + id));
        remote(&mut set, at(0, id + 1), 7, 65535, &format!("192.0.2.2:{}", 5000 + id));
    }
    let checks = [0, 1].map(|_| set.begin_check(now, &mut rng()).expect("a check"));
    let conclude = |set: &mut ChecklistSet| {
        let spent = set.conclude_exhausted(now);
        (spent.len(), set.checklists()[0].state)
    };
    set.end_local_candidates();
    assert!(matches!(answer(&mut set, now, BaseId(0), checks[0], None), Outcome::Validated { .. }));
    assert_eq!(conclude(&mut set), (0, ChecklistState::Running), "one is under way");
    let _ = answer(&mut set, now, BaseId(1), checks[1], Some(400));
    assert_eq!(conclude(&mut set), (1, ChecklistState::Failed), "one component is not enough");
    assert_eq!(conclude(&mut set), (0, ChecklistState::Failed), "said once");

    let (mut set, near, _) = one_pair(Role::Controlled);
    set.end_local_candidates();
    let check = set.begin_check(now, &mut rng()).expect("a check");
    let _ = answer(&mut set, now, near, check, None);
    assert_eq!(conclude(&mut set), (0, ChecklistState::Running), "valid, and not nominated");
}
