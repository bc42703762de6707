//! The NAT Port Mapping Protocol on the wire (RFC 6886 §3).

use std::net::Ipv4Addr;

use super::pcp::{be_u16, be_u32};
use crate::io::Transport;

/// Of a request for a mapping (§3.3).
pub(super) const MAP_LEN: usize = 12;
const VERSION: u8 = 0;
const RESPONSE: u8 = 128;
const OPCODE_ADDRESS: u8 = 0;

/// A response, also of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Response {
    /// §3.2; without an address if `result` is not 0. Announcements look the same (§3.2.1).
    Address { result: u16, epoch: u32, external: Option<Ipv4Addr> },
    /// §3.3. Of an error, all but the internal port means nothing.
    Map { transport: Transport, result: u16, epoch: u32, internal: u16, external: u16, lifetime: u32 },
}

/// §3.2.
pub(super) fn address_request() -> [u8; 2] {
    [VERSION, OPCODE_ADDRESS]
}

/// §3.3; lifetime 0 deletes, and then nothing may be suggested (§3.4).
pub(super) fn map_request(
    transport: Transport,
    internal: u16,
    suggested: Option<u16>,
    lifetime: u32,
) -> [u8; MAP_LEN] {
    let mut request = [0; MAP_LEN];
    (request[0], request[1]) = (VERSION, opcode(transport));
    request[4..6].copy_from_slice(&internal.to_be_bytes());
    let suggested = suggested.filter(|_| lifetime > 0).unwrap_or(0);
    request[6..8].copy_from_slice(&suggested.to_be_bytes());
    request[8..12].copy_from_slice(&lifetime.to_be_bytes());
    request
}

/// Reads a response; `None` for what is none.
pub(super) fn response(bytes: &[u8]) -> Option<Response> {
    let [VERSION, opcode, ..] = *bytes else { return None };
    let head = bytes.get(..8)?;
    let (result, epoch) = (be_u16(&head[2..4]), be_u32(&head[4..8]));
    match opcode.checked_sub(RESPONSE)? {
        OPCODE_ADDRESS => {
            // §3.2: the address of an error has to be ignored; some leave it out.
            let external = bytes.get(8..12).filter(|_| result == 0);
            let external = external.map(|ip| Ipv4Addr::new(ip[0], ip[1], ip[2], ip[3]));
            (result != 0 || external.is_some()).then_some(Response::Address { result, epoch, external })
        }
        opcode => {
            let transport = transport(opcode)?;
            let body = bytes.get(8..16)?;
            let (internal, external) = (be_u16(&body[..2]), be_u16(&body[2..4]));
            let lifetime = be_u32(&body[4..8]);
            Some(Response::Map { transport, result, epoch, internal, external, lifetime })
        }
    }
}

/// What a result code stands for (§3.5).
pub(super) fn result_text(code: u16) -> &'static str {
    match code {
        0 => "success",
        1 => "unsupported version",
        2 => "refused",
        RESULT_NETWORK_FAILURE => "network failure",
        RESULT_NO_RESOURCES => "out of resources",
        5 => "unsupported opcode",
        _ => "an unknown error",
    }
}

/// The gateway has no address itself.
pub(super) const RESULT_NETWORK_FAILURE: u16 = 3;
pub(super) const RESULT_NO_RESOURCES: u16 = 4;

fn opcode(transport: Transport) -> u8 {
    match transport {
        Transport::Udp => 1,
        Transport::Tcp => 2,
    }
}

fn transport(opcode: u8) -> Option<Transport> {
    match opcode {
        1 => Some(Transport::Udp),
        2 => Some(Transport::Tcp),
        _ => None,
    }
}
