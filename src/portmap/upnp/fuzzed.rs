//! The parsers of this module, for the fuzz target.

use std::net::{IpAddr, Ipv4Addr};

use super::http::Incoming;
use super::url::Url;
use super::{description, soap, ssdp};

/// Has every parser read `data`, as if the gateway had sent it.
pub(in crate::portmap) fn parse(data: &[u8], gateway: Ipv4Addr) {
    let _ = ssdp::location(data, gateway);
    let text = String::from_utf8_lossy(data);
    let Ok(url) = Url::absolute(&format!("http://{gateway}/"), gateway) else { return };
    if let Ok(joined) = url.join(&text, gateway) {
        assert_eq!(joined.addr.ip(), IpAddr::V4(gateway), "nobody else is asked");
    }
    for service in description::services(&text, &url, gateway).unwrap_or_default() {
        assert_eq!(service.control.addr.ip(), IpAddr::V4(gateway), "nobody else is asked");
    }
    let mut incoming = Incoming::default();
    for piece in data.chunks(7) {
        match incoming.feed(piece) {
            Ok(None) => {}
            Ok(Some(reply)) => return soap::parse(&reply),
            Err(_) => return,
        }
    }
    if let Ok(reply) = incoming.end() {
        soap::parse(&reply);
    }
}
