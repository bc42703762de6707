//! Later offers and answers (RFC 8839 §4.3.3, §4.4).

use super::*;
use floe::candidate::Address;
use floe::sdp::{Change, Concluded, Exchange, Support};

const TWO: [&str; 6] = [
    "0 credentials ufrag=aaaa pwd=asd88fgpdd777uzjYhagZg options=ice2,trickle",
    "0 candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host",
    "0 candidate:3 1 udp 16777215 198.51.100.9 7000 typ relay raddr 203.0.113.7 rport 6000",
    "1 credentials ufrag=bbbb pwd=asd88fgpdd777uzjYhagZh options=ice2,trickle",
    "1 candidate:1 1 udp 2130706431 192.0.2.1 5002 typ host",
    "1 candidate:1 2 udp 2130706430 192.0.2.1 5003 typ host",
];

fn two() -> Description {
    local(&["0", "1"], &TWO)
}

fn concluded(local: &str, remote: &str) -> Concluded {
    Concluded { local: candidate(local), remote: Address::Socket(remote.parse().expect(remote)) }
}

fn selected() -> [Concluded; 2] {
    [
        concluded(
            "candidate:8 1 udp 1862270975 203.0.113.7 6002 typ prflx raddr 192.0.2.1 rport 5002",
            "192.0.2.9:1",
        ),
        concluded(
            "candidate:8 2 udp 1862270974 203.0.113.7 6003 typ prflx raddr 192.0.2.1 rport 5003",
            "192.0.2.9:2",
        ),
    ]
}

/// RFC 8839 §4.4.1.2.2, SDP-4.4.1.2.2-a.
#[test]
fn after_the_nomination_only_the_selected_candidates_are_listed_and_are_the_default() {
    let mut offer = two();
    offer.conclude(1, &selected(), Exchange::ControlledOffer);
    let section = offer.to_string().split("a=mid:1").nth(1).map(str::to_owned).expect("section 1");
    assert_eq!(count(&section, "a=candidate:"), 2);
    assert_eq!(count(&section, "a=candidate:8 "), 2);
    for component in [1, 2] {
        let default = offer.default_destination(1, component);
        assert_eq!(default.as_ref(), Some(&selected()[usize::from(component) - 1].local.address));
    }
    assert_eq!(read(&offer.to_string()).support(1), Support::Ice);
    assert_eq!(
        count(&offer.to_string(), "a=candidate:1 1 udp 2130706431 192.0.2.1 5000"),
        1,
        "stream 0 runs on"
    );
}

/// RFC 8839 §4.4.1.2.2, §4.4.1.3, §5.2.
#[test]
fn only_the_offer_of_a_controlling_agent_lists_remote_candidates() {
    let with = |exchange| {
        let mut description = two();
        description.conclude(1, &selected(), exchange);
        description.to_string()
    };
    let offer = with(Exchange::ControllingOffer);
    assert_eq!(count(&offer, "a=remote-candidates:1 192.0.2.9 1 2 192.0.2.9 2"), 1);
    assert_eq!(count(&offer, "a=remote-candidates"), 1, "stream 0 has not concluded");
    for exchange in [Exchange::ControlledOffer, Exchange::Answer] {
        assert_eq!(count(&with(exchange), "a=remote-candidates"), 0, "{exchange:?}");
    }
}

/// RFC 8839 §4.4.2.
#[test]
fn an_answer_to_remote_candidates_has_the_listed_ones_alone() {
    let mut offer = two();
    offer.conclude(1, &selected(), Exchange::ControllingOffer);
    let listed = read(&offer.to_string()).media[1].remote_candidates.clone();
    let mut answer = Description::answer_to(&offer);
    let own = |component: u16, port: u16| {
        format!("1 candidate:{component} {component} udp 5 192.0.2.9 {port} typ host")
    };
    for line in [TWO[3], &own(1, 1), &own(2, 2), &own(1, 77)] {
        answer.add(&line.parse().expect(line));
    }
    let pairs: Vec<Concluded> = listed
        .iter()
        .map(|named| {
            let local = answer.media[1].candidates.iter().find(|own| own.address == named.address);
            let remote = offer.default_destination(1, named.component).expect("a default");
            Concluded { local: local.expect("one of ours").clone(), remote }
        })
        .collect();
    answer.conclude(1, &pairs, Exchange::Answer);
    assert_eq!(count(&answer.to_string(), "a=candidate:"), 2);
    for remote in listed {
        assert_eq!(answer.default_destination(1, remote.component), Some(remote.address));
    }
}

