//! The body of the fuzz target `sdp`, replayed by `tests/sdp/fuzzed.rs` on stable.

use floe::sdp::{self, Attribute, CandidateInit, Description, Fragment};

/// Reads bytes as a description, a fragment, an attribute and a browser's candidate. None panics, all limits hold, and
/// what was read and written reads as the same again.
pub fn sdp(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(attribute) = text.parse::<Attribute>() {
        let printed = attribute.to_string();
        assert!(!printed.contains(['\r', '\n']), "{printed:?}");
        // What is written in full, such as a hidden related address, may make the longest lines too long.
        if printed.len() <= floe::candidate::sdp::MAX_LINE {
            assert_eq!(printed.parse(), Ok(attribute), "{printed}");
        }
    }
    if let Ok(fragment) = text.parse::<Fragment>() {
        let again: Fragment = fragment.to_string().parse().expect("a fragment that was read");
        assert_eq!(again, fragment);
    }
    let Ok(mut description) = text.parse::<Description>() else { return };
    assert!(description.media.len() <= sdp::MAX_MEDIA);
    assert!(description.ignored.len() <= sdp::MAX_IGNORED);
    assert!(description.media.iter().all(|media| media.candidates.len() <= sdp::MAX_CANDIDATES));
    let signals = description.signals();
    let init = CandidateInit {
        candidate: text.lines().last().unwrap_or_default().into(),
        ..CandidateInit::default()
    };
    let _ = init.signals(&description);
    let mut own = Description::answer_to(&description);
    own.extend(&signals);
    let _ = Fragment::of(&own, &signals).signals(&own);
    for stream in 0..description.media.len() {
        // What floe writes has no mismatch of its own making.
        let support = own.support(stream);
        assert!(!matches!(support, sdp::Support::Mismatch { .. }), "{support:?} {own}");
        let _ = description.change(&own, stream);
        description.adopt_default(stream);
    }
    let _ = description.streams_after_answer();
    let printed = own.to_string();
    if printed.len() <= sdp::MAX_TEXT
        && printed.lines().all(|line| line.len() <= floe::candidate::sdp::MAX_LINE)
    {
        assert!(printed.parse::<Description>().is_ok(), "{printed}");
    }
}
