//! Reading session descriptions and fragments. Lines that do not concern ICE are skipped unread.

use std::str::FromStr;

use super::attribute::Attribute;
use super::description::Description;
use super::destination::Host;
use super::section::{Ice, Media};
use super::{MAX_CANDIDATES, MAX_IGNORED, MAX_MEDIA, MAX_TEXT};
use crate::candidate::sdp::number;
use crate::candidate::{Address, Candidate};
use crate::error::ParseError;

/// Reads a session description, an offer or an answer, or the lines of one.
///
/// Candidates with names other than `.local` ones, with unknown transports or types are left out (RFC 8839 §5.1), and
/// so are `ice-lite` in a section and `ice-mismatch` at the session level (§5.3): see [`Description::ignored`].
///
/// # Errors
/// The field that is wrong and its line; a stream with only one of ufrag and pwd, or with candidates and neither;
/// equal ufrags with different pwds (§5.4); more than the limits of this module.
impl FromStr for Description {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > MAX_TEXT {
            let problem = format!("has {} bytes, allowed are {MAX_TEXT}", text.len());
            return Err(ParseError::new("description", problem));
        }
        let mut description = Self::default();
        for (at, line) in text.lines().enumerate() {
            if let Err(mut error) = description.take(line.trim_end_matches('\r')) {
                error.problem = format!("{} (line {})", error.problem, at + 1);
                if !error.is_unsupported() {
                    return Err(error);
                }
                if description.ignored.len() < MAX_IGNORED {
                    description.ignored.push(error);
                }
            }
        }
        description.check_credentials()?;
        description.check_remote_candidates()?;
        Ok(description)
    }
}

impl Description {
    fn take(&mut self, line: &str) -> Result<(), ParseError> {
        match line.split_once('=') {
            Some(("m", value)) => {
                if self.media.len() == MAX_MEDIA {
                    return Err(ParseError::new("m", format!("is one of more than {MAX_MEDIA}")));
                }
                self.media.push(media(value)?);
                Ok(())
            }
            Some(("c", value)) => {
                let connection = match self.media.last_mut() {
                    Some(media) => &mut media.connection,
                    None => &mut self.session.connection,
                };
                let host = Host::parse("c", value)?;
                connection.get_or_insert(host);
                Ok(())
            }
            Some(("a", value)) => self.take_attribute(value),
            _ => Ok(()),
        }
    }

    fn take_attribute(&mut self, line: &str) -> Result<(), ParseError> {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.trim();
        match (name.trim_end(), self.media.last_mut()) {
            ("group", None) => {
                let mut words = value.split_ascii_whitespace();
                if words.next() == Some("BUNDLE") && self.session.bundles.len() < MAX_MEDIA {
                    self.session.bundles.push(words.take(MAX_MEDIA).map(str::to_owned).collect());
                }
            }
            ("mid", Some(media)) => media.mid = Some(value.to_owned()),
            ("rtcp", Some(media)) => media.rtcp = Some(rtcp(value)?),
            ("rtcp-mux", Some(media)) => media.rtcp_mux = true,
            ("bundle-only", Some(media)) => media.bundle_only = true,
            _ => match line.parse() {
                Ok(attribute) => return self.take_ice(attribute),
                // Not one of ICE: none of our business.
                Err(error) if error.field == "attribute" => {}
                Err(error) => return Err(error),
            },
        }
        Ok(())
    }

    fn take_ice(&mut self, attribute: Attribute) -> Result<(), ParseError> {
        let misplaced = |field, problem| Err(ParseError::unsupported(field, problem));
        let session = &mut self.session;
        match (attribute, self.media.last_mut()) {
            (Attribute::IceUfrag(ufrag), None) => set_once("ice-ufrag", &mut session.ufrag, ufrag),
            (Attribute::IceUfrag(ufrag), Some(media)) => set_once("ice-ufrag", &mut media.ufrag, ufrag),
            (Attribute::IcePwd(pwd), None) => set_once("ice-pwd", &mut session.pwd, pwd),
            (Attribute::IcePwd(pwd), Some(media)) => set_once("ice-pwd", &mut media.pwd, pwd),
            (Attribute::IceOptions(options), level) => {
                level.map_or(&mut session.options, |media| &mut media.options).extend(options);
                Ok(())
            }
            (Attribute::EndOfCandidates, level) => {
                *level.map_or(&mut session.ended, |media| &mut media.ended) = true;
                Ok(())
            }
            (Attribute::IcePacing(pacing), None) => set_once("ice-pacing", &mut session.pacing, pacing),
            (Attribute::IcePacing(_), Some(_)) => misplaced("ice-pacing", "belongs to the session level"),
            (Attribute::IceLite, None) => {
                session.lite = true;
                Ok(())
            }
            (Attribute::IceLite, Some(_)) => misplaced("ice-lite", "belongs to the session level"),
            (Attribute::IceMismatch, Some(media)) => {
                media.ice = Ice::Mismatch;
                Ok(())
            }
            (Attribute::IceMismatch, None) => misplaced("ice-mismatch", "belongs to an m= section"),
            (Attribute::RemoteCandidates(candidates), Some(media)) => {
                for candidate in candidates {
                    if media.remote_candidates.iter().any(|other| other.component == candidate.component) {
                        return Err(ParseError::new("remote-candidates", "names a component twice"));
                    }
                    media.remote_candidates.push(candidate);
                }
                Ok(())
            }
            (Attribute::RemoteCandidates(_), None) => {
                misplaced("remote-candidates", "belongs to an m= section")
            }
            (Attribute::Candidate(candidate), Some(media)) => take_candidate(media, candidate),
            (Attribute::Candidate(_), None) => misplaced("candidate", "belongs to an m= section"),
        }
    }