/// RFC 8839 §4.4.1.2.1.
#[test]
fn before_the_nomination_a_later_offer_repeats_everything() {
    let first = two();
    let mut second = first.clone();
    for line in
        [TWO[0], TWO[1], "0 candidate:4 1 udp 16777214 198.51.100.8 7001 typ relay raddr 0.0.0.0 rport 9"]
    {
        second.add(&line.parse().expect(line));
    }
    let later = second.to_string();
    for line in first.to_string().lines().filter(|line| line.starts_with("a=")) {
        assert!(later.contains(line), "{line}");
    }
    assert_eq!(count(&later, "a=candidate:"), count(&first.to_string(), "a=candidate:") + 1);
    let read = read(&later);
    assert_eq!(
        (read.support(0), read.support(1)),
        (Support::Ice, Support::Ice),
        "the default is a candidate"
    );
    assert_eq!(read.change(&first, 0), Ok(Change::Same));
}

/// RFC 8839 §4.4.1.1.2, §4.2.1.6.
#[test]
fn a_removed_stream_has_no_attribute_of_ice() {
    let mut offer = two();
    offer.remove(0);
    offer.add(&TWO[1].parse().expect("a candidate"));
    assert_eq!(offer.media_attributes(0), []);
    assert!(offer.to_string().contains("m=application 0 "));
    assert!(!offer.media_attributes(1).is_empty());
    let read = read(&offer.to_string());
    assert_eq!(read.change(&two(), 0), Ok(Change::Removed));
    assert_eq!(read.change(&two(), 1), Ok(Change::Same));
    offer.remove(1);
    assert_eq!(offer.session_attributes(), []);
}

/// RFC 8839 §4.2.5.
#[test]
fn an_answer_with_a_mismatch_has_no_candidates_for_that_stream() {
    let mut answer = two();
    answer.refuse(1);
    answer.add(&TWO[4].parse().expect("a candidate"));
    let text = answer.to_string();
    assert_eq!((count(&text, "a=candidate:"), count(&text, "a=ice-mismatch")), (2, 1));
    let read = read(&text);
    assert_eq!((read.support(0), read.support(1)), (Support::Ice, Support::Refused));
    assert!(read.signals().iter().all(|signal| signal.stream == 0));
}

/// RFC 8839 §4.2.5, §4.3.3.
#[test]
fn ice_mismatch_ends_ice_for_that_stream_alone() {
    let third = "m=video 9 RTP/AVP 31\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:cccc\r\na=ice-pwd:asd88fgpdd777uzjYhagZi\r\n";
    let mut answer = read(&format!("{}{third}", two()));
    assert_eq!(answer.streams_after_answer(), [0, 1, 2]);
    answer.refuse(1);
    assert_eq!(answer.streams_after_answer(), [0, 2]);
    assert_eq!(answer.change(&two(), 1), Ok(Change::Ended));
}

/// RFC 8839 §4.3.3.
#[test]
fn an_answer_without_ice_or_with_mismatches_alone_ends_it_for_the_session() {
    assert_eq!(read("m=audio 5000 RTP/AVP 0\r\nc=IN IP4 192.0.2.1\r\n").streams_after_answer(), [0; 0]);
    let mut answer = two();
    answer.refuse(0);
    answer.refuse(1);
    assert_eq!(read(&answer.to_string()).streams_after_answer(), [0; 0]);
}

/// RFC 8839 §4.3.3.
#[test]
fn a_mismatch_that_the_offerer_sees_ends_ice_for_the_session() {
    let text = two().to_string().replacen("c=IN IP4 198.51.100.9", "c=IN IP4 203.0.113.200", 1);
    let answer = read(&text);
    assert_eq!(answer.support(0), Support::Mismatch { component: 1 });
    assert_eq!(answer.support(1), Support::Ice);
    assert_eq!(answer.streams_after_answer(), [0; 0]);
}

/// RFC 8839 §4.3.2.
#[test]
fn an_answer_to_an_offer_without_ice_has_no_attribute_of_ice() {
    let offer = read("v=0\r\nm=audio 5000 RTP/AVP 0\r\nc=IN IP4 192.0.2.1\r\na=sendrecv\r\n");
    let mut answer = Description::answer_to(&offer);
    answer.extend(&emitted(&TWO));
    let text = answer.to_string();
    assert_eq!((count(&text, "a=ice-"), count(&text, "a=candidate")), (0, 0), "{text}");
}

