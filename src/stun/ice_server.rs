//! A server as web applications have it: `RTCIceServer` of W3C WebRTC.
//!
//! ```text
//! { "urls": "stun:stun.example.org" }
//! { "urls": ["turn:turn.example.org", "turns:turn.example.org:443"], "username": "ann", "credential": "secret" }
//! ```

use std::fmt;

use super::uri::{Scheme, Uri};
use crate::error::ParseError;

/// URIs of one server that an application takes.
pub const MAX_URLS: usize = 32;
/// The longest username in bytes (RFC 8489 §14.3).
pub const MAX_USERNAME: usize = 508;

/// A STUN or TURN server with its URIs and the credential for all of them. What one holds was validated as W3C WebRTC
/// says: it has a URI, and with one of TURN a username and a credential.
///
/// With the feature `serde` it is read from JSON and written to it. Members that `RTCIceServer` does not have are ignored,
/// as browsers do.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(try_from = "json::Member"))]
pub struct IceServer {
    #[cfg_attr(feature = "serde", serde(serialize_with = "json::urls"))]
    urls: Vec<Uri>,
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    username: Option<String>,
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    credential: Option<String>,
}

impl IceServer {
    /// A server with URIs as text.
    ///
    /// # Errors
    /// `urls` if there is none, more than [`MAX_URLS`], or one that is not well-formed; `username` and `credential` if a
    /// URI of TURN lacks them, and for a username above [`MAX_USERNAME`] bytes.
    pub fn new<U: AsRef<str>>(
        urls: impl IntoIterator<Item = U>,
        username: Option<String>,
        credential: Option<String>,
    ) -> Result<Self, ParseError> {
        let mut read = Vec::new();
        for url in urls {
            if read.len() == MAX_URLS {
                return Err(ParseError::new("urls", format!("more than {MAX_URLS}")));
            }
            read.push(read_url(url.as_ref())?);
        }
        if read.is_empty() {
            return Err(ParseError::new("urls", "there is none"));
        }
        let turn = read.iter().find(|uri| matches!(uri.scheme, Scheme::Turn | Scheme::Turns));
        let needed = |field, value: &Option<String>| match turn {
            Some(uri) if value.is_none() => Err(ParseError::new(field, format!("{uri} needs one"))),
            _ => Ok(()),
        };
        needed("username", &username)?;
        needed("credential", &credential)?;
        if username.as_ref().is_some_and(|name| name.len() > MAX_USERNAME) {
            return Err(ParseError::new("username", format!("is longer than {MAX_USERNAME} bytes")));
        }
        Ok(Self { urls: read, username, credential })
    }

    /// At least one, in the order given.
    pub fn urls(&self) -> &[Uri] {
        &self.urls
    }

    /// The username and the password; there are both if a URI is of TURN.
    pub fn credential(&self) -> Option<(&str, &str)> {
        Some((self.username.as_deref()?, self.credential.as_deref()?))
    }
}

fn read_url(url: &str) -> Result<Uri, ParseError> {
    url.parse().map_err(|error: ParseError| {
        ParseError::new("urls", format!("{url:?}: {} {}", error.field, error.problem))
    })
}

impl fmt::Debug for IceServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IceServer")
            .field("urls", &self.urls)
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "serde")]
mod json {
    use serde::de::{SeqAccess, Visitor};
    use serde::{Deserialize, Deserializer, Serializer};

    use super::{IceServer, MAX_URLS, ParseError, Uri, fmt};

    /// As it stands in JSON.
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub(super) struct Member {
        #[serde(deserialize_with = "one_or_more")]
        urls: Vec<String>,
        username: Option<String>,
        credential: Option<String>,
        credential_type: Option<String>,
    }

    impl TryFrom<Member> for IceServer {
        type Error = ParseError;

        fn try_from(member: Member) -> Result<Self, ParseError> {
            match member.credential_type.as_deref() {
                None | Some("password") => Self::new(member.urls, member.username, member.credential),
                Some(other) => {
                    Err(ParseError::unsupported("credentialType", format!("{other:?} is not known")))
                }
            }
        }
    }

    pub(super) fn urls<S: Serializer>(urls: &[Uri], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(urls.iter().map(Uri::to_string))
    }

    fn one_or_more<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
        struct Urls;

        impl<'de> Visitor<'de> for Urls {
            type Value = Vec<String>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("urls: a string or a list of strings")
            }

            fn visit_str<E>(self, url: &str) -> Result<Vec<String>, E> {
                Ok(vec![url.to_owned()])
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<String>, A::Error> {
                let mut urls = Vec::new();
                while let Some(url) = list.next_element()? {
                    // One too many is enough to be refused.
                    if urls.len() <= MAX_URLS {
                        urls.push(url);
                    }
                }
                Ok(urls)
            }
        }

