//! The spare pair (decision 18 of the conformance tests): when it is checked, when it is looked for, and what takes the
//! place of a lost one.

use super::lapses::renominating;
use super::*;
use crate::checks::spare::INTERVAL;
use crate::consent::EXPIRY;

const NEAR: [&str; 3] = ["192.0.2.1:5000", "192.0.2.11:5001", "192.0.2.12:5002"];
const FAR: &str = "192.0.2.2:6000";

const fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// A set with so many bases in each of so many streams, and one remote candidate in each.
fn with_bases(role: Role, streams: u16, count: u16) -> ChecklistSet {
    let mut set = set(role, &vec![1; usize::from(streams)]);
    set.nomination = Nomination::Renominate { settle: Duration::ZERO };
    for stream in 0..streams {
        let mut credentials = Credentials::new(REMOTE_UFRAG.parse().unwrap(), REMOTE_PWD.parse().unwrap());
        credentials.options.push(IceOption::RENOMINATION);
        set.set_remote_credentials(stream, credentials);
        remote(&mut set, at(stream, 1), u32::from(7 + stream), 900, &format!("192.0.2.2:{}", 6000 + stream));
        for number in 0..count {
            let place = NEAR[usize::from(number)];
            base(&mut set, stream * 10 + number, at(stream, 1), u32::from(1 + stream * 10 + number), place);
        }
    }
    set
}

/// Makes the pair from this base valid, as if a check of it had been answered.
fn validate(set: &mut ChecklistSet, now: Instant, base: u16, far: &str) -> PairId {
    let id = pair(set, BaseId(base), far);
    set.trigger(id);
    // Those of the other streams take turns.
    while set.pair(id).is_some_and(|pair| pair.transaction.is_none()) {
        set.begin_check(now, &mut rng()).expect("a check");
    }
    let check = set.pair(id).and_then(|pair| pair.transaction).expect("a check");
    assert!(matches!(answer(set, now, BaseId(base), check, None), Outcome::Validated { .. }));
    id
}

/// A selected pair and a spare one, and with a third base a pair that has not been checked.
fn selected_and_spare(role: Role, bases: u16) -> (ChecklistSet, PairId, PairId) {
    let mut set = with_bases(role, 1, bases);
    let now = test_epoch();
    let first = validate(&mut set, now, 0, FAR);
    assert!(set.select(first));
    let second = validate(&mut set, now, 1, FAR);
    set.keep_spares(now);
    assert_eq!(set.spare(at(0, 1)), Some(second));
    (set, first, second)
}

/// A check of the peer, at this time, without a nomination.
fn heard(set: &mut ChecklistSet, now: Instant, base: u16, source: &str) {
    let list = set.checklist(0).unwrap();
    let (username, key) = (format!("{}:{REMOTE_UFRAG}", list.local.ufrag), list.local.key.clone());
    let mut buf = [0; 1280];
    let mut writer = Writer::new(&mut buf, Class::Request, Method::BINDING, TransactionId([4; 12]));
    writer.put_username(&username).put_u32(attr::PRIORITY, 7);
    writer.put_u64(set.role().other().attribute(), 5).integrity(&key, Integrity::Sha1).fingerprint();
    let message = Message::parse(writer.finish().unwrap()).unwrap();
    let verdict = set.handle_request(now, BaseId(base), at(0, 1), source.parse().unwrap(), message);
    assert!(matches!(verdict, Verdict::Accepted { .. }), "{verdict:?}");
}

/// The peer frees what nobody checks three seconds after the last stream has its pair.
#[test]
fn the_first_check_of_a_spare_pair_is_a_second_after_all_streams_have_concluded() {
    let mut set = with_bases(Role::Controlling, 2, 2);
    let now = test_epoch();
    let first = validate(&mut set, now, 0, FAR);
    assert!(set.select(first));
    validate(&mut set, now, 1, FAR);
    set.keep_spares(now + secs(1));
    assert!(set.spare(at(0, 1)).is_some());
    assert_eq!(set.spare_deadline(), None, "the second stream has no pair yet");
    let other = validate(&mut set, now, 10, "192.0.2.2:6001");
    assert!(set.select(other));
    set.keep_spares(now + secs(5));
    assert_eq!(set.spare_deadline(), Some(now + secs(6)));
}

