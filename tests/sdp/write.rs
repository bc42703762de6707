//! Writing: what an agent emitted, as lines of a description.

use super::*;
use floe::credentials::IceOption;
use floe::io::Transport;
use floe::sdp::{Fragment, Support, default_candidate};
use floe::{Config, Role};

const FULL: [&str; 8] = [
    "0 credentials ufrag=aaaa pwd=asd88fgpdd777uzjYhagZg options=ice2,trickle",
    "0 candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host",
    "0 candidate:2 1 udp 1694498815 203.0.113.7 6000 typ srflx raddr 192.0.2.1 rport 5000",
    "0 candidate:3 1 udp 16777215 198.51.100.9 7000 typ relay raddr 203.0.113.7 rport 6000",
    "1 credentials ufrag=bbbb pwd=asd88fgpdd777uzjYhagZh options=ice2,trickle",
    "1 candidate:1 1 udp 2130706431 192.0.2.1 5002 typ host",
    "1 candidate:2 1 udp 1694498815 203.0.113.7 6002 typ srflx raddr 192.0.2.1 rport 5002",
    "1 candidate:3 1 udp 16777215 198.51.100.9 7002 typ relay raddr 203.0.113.7 rport 6002",
];

/// What a new agent with one socket emits.
fn emitted_by_an_agent(seed: u8) -> Vec<Signal> {
    let now = super::over_sdp::epoch();
    let mut agent = Agent::new(Config::new(Role::Controlling, [seed; 32]), now);
    let socket = floe::io::Socket::udp("192.0.2.1:5000".parse().expect("an address"));
    agent.add_socket(now, floe::io::SocketId(0), socket).expect("a socket");
    agent.end_of_sockets(now);
    drain(&mut agent)
}

/// RFC 8839 §4.3.1.
#[test]
fn an_offer_lists_all_candidates_and_credentials() {
    let text = local(&["0", "1"], &FULL).to_string();
    assert_eq!(count(&text, "a=candidate:"), 6);
    assert_eq!((count(&text, "a=ice-ufrag:"), count(&text, "a=ice-pwd:")), (2, 2));
    assert_eq!(count(&text, "a=ice-options:ice2 trickle"), 1);
    let read = read(&text);
    assert_eq!((read.support(0), read.support(1)), (Support::Ice, Support::Ice));
}

/// RFC 8839 §4.3.2.
#[test]
fn an_answer_lists_all_candidates_and_credentials_of_its_own() {
    let offer = local(&["0", "1"], &FULL);
    let mut answer = Description::answer_to(&offer);
    let own = FULL.map(|line| line.replace("ufrag=", "ufrag=own").replace("pwd=asd", "pwd=own"));
    answer.extend(&emitted(&own.each_ref().map(String::as_str)));
    let text = answer.to_string();
    assert_eq!(count(&text, "a=candidate:"), 6);
    assert_eq!(count(&text, "a=ice-options:ice2 trickle"), 1);
    for line in text.lines().filter(|line| line.starts_with("a=ice-ufrag") || line.starts_with("a=ice-pwd")) {
        assert!(!offer.to_string().contains(line), "{line}");
    }
}

/// RFC 8839 §4.2.1.5, §5.4; SDP-5.4-f has its own test below.
#[test]
fn what_an_agent_emits_has_ice2_and_credentials_that_no_other_session_has() {
    let descriptions = [1, 2].map(|seed| {
        let mut description = Description::with_mids(&["0"]);
        description.extend(&emitted_by_an_agent(seed));
        description
    });
    for description in &descriptions {
        assert!(description.session.options.contains(&IceOption::ICE2));
        assert!(!read(&description.to_string()).peer_is_rfc5245(0));
    }
    let [one, other] = descriptions.map(|description| description.credentials(0).expect("credentials"));
    assert_ne!(one.ufrag, other.ufrag);
    assert_ne!(one.pwd, other.pwd);
}

