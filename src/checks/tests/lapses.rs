//! What was good once and is not any more: consent that lapsed, a peer that is replaced, a nomination without an answer.

use super::*;
use crate::consent::EXPIRY;
use crate::credentials::IceOption;

const NEAR: &str = "192.0.2.1:5000";
const FIRST: &str = "192.0.2.2:5000";
const SECOND: &str = "192.0.2.3:5000";

/// Two pairs of different foundations, the first one better; both valid, none nominated.
fn two_valid(role: Role) -> (ChecklistSet, BaseId) {
    let mut set = set(role, &[1]);
    let near = base(&mut set, 0, at(0, 1), 1, NEAR);
    remote(&mut set, at(0, 1), 7, 900, FIRST);
    remote(&mut set, at(0, 1), 8, 800, SECOND);
    for _ in 0..2 {
        let check = set.begin_check(test_epoch(), &mut rng()).expect("a check");
        let outcome = answer(&mut set, test_epoch(), near, check, None);
        assert!(matches!(outcome, Outcome::Validated { selected: false, .. }), "{outcome:?}");
    }
    (set, near)
}

/// RFC 8445 §7.2.5.4 with RFC 7675 §5.1: nobody asks for consent on a pair that is not used.
#[test]
fn a_valid_pair_without_fresh_consent_is_no_hope() {
    let ((mut set, near), start) = (two_valid(Role::Controlled), test_epoch());
    set.end_local_candidates();
    let just_before = start + EXPIRY.saturating_sub(Duration::from_millis(1));
    assert!(set.conclude_exhausted(just_before).is_empty());
    let mut asked = two_valid(Role::Controlled).0;
    asked.end_local_candidates();
    asked.trigger(pair(&asked, near, FIRST));
    assert!(asked.conclude_exhausted(start + EXPIRY).is_empty(), "it is about to be asked for");
    assert_eq!(set.conclude_exhausted(start + EXPIRY), [0]);
}

/// The others may have gone with it, or may be all that is left.
#[test]
fn a_pair_that_expires_has_lapsed_valid_pairs_checked_again() {
    for (after, again) in [(EXPIRY.saturating_sub(Duration::from_millis(1)), None), (EXPIRY, Some(SECOND))] {
        let (mut set, near) = two_valid(Role::Controlled);
        let now = test_epoch() + after;
        set.expire(now, pair(&set, near, FIRST));
        let check = set.begin_check(now, &mut rng());
        let to = check.map(|check| written(&mut set, check).1.to_string());
        assert_eq!(to.as_deref(), again);
    }
}

/// A peer whose new checks came before its new credentials has been answered: that is not asked for twice.
#[test]
fn a_crossing_restart_keeps_the_pairs_that_the_new_peer_has_checked() {
    for (role, kept) in [(Role::Controlled, PairState::Succeeded), (Role::Controlling, PairState::Waiting)] {
        let (mut set, near) = two_valid(role);
        let _ = request(&mut set, near, at(0, 1), FIRST, false);
        set.forget_peer(0);
        assert_eq!(set.pairs().count(), 1, "what only the old peer had is gone");
        let id = pair(&set, near, FIRST);
        assert_eq!(state(&set, id), kept, "{role:?}");
        assert_eq!(set.pair(id).unwrap().valid.is_some(), role == Role::Controlled);
        let asked: &[PairId] = if role == Role::Controlling { &[id] } else { &[] };
        assert_eq!(set.checklists()[0].triggered, asked, "whoever answered us is gone");
        assert!(set.pair(id).unwrap().authenticated);
    }
}

pub(super) fn renominating(set: &mut ChecklistSet) {
    let mut credentials = Credentials::new(REMOTE_UFRAG.parse().unwrap(), REMOTE_PWD.parse().unwrap());
    credentials.options.push(IceOption::RENOMINATION);
    set.set_remote_credentials(0, credentials);
    set.nomination = Nomination::Renominate { settle: Duration::ZERO };
}

/// Where values say which nomination counts, another one may go beside it.
#[test]
fn a_nomination_that_nobody_answers_makes_room_for_one_of_another_pair() {
    for renominates in [true, false] {
        let ((mut set, _), start) = (two_valid(Role::Controlling), test_epoch());
        if renominates {
            renominating(&mut set);
        }
        set.nominate(start);
        let check = set.begin_check(start, &mut rng()).expect("a nomination");
        assert_eq!(written(&mut set, check).1.to_string(), FIRST);
        for rto in [1, 3] {
            assert_eq!(set.begin_check(start + RTO * rto, &mut rng()), None);
            while set.poll_timeout(start + RTO * rto).is_some() {}
        }
        let next = set.begin_check(start + RTO * 3, &mut rng());
        let to = next.map(|check| written(&mut set, check).1.to_string());
        assert_eq!(to.as_deref(), renominates.then_some(SECOND));
    }
}

/// The peer may know renomination; until it says so, the order of its nominations must not be lost.
#[test]
fn a_nomination_before_the_credentials_keeps_its_value() {
    for (early, kept) in [(true, 5), (false, 0)] {
        let (mut set, near) = two_valid(Role::Controlled);
        if early {
            set.checklist_mut(0).unwrap().remote = None;
        }
        let list = set.checklist(0).unwrap();
        let (username, key) = (format!("{}:{REMOTE_UFRAG}", list.local.ufrag), list.local.key.clone());
        let mut buf = [0; 1280];
        let mut writer = Writer::new(&mut buf, Class::Request, Method::BINDING, TransactionId([3; 12]));
        writer.put_username(&username).put_u32(attr::PRIORITY, 7);
        writer.put_u64(Role::Controlling.attribute(), 5).put(attr::USE_CANDIDATE, &[]);
        writer.put_u32(attr::NOMINATION, 5).integrity(&key, Integrity::Sha1).fingerprint();
        let message = Message::parse(writer.finish().unwrap()).unwrap();
        let verdict = set.handle_request(test_epoch(), near, at(0, 1), FIRST.parse().unwrap(), message);
        assert!(matches!(verdict, Verdict::Accepted { .. }), "{verdict:?}");
        assert_eq!(set.pair(pair(&set, near, FIRST)).unwrap().nomination, kept);
    }
}
