//! Reading descriptions: those of other implementations, and what the RFCs decide.

use super::*;
use floe::candidate::Address;
use floe::credentials::IceOption;
use floe::sdp::{Fragment, Support, Trickle};
use floe::signal::What;

/// A section with these lines.
fn section(lines: &str) -> String {
    format!("v=0\r\nm=audio 9 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\n{lines}")
}

fn ip(text: &str) -> Option<Address> {
    text.parse().ok().map(Address::Socket)
}

#[test]
fn descriptions_of_other_implementations_are_read() {
    // name, text, ufrag, candidates of stream 0, signals, whether more may come
    let table = [
        ("RFC 8839 §4.2.6", include_str!("fixtures/rfc8839.sdp"), "8hhY", 2, Trickle::No),
        ("Chrome", include_str!("fixtures/chrome.sdp"), "Jk3d", 3, Trickle::Yes),
        ("Firefox", include_str!("fixtures/firefox.sdp"), "8a1b2c3d", 3, Trickle::Yes),
        ("pion", include_str!("fixtures/pion.sdp"), "EsAwPmYcDjVdHnQr", 4, Trickle::No),
        ("libnice", include_str!("fixtures/libnice.sdp"), "s4Gz", 4, Trickle::No),
        ("aioice", include_str!("fixtures/aioice.sdp"), "9sTU", 2, Trickle::No),
    ];
    for (name, text, ufrag, candidates, trickle) in table {
        let description = read(text);
        assert_eq!(description.ignored, [], "{name}");
        assert_eq!(description.support(0), Support::Ice, "{name}");
        assert_eq!(description.credentials(0).expect(name).ufrag.as_str(), ufrag);
        assert_eq!(description.media[0].candidates.len(), candidates, "{name}");
        assert_eq!(description.trickle(), trickle, "{name}");
        let signals = description.signals();
        assert!(signals.iter().all(|signal| signal.stream == 0), "{name}");
        assert!(matches!(signals[0].what, What::Credentials(_)), "{name}");
        let ended = name != "Chrome";
        assert_eq!(signals.len(), 1 + candidates + usize::from(ended), "{name}");
        assert_eq!(signals.last().map(|last| last.what == What::EndOfCandidates), Some(ended), "{name}");
        // What is written reads as the same.
        assert_eq!(read(&description.to_string()), description, "{name}");
    }
}

#[test]
fn a_fragment_of_a_whip_client_is_read() {
    // RFC 8838 §9
    let fragment: Fragment = include_str!("fixtures/whip.sdpfrag").parse().expect("a fragment");
    let remote = Description::with_mids(&["audio", "0"]);
    let signals = fragment.signals(&remote).expect("signals");
    assert_eq!(signals.len(), 4);
    assert!(signals.iter().all(|signal| signal.stream == 1));
    assert!(signals.iter().all(|signal| signal.ufrag.as_ref().is_some_and(|ufrag| ufrag.as_str() == "EsAw")));
    assert_eq!(signals[3].what, What::EndOfCandidates);
    assert_eq!(fragment.to_string().parse(), Ok(fragment.clone()));
    assert_eq!(fragment.signals(&Description::with_mids(&["1"])).expect_err("no such mid").field, "mid");
}

#[test]
fn a_fragment_needs_mid_ufrag_and_pwd() {
    for (text, field) in [
        (format!("m=audio 9 RTP/AVP 0\r\n{CREDENTIALS}"), "mid"),
        ("m=audio 9 RTP/AVP 0\r\na=mid:0\r\n".to_owned(), "ice-ufrag"),
        ("m=audio 9 RTP/AVP 0\r\na=mid:0\r\na=ice-ufrag:8hhY\r\n".to_owned(), "ice-pwd"),
    ] {
        assert_eq!(text.parse::<Fragment>().expect_err(&text).field, field);
    }
}

