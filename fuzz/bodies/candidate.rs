//! The body of the fuzz target `candidate`, replayed by `tests/candidate_lines.rs` on stable.

use floe::candidate::{Candidate, sdp};
use floe::signal::{self, Signal};

/// Reads bytes as a candidate and as a signal. Neither panics; what was read is within the bounds of RFC 8839
/// §5.1, and its text reads as the same value again.
pub fn candidate(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(candidate) = text.parse::<Candidate>() {
        assert!((1..=256).contains(&candidate.component), "component {}", candidate.component);
        assert!((1..=0x7FFF_FFFF).contains(&candidate.priority), "priority {}", candidate.priority);
        let printed = candidate.to_string();
        // What is written in full, such as a hidden related address, may make the longest lines too long.
        if printed.len() <= sdp::MAX_LINE {
            assert_eq!(printed.parse(), Ok(candidate), "{printed}");
        }
    }
    if let Ok(signal) = text.parse::<Signal>() {
        let printed = signal.to_string();
        assert!(!printed.contains(['\r', '\n']), "{printed:?}");
        if printed.len() <= sdp::MAX_LINE.min(signal::MAX_LINE) {
            assert_eq!(printed.parse(), Ok(signal), "{printed}");
        }
    }
}
