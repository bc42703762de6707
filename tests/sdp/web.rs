//! `RTCIceCandidateInit` (W3C WebRTC), feature `serde`.

use super::*;
use floe::sdp::CandidateInit;
use floe::signal::What;

fn remote() -> Description {
    read(include_str!("fixtures/chrome.sdp"))
}

fn init(json: &str) -> CandidateInit {
    serde_json::from_str(json).expect(json)
}

#[test]
fn the_json_of_browsers_is_read() {
    let line = "candidate:842163049 1 udp 1677729535 203.0.113.7 50123 typ srflx raddr 10.0.0.2 rport 50123";
    for rest in [
        r#""sdpMid":"0","sdpMLineIndex":0,"usernameFragment":"Jk3d""#,
        r#""sdpMid":"0","sdpMLineIndex":7,"usernameFragment":null"#,
        r#""sdpMLineIndex":0,"unknown":1"#,
        r#""sdpMid":null,"sdpMLineIndex":0"#,
    ] {
        let signals = init(&format!(r#"{{"candidate":"{line}",{rest}}}"#)).signals(&remote()).expect(rest);
        assert_eq!(signals.len(), 1);
        assert_eq!((signals[0].stream, &signals[0].what), (0, &What::Candidate(candidate(line))));
        assert_eq!(signals[0].ufrag.as_ref().map(ToString::to_string).as_deref(), Some("Jk3d"), "{rest}");
    }
}

#[test]
fn the_empty_candidate_is_the_end() {
    let signals =
        init(r#"{"candidate":"","sdpMid":"1","usernameFragment":"old1"}"#).signals(&remote()).unwrap();
    assert_eq!((signals[0].stream, &signals[0].what), (1, &What::EndOfCandidates));
    assert_eq!(signals[0].ufrag.as_ref().map(ToString::to_string).as_deref(), Some("old1"));
    let all = init(r#"{"candidate":""}"#).signals(&read(include_str!("fixtures/rfc8839.sdp"))).unwrap();
    assert_eq!(all.len(), 1, "without mid and index: the end for each stream");
    let other = init("{}");
    assert_eq!(other, CandidateInit::default());
}

#[test]
fn an_error_names_the_field() {
    let good = "candidate:1 1 udp 5 192.0.2.1 5 typ host";
    for (json, field) in [
        (format!(r#"{{"candidate":"{good}"}}"#), "sdpMid"),
        (format!(r#"{{"candidate":"{good}","sdpMid":"x"}}"#), "sdpMid"),
        (format!(r#"{{"candidate":"{good}","sdpMLineIndex":2}}"#), "sdpMLineIndex"),
        (format!(r#"{{"candidate":"{good}","sdpMid":"0","usernameFragment":"a b c"}}"#), "usernameFragment"),
        (r#"{"candidate":"candidate:1 0 udp 5 192.0.2.1 5 typ host","sdpMid":"0"}"#.to_owned(), "component"),
    ] {
        assert_eq!(init(&json).signals(&remote()).expect_err(&json).field, field, "{json}");
    }
}

#[test]
fn what_an_agent_emits_is_json_for_a_browser() {
    let lines = [
        "0 credentials ufrag=8hhY pwd=asd88fgpdd777uzjYhagZg options=ice2,trickle",
        "0 candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host",
        "0 end-of-candidates",
    ];
    let description = local(&["data"], &lines);
    let json: Vec<Option<String>> = emitted(&lines)
        .iter()
        .map(|signal| CandidateInit::of(&description, signal))
        .map(|init| init.map(|init| serde_json::to_string(&init).expect("JSON")))
        .collect();
    let rest = r#""sdpMid":"data","sdpMLineIndex":0,"usernameFragment":"8hhY"}"#;
    let first =
        format!(r#"{{"candidate":"candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host ufrag 8hhY",{rest}"#);
    assert_eq!(json, [None, Some(first), Some(format!(r#"{{"candidate":"",{rest}"#))]);
}