/// RFC 8839 §3.
#[test]
fn the_default_destination_comes_from_c_m_and_rtcp() {
    let with = |session: &str, media: &str| {
        let text = format!("v=0\r\n{session}m=audio 4000 RTP/AVP 0\r\n{media}");
        let description = read(&text);
        (description.default_destination(0, 1), description.default_destination(0, 2))
    };
    let (session, media) = ("c=IN IP4 192.0.2.1\r\n", "c=IN IP6 2001:db8::1\r\n");
    assert_eq!(with("", ""), (None, None));
    assert_eq!(with(session, ""), (ip("192.0.2.1:4000"), ip("192.0.2.1:4001")));
    assert_eq!(with(session, media), (ip("[2001:db8::1]:4000"), ip("[2001:db8::1]:4001")));
    assert_eq!(with(session, "a=rtcp:5000\r\n").1, ip("192.0.2.1:5000"));
    assert_eq!(with(session, "a=rtcp:5000 IN IP4 192.0.2.9\r\n").1, ip("192.0.2.9:5000"));
    assert_eq!(with(session, "a=rtcp-mux\r\n"), (ip("192.0.2.1:4000"), None));
    assert_eq!(with("c=IN IP4 233.252.0.1/127\r\n", "").0, ip("233.252.0.1:4000"));
}

/// RFC 8839 §4.2.5.
#[test]
fn ice_is_supported_with_ufrag_pwd_and_the_default_among_the_candidates() {
    let good = "a=candidate:1 1 udp 5 192.0.2.1 4000 typ host\r\n";
    let with = |port: u16, lines: &str| {
        read(&format!("v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio {port} RTP/AVP 0\r\n{lines}")).support(0)
    };
    assert_eq!(with(4000, ""), Support::Absent);
    assert_eq!(with(4000, &format!("{CREDENTIALS}{good}")), Support::Ice);
    assert_eq!(with(4002, &format!("{CREDENTIALS}{good}")), Support::Mismatch { component: 1 });
    let tcp = "a=candidate:1 1 tcp 5 192.0.2.1 4000 typ host tcptype passive\r\n";
    assert_eq!(with(4000, &format!("{CREDENTIALS}{tcp}")), Support::Mismatch { component: 1 });
    let rtcp = "a=candidate:1 2 udp 5 192.0.2.1 4001 typ host\r\n";
    assert_eq!(with(4000, &format!("{CREDENTIALS}{good}{rtcp}")), Support::Ice);
    let elsewhere = format!("{CREDENTIALS}{good}{rtcp}a=rtcp:4007\r\n");
    assert_eq!(with(4000, &elsewhere), Support::Mismatch { component: 2 });
    assert_eq!(with(0, &format!("{CREDENTIALS}{good}")), Support::Removed);
}

/// RFC 8839 §4.2.5, SDP-4.2.5-d.
#[test]
fn an_unspecified_address_with_port_9_is_no_mismatch() {
    let good =
        "a=candidate:1 1 udp 5 192.0.2.1 4000 typ host\r\na=candidate:1 2 udp 4 192.0.2.1 4001 typ host\r\n";
    for host in ["IN IP4 0.0.0.0", "IN IP6 ::"] {
        for candidates in ["", good] {
            let text = format!("v=0\r\nm=audio 9 RTP/AVP 0\r\nc={host}\r\n{CREDENTIALS}{candidates}");
            assert_eq!(read(&text).support(0), Support::Ice, "{text}");
        }
        let text = format!("v=0\r\nm=audio 10 RTP/AVP 0\r\nc={host}\r\n{CREDENTIALS}{good}");
        assert_eq!(read(&text).support(0), Support::Mismatch { component: 1 }, "{text}");
    }
}

/// RFC 8839 §4.2.5.
#[test]
fn a_name_as_default_destination_is_no_mismatch() {
    let text = format!("v=0\r\nm=audio 5000 RTP/AVP 0\r\nc=IN IP4 host.example\r\n{CREDENTIALS}");
    let description = read(&text);
    assert_eq!(description.support(0), Support::Ice);
    assert_eq!(description.signals().len(), 2);
}

/// RFC 8839 §4.3.1.
#[test]
fn an_offer_without_candidates_is_an_offer_of_ice() {
    let description = read(&section(&format!("{CREDENTIALS}a=ice-options:ice2 trickle\r\n")));
    assert_eq!(description.support(0), Support::Ice);
    let signals = description.signals();
    assert!(matches!(&signals[..], [Signal { what: What::Credentials(_), .. }]), "{signals:?}");
}