        deserializer.deserialize_any(Urls)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(
        urls: &[&str],
        username: Option<&str>,
        credential: Option<&str>,
    ) -> Result<IceServer, ParseError> {
        IceServer::new(urls, username.map(str::to_owned), credential.map(str::to_owned))
    }

    #[test]
    fn a_turn_server_needs_username_and_credential_and_a_stun_server_neither() {
        assert!(server(&["stun:example.org", "stuns:example.org"], None, None).is_ok());
        for scheme in ["turn", "turns"] {
            let turn = format!("{scheme}:example.org");
            let urls = &["stun:example.org", &turn][..];
            assert_eq!(server(urls, None, Some("secret")).unwrap_err().field, "username");
            assert_eq!(server(urls, Some("ann"), None).unwrap_err().field, "credential");
            let server = server(urls, Some("ann"), Some("secret")).unwrap();
            assert_eq!(server.credential(), Some(("ann", "secret")));
        }
    }

    #[test]
    fn errors_name_the_member_and_the_part_of_the_url() {
        let error = server(&["stun:example.org", "turn:example.org:0"], None, None).unwrap_err();
        assert_eq!(error.field, "urls");
        assert!(error.problem.contains("turn:example.org:0") && error.problem.contains("port"), "{error}");
        assert_eq!(server(&[], None, None).unwrap_err().field, "urls");
        assert!(server(&["stun:example.org"; MAX_URLS], None, None).is_ok());
        assert_eq!(server(&["stun:example.org"; MAX_URLS + 1], None, None).unwrap_err().field, "urls");
        let long = "x".repeat(MAX_USERNAME + 1);
        assert_eq!(server(&["turn:example.org"], Some(&long), Some("x")).unwrap_err().field, "username");
        assert!(server(&["turn:example.org"], Some(&long[1..]), Some("x")).is_ok());
    }

    #[test]
    fn the_credential_does_not_show() {
        let server = server(&["turn:example.org"], Some("ann"), Some("secret")).unwrap();
        assert!(!format!("{server:?}").contains("secret"));
    }

    #[cfg(feature = "serde")]
    mod with_serde {
        use proptest::prelude::*;

        use super::super::*;

        fn read(json: &str) -> Result<IceServer, serde_json::Error> {
            serde_json::from_str(json)
        }

        #[test]
        fn reads_what_browsers_are_given() {
            let one = read(r#"{"urls": "stun:stun.example.org"}"#).unwrap();
            assert_eq!(one.urls(), ["stun:stun.example.org".parse().unwrap()]);
            assert_eq!(one.credential(), None);
            let json = r#"{"urls": ["turn:turn.example.org", "turns:turn.example.org:443?transport=tcp"],
                "username": "ann", "credential": "secret", "credentialType": "password", "added": {"later": 1}}"#;
            let two = read(json).unwrap();
            assert_eq!((two.urls().len(), two.credential()), (2, Some(("ann", "secret"))));
        }

        #[test]
        fn refuses_what_browsers_refuse_and_says_what_it_is() {
            for (json, named) in [
                ("{}", "urls"),
                (r#"{"urls": []}"#, "urls"),
                (r#"{"urls": 7}"#, "urls"),
                (r#"{"urls": ["stun:example.org", null]}"#, "null"),
                (r#"{"urls": "http://example.org"}"#, "http://example.org"),
                (r#"{"urls": "stun:example.org?transport=udp"}"#, "transport"),
                (r#"{"urls": "turn:example.org", "credential": "secret"}"#, "username"),
                (r#"{"urls": "turn:example.org", "username": "ann"}"#, "credential"),
                (r#"{"urls": "turn:example.org", "username": 7, "credential": "secret"}"#, "7"),
                (r#"{"urls": "stun:example.org", "credentialType": "oauth"}"#, "credentialType"),
            ] {
                let error = read(json).expect_err(json).to_string();
                assert!(error.contains(named), "{json}: {error}");
            }
        }

        proptest! {
            #[test]
            fn what_is_written_is_read_back(
                hosts in prop::collection::vec("[a-z]{1,10}\\.example", 1..MAX_URLS),
                username in "\\PC{0,20}",
                credential in "\\PC{0,20}",
            ) {
                let urls = hosts.iter().map(|host| format!("turns:{host}"));
                let server = IceServer::new(urls, Some(username), Some(credential)).unwrap();
                let json = serde_json::to_string(&server).unwrap();
                prop_assert_eq!(read(&json).unwrap(), server);
            }

            #[test]
            fn no_url_ends_in_a_panic_or_in_a_server_without_one(url in "\\PC{0,40}") {
                if let Ok(server) = IceServer::new([&url], None, None) {
                    prop_assert_eq!(server.urls().len(), 1);
                }
            }
        }
    }
}
