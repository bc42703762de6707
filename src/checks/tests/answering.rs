//! The peer's checks (RFC 8445 §7.3).

use super::*;

/// A check of the peer to the first stream, answered with this code; 0 is success.
fn code_of(verdict: &Verdict) -> u16 {
    use crate::checks::respond::Answer;
    match verdict {
        Verdict::Accepted { reply, .. } | Verdict::Refused(reply) => match reply.answer {
            Answer::Success => 0,
            Answer::Error(code) => code,
            Answer::Unknown(_) => 420,
        },
        other => panic!("{other:?}"),
    }
}

fn controlled() -> (ChecklistSet, BaseId) {
    let mut set = set(Role::Controlled, &[1]);
    let near = base(&mut set, 0, at(0, 1), 1, "192.0.2.1:5000");
    (set, near)
}

/// The checks that start now, by where they go.
fn begun(set: &mut ChecklistSet) -> Vec<(TransactionId, String)> {
    std::iter::from_fn(|| {
        let check = set.begin_check(test_epoch(), &mut rng())?;
        Some((check, written(set, check).1.to_string()))
    })
    .collect()
}

/// ICE-7.3-f: checks that came before the peer's credentials have their triggered checks in order, and a nomination
/// among them counts.
#[test]
fn early_checks_are_processed_in_order_once_the_credentials_are_known() {
    let mut set = ChecklistSet::new(
        Settings {
            order: crate::checks::CheckOrder::Priority,
            recheck: crate::checks::Recheck::Off,
            role: Role::Controlled,
            nomination: Nomination::First,
            pacing: Duration::from_millis(50),
            implementation: Implementation::Full,
            limits: Limits::default(),
            tcp: crate::candidate::TcpRank::default(),
        },
        &[1],
        &mut rng(),
    );
    let near = base(&mut set, 0, at(0, 1), 1, "192.0.2.1:5000");
    for (source, nominates) in
        [("192.0.2.4:5000", false), ("192.0.2.2:5000", true), ("192.0.2.3:5000", false)]
    {
        let verdict = request(&mut set, near, at(0, 1), source, nominates);
        assert!(matches!(verdict, Verdict::Accepted { learnt: Some(_), .. }), "{verdict:?}");
    }
    assert!(begun(&mut set).is_empty(), "nobody to ask yet");
    let credentials = Credentials::new(REMOTE_UFRAG.parse().unwrap(), REMOTE_PWD.parse().unwrap());
    set.set_remote_credentials(0, credentials);
    let checks = begun(&mut set);
    let order: Vec<&str> = checks.iter().map(|(_, to)| to.as_str()).collect();
    assert_eq!(order, ["192.0.2.4:5000", "192.0.2.2:5000", "192.0.2.3:5000"]);
    let selects: Vec<bool> = checks
        .iter()
        .map(|(check, _)| answer(&mut set, test_epoch(), near, *check, None))
        .map(|outcome| matches!(outcome, Outcome::Validated { selected: true, .. }))
        .collect();
    assert_eq!(selects, [false, true, false]);
}

/// ICE-7.3.1.4-a: never a server-reflexive candidate, though checks to it arrive at its base.
#[test]
fn a_check_belongs_to_the_base_that_it_came_to() {
    let (mut set, near) = controlled();
    let mut reflexive = candidate(at(0, 1), 2, 65535, "203.0.113.7:7000");
    reflexive.kind = CandidateType::ServerReflexive;
    set.add_reflexive(near, at(0, 1), reflexive);
    let other = base(&mut set, 1, at(0, 1), 3, "192.0.2.9:5000");
    let verdict = request(&mut set, near, at(0, 1), "192.0.2.2:5000", false);
    let Verdict::Accepted { learnt: Some(learnt), .. } = verdict else { panic!("{verdict:?}") };
    assert_eq!(set.pair(learnt.pair).unwrap().base, near);
    assert_eq!(set.pairs().count(), 1, "one pair, of the host candidate");
    assert_eq!(set.pair_of(other, "192.0.2.2:5000".parse().unwrap()), None);
}