/// RFC 8839 §4.2.5: an answerer may take the rewritten default destination as one more candidate, or refuse.
#[test]
fn a_mismatching_default_destination_becomes_a_candidate_or_is_refused() {
    let text = format!(
        "v=0\r\nc=IN IP4 203.0.113.9\r\nm=audio 6000 RTP/AVP 0\r\n{CREDENTIALS}\
         a=candidate:1 1 udp 5 192.0.2.1 4000 typ host\r\na=candidate:1 2 udp 4 192.0.2.1 4001 typ host\r\n"
    );
    let mut description = read(&text);
    assert_eq!(description.signals(), [], "a mismatch is not gone into unasked");
    let mut answer = Description::answer_to(&description);
    answer.add(
        &"0 credentials ufrag=aaaa pwd=asd88fgpdd777uzjYhagZg options=ice2".parse().expect("credentials"),
    );
    answer.refuse(0);
    assert!(answer.to_string().contains("a=ice-mismatch\r\n"), "{answer}");
    description.adopt_default(0);
    assert_eq!(description.support(0), Support::Ice);
    let added: Vec<_> = description.media[0].candidates[2..].iter().map(|it| it.address.socket()).collect();
    let expected = ["203.0.113.9:6000", "203.0.113.9:6001"].map(|addr| addr.parse().ok());
    assert_eq!(added, expected);
}

/// RFC 8839 §5.4, SDP-5.4-a.
#[test]
fn ufrag_and_pwd_of_a_section_count_before_those_of_the_session() {
    const SESSION_PWD: &str = "a=ice-pwd:sessionsessionsession1\r\n";
    const MEDIA_PWD: &str = "a=ice-pwd:mediamediamediamedia22\r\n";
    let with = |session: &str, first: &str, second: &str| {
        let text = format!("v=0\r\n{session}m=audio 9 RTP/AVP 0\r\n{first}m=video 9 RTP/AVP 31\r\n{second}");
        let description = read(&text);
        [0, 1].map(|stream| {
            let credentials = description.credentials(stream).expect(&text);
            format!("{} {}", credentials.ufrag, &credentials.pwd.as_str()[..5])
        })
    };
    let session = format!("a=ice-ufrag:sess\r\n{SESSION_PWD}");
    let media = format!("a=ice-ufrag:medi\r\n{MEDIA_PWD}");
    assert_eq!(with(&session, "", ""), ["sess sessi", "sess sessi"]);
    assert_eq!(with("", &media, &media), ["medi media", "medi media"]);
    assert_eq!(with(&session, &media, ""), ["medi media", "sess sessi"]);
    assert_eq!(with("a=ice-ufrag:sess\r\n", MEDIA_PWD, MEDIA_PWD), ["sess media", "sess media"]);
    assert_eq!(
        with(SESSION_PWD, "a=ice-ufrag:aaaa\r\n", "a=ice-ufrag:bbbb\r\n"),
        ["aaaa sessi", "bbbb sessi"]
    );
}

/// RFC 8839 §5.4.
#[test]
fn a_stream_with_half_of_its_credentials_is_refused() {
    assert_eq!(field(&section("a=ice-ufrag:8hhY\r\n")), "ice-pwd");
    assert_eq!(field(&section("a=ice-pwd:asd88fgpdd777uzjYhagZg\r\n")), "ice-ufrag");
    assert_eq!(field(&section("a=candidate:1 1 udp 5 192.0.2.1 4000 typ host\r\n")), "ice-ufrag");
    let twice = format!("{CREDENTIALS}a=ice-ufrag:other\r\n");
    assert_eq!(field(&section(&twice)), "ice-ufrag");
}

/// RFC 8839 §5.4.
#[test]
fn equal_ufrags_need_equal_pwds() {
    let second = "m=video 9 RTP/AVP 31\r\na=ice-ufrag:8hhY\r\na=ice-pwd:";
    let text = section(&format!("{CREDENTIALS}{second}asd88fgpdd777uzjYhagZh\r\n"));
    assert_eq!(field(&text), "ice-pwd");
    read(&section(&format!("{CREDENTIALS}{second}asd88fgpdd777uzjYhagZg\r\n")));
}

