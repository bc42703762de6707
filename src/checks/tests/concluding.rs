//! Nomination and what it ends (RFC 8445 §8.1).

use super::*;

/// Answers every check that is begun, until none is left; the addresses asked, with a star for a nomination.
fn checked(set: &mut ChecklistSet, now: Instant) -> Vec<String> {
    let mut asked = Vec::new();
    while let Some(check) = set.begin_check(now, &mut rng()).filter(|_| asked.len() < 50) {
        let star = if set.nominates(check) { "*" } else { "" };
        let id = set.transactions.find(check).unwrap().owner.pair;
        asked.push(format!("{}{star}", written(set, check).1));
        let near = set.pair(id).unwrap().base;
        assert!(matches!(answer(set, now, near, check, None), Outcome::Validated { .. }));
        set.nominate(now);
    }
    asked
}

/// ICE-8.1.1-a: on the pair that was checked, through the same NAT; the valid pair is the nominated one.
#[test]
fn a_nomination_repeats_the_check_that_made_the_pair_valid() {
    let (mut set, now) = (set(Role::Controlling, &[1]), test_epoch());
    let near = base(&mut set, 0, at(0, 1), 1, "192.0.2.1:5000");
    for (number, preference) in [(2, 300), (3, 200)] {
        remote(&mut set, at(0, 1), number, preference, &format!("192.0.2.{number}:5000"));
    }
    let mapped = "203.0.113.7:7000".parse().unwrap();
    for nominates in [false, true] {
        let check = set.begin_check(now, &mut rng()).expect("a check");
        assert_eq!(set.nominates(check), nominates);
        let (raw, to) = written(&mut set, check);
        assert_eq!(Message::parse(&raw).unwrap().plain().attributes().has(attr::USE_CANDIDATE), nominates);
        assert_eq!(to.to_string(), "192.0.2.2:5000", "before the ordinary check that waits");
        let mut buf = [0; 200];
        let mut writer = Writer::new(&mut buf, Class::Success, Method::BINDING, check);
        writer.put_xor_address(attr::XOR_MAPPED_ADDRESS, mapped);
        writer.integrity(&Key::short_term(REMOTE_PWD), Integrity::Sha1).fingerprint();
        let raw = Message::parse(writer.finish().unwrap()).unwrap();
        let id = pair(&set, near, "192.0.2.2:5000");
        let outcome = set.handle_answer(now, near, to, raw, &mut rng());
        assert_eq!(outcome, Outcome::Validated { pair: id, selected: nominates });
        set.nominate(now);
    }
    let id = set.checklists()[0].components()[0].selected.expect("selected");
    let local = set.local(set.pair(id).unwrap().valid.unwrap()).unwrap();
    assert_eq!(local.candidate.address.socket(), Some(mapped));
}

/// ICE-8.1.1-c: exactly one pair of each component, also where its first nomination fails.
#[test]
fn the_controlling_agent_nominates_one_pair_of_each_component() {
    let (mut set, now) = (set(Role::Controlling, &[2, 1]), test_epoch());
    let components = [at(0, 1), at(0, 2), at(1, 1)];
    for (id, component) in (0..).zip(components) {
        base(&mut set, id, component, 1, &format!("192.0.2.1:{}", 5000 + id));
        for number in 2..5 {
            remote(
                &mut set,
                component,
                number,
                900 - number as u16,
                &format!("192.0.2.{number}:{}", 5000 + id),
            );
        }
    }
    let asked = checked(&mut set, now);
    let nominations: Vec<_> = asked.iter().filter(|it| it.ends_with('*')).collect();
    assert_eq!(nominations.len(), 3, "{asked:?}");
    assert!(components.iter().all(|at| {
        let component = set.checklist(at.stream).unwrap().component(at.component).unwrap();
        component.selected.is_some_and(|id| set.pair(id).unwrap().component == *at)
    }));
}