/// ICE-7.3.1.4-b.
#[test]
fn a_check_on_a_succeeded_pair_triggers_nothing() {
    let (mut set, near) = controlled();
    remote(&mut set, at(0, 1), 7, 65535, "192.0.2.2:5000");
    let check = set.begin_check(test_epoch(), &mut rng()).expect("a check");
    let _ = answer(&mut set, test_epoch(), near, check, None);
    let id = pair(&set, near, "192.0.2.2:5000");
    for _ in 0..5 {
        assert_eq!(code_of(&request(&mut set, near, at(0, 1), "192.0.2.2:5000", false)), 0);
        assert_eq!(state(&set, id), PairState::Succeeded);
        assert!(begun(&mut set).is_empty());
    }
}

/// ICE-7.3.1.4-e: in its place by priority, Waiting, and checked before ordinary ones.
#[test]
fn a_check_of_an_unknown_pair_inserts_it_and_checks_it_first() {
    let (mut set, near) = controlled();
    for number in 2..5 {
        remote(&mut set, at(0, 1), number, 900 - number as u16, &format!("192.0.2.{number}:5000"));
    }
    let _ = request(&mut set, near, at(0, 1), "192.0.2.66:5000", false);
    let id = pair(&set, near, "192.0.2.66:5000");
    assert_eq!(state(&set, id), PairState::Waiting);
    assert_eq!(set.checklists()[0].triggered, [id]);
    let open: Vec<_> = set.checklists()[0].components()[0].open().collect();
    assert_eq!((open.len(), open[3]), (4, id), "PRIORITY 7 is the lowest");
    let order: Vec<_> = begun(&mut set).into_iter().map(|(_, to)| to).collect();
    assert_eq!(order, ["192.0.2.66:5000", "192.0.2.2:5000", "192.0.2.3:5000", "192.0.2.4:5000"]);
}

/// ICE-7.2.5.3.4-c: not by the request, not by the check before it; by the answer to the triggered one.
#[test]
fn a_nomination_counts_when_the_triggered_check_is_answered() {
    for revived in [false, true] {
        let (mut set, near) = controlled();
        let now = test_epoch();
        remote(&mut set, at(0, 1), 7, 65535, "192.0.2.2:5000");
        let id = pair(&set, near, "192.0.2.2:5000");
        if revived {
            let check = set.begin_check(now, &mut rng()).expect("a check");
            let _ = answer(&mut set, now, near, check, Some(400));
        }
        assert_eq!(code_of(&request(&mut set, near, at(0, 1), "192.0.2.2:5000", true)), 0);
        assert_eq!(set.pair(id).unwrap().nominated, Nominated::OnSuccess);
        let check = set.begin_check(now, &mut rng()).expect("a triggered check");
        assert!(!set.is_selected(id));
        assert_eq!(answer(&mut set, now, near, check, None), Outcome::Validated { pair: id, selected: true });
        assert_eq!(set.pair(id).unwrap().nominated, Nominated::Yes);
    }
}

/// ICE-7.2.5.3.4-d, with decision 2 for the checklist.
#[test]
fn a_nomination_is_forgotten_when_the_triggered_check_fails() {
    let (mut set, near) = controlled();
    let now = test_epoch();
    remote(&mut set, at(0, 1), 7, 65535, "192.0.2.2:5000");
    let _ = request(&mut set, near, at(0, 1), "192.0.2.2:5000", true);
    let check = set.begin_check(now, &mut rng()).expect("a triggered check");
    let id = pair(&set, near, "192.0.2.2:5000");
    assert_eq!(answer(&mut set, now, near, check, Some(400)), Outcome::Failed(id));
    let failed = set.pair(id).unwrap();
    assert_eq!((failed.state, failed.nominated), (PairState::Failed, Nominated::No));
    assert_eq!(set.checklists()[0].components()[0].valid().count(), 0);
    set.end_local_candidates();
    assert_eq!(set.conclude_exhausted(now), [0]);
    // It works after all, and needs a new nomination.
    let _ = request(&mut set, near, at(0, 1), "192.0.2.2:5000", false);
    let check = set.begin_check(now, &mut rng()).expect("a triggered check");
    assert_eq!(answer(&mut set, now, near, check, None), Outcome::Validated { pair: id, selected: false });
}

