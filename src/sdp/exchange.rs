//! Later offers and answers: what a finished, removed or refused stream says, and what the peer changed
//! (RFC 8839 §4.3.3, §4.4).

use std::collections::BTreeSet;

use super::attribute::RemoteCandidate;
use super::description::{DEFAULT_PACING, Description};
use super::destination::{Host, Support};
use super::section::{Ice, Media};
use crate::candidate::{Address, Candidate};
use crate::error::ParseError;
use crate::signal::{SelectedPair, Signal, What};

/// The selected pair of one component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Concluded {
    /// Its local candidate, of whatever type.
    pub local: Candidate,
    /// The address of its remote candidate.
    pub remote: Address,
}

/// Who writes a description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exchange {
    /// The controlling agent makes an offer. It alone lists remote candidates (RFC 8839 §5.2).
    ControllingOffer,
    /// The controlled agent makes an offer.
    ControlledOffer,
    /// Either agent answers (§4.4.2).
    Answer,
}

/// What a later description of the peer means for one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// The same generation, perhaps with more candidates.
    Same,
    /// Both ufrag and pwd are new: an ICE restart (§4.4.1.1.1).
    Restart,
    /// The stream was not there, or had no ICE.
    Added,
    /// The stream is removed (§4.4.1.1.2).
    Removed,
    /// ICE is no longer used for the stream: go on by RFC 3264 (§4.4.3.1).
    Ended,
}

impl Description {
    /// The start of an own answer: the sections of the offer with their kinds, protocols and mids (§4.3.2), removed
    /// ones removed. A section without ICE in the offer has none in the answer, whatever [`Description::add`] is told.
    pub fn answer_to(offer: &Self) -> Self {
        let mut answer = Self::default();
        answer.session.bundles.clone_from(&offer.session.bundles);
        for (stream, offered) in offer.media.iter().enumerate() {
            let mut media = Media::new(&offered.kind, &offered.protocol, &offered.formats);
            media.mid.clone_from(&offered.mid);
            media.rtcp_mux = offered.rtcp_mux;
            media.connection = Some(Host::UNKNOWN);
            match offer.support(stream) {
                Support::Removed => media.port = 0,
                Support::Absent | Support::Refused => media.ice = Ice::Off,
                _ => {}
            }
            answer.media.push(media);
        }
        answer
    }

    /// After the nomination: only the local candidates of the selected pairs are listed, one a component, and they are
    /// the default destination. The controlling agent's offer lists the remote ones too (§4.4.1.2.2, §4.4.1.3); an
    /// answer to such an offer is made from the pairs that it named (§4.4.2).
    pub fn conclude(&mut self, stream: usize, pairs: &[Concluded], exchange: Exchange) {
        let Some(media) = self.media.get_mut(stream) else { return };
        media.candidates = pairs.iter().map(|pair| pair.local.clone()).collect();
        media.follow_candidates();
        let remote = |pair: &Concluded| RemoteCandidate {
            component: pair.local.component,
            address: pair.remote.clone(),
        };
        media.remote_candidates = match exchange {
            Exchange::ControllingOffer => pairs.iter().map(remote).collect(),
            Exchange::ControlledOffer | Exchange::Answer => Vec::new(),
        };
    }

    /// The pairs that an offer with `remote-candidates` lists for a stream (§4.4.2): its default destinations, and what it
    /// names of ours; as seen by the offerer. Those with names are left out. They are for `Agent::handle_remote_candidates`.
    pub fn announced(&self, stream: usize) -> Vec<SelectedPair> {
        let Some(media) = self.media.get(stream) else { return Vec::new() };
        let pair = |named: &RemoteCandidate| {
            let Address::Socket(local) = self.default_destination(stream, named.component)? else {
                return None;
            };
            let Address::Socket(remote) = named.address else { return None };
            Some(SelectedPair { component: named.component, local, remote })
        };
        media.remote_candidates.iter().filter_map(pair).collect()
    }

    /// What a lite controlling agent is to be told by this answer to its offer, which has listed the pairs that it has
    /// selected (RFC 8445 §8.2): those that the answer takes for default destinations too.
    pub fn confirmations(&self, offer: &Self) -> Vec<Signal> {
        let streams = (0..offer.media.len()).filter(|stream| self.support(*stream) == Support::Ice);
        let confirmed = streams.flat_map(|stream| {
            let of_stream = offer.announced(stream).into_iter().map(SelectedPair::from_afar);
            let is_default = move |pair: &SelectedPair| {
                let own = self.default_destination(stream, pair.component);
                own == Some(Address::Socket(pair.local))
            };
            of_stream.filter(is_default).map(move |pair| Signal::new(stream as u16, What::Confirmed(pair)))
        });
        confirmed.collect()
    }

