//! The Port Control Protocol on the wire (RFC 6887 §7, §11.1, §14.1). No option is ever sent: THIRD_PARTY and
//! PREFER_FAILURE are not for clients like this one (§13.1, §13.2), and the filter of a mapping is ICE's business.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::io::Transport;

/// The only version (§7.1).
pub(super) const VERSION: u8 = 2;
/// Of requests and responses (§7.1, §7.2).
const HEADER: usize = 24;
/// A MAP request: the header and 36 bytes (§11.1).
pub(super) const MAP_LEN: usize = 60;
/// §7.
const MAX: usize = 1100;
const RESPONSE: u8 = 0x80;
const OPCODE_ANNOUNCE: u8 = 0;
const OPCODE_MAP: u8 = 1;

/// What names a mapping: it is the same in a request, its retransmissions and renewals, and its responses (§11.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) nonce: [u8; 12],
    pub(super) transport: Transport,
    pub(super) internal: u16,
}

/// A response without faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Response {
    /// UNSUPP_VERSION, from a server of this version (§9). Version 0 is that of NAT-PMP.
    OtherVersion { version: u8, lifetime: u32 },
    /// §14.1.3: to everybody.
    Announce { epoch: u32 },
    /// §11.4; of an error, external is what was suggested and means nothing.
    Map { name: Name, result: u8, lifetime: u32, epoch: u32, external: SocketAddr },
}

/// A MAP request (§11.1); lifetime 0 deletes, and then nothing may be suggested (§15.1).
pub(super) fn map_request(
    client: IpAddr,
    name: &Name,
    lifetime: u32,
    suggested: Option<SocketAddr>,
) -> [u8; MAP_LEN] {
    let mut request = [0; MAP_LEN];
    request[..HEADER].copy_from_slice(&header(OPCODE_MAP, lifetime, client));
    request[24..36].copy_from_slice(&name.nonce);
    request[36] = protocol_number(name.transport);
    request[40..42].copy_from_slice(&name.internal.to_be_bytes());
    let suggested = suggested.filter(|_| lifetime > 0);
    request[42..44].copy_from_slice(&suggested.map_or(0, |addr| addr.port()).to_be_bytes());
    // §5: without a preference, the any address of the family that is wanted.
    let any = if client.is_ipv4() { "0.0.0.0".parse() } else { "::".parse() };
    let ip = suggested.map(|addr| addr.ip()).or(any.ok());
    request[44..60].copy_from_slice(&ip.map_or([0; 16], octets));
    request
}

fn header(opcode: u8, lifetime: u32, client: IpAddr) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    (header[0], header[1]) = (VERSION, opcode);
    header[4..8].copy_from_slice(&lifetime.to_be_bytes());
    header[8..24].copy_from_slice(&octets(client));
    header
}

/// Reads a response; `None` for what has to be ignored (§8.3). Options are skipped: none was asked for, and unknown ones
/// do not matter (§7.3).
pub(super) fn response(bytes: &[u8]) -> Option<Response> {
    let [version, opcode, _, result, ..] = *bytes else { return None };
    if opcode & RESPONSE == 0 {
        return None;
    }
    // §8.3: this comes before the checks of the length, which other versions have their own of.
    if version != VERSION {
        let lifetime = bytes.get(4..8).map_or(0, be_u32);
        return (result == RESULT_UNSUPP_VERSION && version != 0)
            .then_some(Response::OtherVersion { version, lifetime });
    }
    if !(HEADER..=MAX).contains(&bytes.len()) || !bytes.len().is_multiple_of(4) {
        return None;
    }
    let (lifetime, epoch) = (be_u32(&bytes[4..8]), be_u32(&bytes[8..12]));
    if result == RESULT_UNSUPP_VERSION {
        return Some(Response::OtherVersion { version, lifetime });
    }
    match opcode & !RESPONSE {
        OPCODE_ANNOUNCE => Some(Response::Announce { epoch }),
        OPCODE_MAP => {
            let body = bytes.get(HEADER..MAP_LEN)?;
            let mut nonce = [0; 12];
            nonce.copy_from_slice(&body[..12]);
            let transport = transport(body[12])?;
            let (internal, port) = (be_u16(&body[16..18]), be_u16(&body[18..20]));
            let mut ip = [0; 16];
            ip.copy_from_slice(&body[20..36]);
            let external = SocketAddr::new(address(ip), port);
            let name = Name { nonce, transport, internal };
            Some(Response::Map { name, result, lifetime, epoch, external })
        }
        _ => None,
    }
}

/// Whether this is the answer of a NAT-PMP gateway to a version it does not know (RFC 6886 §3.5, RFC 6887 §9). Some say
/// which request they mean, most have opcode 0.
pub(super) fn is_nat_pmp(bytes: &[u8]) -> bool {
    matches!(*bytes, [0, _, 0, RESULT_UNSUPP_VERSION, ..])
}

/// The result codes of §7.4.
pub(super) const RESULT_UNSUPP_VERSION: u8 = 1;
pub(super) const RESULT_NO_RESOURCES: u8 = 8;
pub(super) const RESULT_ADDRESS_MISMATCH: u8 = 12;

/// What a result code stands for (§7.4).
pub(super) fn result_text(code: u8) -> &'static str {
    match code {
        0 => "success",
        RESULT_UNSUPP_VERSION => "unsupported version",
        2 => "not authorized",
        3 => "malformed request",
        4 => "unsupported opcode",
        5 => "unsupported option",
        6 => "malformed option",
        7 => "network failure",
        RESULT_NO_RESOURCES => "no resources",
        9 => "unsupported protocol",
        10 => "the quota of this user is used up",
        11 => "the suggested external address or port cannot be provided",
        RESULT_ADDRESS_MISMATCH => "address mismatch",
        13 => "too many remote peers",
        _ => "an unknown error",
    }
}

/// IANA's numbers of protocols.
fn protocol_number(transport: Transport) -> u8 {
    match transport {
        Transport::Tcp => 6,
        Transport::Udp => 17,
    }
}

fn transport(number: u8) -> Option<Transport> {
    match number {
        6 => Some(Transport::Tcp),
        17 => Some(Transport::Udp),
        _ => None,
    }
}

/// §5: IPv4 addresses are IPv4-mapped.
fn octets(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}

/// §5: all 96 bits of the prefix have to be right.
fn address(octets: [u8; 16]) -> IpAddr {
    let ip = Ipv6Addr::from(octets);
    ip.to_ipv4_mapped().map_or(IpAddr::V6(ip), IpAddr::V4)
}

pub(super) fn be_u16(bytes: &[u8]) -> u16 {
    bytes.iter().take(2).fold(0, |value, byte| value << 8 | u16::from(*byte))
}

pub(super) fn be_u32(bytes: &[u8]) -> u32 {
    bytes.iter().take(4).fold(0, |value, byte| value << 8 | u32::from(*byte))
}