/// RFC 8839 §5.4.
#[test]
fn credentials_may_have_up_to_256_characters() {
    let with = |ufrag: usize, pwd: usize| {
        let text = format!("a=ice-ufrag:{}\r\na=ice-pwd:{}\r\n", "u".repeat(ufrag), "p".repeat(pwd));
        section(&text).parse::<Description>().map_err(|error| error.field)
    };
    for (ufrag, pwd) in [(4, 22), (256, 256)] {
        assert!(with(ufrag, pwd).is_ok());
    }
    for ufrag in [0, 3, 257] {
        assert_eq!(with(ufrag, 22), Err("ice-ufrag"));
    }
    for pwd in [0, 21, 257] {
        assert_eq!(with(4, pwd), Err("ice-pwd"));
    }
}

/// RFC 8839 §5.1, SDP-5.1-a.
#[test]
fn a_candidate_line_follows_the_grammar() {
    let host = candidate("candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host");
    for line in [
        "candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host",
        "a=candidate:1 1 UDP 2130706431 192.0.2.1 5000 typ host",
        "candidate:1 1 Udp 2130706431 192.0.2.1 5000 TYP HOST\r\n",
    ] {
        assert_eq!(candidate(line), host, "{line}");
    }
    let longest = format!("candidate:{} 256 udp 2147483647 2001:db8::1 65535 typ host", "f".repeat(32));
    assert_eq!(candidate(&longest).to_string(), longest);
    for (line, field) in [
        ("candidate: 1 udp 5 192.0.2.1 5 typ host", "foundation"),
        ("candidate:a-b 1 udp 5 192.0.2.1 5 typ host", "foundation"),
        ("candidate:1 0001 udp 5 192.0.2.1 5 typ host", "component"),
        ("candidate:1 1 udp 12345678901 192.0.2.1 5 typ host", "priority"),
        ("candidate:1 1 udp 5 192.0.2.1 65536 typ host", "port"),
        ("candidate:1 1 udp 5 192.0.2.1 5 host", "typ"),
        ("candidate:1  1 udp 5 192.0.2.1 5 typ host", "component"),
    ] {
        assert_eq!(line.parse::<Candidate>().expect_err(line).field, field, "{line}");
    }
}

/// RFC 8839 §5.1, SDP-5.1-c.
#[test]
fn a_candidate_with_a_name_is_ignored_and_the_others_stay() {
    let text = section(&format!(
        "{CREDENTIALS}a=candidate:1 1 udp 7 host.example 5000 typ host\r\n\
         a=candidate:2 1 udp 6 192.0.2.1 5000 typ host\r\n\
         a=candidate:3 1 udp 5 1f4712db-ea17-4bcf-a596-105139dfd8bf.local 5000 typ host\r\n"
    ));
    let description = read(&text);
    let kept: Vec<_> = description.media[0].candidates.iter().map(|it| it.foundation.to_string()).collect();
    assert_eq!(kept, ["2", "3"], "names of multicast DNS are the exception");
    assert_eq!(description.ignored[0].field, "connection-address");
}

/// RFC 8839 §5.1.
#[test]
fn a_candidate_of_unknown_type_or_transport_is_ignored_and_the_others_stay() {
    let text = section(&format!(
        "{CREDENTIALS}a=candidate:1 1 udp 7 192.0.2.1 5000 typ foo\r\n\
         a=candidate:2 1 SCTP 6 192.0.2.1 5000 typ host\r\na=candidate:3 1 udp 5 192.0.2.1 5000 typ host\r\n"
    ));
    let description = read(&text);
    assert_eq!(description.media[0].candidates.len(), 1);
    let ignored: Vec<_> = description.ignored.iter().map(|error| error.field).collect();
    assert_eq!(ignored, ["candidate type", "transport"]);
    assert!(description.ignored[0].problem.ends_with("(line 6)"), "{}", description.ignored[0]);
}

