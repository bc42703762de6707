//! Rules of the checklist set, without bytes.

mod answering;
mod asking;
mod concluding;
mod connecting;
mod forming;
mod lapses;
mod rechecks;
mod silence;
mod spares;
mod trickle;
mod valid;

use std::sync::atomic::{AtomicU32, Ordering};

use super::ask::Ask;
use super::checklist::ChecklistState;
use super::form::Permission;
use super::limits::Limits;
use super::nominate::Nomination;
use super::pair::{Nominated, PairId, PairState, RemoteId};
use super::request::{Outcome, Timeout};
use super::respond::Verdict;
use super::role::{Conflict, Role, Roles};
use super::set::{ChecklistSet, Implementation, Settings};
use crate::candidate::priority::candidate_priority;
use crate::candidate::{BaseId, Candidate, CandidateType, Foundation};
use crate::credentials::{Credentials, IceOption};
use crate::io::ComponentId;
use crate::rng::Rng;
use crate::stun::auth::Integrity;
use crate::stun::transaction::{RTO, lifetime};
use crate::stun::wire::{Class, Method, attr};
use crate::stun::{Key, Message, TransactionId, Writer};
use crate::time::{Duration, Instant, test_epoch};

const REMOTE_UFRAG: &str = "remo";
const REMOTE_PWD: &str = "remotePasswordOf22Chars";

