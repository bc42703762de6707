//! serde for what travels over signaling (feature `serde`).
//!
//! A [`Signal`] is a map tagged by `type`, close to what the W3C API puts into an RTCIceCandidateInit:
//!
//! ```text
//! {"type":"credentials","ufrag":"8hhY","pwd":"asd88fgpdd777uzjYhagZg","lite":false,"options":["ice2"]}
//! {"type":"candidate","candidate":"candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host"}
//! {"type":"end-of-candidates","ufrag":"8hhY"}
//! {"type":"selected","component":1,"local":"192.0.2.1:5000","remote":"198.51.100.7:6000"}
//! ```
//!
//! `stream` is absent for stream 0, `ufrag` for the current generation, `pacing` is in milliseconds; unknown
//! fields are ignored. The format has to describe itself, as JSON does; elsewhere send the text of a signal.
//! [`Ufrag`], [`Pwd`] and [`Candidate`] are strings: their text.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::net::SocketAddr;
use std::time::Duration;

use super::{MAX_PACING, SelectedPair, Signal, What};
use crate::candidate::Candidate;
use crate::credentials::{Credentials, IceOption, Pwd, Ufrag};

/// The name of the field, before what is wrong with it.
fn wrong<E: serde::de::Error>(field: &str, error: &E) -> E {
    E::custom(format_args!("{field}: {error}"))
}

macro_rules! by_text {
    ($field:literal, $type:ty, $text:expr) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(&$text(self))
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer).map_err(|error| wrong($field, &error))?;
                text.parse().map_err(D::Error::custom)
            }
        }
    };
}

by_text!("ufrag", Ufrag, Ufrag::as_str);
by_text!("pwd", Pwd, Pwd::as_str);
by_text!("option", IceOption, IceOption::as_str);
by_text!("candidate", Candidate, std::convert::identity::<&Candidate>);

macro_rules! fields {
    ($($field:ident: $type:ty),*) => {$(
        fn $field<'de, D: Deserializer<'de>>(deserializer: D) -> Result<$type, D::Error> {
            <$type>::deserialize(deserializer).map_err(|error| wrong(stringify!($field), &error))
        }
    )*};
}