    fn check_credentials(&self) -> Result<(), ParseError> {
        let mut pwds = std::collections::BTreeMap::new();
        for (stream, media) in self.media.iter().enumerate().filter(|(_, media)| !media.is_removed()) {
            let missing = |field| Err(ParseError::new(field, format!("is missing for m= section {stream}")));
            match self.names(stream) {
                (Some(ufrag), Some(pwd)) => {
                    if *pwds.entry(ufrag).or_insert(pwd) != pwd {
                        let problem = format!("of m= section {stream} is another one for the same ice-ufrag");
                        return Err(ParseError::new("ice-pwd", problem));
                    }
                }
                (Some(_), None) => return missing("ice-pwd"),
                (None, None) if media.candidates.is_empty() => {}
                (None, _) => return missing("ice-ufrag"),
            }
        }
        Ok(())
    }

    /// RFC 8839 §5.2: one for each component.
    fn check_remote_candidates(&self) -> Result<(), ParseError> {
        for (stream, media) in self.media.iter().enumerate() {
            let listed =
                |component| media.remote_candidates.iter().any(|remote| remote.component == component);
            let missing = media.candidates.iter().find(|candidate| !listed(candidate.component));
            if let Some(candidate) = missing.filter(|_| !media.remote_candidates.is_empty()) {
                let problem = format!("of m= section {stream} lacks component {}", candidate.component);
                return Err(ParseError::new("remote-candidates", problem));
            }
        }
        Ok(())
    }
}

fn take_candidate(media: &mut Media, candidate: Candidate) -> Result<(), ParseError> {
    if let Address::Name { host, .. } = &candidate.address {
        let labels = host.strip_suffix('.').unwrap_or(host);
        // Names of multicast DNS are the one extension that browsers use.
        if !labels.to_ascii_lowercase().ends_with(".local") {
            return Err(ParseError::unsupported("connection-address", "is a name"));
        }
    }
    if media.candidates.len() == MAX_CANDIDATES {
        return Err(ParseError::new("candidate", format!("is one of more than {MAX_CANDIDATES}")));
    }
    media.candidates.push(candidate);
    Ok(())
}

fn set_once<T: PartialEq>(field: &'static str, place: &mut Option<T>, value: T) -> Result<(), ParseError> {
    if place.as_ref().is_some_and(|before| *before != value) {
        return Err(ParseError::new(field, "is given twice"));
    }
    *place = Some(value);
    Ok(())
}

/// `audio 49170/2 RTP/AVP 0 8` (RFC 8866 §5.14).
fn media(value: &str) -> Result<Media, ParseError> {
    let mut words = value.split_ascii_whitespace();
    let (Some(kind), Some(port), Some(protocol)) = (words.next(), words.next(), words.next()) else {
        return Err(ParseError::new("m", "is not a medium, a port and a protocol"));
    };
    let port = port.split('/').next().unwrap_or_default();
    let formats: Vec<&str> = words.collect();
    let mut media = Media::new(kind, protocol, &formats.join(" "));
    media.port = number("m", port, 5, 0..=65535)? as u16;
    Ok(media)
}

/// `53020` or `53020 IN IP6 2001:db8::1` (RFC 3605).
fn rtcp(value: &str) -> Result<(u16, Option<Host>), ParseError> {
    let (port, host) = value.split_once(' ').unwrap_or((value, ""));
    let port = number("rtcp", port, 5, 0..=65535)? as u16;
    let host = Some(host.trim()).filter(|host| !host.is_empty());
    Ok((port, host.map(|host| Host::parse("rtcp", host)).transpose()?))
}