/// RFC 8839 §5.4, SDP-5.4-f.
#[test]
fn an_own_ufrag_has_at_most_32_characters_and_the_peers_up_to_256() {
    for seed in 0..20 {
        let mut own = Description::with_mids(&["0"]);
        own.extend(&emitted_by_an_agent(seed));
        let ufrag = own.credentials(0).expect("credentials").ufrag;
        assert!((4..=32).contains(&ufrag.as_str().len()), "{ufrag}");
    }
    let with = |length| {
        format!(
            "m=audio 9 RTP/AVP 0\r\na=ice-pwd:asd88fgpdd777uzjYhagZg\r\na=ice-ufrag:{}",
            "u".repeat(length)
        )
    };
    assert_eq!(read(&with(256)).credentials(0).expect("credentials").ufrag.as_str().len(), 256);
    assert_eq!(field(&with(257)), "ice-ufrag");
}

/// RFC 8839 §10.2.
#[test]
fn own_options_are_at_most_20_ice_chars() {
    let mut description = Description::with_mids(&["0"]);
    description.extend(&emitted_by_an_agent(1));
    assert!(!description.session.options.is_empty());
    for option in &description.session.options {
        let is_ice_char = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
        assert!(option.as_str().len() <= 20 && option.as_str().bytes().all(is_ice_char), "{option}");
    }
}

/// RFC 8839 §4.2.1.4, §4.3.1, §4.3.2.
#[test]
fn a_lite_agent_says_so_once_and_has_no_pacing() {
    let lite = "0 credentials ufrag=aaaa pwd=asd88fgpdd777uzjYhagZg lite pacing=20 options=ice2";
    let text = local(&["0"], &[lite]).to_string();
    assert_eq!((count(&text, "a=ice-lite"), count(&text, "a=ice-pacing")), (1, 0));
    assert!(text.find("a=ice-lite") < text.find("m="), "{text}");
    let mut answer = Description::answer_to(&local(&["0"], &FULL));
    answer.add(&lite.parse().expect(lite));
    assert_eq!(count(&answer.to_string(), "a=ice-pacing"), 0);
}

/// RFC 8839 §4.2.1.4.
#[test]
fn a_full_agent_never_says_lite_also_after_a_restart_from_lite() {
    let lite = "0 credentials ufrag=aaaa pwd=asd88fgpdd777uzjYhagZg lite options=ice2";
    let full = "0 credentials ufrag=cccc pwd=asd88fgpdd777uzjYhagZh options=ice2";
    assert_eq!(count(&local(&["0"], &[full]).to_string(), "a=ice-lite"), 0);
    assert_eq!(count(&local(&["0"], &[lite, full]).to_string(), "a=ice-lite"), 0);
}

/// RFC 8839 §4.3.1, §4.3.2.
#[test]
fn a_full_agent_writes_its_pacing_at_the_session_level() {
    let offer = local(&["0", "1"], &FULL);
    let mut answer = Description::answer_to(&offer);
    answer.extend(&emitted(&FULL));
    for text in [offer.to_string(), answer.to_string()] {
        assert_eq!(count(&text, "a=ice-pacing:50"), 1);
        assert!(text.find("a=ice-pacing") < text.find("m="), "{text}");
    }
}

/// RFC 8839 §4.2.2.
#[test]
fn both_components_are_listed_and_have_a_default() {
    let text = local(
        &["0"],
        &[
            FULL[0],
            "0 candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host",
            "0 candidate:1 2 udp 2130706430 192.0.2.1 5007 typ host",
        ],
    )
    .to_string();
    assert_eq!((count(&text, "a=candidate:1 1 "), count(&text, "a=candidate:1 2 ")), (1, 1));
    assert_eq!(count(&text, "a=rtcp:5007 IN IP4 192.0.2.1"), 1);
    assert_eq!(read(&text).support(0), Support::Ice);
}