fields!(stream: u16, lite: bool, pacing: Option<u64>, options: Vec<IceOption>);

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
enum Tagged {
    Credentials {
        #[serde(default, deserialize_with = "stream", skip_serializing_if = "is_zero")]
        stream: u16,
        ufrag: Ufrag,
        pwd: Pwd,
        #[serde(default, deserialize_with = "lite")]
        lite: bool,
        #[serde(default, deserialize_with = "pacing", skip_serializing_if = "Option::is_none")]
        pacing: Option<u64>,
        #[serde(default, deserialize_with = "options", skip_serializing_if = "Vec::is_empty")]
        options: Vec<IceOption>,
    },
    Candidate {
        #[serde(default, deserialize_with = "stream", skip_serializing_if = "is_zero")]
        stream: u16,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ufrag: Option<Ufrag>,
        candidate: Candidate,
    },
    EndOfCandidates {
        #[serde(default, deserialize_with = "stream", skip_serializing_if = "is_zero")]
        stream: u16,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ufrag: Option<Ufrag>,
    },
    Selected {
        #[serde(default, deserialize_with = "stream", skip_serializing_if = "is_zero")]
        stream: u16,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ufrag: Option<Ufrag>,
        component: u16,
        local: SocketAddr,
        remote: SocketAddr,
    },
    Confirmed {
        #[serde(default, deserialize_with = "stream", skip_serializing_if = "is_zero")]
        stream: u16,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ufrag: Option<Ufrag>,
        component: u16,
        local: SocketAddr,
        remote: SocketAddr,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn is_zero(stream: &u16) -> bool {
    *stream == 0
}

impl Serialize for Signal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { stream, ufrag, what } = self.clone();
        let tagged = match what {
            What::Credentials(Credentials { ufrag, pwd, lite, pacing, options }) => {
                let pacing = pacing.map(|ta| u64::try_from(ta.as_millis()).unwrap_or(u64::MAX));
                Tagged::Credentials { stream, ufrag, pwd, lite, pacing, options }
            }
            What::Candidate(candidate) => Tagged::Candidate { stream, ufrag, candidate },
            What::EndOfCandidates => Tagged::EndOfCandidates { stream, ufrag },
            What::Selected(SelectedPair { component, local, remote }) => {
                Tagged::Selected { stream, ufrag, component, local, remote }
            }
            What::Confirmed(SelectedPair { component, local, remote }) => {
                Tagged::Confirmed { stream, ufrag, component, local, remote }
            }
        };
        tagged.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Signal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Tagged::deserialize(deserializer)? {
            Tagged::Credentials { stream, ufrag, pwd, lite, pacing, options } => {
                let pacing = pacing.map(|ta| Duration::from_millis(ta.min(MAX_PACING)));
                let credentials = Credentials { lite, pacing, options, ..Credentials::new(ufrag, pwd) };
                Self::new(stream, What::Credentials(credentials))
            }
            Tagged::Candidate { stream, ufrag, candidate } => {
                Self { stream, ufrag, what: What::Candidate(candidate) }
            }
            Tagged::EndOfCandidates { stream, ufrag } => Self { stream, ufrag, what: What::EndOfCandidates },
            Tagged::Selected { stream, ufrag, component, local, remote } => {
                let pair = SelectedPair { component, local, remote };
                Self { stream, ufrag, what: What::Selected(pair) }
            }
            Tagged::Confirmed { stream, ufrag, component, local, remote } => {
                let pair = SelectedPair { component, local, remote };
                Self { stream, ufrag, what: What::Confirmed(pair) }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_survive_json() {
        for line in [
            "0 credentials ufrag=8hhY pwd=asd88fgpdd777uzjYhagZg lite pacing=20 options=ice2,trickle",
            "2 generation=8hhY candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host",
            "0 end-of-candidates",
            "1 generation=8hhY selected 1 192.0.2.1 5000 198.51.100.7 6000",
            "0 confirmed 2 2001:db8::1 5000 2001:db8::2 6000",
        ] {
            let signal: Signal = line.parse().expect(line);
            let json = serde_json::to_string(&signal).expect(line);
            assert_eq!(serde_json::from_str::<Signal>(&json).expect(&json), signal);
        }
    }

    #[test]
    fn a_signal_of_stream_0_is_as_short_as_can_be() {
        let signal: Signal = "0 end-of-candidates".parse().unwrap();
        assert_eq!(serde_json::to_string(&signal).unwrap(), r#"{"type":"end-of-candidates"}"#);
    }

    #[test]
    fn an_error_names_the_field() {
        for (json, field) in [
            (r#"{"type":"candidate","candidate":"candidate:1 0 udp 1 192.0.2.1 5 typ host"}"#, "component"),
            (r#"{"type":"credentials","ufrag":"abc","pwd":"asd88fgpdd777uzjYhagZg"}"#, "ufrag"),
            (
                r#"{"type":"credentials","ufrag":"8hhY","pwd":"asd88fgpdd777uzjYhagZg","options":["a b"]}"#,
                "options",
            ),
            (r#"{"type":"candidate"}"#, "candidate"),
            (r#"{"type":"candidate","candidate":5}"#, "candidate: "),
            (r#"{"type":"end-of-candidates","ufrag":7}"#, "ufrag: "),
            (r#"{"type":"end-of-candidates","stream":-1}"#, "stream: "),
            (r#"{"type":"credentials","ufrag":"8hhY","pwd":[]}"#, "pwd: "),
            (r#"{"type":"credentials","ufrag":"8hhY","pwd":"asd88fgpdd777uzjYhagZg","lite":1}"#, "lite: "),
            (
                r#"{"type":"credentials","ufrag":"8hhY","pwd":"asd88fgpdd777uzjYhagZg","pacing":""}"#,
                "pacing: ",
            ),
            (
                r#"{"type":"credentials","ufrag":"8hhY","pwd":"asd88fgpdd777uzjYhagZg","options":1}"#,
                "options: ",
            ),
        ] {
            let error = serde_json::from_str::<Signal>(json).expect_err(json).to_string();
            assert!(error.contains(field), "{error}");
        }
    }
}
