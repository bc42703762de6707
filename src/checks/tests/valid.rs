//! Which pair a success makes valid, and its place in the valid list (RFC 8445 §7.2.5.3.2).

use super::*;
use crate::candidate::priority::pair_priority;

const NEAR: &str = "192.0.2.1:5000";
const OTHER: &str = "192.0.2.9:5009";
const MAPPED: &str = "198.51.100.1:7000";
const FAR: &str = "192.0.2.2:5000";

/// The answer of the peer, which saw the check come from `mapped`.
fn seen_from(set: &mut ChecklistSet, base: BaseId, id: TransactionId, mapped: &str) -> Outcome {
    let (_, source) = written(set, id);
    let mut buf = [0; 1280];
    let mut writer = Writer::new(&mut buf, Class::Success, Method::BINDING, id);
    writer.put_xor_address(attr::XOR_MAPPED_ADDRESS, mapped.parse().expect(mapped));
    writer.integrity(&Key::short_term(REMOTE_PWD), Integrity::Sha1).fingerprint();
    let message = Message::parse(writer.finish().unwrap()).unwrap();
    set.handle_answer(test_epoch(), base, source, message, &mut rng())
}

fn valid(set: &ChecklistSet) -> Vec<PairId> {
    set.checklist(0).and_then(|list| list.component(1)).expect("a component").valid().collect()
}

fn reflexive(addr: &str) -> Candidate {
    let priority = candidate_priority(CandidateType::ServerReflexive, u16::MAX, 1);
    let (foundation, addr) = (Foundation::from_number(99), addr.parse().expect(addr));
    Candidate::udp(foundation, 1, priority, addr, CandidateType::ServerReflexive, None)
}

/// ICE-7.2.5.3.2-a: the pair of the check, another pair of the checklist, or one that is in no checklist, whose local
/// candidate is the signalled one or that of the check's own PRIORITY.
#[test]
fn the_valid_pair_is_that_of_the_candidate_that_the_peer_saw() {
    let host = candidate_priority(CandidateType::Host, u16::MAX, 1);
    let srflx = candidate_priority(CandidateType::ServerReflexive, u16::MAX, 1);
    let prflx = candidate_priority(CandidateType::PeerReflexive, u16::MAX, 1);
    let far = candidate_priority(CandidateType::Host, 900, 1);
    let other = candidate_priority(CandidateType::Host, u16::MAX - 1, 1);
    for (mapped, signalled, valid_base, priority) in [
        (NEAR, false, 0, host),
        (OTHER, false, 1, other),
        (MAPPED, true, 0, srflx),
        (MAPPED, false, 0, prflx),
    ] {
        for role in [Role::Controlling, Role::Controlled] {
            let mut set = set(role, &[1]);
            let near = base(&mut set, 0, at(0, 1), 1, NEAR);
            base(&mut set, 1, at(0, 1), 2, OTHER);
            if signalled {
                set.add_reflexive(near, at(0, 1), reflexive(MAPPED));
            }
            remote(&mut set, at(0, 1), 7, 900, FAR);
            let check = set.begin_check(test_epoch(), &mut rng()).expect("a check");
            let checked = pair(&set, near, FAR);
            let expected = pair(&set, BaseId(valid_base), FAR);
            let outcome = seen_from(&mut set, near, check, mapped);
            assert_eq!(outcome, Outcome::Validated { pair: expected, selected: false });
            assert_eq!(valid(&set), [expected], "{mapped}");
            assert_eq!(state(&set, checked), PairState::Succeeded);
            let (local, remote) = if role == Role::Controlling { (priority, far) } else { (far, priority) };
            let found = set.pair(expected).expect("the pair");
            assert_eq!(found.valid_priority, pair_priority(local, remote), "{mapped} {role:?}");
            assert_eq!(found.nominated, Nominated::No);
        }
    }
}

/// With the nomination goes the pair that the peer saw, which is the one that the peer selects.
#[test]
fn a_nomination_selects_the_pair_that_the_peer_saw() {
    let mut set = set(Role::Controlling, &[1]);
    let near = base(&mut set, 0, at(0, 1), 1, NEAR);
    base(&mut set, 1, at(0, 1), 2, OTHER);
    remote(&mut set, at(0, 1), 7, 900, FAR);
    let check = set.begin_check(test_epoch(), &mut rng()).expect("a check");
    assert!(matches!(seen_from(&mut set, near, check, NEAR), Outcome::Validated { .. }));
    set.nominate(test_epoch());
    let check = set.begin_check(test_epoch(), &mut rng()).expect("the nomination");
    let other = pair(&set, BaseId(1), FAR);
    assert_eq!(seen_from(&mut set, near, check, OTHER), Outcome::Validated { pair: other, selected: true });
    assert!(set.is_selected(other));
}

/// A pair that looks good by its base and goes through a NAT comes after one that does not, as at the other end.
#[test]
fn valid_pairs_are_in_the_order_of_their_own_priorities() {
    for role in [Role::Controlling, Role::Controlled] {
        let mut set = set(role, &[1]);
        let near = base(&mut set, 0, at(0, 1), 1, NEAR);
        let second = base(&mut set, 1, at(0, 1), 2, OTHER);
        remote(&mut set, at(0, 1), 7, 900, FAR);
        for (base, mapped) in [(near, MAPPED), (second, OTHER)] {
            let check = set.begin_check(test_epoch(), &mut rng()).expect("a check");
            assert!(matches!(seen_from(&mut set, base, check, mapped), Outcome::Validated { .. }));
        }
        let (through_nat, direct) = (pair(&set, near, FAR), pair(&set, second, FAR));
        assert!(set.pair(through_nat).unwrap().priority > set.pair(direct).unwrap().priority);
        assert_eq!(valid(&set), [direct, through_nat]);
        // What a check was faster to find is ranked by what is signalled in the end, and in the other role too.
        set.add_reflexive(near, at(0, 1), reflexive(MAPPED));
        let srflx = candidate_priority(CandidateType::ServerReflexive, u16::MAX, 1);
        let far = candidate_priority(CandidateType::Host, 900, 1);
        let expected = |role| match role {
            Role::Controlling => pair_priority(srflx, far),
            Role::Controlled => pair_priority(far, srflx),
        };
        assert_eq!(set.pair(through_nat).unwrap().valid_priority, expected(role));
        set.roles.role = role.other();
        set.reprioritize();
        assert_eq!(set.pair(through_nat).unwrap().valid_priority, expected(role.other()));
        assert_eq!(valid(&set), [direct, through_nat]);
    }
}
