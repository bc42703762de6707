//! What surrounds the agent of `agent_ops`: the peer, who knows the agent's credentials, and the servers, who know its
//! password. The program chooses what they say.

use std::net::SocketAddr;
use std::time::Duration;

use floe::stun::attributes::PasswordAlgorithms;
use floe::stun::auth::{Integrity, PasswordAlgorithm};
use floe::stun::nonce::SecurityFeatures;
use floe::stun::wire::attr;
use floe::stun::{Class, Key, Message, Method, TransactionId, Writer};

pub(crate) const PEER_UFRAG: &str = "peer";
pub(crate) const PEER_PWD: &str = "peerPasswordOf22Chars0";
pub(crate) const USER: &str = "user";
pub(crate) const PASSWORD: &str = "between us";
const REALM: &str = "realm";

fn addr(text: &str) -> SocketAddr {
    text.parse().expect(text)
}

/// Addresses of the agent's own sockets.
pub(crate) fn own(number: u8) -> SocketAddr {
    addr(
        [
            "10.0.0.2:5000",
            "10.0.1.2:5000",
            "[2001:db8::2]:5000",
            "127.0.0.1:5000",
            "[fe80::2%3]:5000",
            "10.0.0.2:5001",
        ][usize::from(number) % 6],
    )
}

/// Addresses that candidates, checks and data of the peer come from.
pub(crate) fn peer(number: u8) -> SocketAddr {
    let number = number % 24;
    match number {
        0..=9 => SocketAddr::from(([192, 0, 2, 10], 5000 + u16::from(number))),
        10..=15 => SocketAddr::from(([198, 51, 100, number], 6000)),
        16..=19 => SocketAddr::from(([0x2001, 0xdb8, 0, 1, 0, 0, 0, u16::from(number)], 6000)),
        20 => addr("127.0.0.1:7000"),
        21 => addr("[fe80::9%3]:7000"),
        // Also the servers': the peer may say that it is anywhere.
        22 => stun_server(),
        _ => turn_server(false),
    }
}

/// One of many addresses of a peer that wants to exhaust the agent.
pub(crate) fn crowd(number: u8) -> SocketAddr {
    match number % 4 {
        0 => SocketAddr::from(([0x2001, 0xdb8, 0, 2, 0, 0, 0, u16::from(number)], 8000)),
        1 => SocketAddr::from(([192, 0, 2, 20], 8000 + u16::from(number))),
        _ => SocketAddr::from(([192, 0, 2, 30 + number % 64], 8000 + u16::from(number))),
    }
}

pub(crate) fn stun_server() -> SocketAddr {
    addr("203.0.113.1:3478")
}

pub(crate) fn turn_server(v6: bool) -> SocketAddr {
    addr(if v6 { "[2001:db8::53]:3478" } else { "203.0.113.2:3478" })
}

pub(crate) fn unscoped(mut addr: SocketAddr) -> SocketAddr {
    if let SocketAddr::V6(v6) = &mut addr {
        v6.set_scope_id(0);
    }
    addr
}

/// How a check differs from a good one.
pub(crate) struct Fault(pub(crate) u8);

impl Fault {
    /// The agent must take it for the peer's, if only to refuse it.
    pub(crate) fn is_authentic(&self) -> bool {
        !matches!(self.0 % 8, 1..=3)
    }

    /// It may make a valid pair.
    pub(crate) fn is_good(&self) -> bool {
        matches!(self.0 % 8, 0 | 6)
    }
}

/// A check of the peer with the agent's ufrag and key; `flags` has its role and whether it nominates.
pub(crate) fn check(ufrag: &str, key: &Key, flags: u8, fault: &Fault) -> Vec<u8> {
    let mut buf = [0; 1280];
    let Fault(bad) = *fault;
    let mut writer = Writer::new(&mut buf, Class::Request, Method::BINDING, TransactionId([flags; 12]));
    let ufrag = if bad % 8 == 1 { "nobody" } else { ufrag };
    writer.put_username(&format!("{ufrag}:{PEER_UFRAG}"));
    if bad % 8 != 4 {
        writer.put_u32(attr::PRIORITY, u32::from_be_bytes([bad & 0x7F, flags, 1, 255]));
    }
    let role = if flags & 1 == 0 { attr::ICE_CONTROLLING } else { attr::ICE_CONTROLLED };
    writer.put_u64(role, u64::MAX / 255 * u64::from(bad));
    if flags & 2 != 0 {
        writer.put(attr::USE_CANDIDATE, &[]);
    }
    if bad % 8 == 5 {
        writer.put(0x7001, &[1, 2, 3]);
    }
    let wrong = Key::short_term("wrong");
    match bad % 8 {
        2 => writer.integrity(&wrong, Integrity::Sha1),
        3 => &mut writer,
        6 => writer.integrity(key, Integrity::Sha256),
        _ => writer.integrity(key, Integrity::Sha1),
    };
    if bad % 8 != 7 {
        writer.fingerprint();
    }
    writer.finish().expect("room for it").to_vec()
}

