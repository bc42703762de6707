//! Candidate lines: those of other implementations, and hostile ones (RFC 8839 §5.1, RFC 6544 §4.5).

#[path = "../fuzz/bodies/candidate.rs"]
#[expect(unreachable_pub, reason = "the fuzz target calls it from another crate")]
mod bodies;

use std::net::SocketAddr;

use floe::candidate::{Address, Candidate, CandidateType, Foundation, TcpType};
use floe::error::ParseError;
use floe::io::Transport;
use proptest::prelude::*;

fn parse(line: &str) -> Candidate {
    line.parse().unwrap_or_else(|error| panic!("{line}: {error}"))
}

fn error(line: &str) -> ParseError {
    line.parse::<Candidate>().expect_err(line)
}

fn socket(text: &str) -> SocketAddr {
    text.parse().expect(text)
}

#[test]
fn reads_the_example_of_the_rfc() {
    // RFC 8839 §5.1
    let candidate =
        parse("a=candidate:2 1 UDP 1694498815 192.0.2.3 45664 typ srflx raddr 203.0.113.141 rport 8998");
    assert_eq!(candidate.foundation.as_str(), "2");
    assert_eq!((candidate.component, candidate.transport), (1, Transport::Udp));
    assert_eq!(candidate.priority, 1_694_498_815);
    assert_eq!(candidate.address.socket(), Some(socket("192.0.2.3:45664")));
    assert_eq!(candidate.kind, CandidateType::ServerReflexive);
    assert_eq!(candidate.related, Some(socket("203.0.113.141:8998")));
    assert_eq!(
        candidate.to_string(),
        "candidate:2 1 udp 1694498815 192.0.2.3 45664 typ srflx raddr 203.0.113.141 rport 8998"
    );
}

#[test]
fn reads_and_reprints_what_other_implementations_write() {
    for line in [
        // Chrome
        "candidate:842163049 1 udp 1677729535 203.0.113.7 50123 typ srflx raddr 10.0.0.2 rport 50123 \
         ufrag Jk3d generation 0 network-id 1 network-cost 10",
        "candidate:2999745851 1 udp 2122260223 4b9a1d9e-0f0c-4f5c-9a3e-2f1f3d1f0a11.local 56032 typ host \
         generation 0 network-cost 999",
        "candidate:1518280447 1 tcp 1518280447 192.168.1.5 9 typ host tcptype active generation 0",
        // Firefox
        "candidate:0 1 udp 2122252543 192.168.1.5 49203 typ host",
        "candidate:3 1 tcp 2105524479 192.168.1.5 9 typ host tcptype active ufrag 8a1b2c3d",
        // pion
        "candidate:3299143842 1 udp 2130706431 2001:db8::5 41234 typ host",
        "candidate:233762139 1 udp 1694498815 203.0.113.7 41234 typ srflx raddr 0.0.0.0 rport 41234",
        // libnice
        "candidate:4 1 tcp 1015022079 192.168.1.5 40123 typ host tcptype passive",
        "candidate:7 1 tcp 1010827775 192.168.1.5 40124 typ host tcptype so",
        // aioice
        "candidate:6b4b2a0e2ee6ecbd5f1b0cd3b1ab3a6d 1 udp 2130706431 192.168.1.5 33333 typ host",
        // libjuice
        "candidate:1 1 udp 2122317823 192.168.1.5 61000 typ host",
        "candidate:3 1 udp 8331263 198.51.100.9 49152 typ relay raddr 0.0.0.0 rport 0",
    ] {
        let candidate = parse(line);
        let hidden = line.contains("raddr 0.0.0.0");
        assert_eq!(candidate.related.is_none(), hidden || !line.contains("raddr"), "{line}");
        if hidden {
            assert!(candidate.to_string().ends_with("raddr 0.0.0.0 rport 9"), "{candidate}");
        } else {
            assert_eq!(candidate.to_string(), line);
        }
    }
}

#[test]
fn reads_upper_case_transports_of_libjuice_and_libnice() {
    let candidate = parse("a=candidate:1 1 UDP 2122317823 192.168.1.5 61000 typ host\r\n");
    assert_eq!(candidate.transport, Transport::Udp);
    let candidate = parse("candidate:4 1 TCP 1 192.168.1.5 40123 typ host tcptype SO");
    assert_eq!(candidate.tcp_type, Some(TcpType::SimultaneousOpen));
}