/// ICE-7.3.1.5-b: where there is no room for the pair, and with renomination where a later one has come before.
#[test]
fn a_nomination_that_is_not_followed_is_refused_with_400() {
    let mut set = limited(Limits::default().pairs(1), &[their_credentials()]);
    set.roles.role = Role::Controlled;
    remote(&mut set, at(0, 1), 7, 65535, "192.0.2.2:5000");
    let check = set.begin_check(test_epoch(), &mut rng()).expect("a check");
    let _ = answer(&mut set, test_epoch(), BaseId(0), check, None);
    for (source, nominates, code) in
        [("192.0.2.3:5000", false, 0), ("192.0.2.3:5000", true, 400), ("192.0.2.2:5000", true, 0)]
    {
        let verdict = request(&mut set, BaseId(0), at(0, 1), source, nominates);
        assert_eq!(code_of(&verdict), code, "{source} {nominates}");
    }

    let mut credentials = their_credentials();
    credentials.options.push(IceOption::RENOMINATION);
    let mut set = limited(Limits::default(), &[credentials]);
    set.roles.role = Role::Controlled;
    set.nomination = Nomination::Renominate { settle: Duration::ZERO };
    let component = set.checklist_mut(0).unwrap().component_mut(1).unwrap();
    component.nomination = 2;
    // Without a value it is the first one.
    assert_eq!(code_of(&request(&mut set, BaseId(0), at(0, 1), "192.0.2.2:5000", true)), 400);
    assert_eq!(code_of(&request(&mut set, BaseId(0), at(0, 1), "192.0.2.2:5000", false)), 0);
}

/// RFC 8445 §7.3.1.4, RFC 8863 §4: a peer that checks on and never answers ours revives its pair, and is no hope once a
/// check has had its time.
#[test]
fn a_peer_that_checks_and_never_answers_is_no_reason_for_patience() {
    let (mut set, near) = controlled();
    set.end_local_candidates();
    let (start, period) = (test_epoch(), Duration::from_secs(5));
    let mut now = start;
    let mut spent = None;
    while now < start + Duration::from_secs(60) && spent.is_none() {
        let _ = request(&mut set, near, at(0, 1), "192.0.2.2:5000", false);
        let _ = set.begin_check(now, &mut rng());
        let _ = std::iter::from_fn(|| set.poll_timeout(now)).count();
        spent = set.conclude_exhausted(now).first().map(|_| now - start);
        now += period;
    }
    assert_eq!(spent, Some(Duration::from_secs(40)), "39.5 s have passed");
    // A single answer proves the contrary.
    let check = begun(&mut set).pop().or_else(|| {
        let _ = request(&mut set, near, at(0, 1), "192.0.2.2:5000", false);
        begun(&mut set).pop()
    });
    let (check, _) = check.expect("a check");
    assert!(matches!(answer(&mut set, now, near, check, None), Outcome::Validated { .. }));
    assert!(set.pairs().all(|(_, pair)| !pair.is_one_way(now + Duration::from_secs(60))));
}

/// RFC 8445 §9, and no mixing of generations: the peer's ufrag has to be that of the session too.
#[test]
fn a_late_check_is_answered_if_both_its_ufrags_are_of_that_session() {
    let set = set(Role::Controlled, &[1]);
    let list = set.checklist(0).unwrap();
    let (ours, key) = (list.local.ufrag.clone(), list.local.key.clone());
    for (theirs, answered) in [(REMOTE_UFRAG, true), ("next", false), ("xremo", false)] {
        let mut buf = [0; 1280];
        let mut writer = Writer::new(&mut buf, Class::Request, Method::BINDING, TransactionId([3; 12]));
        writer.put_username(&format!("{ours}:{theirs}")).put_u32(attr::PRIORITY, 7);
        writer.put_u64(Role::Controlling.attribute(), 5).integrity(&key, Integrity::Sha1).fingerprint();
        let message = Message::parse(writer.finish().unwrap()).unwrap();
        let reply = set.answer_late(0, message);
        assert_eq!(reply.is_some(), answered, "{theirs}");
    }
}
