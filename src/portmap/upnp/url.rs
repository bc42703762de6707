//! URLs that a device names. Only those of the gateway are ever followed, so that neither a device nor anybody who
//! answers in its place can have this host ask others.

use std::net::{Ipv4Addr, SocketAddr};

use crate::portmap::event::Problem;

/// Longer ones make no sense.
const MAX_LEN: usize = 1024;

/// `http:` at the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Url {
    pub(super) addr: SocketAddr,
    /// From the first slash on.
    pub(super) path: String,
}

impl Url {
    /// An absolute URL; its host has to be the address of the gateway, not a name.
    pub(super) fn absolute(text: &str, gateway: Ipv4Addr) -> Result<Self, Problem> {
        check(text)?;
        let scheme = text.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("http://"));
        let Some(rest) = scheme.and(text.get(7..)) else { return Err(elsewhere(text)) };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, port.parse().ok().filter(|port| *port != 0)),
            None => (authority, Some(80)),
        };
        let Some(port) = port else { return Err(elsewhere(text)) };
        if host.parse() != Ok(gateway) {
            return Err(elsewhere(text));
        }
        let path = path.split('#').next().unwrap_or_default();
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { addr: (gateway, port).into(), path })
    }

    /// What `text` means in a document at this URL (RFC 3986 §5.2, without dots).
    pub(super) fn join(&self, text: &str, gateway: Ipv4Addr) -> Result<Self, Problem> {
        check(text)?;
        let before_path = text.split(['/', '?', '#']).next().unwrap_or_default();
        if before_path.contains(':') {
            return Self::absolute(text, gateway);
        }
        if text.starts_with("//") {
            return Self::absolute(&format!("http:{text}"), gateway);
        }
        let text = text.split('#').next().unwrap_or_default();
        let path = if text.starts_with('/') {
            text.to_owned()
        } else {
            let path = self.path.split('?').next().unwrap_or_default();
            let directory = path.rfind('/').map_or("/", |slash| &path[..=slash]);
            format!("{directory}{text}")
        };
        Ok(Self { addr: self.addr, path })
    }
}

/// Nothing that could end the line of a request.
fn check(text: &str) -> Result<(), Problem> {
    if text.len() > MAX_LEN {
        return Err(Problem::TooLong(MAX_LEN));
    }
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Problem::Malformed("a URL"));
    }
    Ok(())
}

fn elsewhere(text: &str) -> Problem {
    Problem::Elsewhere(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);

    fn absolute(text: &str) -> Result<(u16, String), Problem> {
        Url::absolute(text, GATEWAY).map(|url| (url.addr.port(), url.path))
    }

    #[test]
    fn a_url_of_the_gateway_is_followed() {
        assert_eq!(absolute("http://192.168.1.1:5000/rootDesc.xml"), Ok((5000, "/rootDesc.xml".to_owned())));
        assert_eq!(absolute("HTTP://192.168.1.1"), Ok((80, "/".to_owned())));
        assert_eq!(absolute("http://192.168.1.1?a=b#c"), Ok((80, "/?a=b".to_owned())));
    }

    #[test]
    fn a_url_of_anybody_else_is_not_followed() {
        for text in [
            "http://192.168.1.2/desc.xml",
            "http://gateway.example/desc.xml",
            "http://192.168.1.1@198.51.100.1/",
            "http://192.168.1.1:80@198.51.100.1/",
            "http://192.168.1.1.example/",
            "http://0xC0A80101/",
            "http://[::1]/",
            "http:/192.168.1.1/",
            "http://192.168.1.1:0/",
            "http://192.168.1.1:99999/",
            "https://192.168.1.1/",
            "ftp://192.168.1.1/",
            "file:///etc/passwd",
        ] {
            assert_eq!(absolute(text), Err(Problem::Elsewhere(text.to_owned())), "{text}");
        }
        for text in
            ["", "http://192.168.1.1/a b", "http://192.168.1.1/\r\nHost: x", "http://192.168.1.1/\u{e9}"]
        {
            assert_eq!(absolute(text), Err(Problem::Malformed("a URL")), "{text}");
        }
        assert_eq!(absolute(&"a".repeat(1025)), Err(Problem::TooLong(1024)));
    }

    #[test]
    fn a_relative_url_stays_at_the_gateway() {
        let base = Url::absolute("http://192.168.1.1:5000/dir/desc.xml?x=/y", GATEWAY).unwrap();
        let path = |text: &str| base.join(text, GATEWAY).map(|url| (url.addr.port(), url.path));
        assert_eq!(path("/ctl"), Ok((5000, "/ctl".to_owned())));
        assert_eq!(path("ctl?a"), Ok((5000, "/dir/ctl?a".to_owned())));
        assert_eq!(path("http://192.168.1.1:49152/ctl"), Ok((49152, "/ctl".to_owned())));
        assert_eq!(path("//192.168.1.1/ctl"), Ok((80, "/ctl".to_owned())));
        assert!(matches!(path("//198.51.100.1/ctl"), Err(Problem::Elsewhere(_))));
        assert!(matches!(path("http://198.51.100.1/ctl"), Err(Problem::Elsewhere(_))));
        assert!(matches!(path("https://192.168.1.1/ctl"), Err(Problem::Elsewhere(_))));
    }
}