/// RFC 8445 §5.1.4, RFC 8839 §4.2.1.2.
#[test]
fn the_default_candidate_is_the_one_that_most_probably_works() {
    let candidates = [
        "candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host",
        "candidate:2 1 udp 1694498815 203.0.113.7 6000 typ srflx raddr 192.0.2.1 rport 5000",
        "candidate:3 1 udp 16777215 2001:db8::9 7000 typ relay raddr 203.0.113.7 rport 6000",
        "candidate:4 1 udp 16777214 198.51.100.9 7000 typ relay raddr 203.0.113.7 rport 6000",
        "candidate:5 1 udp 16777213 198.51.100.9 7001 typ relay raddr 203.0.113.7 rport 6000",
    ]
    .map(candidate);
    let best = |from: &[Candidate]| {
        default_candidate(from, 1, Transport::Udp).map(|candidate| candidate.foundation.to_string())
    };
    assert_eq!(best(&candidates).as_deref(), Some("4"));
    assert_eq!(best(&candidates[..3]).as_deref(), Some("3"));
    assert_eq!(best(&candidates[..2]).as_deref(), Some("2"));
    assert_eq!(best(&candidates[..1]).as_deref(), Some("1"));
    assert_eq!(best(&[]), None);
    assert_eq!(default_candidate(&candidates, 2, Transport::Udp), None);
    assert_eq!(default_candidate(&candidates, 1, Transport::Tcp), None);
    assert_eq!(best(&[candidate("candidate:1 1 udp 5 a.local 5000 typ host")]), None, "a name is none");
}

/// RFC 8839 §4.3.2.
#[test]
fn without_a_candidate_of_its_transport_a_section_has_no_default_destination() {
    let mut offer = local(&["0"], &FULL);
    offer.media[0].protocol = "UDP/TLS/RTP/SAVPF".into();
    let mut answer = Description::answer_to(&offer);
    answer.add(&FULL[0].parse().expect("credentials"));
    let tcp = "0 candidate:1 1 tcp 2105458943 192.0.2.1 5000 typ host tcptype passive";
    answer.add(&tcp.parse().expect(tcp));
    let text = answer.to_string();
    assert!(text.contains("m=application 9 UDP/TLS/RTP/SAVPF"), "{text}");
    assert!(text.contains("c=IN IP4 0.0.0.0"), "{text}");
    assert_eq!(read(&text).support(0), Support::Ice);
}

/// RFC 8839 §5.1.
#[test]
fn related_addresses_are_written_for_all_types_but_host() {
    for (kind, related) in [("host", false), ("srflx", true), ("prflx", true), ("relay", true)] {
        let mut text = format!("candidate:1 1 udp 5 192.0.2.1 5000 typ {kind}");
        let printed = candidate(&text).to_string();
        assert_eq!(printed.contains(" raddr ") && printed.contains(" rport "), related, "{printed}");
        text += " raddr 10.0.0.1 rport 7";
        assert_eq!(candidate(&text).to_string().contains(" raddr 10.0.0.1 rport 7"), related);
    }
}

/// RFC 8839 §5.1, SDP-5.1-h.
#[test]
fn a_hidden_related_address_is_unspecified_with_port_9() {
    for (addr, hidden) in [("192.0.2.1", "raddr 0.0.0.0 rport 9"), ("2001:db8::1", "raddr :: rport 9")] {
        let line = format!("0 candidate:1 1 udp 5 {addr} 5000 typ relay");
        let text = local(&["0"], &[FULL[0], &line]).to_string();
        assert!(text.contains(&format!("typ relay {hidden}\r\n")), "{text}");
        assert_eq!(read(&text).media[0].candidates[0].related, None);
    }
}