    /// Whether the controlling agent has to send an offer at once because of these selected pairs: they are not the
    /// default ones, and the peer is one of RFC 5245. With any other peer the next offer is soon enough (§4.3.4).
    pub fn needs_offer(&self, stream: usize, pairs: &[Concluded], peer: &Self) -> bool {
        let is_default = |pair: &Concluded| {
            let component = pair.local.component;
            self.default_destination(stream, component).as_ref() == Some(&pair.local.address)
                && peer.default_destination(stream, component).as_ref() == Some(&pair.remote)
        };
        peer.peer_is_rfc5245(stream) && !pairs.iter().all(is_default)
    }

    /// Removes a stream: port 0, no attribute of ICE (§4.4.1.1.2).
    pub fn remove(&mut self, stream: usize) {
        let Some(media) = self.media.get_mut(stream) else { return };
        media.port = 0;
        media.bundle_only = false;
    }

    /// Answers a stream with `ice-mismatch`: no candidates are written, no ICE (§4.2.5). The default destination stays.
    pub fn refuse(&mut self, stream: usize) {
        let Some(media) = self.media.get_mut(stream) else { return };
        media.ice = Ice::Mismatch;
    }

    /// The streams for which ICE goes on after this answer (§4.3.3). None if the answerer does not know ICE, or if a
    /// default destination is no candidate: then ICE ends for the session. A stream with `ice-mismatch` is out for
    /// itself.
    pub fn streams_after_answer(&self) -> Vec<usize> {
        let supports: Vec<Support> = (0..self.media.len()).map(|stream| self.support(stream)).collect();
        if supports.iter().any(|support| matches!(support, Support::Mismatch { .. })) {
            return Vec::new();
        }
        let ice = |(stream, support): (usize, &Support)| (*support == Support::Ice).then_some(stream);
        supports.iter().enumerate().filter_map(ice).collect()
    }

    /// What this later description of the peer means for a stream, `previous` being the one in force. What counts are
    /// the effective values: moving them between the levels is no change (§4.4.1.1.1).
    ///
    /// # Errors
    /// Only one of ufrag and pwd changed; options, pacing or lite changed without a restart: the offer has to be
    /// rejected (§4.4.2.1).
    pub fn change(&self, previous: &Self, stream: usize) -> Result<Change, ParseError> {
        match self.support(stream) {
            Support::Removed => return Ok(Change::Removed),
            Support::Absent | Support::Refused => return Ok(Change::Ended),
            _ => {}
        }
        if matches!(previous.support(stream), Support::Removed | Support::Absent | Support::Refused) {
            return Ok(Change::Added);
        }
        let ((ufrag, pwd), (old_ufrag, old_pwd)) = (self.names(stream), previous.names(stream));
        match (ufrag == old_ufrag, pwd == old_pwd) {
            (false, false) => return Ok(Change::Restart),
            (true, true) => {}
            (true, false) => return Err(ParseError::new("ice-ufrag", "stays while ice-pwd changes")),
            (false, true) => return Err(ParseError::new("ice-pwd", "stays while ice-ufrag changes")),
        }
        let changed = |field| Err(ParseError::new(field, "changes without a restart"));
        let options = |description: &Self| description.options(stream).into_iter().collect::<BTreeSet<_>>();
        let pacing = |description: &Self| description.session.pacing.unwrap_or(DEFAULT_PACING);
        if options(self) != options(previous) {
            return changed("ice-options");
        }
        if pacing(self) != pacing(previous) {
            return changed("ice-pacing");
        }
        if self.session.lite != previous.session.lite {
            return changed("ice-lite");
        }
        Ok(Change::Same)
    }
}

impl Media {
    /// Two lite agents have agreed on a pair: of its component nothing else is listed (RFC 8445 §8.2).
    pub(super) fn narrow(&mut self, pair: &SelectedPair, exchange: Exchange) {
        let is_other = |candidate: &Candidate| {
            candidate.component == pair.component && candidate.address != Address::Socket(pair.local)
        };
        self.candidates.retain(|candidate| !is_other(candidate));
        self.follow_candidates();
        self.remote_candidates.retain(|named| named.component != pair.component);
        if exchange == Exchange::ControllingOffer {
            let address = Address::Socket(pair.remote);
            self.remote_candidates.push(RemoteCandidate { component: pair.component, address });
        }
    }
}