/// Data goes on it until the nomination: consent is asked for at once, and once.
#[test]
fn a_spare_pair_whose_selected_one_is_gone_is_checked_at_once() {
    let (mut set, _, spare) = selected_and_spare(Role::Controlled, 2);
    set.remove_base(BaseId(0));
    set.keep_spares(test_epoch());
    assert_eq!(set.checklists()[0].triggered, [spare]);
    assert!(set.begin_check(test_epoch(), &mut rng()).is_some());
    set.keep_spares(test_epoch());
    assert!(set.checklists()[0].triggered.is_empty());
}

/// RFC 8445 §8.1.2 but for one pair; when that fails, what was given up for it has its turn.
#[test]
fn the_search_for_a_spare_pair_ends_with_one_and_begins_anew_without() {
    let (mut set, _, spare) = selected_and_spare(Role::Controlling, 3);
    let third = pair(&set, BaseId(2), FAR);
    assert_eq!((state(&set, third), set.begin_check(test_epoch(), &mut rng())), (PairState::Failed, None));
    set.give_up(spare, crate::checks::Failure::ConsentLost);
    set.keep_spares(test_epoch());
    assert_eq!(state(&set, third), PairState::Waiting);
    let check = set.begin_check(test_epoch(), &mut rng()).expect("a check");
    assert!(matches!(answer(&mut set, test_epoch(), BaseId(2), check, None), Outcome::Validated { .. }));
    set.keep_spares(test_epoch());
    assert_eq!(set.spare(at(0, 1)), Some(third));
}

/// Between NATs that map each destination anew every check comes from another address, and a check back to each would
/// find no end.
#[test]
fn what_was_learnt_after_the_nomination_is_checked_back_when_the_peer_goes_on_to_check_it() {
    let half = INTERVAL / 2;
    for (again, is_checked) in [(half.saturating_sub(Duration::from_millis(1)), false), (half, true)] {
        let mut set = with_bases(Role::Controlled, 1, 2);
        let now = test_epoch();
        let first = validate(&mut set, now, 0, FAR);
        assert!(set.select(first));
        set.remove_pair(pair(&set, BaseId(1), FAR));
        heard(&mut set, now, 1, "203.0.113.9:7000");
        assert!(set.checklists()[0].triggered.is_empty(), "heard once");
        heard(&mut set, now + again, 1, "203.0.113.9:7000");
        assert_eq!(!set.checklists()[0].triggered.is_empty(), is_checked, "{again:?}");
    }
}

/// It takes the place of the lost one as long as somebody has heard of it in the time of a consent.
#[test]
fn only_a_pair_that_is_alive_takes_the_place_of_a_lost_one() {
    let start = test_epoch();
    let late = start + EXPIRY;
    let just = late.checked_sub(Duration::from_millis(1)).unwrap();
    for (now, is_heard, takes_over) in
        [(just, false, true), (late, false, false), (late, true, true), (late + EXPIRY, true, false)]
    {
        let (mut set, selected, spare) = selected_and_spare(Role::Controlling, 2);
        set.pair_mut(spare).unwrap().answered = Some(start);
        if is_heard {
            heard(&mut set, start + secs(10), 1, FAR);
        }
        set.fall_back(now, selected);
        assert_eq!(!set.is_selected(selected), takes_over, "{is_heard}");
        let next = takes_over.then_some(spare);
        assert_eq!(set.next_in_line(now, at(0, 1), Some(selected)), next);
    }
}

/// Another port of the peer is no spare pair, and better than none.
#[test]
fn another_valid_pair_takes_the_place_of_a_lost_one_where_there_is_no_spare_pair() {
    let mut set = set(Role::Controlling, &[1]);
    renominating(&mut set);
    let near = base(&mut set, 0, at(0, 1), 1, NEAR[0]);
    remote(&mut set, at(0, 1), 7, 900, FAR);
    remote(&mut set, at(0, 1), 8, 800, "192.0.2.2:6001");
    let [first, second] = [FAR, "192.0.2.2:6001"].map(|far| validate(&mut set, test_epoch(), 0, far));
    assert!(set.select(first));
    set.keep_spares(test_epoch());
    assert_eq!((set.spare(at(0, 1)), pair(&set, near, FAR)), (None, first));
    set.fall_back(test_epoch(), first);
    assert!(!set.is_selected(first));
    assert_eq!(set.next_in_line(test_epoch(), at(0, 1), Some(first)), Some(second));
}
