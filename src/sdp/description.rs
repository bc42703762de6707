//! A session description as far as ICE is concerned: both levels, and what counts for each stream.

use std::time::Duration;

use super::destination::Support;
use super::exchange::Exchange;
use super::section::{Media, Session};
use crate::credentials::{Credentials, IceOption, Pwd, Ufrag};
use crate::error::ParseError;
use crate::signal::{Signal, What};

/// The Ta that counts where none is proposed (RFC 8839 §5.5).
pub(super) const DEFAULT_PACING: Duration = Duration::from_millis(50);

/// What an offer or an answer says about ICE. Its text form has the lines of ICE and those that ICE reads: m=, c=,
/// `a=mid`, `a=rtcp`, `a=group:BUNDLE`. Reading takes whole session descriptions, writing leaves the rest to the
/// application.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Description {
    /// The session level.
    pub session: Session,
    /// The m= sections, in order. Stream 0 is the first one.
    pub media: Vec<Media>,
    /// Lines that were left out, and why: candidates of unknown types, attributes at the wrong level. At most
    /// [`MAX_IGNORED`](super::MAX_IGNORED).
    pub ignored: Vec<ParseError>,
}

/// Whether the peer takes candidates one by one (RFC 8838 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trickle {
    /// It does.
    Yes,
    /// It does not: the description is complete.
    No,
    /// Some sections say so and others do not, which RFC 8838 §3 forbids. Taken as `No`.
    Mixed,
}

impl Description {
    /// The start of an own description: a data channel section for each mid, still without ICE. Change
    /// [`Media::kind`], `protocol` and `formats` for media.
    pub fn with_mids(mids: &[&str]) -> Self {
        let section = |mid: &&str| {
            let mut media = Media::new("application", "UDP/DTLS/SCTP", "webrtc-datachannel");
            media.mid = Some((*mid).to_owned());
            media
        };
        Self { media: mids.iter().map(section).collect(), ..Self::default() }
    }

    /// Notes what the own agent emitted: its credentials, a candidate, its end of candidates. The default
    /// destination follows the candidates. Credentials with another ufrag begin a new generation (RFC 8445 §9); until
    /// then options, pacing and lite stay as they are (RFC 8839 §4.4.1.1.1). A stream that is removed or has no ICE
    /// stays so.
    pub fn add(&mut self, signal: &Signal) {
        let Some(media) = self.media.get_mut(usize::from(signal.stream)) else { return };
        if media.is_removed() || media.ice != super::section::Ice::On {
            return;
        }
        match &signal.what {
            What::Credentials(credentials) => {
                if media.ufrag.as_ref() == Some(&credentials.ufrag) {
                    return;
                }
                media.candidates.clear();
                media.remote_candidates.clear();
                media.ended = false;
                media.follow_candidates();
                media.ufrag = Some(credentials.ufrag.clone());
                media.pwd = Some(credentials.pwd.clone());
                self.session.options.clone_from(&credentials.options);
                self.session.lite = credentials.lite;
                // A lite agent checks nothing, so it has no pace (RFC 8839 §4.3.1).
                self.session.pacing =
                    (!credentials.lite).then(|| credentials.pacing.unwrap_or(DEFAULT_PACING));
            }
            What::Candidate(candidate) => {
                if !media.candidates.contains(candidate) && media.candidates.len() < super::MAX_CANDIDATES {
                    media.candidates.push(candidate.clone());
                    media.follow_candidates();
                }
            }
            What::EndOfCandidates => media.ended = true,
            What::Selected(pair) => media.narrow(pair, Exchange::ControllingOffer),
            What::Confirmed(pair) => media.narrow(pair, Exchange::Answer),
        }
    }

    /// What the agent of this description is to be told as coming from its peer, in order: for each stream with
    /// [`Support::Ice`] the credentials, the candidates and, where no more will come, the end of candidates. No more
    /// come after `a=end-of-candidates`, and from a peer that does not trickle (RFC 8838 §3).
    ///
    /// What an offer says in `remote-candidates` is [`Description::announced`], for `Agent::handle_remote_candidates`.
    pub fn signals(&self) -> Vec<Signal> {
        let mut signals = Vec::new();
        for (stream, media) in self.media.iter().enumerate() {
            let Some(credentials) = self.credentials(stream) else { continue };
            if self.support(stream) != Support::Ice {
                continue;
            }
            let ended = media.ended || self.session.ended || self.trickle() != Trickle::Yes;
            let generation = Some(credentials.ufrag.clone());
            let mut say = |ufrag, what| signals.push(Signal { stream: stream as u16, ufrag, what });
            say(None, What::Credentials(credentials));
            for candidate in &media.candidates {
                let ufrag = candidate.ufrag.clone().or_else(|| generation.clone());
                say(ufrag, What::Candidate(candidate.clone()));
            }
            if ended {
                say(generation, What::EndOfCandidates);
            }
        }
        signals
    }