/// ICE-8.1.2-a: whatever state they were in, no check of the component is begun or sent again.
#[test]
fn a_nomination_ends_the_other_checks_of_its_component() {
    for role in [Role::Controlling, Role::Controlled] {
        let (mut set, now) = (set(role, &[1]), test_epoch());
        let near = base(&mut set, 0, at(0, 1), 1, "192.0.2.1:5000");
        // One is to be nominated, one under way, one triggered, one waits, one is frozen.
        for (number, foundation) in [(2, 2), (3, 3), (4, 4), (5, 5), (6, 5)] {
            remote(&mut set, at(0, 1), foundation, 900 - number, &format!("192.0.2.{number}:5000"));
        }
        let first = set.begin_check(now, &mut rng()).expect("a check");
        let under_way = set.begin_check(now, &mut rng()).expect("another check");
        let _ = answer(&mut set, now, near, first, None);
        if role == Role::Controlling {
            set.nominate(now);
            let nomination = set.begin_check(now, &mut rng()).expect("a nomination");
            let _ = request(&mut set, near, at(0, 1), "192.0.2.4:5000", false);
            let _ = answer(&mut set, now, near, nomination, None);
        } else {
            let _ = request(&mut set, near, at(0, 1), "192.0.2.4:5000", false);
            let _ = request(&mut set, near, at(0, 1), "192.0.2.2:5000", true);
        }
        let id = pair(&set, near, "192.0.2.2:5000");
        assert!(set.is_selected(id));
        let list = &set.checklists()[0];
        assert!(list.triggered.is_empty() && list.waiting.is_empty() && !set.wants_slot(now));
        assert_eq!(set.begin_check(now, &mut rng()), None);
        assert_eq!(set.poll_timeout(now + lifetime(RTO)), None, "nothing is sent again, nothing fails");
        let _ = under_way;
    }
}

/// ICE-8.1.2-a: the answer to a check that was under way still counts.
#[test]
fn an_answer_to_a_check_that_a_nomination_ended_is_still_taken() {
    let (mut set, now) = (set(Role::Controlled, &[1]), test_epoch());
    let near = base(&mut set, 0, at(0, 1), 1, "192.0.2.1:5000");
    for number in 2..4 {
        remote(&mut set, at(0, 1), number, 900 - number as u16, &format!("192.0.2.{number}:5000"));
    }
    let [first, other] = [0, 1].map(|_| set.begin_check(now, &mut rng()).expect("a check"));
    let _ = answer(&mut set, now, near, first, None);
    let _ = request(&mut set, near, at(0, 1), "192.0.2.2:5000", true);
    let outcome = answer(&mut set, now, near, other, None);
    assert!(matches!(outcome, Outcome::Validated { selected: false, .. }), "{outcome:?}");
}

/// ICE-8.1.2-b: a checklist with all its components, the session with all its checklists.
#[test]
fn a_checklist_completes_when_each_of_its_components_has_a_nominated_pair() {
    let (mut set, now) = (set(Role::Controlled, &[2, 2]), test_epoch());
    let mut states = Vec::new();
    for (id, component) in (0..).zip([at(1, 2), at(0, 1), at(0, 2), at(1, 1)]) {
        let near = base(&mut set, id, component, u32::from(id) + 1, &format!("192.0.2.1:{}", 5000 + id));
        let _ = request(&mut set, near, component, "192.0.2.2:5000", true);
        let check = set.begin_check(now, &mut rng()).expect("a triggered check");
        assert_eq!(
            states.last().map_or(0, |states: &[ChecklistState; 2]| {
                states.iter().filter(|it| **it == ChecklistState::Completed).count()
            }),
            usize::from(id == 3),
        );
        let _ = answer(&mut set, now, near, check, None);
        states.push([0, 1].map(|stream: usize| set.checklists()[stream].state));
    }
    let (running, completed) = (ChecklistState::Running, ChecklistState::Completed);
    assert_eq!(states, [[running; 2], [running; 2], [completed, running], [completed; 2]]);
}

/// ICE-8.1.1-d: not even when the selected pair is lost with its base; with renomination the next one is.
#[test]
fn after_the_loss_of_the_selected_pair_only_renomination_nominates_another() {
    for renominates in [false, true] {
        let (mut set, now) = (set(Role::Controlling, &[1]), test_epoch());
        if renominates {
            set.nomination = Nomination::Renominate { settle: Duration::ZERO };
            let mut credentials = their_credentials();
            credentials.options.push(IceOption::RENOMINATION);
            set.set_remote_credentials(0, credentials);
        }
        remote(&mut set, at(0, 1), 7, 65535, "192.0.2.2:5000");
        let [first, second] = [0, 1]
            .map(|id| base(&mut set, id, at(0, 1), u32::from(id) + 1, &format!("192.0.2.{}:5000", 10 + id)));
        let checks = [first, second].map(|near| (near, set.begin_check(now, &mut rng()).expect("a check")));
        for (near, check) in checks {
            let _ = answer(&mut set, now, near, check, None);
        }
        set.nominate(now);
        assert_eq!(checked(&mut set, now), ["192.0.2.2:5000*"]);
        assert!(set.is_selected(pair(&set, first, "192.0.2.2:5000")));
        set.remove_base(first);
        set.nominate(now);
        assert_eq!(set.is_bereft(now, at(0, 1)), !renominates);
        let asked = checked(&mut set, now);
        assert_eq!(asked.iter().any(|it| it.ends_with('*')), renominates, "{asked:?}");
        let next = pair(&set, second, "192.0.2.2:5000");
        assert_eq!((set.is_selected(next), set.nominate_chosen(next)), (renominates, renominates));
    }
}