/// What `text` of the peer means after `before`.
fn change(before: &Description, text: &str) -> Result<Change, &'static str> {
    read(text).change(before, 0).map_err(|error| error.field)
}

fn one(session: &str, media: &str) -> String {
    format!("v=0\r\n{session}m=audio 9 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\n{media}")
}

const UFRAG: &str = "a=ice-ufrag:8hhY\r\n";
const PWD: &str = "a=ice-pwd:asd88fgpdd777uzjYhagZg\r\n";
const OTHER_UFRAG: &str = "a=ice-ufrag:9iiZ\r\n";
const OTHER_PWD: &str = "a=ice-pwd:asd88fgpdd777uzjYhagZZ\r\n";

/// RFC 8839 §4.4.1.1.1, SDP-4.4.1.1.1-c.
#[test]
fn a_restart_changes_both_ufrag_and_pwd() {
    let before = read(&one("", CREDENTIALS));
    let with = |ufrag: &str, pwd: &str| change(&before, &one("", &format!("{ufrag}{pwd}")));
    assert_eq!(with(UFRAG, PWD), Ok(Change::Same));
    assert_eq!(with(OTHER_UFRAG, OTHER_PWD), Ok(Change::Restart));
    assert_eq!(with(OTHER_UFRAG, PWD), Err("ice-pwd"));
    assert_eq!(with(UFRAG, OTHER_PWD), Err("ice-ufrag"));
    let none = read(&one("", ""));
    assert_eq!(change(&none, &one("", CREDENTIALS)), Ok(Change::Added));
    assert_eq!(change(&before, &one("", "")), Ok(Change::Ended));
}

/// RFC 8839 §4.4.1.1.1, SDP-4.4.1.1.1-d.
#[test]
fn moving_credentials_between_the_levels_is_no_restart() {
    let texts = [one("", CREDENTIALS), one(CREDENTIALS, ""), one(UFRAG, PWD), one(PWD, UFRAG)];
    for before in &texts {
        for after in &texts {
            assert_eq!(change(&read(before), after), Ok(Change::Same), "{before} {after}");
        }
    }
}

const START: &str = "a=ice-options:ice2 trickle\r\na=ice-pacing:50\r\n";
const OTHER: [(&str, &str); 3] = [
    ("ice-options", "a=ice-options:ice2\r\n"),
    ("ice-pacing", "a=ice-options:ice2 trickle\r\na=ice-pacing:20\r\n"),
    ("ice-lite", "a=ice-options:ice2 trickle\r\na=ice-lite\r\n"),
];

/// RFC 8839 §4.4.1.1.1, SDP-4.4.1.1.1-e.
#[test]
fn options_pacing_and_lite_change_only_with_a_restart() {
    let mut own = two();
    let session = own.session_attributes();
    own.add(&format!("{} lite pacing=20", TWO[0]).replace(",trickle", "").parse().expect("credentials"));
    assert_eq!(own.session_attributes(), session, "the same generation");
    let restart = TWO[0].replace("aaaa", "cccc").replace(",trickle", " pacing=20");
    own.add(&restart.parse().expect("credentials"));
    let changed: Vec<String> = own.session_attributes().iter().map(ToString::to_string).collect();
    assert_eq!(changed, ["ice-options:ice2", "ice-pacing:20"]);
}

/// RFC 8839 §4.4.2.1.
#[test]
fn an_offer_that_changes_options_pacing_or_lite_without_a_restart_is_rejected() {
    let before = read(&one(START, CREDENTIALS));
    assert_eq!(change(&before, &one("a=ice-options:trickle ice2\r\n", CREDENTIALS)), Ok(Change::Same));
    for (field, session) in OTHER {
        assert_eq!(change(&before, &one(session, CREDENTIALS)), Err(field), "{session}");
    }
}

/// RFC 8839 §4.4.2.1.
#[test]
fn a_restart_may_bring_other_options_pacing_and_lite() {
    let before = read(&one(START, CREDENTIALS));
    for (_, session) in OTHER {
        let restart = one(session, &format!("{OTHER_UFRAG}{OTHER_PWD}"));
        assert_eq!(change(&before, &restart), Ok(Change::Restart), "{session}");
    }
}

