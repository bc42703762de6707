//! The parsers, for the fuzz target `portmap`. Not a part of the API.

use std::net::Ipv4Addr;

/// Has every parser read `data`.
pub fn parse(data: &[u8]) {
    let gateway = Ipv4Addr::new(192, 168, 1, 1);
    let _ = super::pcp::response(data);
    let _ = super::nat_pmp::response(data);
    super::upnp::parse(data, gateway);
}