    /// The ufrag and pwd that count for a stream: those of its section before those of the session level
    /// (RFC 8839 §5.4). With them the options of both levels, the pacing and whether the agent is a lite one.
    pub fn credentials(&self, stream: usize) -> Option<Credentials> {
        let (ufrag, pwd) = self.names(stream);
        let mut credentials = Credentials::new(ufrag?.clone(), pwd?.clone());
        credentials.lite = self.session.lite;
        credentials.pacing = self.session.pacing;
        credentials.options = self.options(stream);
        Some(credentials)
    }

    /// The effective ufrag and pwd, each for itself.
    pub(super) fn names(&self, stream: usize) -> (Option<&Ufrag>, Option<&Pwd>) {
        let Some(media) = self.media.get(stream) else { return (None, None) };
        (
            media.ufrag.as_ref().or(self.session.ufrag.as_ref()),
            media.pwd.as_ref().or(self.session.pwd.as_ref()),
        )
    }

    /// The options of both levels, those of the session level first, each once.
    pub(super) fn options(&self, stream: usize) -> Vec<IceOption> {
        let own = self.media.get(stream).map_or(&[][..], |media| &media.options);
        let mut options: Vec<IceOption> = Vec::new();
        for option in self.session.options.iter().chain(own) {
            if !options.contains(option) {
                options.push(option.clone());
            }
        }
        options
    }

    /// Whether the peer trickles (RFC 8838 §3). Removed sections do not count.
    pub fn trickle(&self) -> Trickle {
        let says = |options: &[IceOption]| options.contains(&IceOption::TRICKLE);
        if says(&self.session.options) {
            return Trickle::Yes;
        }
        let mut sections = self.media.iter().filter(|media| !media.is_removed());
        let (mut some, mut all) = (false, true);
        for section in sections.by_ref() {
            some |= says(&section.options);
            all &= says(&section.options);
        }
        match (some, all) {
            (true, true) => Trickle::Yes,
            (true, false) => Trickle::Mixed,
            (false, _) => Trickle::No,
        }
    }

    /// Whether the peer is one of RFC 5245: it knows ICE and does not offer `ice2`. It may nominate aggressively, and
    /// it needs an updated offer after the nomination (RFC 8839 §4.2.1.5, §4.3.4).
    pub fn peer_is_rfc5245(&self, stream: usize) -> bool {
        self.credentials(stream).is_some_and(|credentials| !credentials.has_option(&IceOption::ICE2))
    }

    /// The pace of two agents: the larger proposal, 50 ms where there is none (RFC 8839 §5.5).
    pub fn common_pacing(&self, peer: &Self) -> Duration {
        let of = |description: &Self| description.session.pacing.unwrap_or(DEFAULT_PACING);
        of(self).max(of(peer))
    }

    /// The stream whose section has this mid.
    pub fn stream_of(&self, mid: &str) -> Option<u16> {
        let at = self.media.iter().position(|media| media.mid.as_deref() == Some(mid))?;
        u16::try_from(at).ok()
    }

    /// Whether the section shares the transport of an earlier one: it is in its BUNDLE group and has its ufrag, or
    /// none, or is bundle-only (RFC 8843 §7).
    pub(super) fn is_bundled(&self, stream: usize) -> bool {
        let Some(media) = self.media.get(stream) else { return false };
        let Some(mid) = &media.mid else { return false };
        self.session.bundles.iter().filter(|group| group.contains(mid)).any(|group| {
            let Some(tagged) = group.first().filter(|first| *first != mid) else { return false };
            let Some(first) = self.stream_of(tagged) else { return false };
            media.bundle_only || self.names(usize::from(first)).0 == self.names(stream).0
        })
    }
}

/// [`Description::add`] for each signal, in order.
impl<'a> Extend<&'a Signal> for Description {
    fn extend<T: IntoIterator<Item = &'a Signal>>(&mut self, signals: T) {
        for signal in signals {
            self.add(signal);
        }
    }
}