/// RFC 8839 §5.1.
#[test]
fn components_are_1_to_256_and_priorities_1_to_2_31_minus_1() {
    for (component, good) in [("0", false), ("1", true), ("256", true), ("257", false), ("999", false)] {
        let line = format!("candidate:1 {component} udp 5 192.0.2.1 5 typ host");
        assert_eq!(line.parse::<Candidate>().is_ok(), good, "{line}");
    }
    for (priority, good) in [("0", false), ("1", true), ("2147483647", true), ("2147483648", false)] {
        let line = format!("candidate:1 1 udp {priority} 192.0.2.1 5 typ host");
        assert_eq!(line.parse::<Candidate>().is_ok(), good, "{line}");
    }
}

/// RFC 8839 §5.1, SDP-5.1-i.
#[test]
fn unknown_extensions_of_a_candidate_are_kept_in_order() {
    let line =
        "candidate:1 1 udp 5 192.0.2.1 5 typ host ufrag 8hhY generation 0 network-id 1 network-cost 10";
    let read = candidate(line);
    assert_eq!(read.to_string(), line);
    let names: Vec<_> = read.extensions.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["generation", "network-id", "network-cost"]);
    let tcp = candidate("candidate:1 1 tcp 5 192.0.2.1 5 typ host tcptype passive generation 0");
    assert_eq!(tcp.extensions.len(), 1);
}

/// RFC 8839 §5.2.
#[test]
fn remote_candidates_name_each_component_once() {
    let candidates =
        "a=candidate:1 1 udp 5 192.0.2.1 4000 typ host\r\na=candidate:1 2 udp 4 192.0.2.1 4001 typ host\r\n";
    let with = |lines: &str| section(&format!("{CREDENTIALS}{candidates}{lines}"));
    for lines in [
        "a=remote-candidates:1 192.0.2.3 45664 2 192.0.2.3 45665\r\n",
        "a=remote-candidates:2 192.0.2.3 45665\r\na=remote-candidates:1 192.0.2.3 45664\r\n",
    ] {
        let mut remotes = read(&with(lines)).media[0].remote_candidates.clone();
        remotes.sort_by_key(|remote| remote.component);
        let addresses: Vec<_> = remotes.into_iter().map(|remote| Some(remote.address)).collect();
        assert_eq!(addresses, [ip("192.0.2.3:45664"), ip("192.0.2.3:45665")]);
    }
    for lines in [
        "a=remote-candidates:1 192.0.2.3 45664\r\n",
        "a=remote-candidates:1 192.0.2.3 45664 1 192.0.2.3 45665 2 192.0.2.3 45666\r\n",
    ] {
        assert_eq!(field(&with(lines)), "remote-candidates", "{lines}");
    }
}

/// RFC 8839 §5.3.
#[test]
fn lite_and_mismatch_count_at_their_own_level_only() {
    let wrong = read(&format!("v=0\r\na=ice-mismatch\r\nm=audio 9 RTP/AVP 0\r\na=ice-lite\r\n{CREDENTIALS}"));
    assert!(!wrong.credentials(0).expect("credentials").lite);
    assert_eq!(wrong.support(0), Support::Ice);
    let fields: Vec<_> = wrong.ignored.iter().map(|error| error.field).collect();
    assert_eq!(fields, ["ice-mismatch", "ice-lite"]);
    let right = read(&format!("v=0\r\na=ice-lite\r\nm=audio 9 RTP/AVP 0\r\na=ice-mismatch\r\n{CREDENTIALS}"));
    assert!(right.credentials(0).expect("credentials").lite);
    assert_eq!(right.support(0), Support::Refused);
    assert_eq!(right.signals(), []);
}

/// RFC 8839 §5.5.
#[test]
fn the_larger_pacing_counts_and_none_is_50() {
    let with = |line: &str| read(&format!("v=0\r\n{line}m=audio 9 RTP/AVP 0\r\n{CREDENTIALS}"));
    let ms = |a: &str, b: &str| with(a).common_pacing(&with(b)).as_millis();
    assert_eq!(ms("", ""), 50);
    assert_eq!(ms("a=ice-pacing:20\r\n", ""), 50);
    assert_eq!(ms("a=ice-pacing:20\r\n", "a=ice-pacing:30\r\n"), 30);
    assert_eq!(ms("", "a=ice-pacing:9999999999\r\n"), 9_999_999_999);
    assert_eq!(field("a=ice-pacing:10000000000\r\n"), "ice-pacing");
}

