use super::super::MessageSummary;
use super::*;
use crate::time::{Duration, test_epoch};

const A: &str = "10.0.0.2:5000";
const B: &str = "198.51.100.7:6000";
const SERVER: &str = "192.0.2.9:3478";

fn stun(id: u8, class: Class) -> Content {
    Content::Stun(MessageSummary { class, method: 1, transaction_id: [id; 12], nominates: false })
}

fn sent(base: &str, remote: &str, content: Content) -> What {
    What::Sent { base: base.parse().unwrap(), remote: remote.parse().unwrap(), content }
}

fn received(base: &str, remote: &str, content: Content) -> What {
    What::Received { base: base.parse().unwrap(), remote: remote.parse().unwrap(), content }
}

/// The lines under the heading, without the rails' padding.
fn lines(left: &[(u64, What)], right: &[(u64, What)]) -> Vec<String> {
    let epoch = test_epoch();
    let trace = |records: &[(u64, What)]| {
        let mut trace = Trace::new(100);
        for (ms, what) in records {
            trace.push(epoch + Duration::from_millis(*ms), *what);
        }
        trace
    };
    let (left, right) = (trace(left), trace(right));
    let text = Ladder::new(epoch, ("alice", &left), ("bob", &right)).to_string();
    for line in text.lines() {
        assert_eq!(line.chars().count(), WIDTH, "{line}");
    }
    text.lines().skip(1).map(str::to_owned).collect()
}

#[test]
fn a_datagram_that_both_have_seen_is_one_arrow_from_rail_to_rail() {
    let (request, success) = (stun(7, Class::Request), stun(7, Class::Success));
    let lines = lines(
        &[(1, What::State("checking")), (2, sent(A, B, request)), (9, received(A, B, success))],
        &[(5, received(B, A, request)), (5, sent(B, A, success))],
    );
    assert_eq!(lines.len(), 3, "{lines:#?}");
    assert!(lines[0].starts_with("    1.000 │ • state checking "));
    assert!(lines[1].starts_with("    2.000 │── Binding request #0707  10.0.0.2:5000 → 198.51.100.7:6000 ─"));
    assert!(lines[1].ends_with("─►│"));
    assert!(lines[2].starts_with("    5.000 │◄─"));
    assert!(lines[2].ends_with("─ Binding success #0707  198.51.100.7:6000 → 10.0.0.2:5000 ──│"));
}

#[test]
fn a_datagram_to_a_server_does_not_reach_the_other_rail() {
    let lines = lines(&[(2, sent(A, SERVER, stun(3, Class::Request)))], &[(3, What::State("checking"))]);
    assert!(lines[0].contains("10.0.0.2:5000 → 192.0.2.9:3478 ─► "), "{lines:#?}");
    assert!(lines[1].ends_with(" state checking • │"));
}

#[test]
fn of_a_retransmission_the_lost_copy_is_the_short_arrow() {
    let request = stun(7, Class::Request);
    let lines =
        lines(&[(0, sent(A, B, request)), (500, sent(A, B, request))], &[(520, received(B, A, request))]);
    assert!(lines[0].ends_with(" │") && lines[1].ends_with("─►│"), "{lines:#?}");
}

#[test]
fn a_link_without_latency_matches_too() {
    let request = stun(7, Class::Request);
    let lines = lines(&[(4, received(A, B, request))], &[(4, sent(B, A, request))]);
    assert_eq!(lines.len(), 1, "{lines:#?}");
}

#[test]
fn long_addresses_keep_the_line_in_its_width() {
    let long = "[2001:db8:1111:2222:3333:4444:5555:6666]:65535";
    let nominated = What::Nominated { local: long.parse().unwrap(), remote: long.parse().unwrap() };
    let lines = lines(&[(0, sent(long, long, stun(1, Class::Error(487))))], &[(0, nominated)]);
    assert!(lines[0].contains("Binding error 487 #0101  → [2001:db8:"), "{lines:#?}");
}