#[test]
fn unknown_extensions_survive_in_order() {
    // RFC 8839 §5.1
    let candidate =
        parse("candidate:1 1 udp 5 192.0.2.1 5 typ host generation 0 ufrag 8hhY zeta 1 alpha 2 empty ");
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(candidate.ufrag.as_ref().map(floe::credentials::Ufrag::as_str), Some("8hhY"));
    let expected = [pair("generation", "0"), pair("zeta", "1"), pair("alpha", "2"), pair("empty", "")];
    assert_eq!(candidate.extensions, expected);
}

#[test]
fn a_name_is_kept_for_whoever_resolves_it() {
    let candidate = parse("candidate:1 1 udp 5 host-1.example.local 5000 typ host");
    assert_eq!(candidate.address, Address::Name { host: "host-1.example.local".into(), port: 5000 });
}

#[test]
fn a_zone_is_neither_read_nor_written() {
    let candidate = parse("candidate:1 1 udp 5 fe80::1%eth0 5000 typ host");
    assert_eq!(candidate.address.socket(), Some(socket("[fe80::1]:5000")));
    let local = Candidate::udp(
        Foundation::from_number(1),
        1,
        5,
        socket("[fe80::1%3]:5000"),
        CandidateType::Host,
        None,
    );
    assert_eq!(local.to_string(), "candidate:1 1 udp 5 fe80::1 5000 typ host");
}

#[test]
fn the_port_of_an_active_tcp_candidate_means_nothing() {
    // RFC 6544 §4.5; Chrome wrote 0 for years
    let candidate = parse("candidate:1 1 tcp 5 192.0.2.1 0 typ host tcptype active");
    assert_eq!(candidate.address.socket(), Some(socket("192.0.2.1:9")));
}

#[test]
fn what_is_not_known_is_to_be_ignored() {
    // RFC 8839 §5.1, RFC 6544 §4.5
    for line in [
        "candidate:1 1 sctp 5 192.0.2.1 5 typ host",
        "candidate:1 1 ssltcp 5 192.0.2.1 443 typ host",
        "candidate:1 1 udp 5 192.0.2.1 5 typ foo",
        "candidate:1 1 tcp 5 192.0.2.1 5 typ host",
        "candidate:1 1 tcp 5 192.0.2.1 5 typ host tcptype sideways",
    ] {
        assert!(error(line).is_unsupported(), "{line}");
    }
}

#[test]
fn an_error_names_the_field() {
    for (line, field) in [
        ("", "candidate"),
        ("1 1 udp 5 192.0.2.1 5 typ host", "candidate"),
        ("candidate:", "foundation"),
        ("candidate:1_ 1 udp 5 192.0.2.1 5 typ host", "foundation"),
        ("candidate:123456789012345678901234567890123 1 udp 5 192.0.2.1 5 typ host", "foundation"),
        ("candidate:1", "component"),
        ("candidate:1 0 udp 5 192.0.2.1 5 typ host", "component"),
        ("candidate:1 257 udp 5 192.0.2.1 5 typ host", "component"),
        ("candidate:1 -1 udp 5 192.0.2.1 5 typ host", "component"),
        ("candidate:1 +1 udp 5 192.0.2.1 5 typ host", "component"),
        ("candidate:1 0001 udp 5 192.0.2.1 5 typ host", "component"),
        ("candidate:1 1", "transport"),
        ("candidate:1 1 udp 0 192.0.2.1 5 typ host", "priority"),
        ("candidate:1 1 udp 2147483648 192.0.2.1 5 typ host", "priority"),
        ("candidate:1 1 udp -5 192.0.2.1 5 typ host", "priority"),
        ("candidate:1 1 udp 99999999999999999999999999 192.0.2.1 5 typ host", "priority"),
        ("candidate:1 1 udp 5", "connection-address"),
        ("candidate:1 1 udp 5 999.0.2.1 5 typ host", "connection-address"),
        ("candidate:1 1 udp 5 192.0.2 5 typ host", "connection-address"),
        ("candidate:1 1 udp 5 2001:db8:::1 5 typ host", "connection-address"),
        ("candidate:1 1 udp 5 a..b 5 typ host", "connection-address"),
        ("candidate:1 1 udp 5 192.0.2.1", "port"),
        ("candidate:1 1 udp 5 192.0.2.1 0 typ host", "port"),
        ("candidate:1 1 udp 5 192.0.2.1 65536 typ host", "port"),
        ("candidate:1 1 udp 5 192.0.2.1 5", "typ"),
        ("candidate:1 1 udp 5 192.0.2.1 5 host", "typ"),
        ("candidate:1 1 udp 5 192.0.2.1 5 typ", "candidate type"),
        ("candidate:1 1 udp 5 192.0.2.1 5 typ srflx raddr", "raddr"),
        ("candidate:1 1 udp 5 192.0.2.1 5 typ srflx raddr 10.0.0.1 rport 65536", "rport"),
        ("candidate:1 1 udp 5 192.0.2.1 5 typ srflx raddr 10.0.0.1 raddr 10.0.0.2 rport 5", "raddr"),
        ("candidate:1 1 udp 5 192.0.2.1 5 typ host ufrag abc", "ufrag"),
        ("candidate:1 1 udp 5 192.0.2.1 5 typ host  0", "extension"),
        ("candidate:1 1 udp 5 192.0.2.1 5 typ host note a\0b", "candidate"),
        ("candidate:1 1 udp 5 192.0.2.1 5 typ host note caf\u{e9}", "candidate"),
        ("candidate:1 1 udp 5 192.0.2.1 5 typ host\r\na=fake", "candidate"),
    ] {
        let error = error(line);
        assert_eq!(error.field, field, "{line:?}: {error}");
        assert!(!error.is_unsupported(), "{line:?}");
    }
}