/// RFC 8839 §4.4.2.1.
#[test]
fn an_answer_without_a_restart_repeats_options_pacing_and_lite() {
    for words in ["options=ice2,trickle", "lite options=ice2", "pacing=20 options=ice2"] {
        let credentials = format!("0 credentials ufrag=aaaa pwd=asd88fgpdd777uzjYhagZg {words}");
        let first = local(&["0"], &[&credentials]);
        let mut answer = Description::answer_to(&first);
        answer.add(&credentials.parse().expect("credentials"));
        assert_eq!(answer.session_attributes(), first.session_attributes());
        assert_eq!(read(&answer.to_string()).change(&first, 0), Ok(Change::Same));
    }
}

/// RFC 8838 §15.
#[test]
fn the_same_credentials_bring_more_candidates_and_new_ones_a_restart() {
    let before = read(&one("", CREDENTIALS));
    let more = format!("{CREDENTIALS}a=candidate:2 1 udp 7 192.0.2.2 5 typ host\r\n");
    assert_eq!(change(&before, &one("", &more)), Ok(Change::Same));
    assert_eq!(read(&one("", &more)).signals()[0], before.signals()[0]);
    let restart = more.replace(UFRAG, OTHER_UFRAG).replace(PWD, OTHER_PWD);
    assert_eq!(change(&before, &one("", &restart)), Ok(Change::Restart));
}

/// RFC 8839 §4.3.4.
#[test]
fn only_a_peer_without_ice2_needs_an_offer_at_once_after_the_nomination() {
    let own = two();
    let selected = [
        concluded("candidate:1 1 udp 2130706431 192.0.2.1 5002 typ host", "192.0.2.1:5002"),
        concluded("candidate:1 2 udp 2130706430 192.0.2.1 5003 typ host", "192.0.2.1:5003"),
    ];
    let new = two();
    let old = read(&two().to_string().replace("a=ice-options:ice2 trickle", "a=ice-options:trickle"));
    assert!(!own.needs_offer(1, &selected, &old), "the default pair");
    let mut other = selected.clone();
    other[1].remote = Address::Socket("192.0.2.77:1".parse().expect("an address"));
    assert!(own.needs_offer(1, &other, &old));
    assert!(!own.needs_offer(1, &other, &new));
    let mut later = own.clone();
    later.conclude(1, &self::selected(), Exchange::ControllingOffer);
    assert_eq!(later.default_destination(1, 1), Some(self::selected()[0].local.address.clone()));
}

/// RFC 8839 §4.4.1.3; decision 12: the local candidate of the valid pair.
#[test]
fn a_lite_agent_that_has_concluded_lists_the_local_candidates_of_its_pairs() {
    let lite = [&TWO[3].replace("options=ice2,trickle", "lite options=ice2"), TWO[4], TWO[5]];
    let mut description = local(&["0", "1"], &lite);
    description.add(&"1 candidate:2 1 udp 2130706175 192.0.2.2 5002 typ host".parse().expect("a candidate"));
    let pairs = [
        concluded("candidate:2 1 udp 2130706175 192.0.2.2 5002 typ host", "203.0.113.1:1"),
        concluded("candidate:1 2 udp 2130706430 192.0.2.1 5003 typ host", "203.0.113.1:2"),
    ];
    description.conclude(1, &pairs, Exchange::ControlledOffer);
    let text = description.to_string();
    assert_eq!((count(&text, "a=candidate:"), count(&text, "a=remote-candidates")), (2, 0));
    for pair in pairs {
        let default = description.default_destination(1, pair.local.component);
        assert_eq!(default, Some(pair.local.address));
    }
}

/// RFC 8839 §4.4.1.1.1.
#[test]
fn a_restart_may_keep_its_candidates_or_bring_others() {
    let before = two();
    for lines in [
        "a=candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host\r\n",
        "a=candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host\r\na=candidate:2 1 udp 7 192.0.2.2 5 typ host\r\n",
        "a=candidate:2 1 udp 7 192.0.2.2 5 typ host\r\n",
        "",
    ] {
        let after = one("", &format!("{OTHER_UFRAG}{OTHER_PWD}{lines}"));
        assert_eq!(change(&before, &after), Ok(Change::Restart), "{lines}");
    }
}

#[test]
fn credentials_of_a_new_generation_clear_what_was_listed() {
    let mut description = two();
    description
        .add(&"0 credentials ufrag=cccc pwd=asd88fgpdd777uzjYhagZi options=ice2".parse().expect("one"));
    assert_eq!(description.media[0].candidates, []);
    assert_eq!(description.media[0].port, 9);
    assert_eq!(description.media[1].candidates.len(), 2);
    assert_eq!(description.change(&two(), 0), Ok(Change::Restart));
}