/// What is asked, and whom.
pub(crate) struct Question<'a> {
    pub(crate) request: Message<'a>,
    /// From here, which is the mapped address if there is no NAT.
    pub(crate) local: SocketAddr,
    /// It went here, past any relay.
    pub(crate) to: SocketAddr,
}

impl Question<'_> {
    fn is_for_turn_server(&self) -> bool {
        [turn_server(false), turn_server(true)].contains(&self.to) && self.request.method() != Method::BINDING
    }

    /// A server will challenge it.
    pub(crate) fn lacks_credentials(&self) -> bool {
        self.is_for_turn_server() && self.request.plain().attributes().realm().is_none()
    }

    /// What answers it well: a challenge where the credentials are missing, or success.
    pub(crate) fn good_answer(&self, how: u8) -> (u8, u8) {
        if self.lacks_credentials() { (4 | how & 0x30, 0) } else { (how & 0x30, 0x4C) }
    }

    /// What the peer or a server answers: `how` chooses, and one in some is wrong.
    pub(crate) fn answer(&self, how: u8, value: u8) -> Option<Vec<u8>> {
        let mut buf = [0; 1280];
        let (method, id) = (self.request.method(), self.request.transaction_id());
        let code =
            [0, 0, 0, 0, 401, 438, 487, 403, 400, 437, 486, 300, 500, 420, 441, 508][usize::from(how & 15)];
        let mut writer = match code {
            0 => Writer::new(&mut buf, Class::Success, method, id),
            code => Writer::error(&mut buf, method, id, code),
        };
        if code == 401 || code == 438 {
            challenge(&mut writer, how, value);
            writer.fingerprint();
            return Some(writer.finish().ok()?.to_vec());
        }
        if value & 0x30 != 0x30 {
            let mapped = if value & 1 == 0 { self.local } else { peer(value) };
            writer.put_xor_address(attr::XOR_MAPPED_ADDRESS, mapped);
        }
        if method == Method::ALLOCATE && code == 0 {
            let mut relayed =
                addr(if self.to.is_ipv6() { "[2001:db8::53]:50000" } else { "203.0.113.2:50000" });
            relayed.set_port(50_000 + self.local.port() % 7 + u16::from(value & 7));
            writer.put_xor_address(attr::XOR_RELAYED_ADDRESS, relayed);
        }
        if [Method::ALLOCATE, Method::REFRESH].contains(&method) && code == 0 {
            writer.put_lifetime(Duration::from_secs(u64::from(value) * 10));
        }
        if how & 0xC0 == 0x80 {
            writer.put(0x7F01, &[1]);
        }
        self.sign(&mut writer, value);
        writer.fingerprint();
        Some(writer.finish().ok()?.to_vec())
    }

    fn sign(&self, writer: &mut Writer<'_>, value: u8) {
        if value & 0x0F == 0x0F {
            return;
        }
        if self.is_for_turn_server() {
            // RFC 8489 §9.2.4: with a choice of algorithms come SHA-256 and the chosen one.
            let choice = self.request.plain().attributes().password_algorithm();
            let (algorithm, integrity) = match choice {
                Some(algorithm) => (algorithm, Integrity::Sha256),
                None => (PasswordAlgorithm::Md5, Integrity::Sha1),
            };
            writer.integrity(&Key::long_term(algorithm, USER, REALM, PASSWORD), integrity);
        } else if self.request.username().is_some() {
            writer.integrity(&Key::short_term(PEER_PWD), Integrity::Sha1);
        }
    }
}

fn challenge(writer: &mut Writer<'_>, how: u8, value: u8) {
    let offer = match value & 0xC0 {
        0x40 => PasswordAlgorithms::offer(&[PasswordAlgorithm::Md5]),
        _ => PasswordAlgorithms::offer(&[PasswordAlgorithm::Sha256, PasswordAlgorithm::Md5]),
    };
    let features = SecurityFeatures { password_algorithms: how & 16 != 0, username_anonymity: how & 32 != 0 };
    if value & 0x20 == 0 {
        writer.put_realm(if value & 0x10 == 0 { REALM } else { "another" });
    }
    if value & 0x0F != 0x0F {
        writer.put_nonce(&format!("{features}{value}"));
    }
    if features.password_algorithms && value & 0xC0 != 0xC0 {
        writer.put_password_algorithms(&offer);
    }
}
