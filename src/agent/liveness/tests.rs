use super::*;

const RTT: Duration = Duration::from_millis(20);
const TA: Duration = Duration::from_millis(5);

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Data every so many milliseconds for a while; when the last one came.
fn hear(liveness: &mut Liveness, mut now: Instant, gap: u64) -> Instant {
    for _ in 0..100 {
        now += ms(gap);
        let _ = liveness.heard(now);
    }
    now
}

#[test]
fn silence_is_judged_by_the_traffic_before_it() {
    for (gap, after) in [(5, Some(100)), (20, Some(100)), (40, Some(160)), (100, Some(250)), (300, None)] {
        let start = crate::time::test_epoch();
        let mut liveness = Liveness::new(start, Some(RTT));
        let last = hear(&mut liveness, start, gap);
        let patience = liveness.deadline().map(|at| (at - last).as_millis());
        assert_eq!(patience, after, "{gap}");
    }
}

#[test]
fn traffic_makes_nothing_due_earlier_but_where_it_becomes_regular() {
    let start = crate::time::test_epoch();
    let mut liveness = Liveness::new(start, Some(RTT));
    let mut due = Vec::new();
    for nth in 1..1000 {
        due.extend(liveness.heard(start + ms(nth * 20)).then_some(nth));
    }
    assert_eq!(due, [u64::from(REGULAR)]);
}

/// A peer that asks on other pairs all the time costs one question in five seconds.
#[test]
fn a_peer_that_always_asks_elsewhere_is_believed_seldom() {
    let mut now = crate::time::test_epoch();
    let mut liveness = Liveness::new(now, Some(RTT));
    let mut suspicions = 0;
    for _ in 0..1200 {
        now += ms(50);
        liveness.told(now);
        if liveness.suspicion.is_some() {
            suspicions += 1;
            assert_eq!(liveness.poll(now, Means::Probe, TA), None);
            assert!(liveness.wants_slot());
            assert_eq!(liveness.answered(now, Some(RTT)), None);
        }
    }
    assert!((10..=12).contains(&suspicions), "{suspicions} in a minute");
}

/// Without another pair nothing is asked, and one lost consent request is no suspicion.
#[test]
fn two_consent_requests_in_vain_are_told_and_then_the_answer() {
    let start = crate::time::test_epoch();
    let mut liveness = Liveness::new(start, Some(RTT));
    let ask = |liveness: &mut Liveness, at: Instant| {
        liveness.asked(at);
        let due = liveness.deadline().expect("an answer is expected");
        let news = liveness.poll(due, Means::Wait, TA);
        assert!(!liveness.wants_slot());
        news
    };
    assert_eq!(ask(&mut liveness, start + ms(5000)), None);
    assert_eq!(ask(&mut liveness, start + ms(10_000)), Some(News::Suspected));
    assert_eq!(ask(&mut liveness, start + ms(15_000)), None, "told once");
    assert_eq!(liveness.answered(start + ms(15_300), None), Some(News::Recovered));
    // Data between two lost requests is a sign of life.
    assert_eq!(ask(&mut liveness, start + ms(20_000)), None);
    let _ = liveness.heard(start + ms(22_000));
    assert_eq!(ask(&mut liveness, start + ms(25_000)), None);
}
