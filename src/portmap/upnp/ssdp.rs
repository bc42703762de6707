//! SSDP (UPnP Device Architecture 1.1 §1.3): where the description of a device is.

use std::net::{Ipv4Addr, SocketAddr};

use super::url::Url;
use crate::portmap::event::Problem;

/// Where searches go: to the link, which is how SSDP finds anything. What anybody but the gateway answers is dropped.
pub(super) const GROUP: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(239, 255, 255, 250)), 1900);
/// What is searched for: version 2 answers a search for version 1 as well, but not every one does.
pub(super) const TARGETS: [&str; 2] = [
    "urn:schemas-upnp-org:device:InternetGatewayDevice:1",
    "urn:schemas-upnp-org:device:InternetGatewayDevice:2",
];
const MAX_HEADERS: usize = 32;

/// A search; devices answer within a second.
pub(super) fn search(target: &str) -> String {
    format!("M-SEARCH * HTTP/1.1\r\nHOST: {GROUP}\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\nST: {target}\r\n\r\n")
}

/// What an answer says of the description; `None` for what is no answer to a search for a gateway.
pub(super) fn location(bytes: &[u8], gateway: Ipv4Addr) -> Option<Result<Url, Problem>> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    if !response.parse(bytes).ok()?.is_complete() || response.code != Some(200) {
        return None;
    }
    let header = |name: &str| {
        let header = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(header.value).ok().map(str::trim)
    };
    header("ST").filter(|target| TARGETS.contains(target))?;
    header("LOCATION").map(|location| Url::absolute(location, gateway))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);

    fn answer(lines: &[&str]) -> Vec<u8> {
        format!("{}\r\n\r\n", lines.join("\r\n")).into_bytes()
    }

    #[test]
    fn a_search_is_what_upnp_device_architecture_section_1_3_2_wants() {
        let text = search(TARGETS[0]);
        assert!(text.starts_with("M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\n"));
        assert!(text.contains("\r\nMAN: \"ssdp:discover\"\r\n") && text.ends_with("\r\n\r\n"));
    }

    #[test]
    fn an_answer_tells_where_the_description_is() {
        let (st, ok) = (format!("st: {}", TARGETS[1]), "HTTP/1.1 200 OK");
        let at = "Location:http://192.168.1.1:5000/d.xml";
        let found = location(&answer(&[ok, &st, at, "EXT:", "USN: x"]), GATEWAY);
        assert_eq!(found.unwrap().unwrap().path, "/d.xml");
        let elsewhere = location(&answer(&[ok, &st, "LOCATION: http://198.51.100.1/"]), GATEWAY);
        assert_eq!(elsewhere, Some(Err(Problem::Elsewhere("http://198.51.100.1/".to_owned()))));
        for lines in [
            &["HTTP/1.1 404 Not Found", st.as_str(), at] as &[_],
            &[ok, "ST: urn:schemas-upnp-org:device:MediaServer:1", at],
            &[ok, at],
            &[ok, &st],
            &["NOTIFY * HTTP/1.1", &st, at],
            &["garbage"],
        ] {
            assert_eq!(location(&answer(lines), GATEWAY), None, "{lines:?}");
        }
        assert_eq!(location(b"HTTP/1.1 200 OK\r\nST", GATEWAY), None, "cut off");
    }
}