/// RFC 8839 §5.1, §10.3.
#[test]
fn what_an_agent_emits_is_grammatical_and_without_names() {
    for signal in emitted_by_an_agent(1) {
        let floe::signal::What::Candidate(candidate) = signal.what else { continue };
        assert!(candidate.address.socket().is_some(), "{candidate}");
        assert_eq!(candidate.to_string().parse(), Ok(candidate));
    }
    let mut odd = candidate("candidate:1 1 udp 5 192.0.2.1 5 typ host good 1");
    odd.extensions.push(("two words".into(), "x".into()));
    odd.extensions.push(("line".into(), "a\r\nb".into()));
    assert_eq!(odd.to_string(), "candidate:1 1 udp 5 192.0.2.1 5 typ host good 1");
}

/// RFC 8838 §3.
#[test]
fn trickle_is_offered_once_for_all_streams() {
    let text = local(&["0", "1"], &FULL).to_string();
    assert_eq!(count(&text, "a=ice-options"), 1);
    assert!(text.find("a=ice-options") < text.find("m="), "{text}");
}

/// RFC 8838 §9, TRK-9-d.
#[test]
fn a_trickled_candidate_names_its_generation() {
    let line = "candidate:1 1 udp 2130706431 2001:db8::1 5000 typ host ufrag 8hhY";
    let read = candidate(&line.replace("udp", "UDP"));
    assert_eq!(read.ufrag.as_ref().map(floe::credentials::Ufrag::as_str), Some("8hhY"));
    assert_eq!(read.to_string(), line);
    let later = emitted(&["1 candidate:9 1 udp 7 192.0.2.1 5009 typ host"]);
    let fragment = Fragment::of(&local(&["a", "b"], &FULL), &later);
    assert!(fragment.to_string().contains("typ host ufrag bbbb\r\n"), "{fragment}");
}

/// RFC 8838 §13.
#[test]
fn a_fragment_names_its_generation_and_its_end() {
    let description = local(&["a", "b"], &FULL);
    let later =
        emitted(&["1 candidate:9 1 udp 7 192.0.2.1 5009 typ host", "1 generation=bbbb end-of-candidates"]);
    let text = Fragment::of(&description, &later).to_string();
    assert_eq!((count(&text, "m="), count(&text, "a=mid:b")), (1, 1));
    assert_eq!((count(&text, "a=ice-ufrag:bbbb"), count(&text, "a=ice-pwd:asd88fgpdd777uzjYhagZh")), (1, 1));
    assert_eq!((count(&text, "a=candidate:9"), count(&text, "a=end-of-candidates")), (1, 1));
    let signals = text.parse::<Fragment>().expect("a fragment").signals(&description).expect("signals");
    assert!(signals.iter().all(|signal| signal.ufrag.as_ref().is_some_and(|it| it.as_str() == "bbbb")));
    let old = emitted(&["1 generation=oooo end-of-candidates", FULL[0]]);
    assert_eq!(Fragment::of(&description, &old), Fragment::default(), "another generation, credentials");
}

/// RFC 8838 §13: half trickle.
#[test]
fn an_offer_that_is_complete_says_so() {
    let mut lines = FULL.to_vec();
    assert_eq!(count(&local(&["0", "1"], &lines).to_string(), "a=end-of-candidates"), 0);
    lines.extend(["0 end-of-candidates", "1 end-of-candidates"]);
    assert_eq!(count(&local(&["0", "1"], &lines).to_string(), "a=end-of-candidates"), 2);
}

/// RFC 8839 §4.2.1.6.
#[test]
fn an_inactive_stream_keeps_its_attributes_of_ice() {
    // The direction is not ICE's: nothing of the module looks at it.
    let active = local(&["0"], &FULL).to_string();
    let inactive = format!("{active}a=inactive\r\nb=AS:0\r\n");
    assert_eq!(read(&inactive), read(&active));
    assert_eq!(read(&inactive).media_attributes(0).len(), 5);
    assert!(!inactive.contains("c=IN IP4 0.0.0.0"), "RFC 8839 §4.4.1.1.1: no way to put a stream on hold");
}