/// RFC 8839 §5.6.
#[test]
fn options_of_both_levels_are_kept_also_unknown_ones() {
    let text = format!(
        "v=0\r\na=ice-options:ice2 rtp+ecn\r\nm=audio 9 RTP/AVP 0\r\n{CREDENTIALS}\
         a=ice-options:trickle renomination ice2\r\n"
    );
    let credentials = read(&text).credentials(0).expect("credentials");
    let options: Vec<_> = credentials.options.iter().map(IceOption::as_str).collect();
    assert_eq!(options, ["ice2", "rtp+ecn", "trickle", "renomination"]);
}

/// RFC 8839 §4.2.1.5.
#[test]
fn a_peer_without_ice2_is_one_of_rfc_5245() {
    for (options, old) in [("", true), ("a=ice-options:trickle\r\n", true), ("a=ice-options:ice2\r\n", false)]
    {
        assert_eq!(read(&section(&format!("{CREDENTIALS}{options}"))).peer_is_rfc5245(0), old, "{options}");
    }
    assert!(!read(&section("")).peer_is_rfc5245(0), "no ICE at all");
}

/// RFC 8838 §3.
#[test]
fn trickle_in_some_sections_only_is_noticed() {
    let trickle = "a=ice-options:trickle\r\n";
    let two = |session: &str, first: &str, second: &str| {
        format!("v=0\r\n{session}{CREDENTIALS}m=audio 9 RTP/AVP 0\r\n{first}m=video 9 RTP/AVP 31\r\n{second}")
    };
    assert_eq!(read(&two("", "", "")).trickle(), Trickle::No);
    assert_eq!(read(&two(trickle, "", "")).trickle(), Trickle::Yes);
    assert_eq!(read(&two("", trickle, trickle)).trickle(), Trickle::Yes);
    let mixed = read(&two("", trickle, ""));
    assert_eq!(mixed.trickle(), Trickle::Mixed);
    let ends = mixed.signals().iter().filter(|signal| signal.what == What::EndOfCandidates).count();
    assert_eq!(ends, 2, "as from a peer that does not trickle");
}

#[test]
fn end_of_candidates_is_read_at_both_levels() {
    let ends = |session: &str, media: &str| {
        let text =
            format!("v=0\r\na=ice-options:trickle\r\n{session}{}", section(&format!("{CREDENTIALS}{media}")));
        read(&text).signals().iter().filter(|signal| signal.what == What::EndOfCandidates).count()
    };
    assert_eq!(ends("", ""), 0);
    assert_eq!(ends("a=end-of-candidates\r\n", ""), 1);
    assert_eq!(ends("", "a=end-of-candidates\r\n"), 1);
}

#[test]
fn sections_of_a_bundle_have_one_transport() {
    let chrome = read(include_str!("fixtures/chrome.sdp"));
    assert_eq!(chrome.support(1), Support::Bundled);
    let other = include_str!("fixtures/chrome.sdp").replacen("a=ice-ufrag:Jk3d", "a=ice-ufrag:0000", 1);
    assert_eq!(read(&other).support(1), Support::Ice);
}

#[test]
fn more_than_the_limits_is_refused() {
    use floe::sdp::{MAX_CANDIDATES, MAX_IGNORED, MAX_MEDIA, MAX_TEXT};
    assert_eq!(field(&"x".repeat(MAX_TEXT + 1)), "description");
    assert_eq!(field(&"m=audio 9 RTP/AVP 0\r\n".repeat(MAX_MEDIA + 1)), "m");
    let line = "a=candidate:1 1 udp 5 192.0.2.1 4000 typ host\r\n";
    assert_eq!(field(&section(&format!("{CREDENTIALS}{}", line.repeat(MAX_CANDIDATES + 1)))), "candidate");
    let odd = "a=candidate:1 1 sctp 5 192.0.2.1 4000 typ host\r\n".repeat(1000);
    assert_eq!(read(&section(&odd)).ignored.len(), MAX_IGNORED);
}
