//! What session descriptions say about ICE (RFC 8839), fragments of them (RFC 8838), and the candidates that
//! browsers hand to their applications (W3C WebRTC, `RTCIceCandidateInit`).
//!
//! floe's own [`signal`](crate::signal) text needs none of this. It is for applications that talk to browsers, to
//! SIP phones, to WHIP servers: they have a session description of their own making and need the lines of ICE in it.
//!
//! ```
//! use floe::sdp::{CandidateInit, Description};
//! # let text = "v=0\r\na=ice-options:ice2 trickle\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\n\
//! #     a=mid:0\r\na=ice-ufrag:8hhY\r\na=ice-pwd:asd88fgpdd777uzjYhagZg\r\n";
//!
//! // What the peer said, as an agent takes it:
//! let remote: Description = text.parse()?;
//! for signal in remote.signals() { /* agent.handle_signal(now, signal) */ }
//! # let json = CandidateInit { candidate: String::new(), sdp_mid: Some("0".into()), ..Default::default() };
//! for signal in json.signals(&remote)? { /* the same */ }
//!
//! // What an agent said, as lines for one's own description:
//! let mut local = Description::with_mids(&["0"]);
//! # let emitted: Vec<floe::signal::Signal> = Vec::new();
//! local.extend(&emitted);
//! for attribute in local.media_attributes(0) { println!("a={attribute}"); }
//! # Ok::<(), floe::error::ParseError>(())
//! ```
//!
//! A data stream is an m= section: stream 0 is the first one. An agent whose streams are fewer, since some sections
//! are bundled (RFC 8843) or refused, has to be given other numbers.

mod attribute;
mod browser;
mod description;
mod destination;
mod exchange;
mod fragment;
mod read;
mod section;
mod write;

pub use attribute::{Attribute, RemoteCandidate};
pub use browser::CandidateInit;
pub use description::{Description, Trickle};
pub use destination::{Host, Support, default_candidate};
pub use exchange::{Change, Concluded, Exchange};
pub use fragment::{Fragment, Piece};
pub use section::{Media, Session};

/// Longer descriptions and fragments are refused unread, in bytes. Those of large conferences have about 200 kB.
pub const MAX_TEXT: usize = 1 << 20;
/// The most m= sections of a description.
pub const MAX_MEDIA: usize = 512;
/// The most candidates of one m= section.
pub const MAX_CANDIDATES: usize = 256;
/// The most remarks about lines that were ignored; further ones are dropped.
pub const MAX_IGNORED: usize = 32;