#[test]
fn a_line_of_64_kilobytes_is_refused() {
    let line = format!("candidate:1 1 udp 5 192.0.2.1 5 typ host note {}", "x".repeat(65_536));
    assert_eq!(error(&line).field, "candidate");
    bodies::candidate(line.as_bytes());
}

/// Words that get a random line past the first checks.
fn line() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("candidate:1".to_owned()),
        Just("1".to_owned()),
        Just("udp".to_owned()),
        Just("tcp".to_owned()),
        Just("192.0.2.1".to_owned()),
        Just("typ".to_owned()),
        Just("srflx".to_owned()),
        Just("raddr".to_owned()),
        Just("tcptype".to_owned()),
        Just("active".to_owned()),
        Just("0".to_owned()),
        Just("generation=abcd".to_owned()),
        "[ -~]{0,12}",
        any::<String>(),
        any::<SocketAddr>().prop_map(|addr| addr.ip().to_string()),
    ];
    let tail = prop::collection::vec(word, 0..8).prop_map(|words| words.join(" "));
    let head = prop::sample::select(vec![
        "",
        "candidate:1 1 udp ",
        "candidate:1 1 udp 5 192.0.2.1 5 typ srflx ",
        "0 candidate:1 1 udp 5 h.local 5 typ host ",
        "candidate:1 1 tcp 5 2001:db8::1 5 typ host tcptype passive ",
        "0 credentials ",
        "3 credentials ufrag=8hhY pwd=asd88fgpdd777uzjYhagZg ",
        "0 generation=8hhY ",
    ]);
    (head, tail).prop_map(|(head, tail)| format!("{head}{tail}"))
}

fn candidate() -> impl Strategy<Value = Candidate> {
    let kind = prop::sample::select(vec![
        CandidateType::Host,
        CandidateType::ServerReflexive,
        CandidateType::PeerReflexive,
        CandidateType::Relayed,
    ]);
    // As it is signalled: no flow label, no scope id.
    let addr = (any::<std::net::IpAddr>(), 1..=u16::MAX).prop_map(SocketAddr::from);
    let tcp = prop::option::of(prop::sample::select(vec![TcpType::Passive, TcpType::SimultaneousOpen]));
    let extension = ("x-[!-~]{1,8}", "[!-~]{0,8}");
    let extensions = prop::collection::vec(extension, 0..4);
    let parts =
        ("[A-Za-z0-9+/]{1,32}", 1..=256_u16, 1..=0x7FFF_FFFF_u32, addr.clone(), kind, prop::option::of(addr));
    (parts, tcp, prop::option::of("[A-Za-z0-9+/]{4,256}"), extensions).prop_map(
        |((foundation, component, priority, addr, kind, related), tcp_type, ufrag, extensions)| {
            let foundation = foundation.parse().expect("a foundation");
            let related = related.filter(|it| kind != CandidateType::Host && !it.ip().is_unspecified());
            let mut candidate = Candidate::udp(foundation, component, priority, addr, kind, related);
            candidate.tcp_type = tcp_type;
            candidate.transport = if tcp_type.is_some() { Transport::Tcp } else { Transport::Udp };
            candidate.ufrag = ufrag.map(|ufrag| ufrag.parse().expect("a ufrag"));
            candidate.extensions = extensions;
            candidate
        },
    )
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(data in prop::collection::vec(any::<u8>(), 0..300)) {
        bodies::candidate(&data);
    }

    #[test]
    fn nearly_right_lines_are_read_or_refused(line in line()) {
        bodies::candidate(line.as_bytes());
    }

    #[test]
    fn what_is_printed_reads_as_the_same_candidate(candidate in candidate()) {
        prop_assert_eq!(candidate.to_string().parse(), Ok(candidate));
    }
}
