//! Writing: the attributes of each level, and the lines of a description that ICE decides.

use std::fmt;

use super::attribute::Attribute;
use super::description::Description;
use super::section::Ice;
use crate::credentials::IceOption;

impl Description {
    /// The attributes of ICE for the session level, in order.
    pub fn session_attributes(&self) -> Vec<Attribute> {
        let session = &self.session;
        let uses_ice = self.media.iter().any(|media| media.ice != Ice::Off && !media.is_removed());
        if !uses_ice && !self.media.is_empty() {
            return Vec::new();
        }
        let mut attributes = Vec::new();
        attributes.extend(session.lite.then_some(Attribute::IceLite));
        attributes.extend(options(&session.options));
        attributes.extend(session.pacing.map(Attribute::IcePacing));
        attributes.extend(session.ufrag.clone().map(Attribute::IceUfrag));
        attributes.extend(session.pwd.clone().map(Attribute::IcePwd));
        attributes.extend(session.ended.then_some(Attribute::EndOfCandidates));
        attributes
    }

    /// The attributes of ICE for an m= section, in order. A removed stream has none (RFC 8839 §4.4.1.1.2), one with
    /// a mismatch no candidates (§4.2.5).
    pub fn media_attributes(&self, stream: usize) -> Vec<Attribute> {
        let mut attributes = Vec::new();
        let Some(media) = self.media.get(stream).filter(|media| !media.is_removed()) else {
            return attributes;
        };
        if media.ice == Ice::Off {
            return attributes;
        }
        attributes.extend(options(&media.options));
        attributes.extend(media.ufrag.clone().map(Attribute::IceUfrag));
        attributes.extend(media.pwd.clone().map(Attribute::IcePwd));
        if media.ice == Ice::Mismatch {
            attributes.push(Attribute::IceMismatch);
            return attributes;
        }
        attributes.extend(media.candidates.iter().cloned().map(Attribute::Candidate));
        if !media.remote_candidates.is_empty() {
            attributes.push(Attribute::RemoteCandidates(media.remote_candidates.clone()));
        }
        attributes.extend(media.ended.then_some(Attribute::EndOfCandidates));
        attributes
    }
}

fn options(options: &[IceOption]) -> Option<Attribute> {
    (!options.is_empty()).then(|| Attribute::IceOptions(options.to_vec()))
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(connection) = &self.session.connection {
            write!(f, "c={connection}\r\n")?;
        }
        for group in &self.session.bundles {
            write!(f, "a=group:BUNDLE")?;
            group.iter().try_for_each(|mid| write!(f, " {mid}"))?;
            f.write_str("\r\n")?;
        }
        for attribute in self.session_attributes() {
            write!(f, "a={attribute}\r\n")?;
        }
        for (stream, media) in self.media.iter().enumerate() {
            write!(f, "m={} {} {}", media.kind, media.port, media.protocol)?;
            if !media.formats.is_empty() {
                write!(f, " {}", media.formats)?;
            }
            f.write_str("\r\n")?;
            if let Some(connection) = &media.connection {
                write!(f, "c={connection}\r\n")?;
            }
            if let Some(mid) = &media.mid {
                write!(f, "a=mid:{mid}\r\n")?;
            }
            match &media.rtcp {
                Some((port, Some(host))) => write!(f, "a=rtcp:{port} {host}\r\n")?,
                Some((port, None)) => write!(f, "a=rtcp:{port}\r\n")?,
                None => {}
            }
            if media.rtcp_mux {
                f.write_str("a=rtcp-mux\r\n")?;
            }
            if media.bundle_only {
                f.write_str("a=bundle-only\r\n")?;
            }
            for attribute in self.media_attributes(stream) {
                write!(f, "a={attribute}\r\n")?;
            }
        }
        Ok(())
    }
}