/// A generator that has drawn nothing that another one has.
fn rng() -> Rng {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let mut seed = [0; 32];
    seed[..4].copy_from_slice(&COUNT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    Rng::new(seed)
}

fn set(role: Role, components: &[u16]) -> ChecklistSet {
    let settings = Settings {
        order: crate::checks::CheckOrder::Priority,
        recheck: crate::checks::Recheck::Off,
        role,
        nomination: Nomination::First,
        pacing: Duration::from_millis(50),
        implementation: Implementation::Full,
        limits: Limits::default(),
        tcp: crate::candidate::TcpRank::default(),
    };
    let mut set = ChecklistSet::new(settings, components, &mut rng());
    for stream in 0..components.len() as u16 {
        let credentials = Credentials::new(REMOTE_UFRAG.parse().unwrap(), REMOTE_PWD.parse().unwrap());
        set.set_remote_credentials(stream, credentials);
    }
    set
}

fn at(stream: u16, component: u16) -> ComponentId {
    ComponentId { stream, component }
}

fn candidate(component: ComponentId, foundation: u32, preference: u16, addr: &str) -> Candidate {
    let priority = candidate_priority(CandidateType::Host, preference, component.component);
    let (foundation, addr) = (Foundation::from_number(foundation), addr.parse().expect(addr));
    Candidate::udp(foundation, component.component, priority, addr, CandidateType::Host, None)
}

fn base(set: &mut ChecklistSet, id: u16, component: ComponentId, foundation: u32, addr: &str) -> BaseId {
    let preference = u16::MAX - id;
    let candidate = candidate(component, foundation, preference, addr);
    set.add_base(BaseId(id), component, candidate, Permission::Granted);
    BaseId(id)
}

fn remote(set: &mut ChecklistSet, component: ComponentId, foundation: u32, preference: u16, addr: &str) {
    let candidate = candidate(component, foundation, preference, addr);
    let addr = candidate.address.socket().expect(addr);
    set.add_remote(component, addr, candidate, |_| Permission::Granted).expect("room");
}

fn pair(set: &ChecklistSet, base: BaseId, addr: &str) -> PairId {
    set.pair_of(base, addr.parse().unwrap()).unwrap_or_else(|| panic!("no pair to {addr}"))
}

fn state(set: &ChecklistSet, id: PairId) -> PairState {
    set.pair(id).expect("the pair exists").state
}

/// The bytes of an open check, and the pair it is on.
fn written(set: &mut ChecklistSet, id: TransactionId) -> (Vec<u8>, std::net::SocketAddr) {
    let mut buf = [0; 1280];
    let to = set.write_check(id, &mut buf).expect("an open check");
    (buf[..to.len].to_vec(), to.destination)
}

/// The peer's answer to a check.
fn answer(
    set: &mut ChecklistSet,
    now: Instant,
    base: BaseId,
    id: TransactionId,
    code: Option<u16>,
) -> Outcome {
    let (_, source) = written(set, id);
    let mapped = set.local_at(base).and_then(|local| local.candidate.address.socket()).unwrap();
    let mut buf = [0; 1280];
    let mut writer = match code {
        Some(code) => Writer::error(&mut buf, Method::BINDING, id, code),
        None => Writer::new(&mut buf, Class::Success, Method::BINDING, id),
    };
    writer.put_xor_address(attr::XOR_MAPPED_ADDRESS, mapped);
    writer.integrity(&Key::short_term(REMOTE_PWD), Integrity::Sha1).fingerprint();
    let raw = writer.finish().unwrap();
    set.handle_answer(now, base, source, Message::parse(raw).unwrap(), &mut rng())
}

/// A check of the peer, in the opposite role.
fn request(
    set: &mut ChecklistSet,
    base: BaseId,
    component: ComponentId,
    source: &str,
    nominates: bool,
) -> Verdict {
    let list = set.checklist(component.stream).unwrap();
    let (username, key) = (format!("{}:{REMOTE_UFRAG}", list.local.ufrag), list.local.key.clone());
    let mut buf = [0; 1280];
    let mut writer = Writer::new(&mut buf, Class::Request, Method::BINDING, TransactionId([3; 12]));
    writer.put_username(&username).put_u32(attr::PRIORITY, 7);
    writer.put_u64(set.role().other().attribute(), 5);
    if nominates {
        writer.put(attr::USE_CANDIDATE, &[]);
    }
    writer.integrity(&key, Integrity::Sha1).fingerprint();
    let raw = writer.finish().unwrap();
    set.handle_request(test_epoch(), base, component, source.parse().unwrap(), Message::parse(raw).unwrap())
}

/// RFC 8445 §6.1.2.6: of each foundation one pair waits, that of the lowest component and highest priority.
#[test]
fn one_pair_of_each_foundation_is_waiting_and_the_others_are_frozen() {
    let mut set = set(Role::Controlling, &[2, 1]);
    for (id, component) in [(0, at(0, 1)), (1, at(0, 2)), (2, at(1, 1))] {
        remote(&mut set, component, 7, 65535, &format!("192.0.2.2:{}", 5000 + id));
        base(&mut set, id, component, 1, &format!("192.0.2.1:{}", 5000 + id));
    }
    let states: Vec<_> =
        (0..3).map(|id| state(&set, pair(&set, BaseId(id), &format!("192.0.2.2:{}", 5000 + id)))).collect();
    assert_eq!(states, [PairState::Waiting, PairState::Frozen, PairState::Frozen]);
}

/// RFC 8445 §7.2.5.3.3: across all checklists.
#[test]
fn a_success_unfreezes_its_foundation_in_every_stream() {
    let mut set = set(Role::Controlling, &[1, 1]);
    let (first, second) =
        (base(&mut set, 0, at(0, 1), 1, "192.0.2.1:5000"), base(&mut set, 1, at(1, 1), 1, "192.0.2.1:5001"));
    remote(&mut set, at(0, 1), 7, 65535, "192.0.2.2:5000");
    remote(&mut set, at(1, 1), 7, 65535, "192.0.2.2:5001");
    let frozen = pair(&set, second, "192.0.2.2:5001");
    assert_eq!(state(&set, frozen), PairState::Frozen);
    let now = test_epoch();
    let check = set.begin_check(now, &mut rng()).expect("a check");
    assert!(matches!(answer(&mut set, now, first, check, None), Outcome::Validated { .. }));
    assert_eq!(state(&set, frozen), PairState::Waiting);
}

/// RFC 8445 §6.1.4.2: triggered checks first, then the highest priority.
#[test]
fn a_triggered_check_goes_before_an_ordinary_one_of_higher_priority() {
    let mut set = set(Role::Controlled, &[1]);
    let near = base(&mut set, 0, at(0, 1), 1, "192.0.2.1:5000");
    for (number, preference) in [(1, 100), (2, 300), (3, 200)] {
        remote(&mut set, at(0, 1), number, preference, &format!("192.0.2.{}:5000", 10 + number));
    }
    assert!(matches!(request(&mut set, near, at(0, 1), "192.0.2.11:5000", false), Verdict::Accepted { .. }));
    let order: Vec<_> = std::iter::from_fn(|| {
        let check = set.begin_check(test_epoch(), &mut rng())?;
        Some(written(&mut set, check).1.to_string())
    })
    .collect();
    assert_eq!(order, ["192.0.2.11:5000", "192.0.2.12:5000", "192.0.2.13:5000"]);
}

/// RFC 8445 §7.3.1.4.
#[test]
fn many_checks_of_the_peer_queue_one_triggered_check() {
    let mut set = set(Role::Controlled, &[1]);
    let near = base(&mut set, 0, at(0, 1), 1, "192.0.2.1:5000");
    remote(&mut set, at(0, 1), 7, 65535, "192.0.2.2:5000");
    for _ in 0..100 {
        let _ = request(&mut set, near, at(0, 1), "192.0.2.2:5000", false);
    }
    let checks = std::iter::from_fn(|| set.begin_check(test_epoch(), &mut rng())).count();
    assert_eq!(checks, 1);
}

/// RFC 8445 §7.3.1.4: the cancelled transaction does not fail the pair, and its answer still counts.
#[test]
fn a_cancelled_check_never_fails_its_pair_and_its_answer_validates_it() {
    let now = test_epoch();
    let mut set = set(Role::Controlled, &[1]);
    let near = base(&mut set, 0, at(0, 1), 1, "192.0.2.1:5000");
    remote(&mut set, at(0, 1), 7, 65535, "192.0.2.2:5000");
    let first = set.begin_check(now, &mut rng()).expect("an ordinary check");
    let _ = request(&mut set, near, at(0, 1), "192.0.2.2:5000", false);
    let id = pair(&set, near, "192.0.2.2:5000");
    assert_eq!(state(&set, id), PairState::Waiting);
    let second = set.begin_check(now, &mut rng()).expect("a triggered check");
    assert_ne!(first, second);
    assert!(matches!(answer(&mut set, now, near, first, None), Outcome::Validated { .. }));
    let retransmissions = std::iter::from_fn(|| set.poll_timeout(now + lifetime(RTO))).count();
    assert_eq!((state(&set, id), retransmissions), (PairState::Succeeded, 0));
}

/// RFC 8445 §7.3.1.4: the peer's check revives a Failed pair.
#[test]
fn a_check_of_the_peer_revives_a_failed_pair() {
    let now = test_epoch();
    let mut set = set(Role::Controlled, &[1]);
    let near = base(&mut set, 0, at(0, 1), 1, "192.0.2.1:5000");
    remote(&mut set, at(0, 1), 7, 65535, "192.0.2.2:5000");
    let check = set.begin_check(now, &mut rng()).expect("a check");
    let id = pair(&set, near, "192.0.2.2:5000");
    assert_eq!(answer(&mut set, now, near, check, Some(400)), Outcome::Failed(id));
    let _ = request(&mut set, near, at(0, 1), "192.0.2.2:5000", false);
    assert_eq!(state(&set, id), PairState::Waiting);
    assert!(set.has_triggered());
}

/// RFC 8445 §7.3.1.3: the value of the peer's PRIORITY, and a foundation of its own.
#[test]
fn an_unknown_source_becomes_a_peer_reflexive_candidate() {
    let mut set = set(Role::Controlled, &[1]);
    let near = base(&mut set, 0, at(0, 1), 1, "192.0.2.1:5000");
    remote(&mut set, at(0, 1), 7, 65535, "192.0.2.2:5000");
    let verdict = request(&mut set, near, at(0, 1), "203.0.113.5:777", false);
    let Verdict::Accepted { learnt: Some(learnt), .. } = verdict else { panic!("{verdict:?}") };
    assert_eq!(learnt.new_remote, Some(RemoteId(1)));
    let learnt = &set.remote(RemoteId(1)).expect("the candidate").candidate;
    assert_eq!((learnt.kind, learnt.priority), (CandidateType::PeerReflexive, 7));
    assert_ne!(learnt.foundation, Foundation::from_number(7));
}

/// RFC 8445 §7.3.1.3, RFC 8838 §11.
#[test]
fn a_signalled_twin_of_a_peer_reflexive_candidate_keeps_the_state_of_its_pair() {
    let now = test_epoch();
    let mut set = set(Role::Controlled, &[1]);
    let near = base(&mut set, 0, at(0, 1), 1, "192.0.2.1:5000");
    let _ = request(&mut set, near, at(0, 1), "203.0.113.5:777", false);
    let check = set.begin_check(now, &mut rng()).expect("a triggered check");
    assert!(matches!(answer(&mut set, now, near, check, None), Outcome::Validated { .. }));
    let id = pair(&set, near, "203.0.113.5:777");
    let priority = set.pair(id).unwrap().priority;
    remote(&mut set, at(0, 1), 7, 65535, "203.0.113.5:777");
    let after = set.pair(id).expect("the same pair");
    assert_eq!((after.state, after.priority), (PairState::Succeeded, priority));
    assert_eq!(set.remotes().len(), 1);
    let twin = &set.remotes()[0];
    assert_eq!(
        (twin.candidate.kind, twin.candidate.foundation),
        (CandidateType::Host, Foundation::from_number(7))
    );
    assert_eq!(twin.priority, 7, "its pairs keep their rank");
}

/// RFC 8445 §8.1.2 keeps nothing to check; §7.3.1.5 selects on the answer to the check that was under way.
#[test]
fn a_nomination_during_our_own_check_selects_when_that_succeeds() {
    let now = test_epoch();
    let mut set = set(Role::Controlled, &[1]);
    let near = base(&mut set, 0, at(0, 1), 1, "192.0.2.1:5000");
    remote(&mut set, at(0, 1), 7, 65535, "192.0.2.2:5000");
    let _ordinary = set.begin_check(now, &mut rng()).expect("a check");
    let _ = request(&mut set, near, at(0, 1), "192.0.2.2:5000", true);
    let id = pair(&set, near, "192.0.2.2:5000");
    assert!(!set.is_selected(id));
    let triggered = set.begin_check(now, &mut rng()).expect("a triggered check");
    let outcome = answer(&mut set, now, near, triggered, None);
    assert_eq!(outcome, Outcome::Validated { pair: id, selected: true });
    assert!(set.is_selected(id));
}

/// RFC 8445 §8.1.1: an aggressive peer nominates several; the highest one counts.
#[test]
fn of_several_nominated_pairs_the_best_is_selected() {
    let now = test_epoch();
    let mut set = set(Role::Controlled, &[1]);
    let near = base(&mut set, 0, at(0, 1), 1, "192.0.2.1:5000");
    for (number, preference) in [(1, 100), (2, 300), (3, 200)] {
        remote(&mut set, at(0, 1), number, preference, &format!("192.0.2.{}:5000", 10 + number));
    }
    let mut nominate = |addr: &str| {
        let _ = request(&mut set, near, at(0, 1), addr, true);
        if let Some(check) = set.begin_check(now, &mut rng()) {
            let _ = answer(&mut set, now, near, check, None);
        }
        set.checklist(0)
            .unwrap()
            .component(1)
            .unwrap()
            .selected
            .map(|id| set.pair(id).unwrap().destination.to_string())
    };
    let selected: Vec<_> =
        ["192.0.2.13:5000", "192.0.2.12:5000", "192.0.2.11:5000"].map(&mut nominate).into();
    let best = Some("192.0.2.12:5000".to_owned());
    assert_eq!(selected, [Some("192.0.2.13:5000".to_owned()), best.clone(), best]);
}

/// RFC 8445 §7.2.5.2.1.
#[test]
fn an_answer_from_another_address_fails_the_check() {
    let now = test_epoch();
    let mut set = set(Role::Controlling, &[1]);
    let near = base(&mut set, 0, at(0, 1), 1, "192.0.2.1:5000");
    remote(&mut set, at(0, 1), 7, 65535, "192.0.2.2:5000");
    let check = set.begin_check(now, &mut rng()).expect("a check");
    let mut buf = [0; 1280];
    let mut writer = Writer::new(&mut buf, Class::Success, Method::BINDING, check);
    writer.put_xor_address(attr::XOR_MAPPED_ADDRESS, "192.0.2.1:5000".parse().unwrap());
    writer.integrity(&Key::short_term(REMOTE_PWD), Integrity::Sha1).fingerprint();
    let message = Message::parse(writer.finish().unwrap()).unwrap();
    let id = pair(&set, near, "192.0.2.2:5000");
    let outcome = set.handle_answer(now, near, "192.0.2.3:5000".parse().unwrap(), message, &mut rng());
    assert_eq!(outcome, Outcome::Failed(id));
}

/// RFC 8445 §7.2.5.2: nobody vouches for it, so the check goes on.
#[test]
fn an_answer_without_the_peers_key_changes_nothing() {
    let now = test_epoch();
    let mut set = set(Role::Controlling, &[1]);
    let near = base(&mut set, 0, at(0, 1), 1, "192.0.2.1:5000");
    remote(&mut set, at(0, 1), 7, 65535, "192.0.2.2:5000");
    let check = set.begin_check(now, &mut rng()).expect("a check");
    for (code, key) in [(None, Some("someOtherPasswordOf22C")), (Some(487), None), (Some(401), None)] {
        let mut buf = [0; 1280];
        let mut writer = match code {
            Some(code) => Writer::error(&mut buf, Method::BINDING, check, code),
            None => Writer::new(&mut buf, Class::Success, Method::BINDING, check),
        };
        writer.put_xor_address(attr::XOR_MAPPED_ADDRESS, "192.0.2.1:5000".parse().unwrap());
        if let Some(key) = key {
            writer.integrity(&Key::short_term(key), Integrity::Sha1);
        }
        writer.fingerprint();
        let message = Message::parse(writer.finish().unwrap()).unwrap();
        let outcome = set.handle_answer(now, near, "192.0.2.2:5000".parse().unwrap(), message, &mut rng());
        assert_eq!(outcome, Outcome::Ignored, "{code:?}");
    }
    assert!(set.has_transaction(check));
}

/// RFC 8445 §7.2.5.1, §7.3.1.1, with the equality of decision 17: the controlling side refuses, the controlled switches.
#[test]
fn the_larger_tiebreaker_is_controlling() {
    for (role, ours, theirs, expected) in [
        (Role::Controlling, 5, 4, Conflict::Refuse),
        (Role::Controlling, 5, 5, Conflict::Refuse),
        (Role::Controlling, 4, 5, Conflict::Switch),
        (Role::Controlled, 5, 4, Conflict::Switch),
        (Role::Controlled, 5, 5, Conflict::Switch),
        (Role::Controlled, 4, 5, Conflict::Refuse),
    ] {
        let mut buf = [0; 100];
        let mut writer = Writer::new(&mut buf, Class::Request, Method::BINDING, TransactionId([1; 12]));
        writer.put_u64(role.attribute(), theirs);
        let message = Message::parse(writer.finish().unwrap()).unwrap();
        let roles = Roles { role, tiebreaker: ours };
        assert_eq!(
            roles.conflict(&Ask::read(&message.plain().attributes())),
            expected,
            "{role:?} {ours} {theirs}"
        );
    }
}

/// RFC 8445 §7.2.5.1: the role that was sent decides, and the pair is checked again with a new tiebreaker.
#[test]
fn several_487s_switch_once() {
    let now = test_epoch();
    let mut set = set(Role::Controlling, &[1]);
    let near = base(&mut set, 0, at(0, 1), 1, "192.0.2.1:5000");
    remote(&mut set, at(0, 1), 1, 300, "192.0.2.2:5000");
    remote(&mut set, at(0, 1), 2, 200, "192.0.2.3:5000");
    let checks = [0, 1].map(|_| set.begin_check(now, &mut rng()).expect("a check"));
    let tiebreaker = set.roles.tiebreaker;
    let outcomes = checks.map(|check| answer(&mut set, now, near, check, Some(487)));
    assert_eq!(outcomes, [Outcome::Switched(Role::Controlled), Outcome::Unchanged]);
    assert_ne!(set.roles.tiebreaker, tiebreaker);
    assert_eq!(std::iter::from_fn(|| set.begin_check(now, &mut rng())).count(), 2);
}

/// RFC 8445 §6.1.2.5, decision 5: over the whole set.
#[test]
fn pairs_and_remote_candidates_are_limited() {
    let mut set = set(Role::Controlling, &[1, 1]);
    for stream in 0..2 {
        for number in 0..20 {
            let addr = format!("10.{stream}.{number}.1:5000");
            base(&mut set, stream * 20 + number, at(stream, 1), u32::from(number) + 1, &addr);
            remote(
                &mut set,
                at(stream, 1),
                u32::from(number) + 1,
                1000 - number,
                &addr.replace("10.", "11."),
            );
        }
    }
    assert_eq!(set.pairs().count(), usize::from(Limits::default().pairs));
    let shares = [0, 1].map(|stream| set.pairs().filter(|(_, pair)| pair.component.stream == stream).count());
    assert_eq!(shares, [usize::from(Limits::default().pairs) / 2; 2], "the larger checklist gives way");
    let refused = (0..usize::from(Limits::default().remote_candidates) as u16).any(|number| {
        let candidate =
            candidate(at(0, 1), 1, 1, &format!("12.0.{}.{}:5000", number / 200, number % 200 + 1));
        let addr = candidate.address.socket().unwrap();
        set.add_remote(at(0, 1), addr, candidate, |_| Permission::Granted).is_err()
    });
    assert!(refused);
}

/// RFC 8445 §14.3 within 500 ms and 3 s (decision 4).
#[test]
fn the_rto_grows_with_the_checks_to_be_done_and_is_capped() {
    for (pairs, expected_ms) in [(1, 500), (10, 500), (20, 1000), (100, 3000)] {
        let now = test_epoch();
        let mut set = set(Role::Controlling, &[1]);
        base(&mut set, 0, at(0, 1), 1, "192.0.2.1:5000");
        for number in 0..pairs {
            let addr = format!("192.0.2.2:{}", 5000 + number);
            // All Waiting: each has a foundation of its own.
            remote(&mut set, at(0, 1), u32::from(number) + 1, 1000 - number, &addr);
        }
        let check = set.begin_check(now, &mut rng()).expect("a check");
        let due = set.transaction_deadline().expect("a deadline");
        assert_eq!((due - now).as_millis(), expected_ms, "{pairs} pairs");
        assert_eq!(set.poll_timeout(due), Some(Timeout::Retransmit(check)));
    }
}

/// RFC 8445 §7.2.1: no check before the relay may send there.
#[test]
fn a_pair_without_a_permission_is_not_checked_until_it_has_one() {
    let now = test_epoch();
    let mut set = set(Role::Controlling, &[1]);
    let relayed = candidate(at(0, 1), 1, 65535, "198.51.100.1:5000");
    set.add_base(BaseId(0), at(0, 1), relayed, Permission::Needed);
    remote(&mut set, at(0, 1), 7, 65535, "192.0.2.2:5000");
    let later = candidate(at(0, 1), 8, 1, "192.0.2.3:5000");
    let addr = "192.0.2.3:5000".parse().unwrap();
    set.add_remote(at(0, 1), addr, later, |_| Permission::Needed).expect("room");
    let first = set.begin_check(now, &mut rng()).expect("the granted one");
    assert_eq!(written(&mut set, first).1, "192.0.2.2:5000".parse().unwrap());
    assert_eq!(set.begin_check(now, &mut rng()), None);
    set.unblock(BaseId(0), "192.0.2.3".parse().unwrap());
    assert!(set.begin_check(now, &mut rng()).is_some());
}

/// RFC 8445 §8.1.2: a component that has its selected pair is not checked any more, whatever the others of its stream
/// wait for.
#[test]
fn a_late_candidate_of_a_component_with_a_selected_pair_is_not_checked() {
    let (mut set, now) = (set(Role::Controlling, &[2]), test_epoch());
    let [first, second] = [at(0, 1), at(0, 2)];
    let near = base(&mut set, 0, first, 1, "192.0.2.1:5000");
    base(&mut set, 1, second, 1, "192.0.2.1:5001");
    remote(&mut set, first, 1, 9, "192.0.2.9:6000");
    for _ in 0..2 {
        let id = set.begin_check(now, &mut rng()).expect("a check");
        assert!(matches!(answer(&mut set, now, near, id, None), Outcome::Validated { .. }));
        set.nominate(now);
    }
    assert!(set.is_selected(pair(&set, near, "192.0.2.9:6000")));
    remote(&mut set, first, 2, 9, "192.0.2.9:6002");
    assert!(!set.wants_slot(now) && set.begin_check(now, &mut rng()).is_none());
    remote(&mut set, second, 1, 9, "192.0.2.9:6001");
    assert!(set.wants_slot(now) && set.begin_check(now, &mut rng()).is_some() && !set.wants_slot(now));
    // With its base the selected pair goes, and the component is open again.
    base(&mut set, 2, first, 1, "192.0.2.2:5000");
    assert!(!set.wants_slot(now));
    set.remove_base(near);
    assert!(set.wants_slot(now) && set.begin_check(now, &mut rng()).is_some());
}

/// A valid check of the peer to the first base of a stream, from this port.
fn flood(set: &mut ChecklistSet, ports: std::ops::Range<u16>) {
    let key = set.checklists()[0].local.key.clone();
    let username = format!("{}:{REMOTE_UFRAG}", set.checklists()[0].local.ufrag);
    for port in ports {
        let mut buf = [0; 200];
        let mut id = [1; 12];
        id[..2].copy_from_slice(&port.to_be_bytes());
        let mut check = Writer::new(&mut buf, Class::Request, Method::BINDING, TransactionId(id));
        check.put(attr::USERNAME, username.as_bytes()).put_u32(attr::PRIORITY, 1);
        check.integrity(&key, Integrity::Sha1).fingerprint();
        let check = check.finish().unwrap();
        let source = format!("192.0.2.9:{port}").parse().unwrap();
        let verdict =
            set.handle_request(test_epoch(), BaseId(0), at(0, 1), source, Message::parse(check).unwrap());
        assert!(matches!(verdict, Verdict::Accepted { .. }), "{verdict:?}");
    }
}

fn limited(limits: Limits, theirs: &[Credentials]) -> ChecklistSet {
    let settings = Settings {
        order: crate::checks::CheckOrder::Priority,
        recheck: crate::checks::Recheck::Off,
        role: Role::Controlling,
        nomination: Nomination::First,
        pacing: Duration::from_millis(5),
        implementation: Implementation::Full,
        limits,
        tcp: crate::candidate::TcpRank::default(),
    };
    let mut set = ChecklistSet::new(settings, &[1], &mut rng());
    for credentials in theirs {
        set.set_remote_credentials(0, credentials.clone());
    }
    base(&mut set, 0, at(0, 1), 1, "192.0.2.1:5000");
    set
}

fn their_credentials() -> Credentials {
    Credentials::new(REMOTE_UFRAG.parse().unwrap(), REMOTE_PWD.parse().unwrap())
}

/// RFC 8445 §6.1.4.1, §7.3: who does not fit into the queue has an ordinary turn.
#[test]
fn queued_triggered_checks_and_early_checks_are_limited_and_none_is_lost() {
    let now = test_epoch();
    for (limits, known, most) in [
        (Limits::default().triggered_checks(5), true, 5),
        (Limits::default().early_checks(3), false, 3),
        (Limits::default().early_checks(9).triggered_checks(4), false, 4),
    ] {
        let theirs = [their_credentials()];
        let mut set = limited(limits, if known { &theirs } else { &[] });
        flood(&mut set, 1000..1020);
        assert_eq!(set.checklists()[0].triggered.len(), most);
        assert_eq!(set.pairs().count(), 20);
        set.set_remote_credentials(0, their_credentials());
        assert_eq!(
            std::iter::from_fn(|| set.begin_check(now, &mut rng())).count(),
            20,
            "each pair has its check"
        );
    }
}

/// RFC 8445 §7.3.1.4: each check of the peer replaces the one that is under way, whose answer still counts.
#[test]
fn open_transactions_are_limited_and_the_latest_stays() {
    let now = test_epoch();
    let mut set = limited(Limits::default().pairs(4).transactions(6), &[their_credentials()]);
    let mut latest = None;
    for _ in 0..50 {
        flood(&mut set, 1000..1001);
        latest = set.begin_check(now, &mut rng());
        assert!(latest.is_some() && set.transactions.len() <= 6);
    }
    assert!(set.has_transaction(latest.unwrap()));
}

/// Peer-reflexive candidates come and go, and with each its foundation (RFC 8445 §7.3.1.3).
#[test]
fn foundations_of_forgotten_candidates_leave_nothing_behind() {
    let mut set = limited(Limits::default(), &[their_credentials()]);
    for _ in 0..3 {
        flood(&mut set, 1..60_000);
    }
    assert!(set.groups.len() <= usize::from(Limits::default().pairs) + 1, "{} groups", set.groups.len());
}

/// Interfaces come and go for as long as a session lasts.
#[test]
fn candidates_of_bases_that_are_gone_make_room() {
    let mut set = set(Role::Controlling, &[1]);
    remote(&mut set, at(0, 1), 7, 65535, "192.0.2.2:5000");
    for number in 0..1000 {
        let near =
            base(&mut set, number, at(0, 1), 1, &format!("10.{}.{}.1:5000", number / 250, number % 250));
        let id = pair(&set, near, "192.0.2.2:5000");
        assert!(set.pair(id).is_some());
        set.remove_base(near);
    }
    assert!(set.locals().len() <= usize::from(Limits::default().local_candidates));
}
