//! DNS messages (RFC 1035 §4.1) as far as multicast DNS needs them here: questions, A, AAAA and NSEC records. What
//! arrives is walked in place, nothing is allocated.
#![warn(clippy::indexing_slicing)]

use std::net::IpAddr;

/// Record types (RFC 1035 §3.2.2, RFC 3596 §2.1, RFC 4034 §4).
pub(super) mod kind {
    pub(in crate::mdns) const A: u16 = 1;
    pub(in crate::mdns) const AAAA: u16 = 28;
    pub(in crate::mdns) const NSEC: u16 = 47;
    pub(in crate::mdns) const ANY: u16 = 255;
}

const HEADER: usize = 12;
const CLASS_IN: u16 = 1;
const CLASS_ANY: u16 = 255;
/// The top bit of the class: "answer me by unicast" of a question (RFC 6762 §5.4), "forget what you knew" of a record
/// (§10.2).
const TOP_BIT: u16 = 0x8000;
/// QR and AA (RFC 6762 §18.2, §18.4).
const RESPONSE: u16 = 0x8400;
/// QR, OPCODE and RCODE.
const IS_RESPONSE: u16 = 0x8000;
const OPCODE_AND_RCODE: u16 = 0x780F;
/// A name, root included (RFC 1035 §3.1).
const MAX_NAME: usize = 255;
/// Questions and records that are looked at. A datagram of 9000 bytes has no more that make sense.
const MAX_ENTRIES: usize = 256;

/// A name as it was found in a message: in lower case, with dots, without the last one.
#[derive(Clone, Copy)]
pub(super) struct Name {
    bytes: [u8; MAX_NAME],
    len: usize,
}

impl Name {
    fn new() -> Self {
        Self { bytes: [0; MAX_NAME], len: 0 }
    }

    fn push(&mut self, byte: u8) -> Option<()> {
        *self.bytes.get_mut(self.len)? = byte.to_ascii_lowercase();
        self.len += 1;
        Some(())
    }

    /// `other` is in lower case.
    pub(super) fn is(&self, other: &str) -> bool {
        self.bytes.get(..self.len) == Some(other.as_bytes())
    }
}

/// Where a record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    Answer,
    Authority,
    Additional,
}

/// What a message consists of.
pub(super) enum Entry<'a> {
    /// The class is IN or ANY.
    Question { name: Name, kind: u16, wants_unicast: bool },
    /// The class is IN.
    Record { section: Section, name: Name, kind: u16, ttl: u32, data: &'a [u8] },
    /// Of a class that nobody uses.
    Other,
}

/// A message that has arrived.
#[derive(Clone, Copy)]
pub(super) struct Message<'a> {
    bytes: &'a [u8],
    pub(super) id: u16,
    pub(super) is_response: bool,
    counts: [u16; 4],
}

impl<'a> Message<'a> {
    /// Reads the header; `None` for anything that RFC 6762 §18.3 and §18.11 silently ignore.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let flags = u16_at(bytes, 2)?;
        let counts = [u16_at(bytes, 4)?, u16_at(bytes, 6)?, u16_at(bytes, 8)?, u16_at(bytes, 10)?];
        let is_response = flags & IS_RESPONSE != 0;
        let message = Self { bytes, id: u16_at(bytes, 0)?, is_response, counts };
        (flags & OPCODE_AND_RCODE == 0).then_some(message)
    }

    /// Its questions and records, in order, up to the first malformed one.
    pub(super) fn entries(self) -> Entries<'a> {
        Entries { message: self, at: HEADER, left: self.counts, looked_at: 0 }
    }
}

/// See [`Message::entries`].
pub(super) struct Entries<'a> {
    message: Message<'a>,
    at: usize,
    left: [u16; 4],
    looked_at: usize,
}

impl<'a> Entries<'a> {
    fn read(&mut self, place: usize) -> Option<Entry<'a>> {
        let bytes = self.message.bytes;
        let (name, at) = read_name(bytes, self.at)?;
        let (kind, class) = (u16_at(bytes, at)?, u16_at(bytes, at + 2)?);
        let section = match place {
            0 => {
                self.at = at + 4;
                return Some(match class & !TOP_BIT {
                    CLASS_IN | CLASS_ANY => {
                        Entry::Question { name, kind, wants_unicast: class & TOP_BIT != 0 }
                    }
                    _ => Entry::Other,
                });
            }
            1 => Section::Answer,
            2 => Section::Authority,
            _ => Section::Additional,
        };
        let ttl = u32::from(u16_at(bytes, at + 4)?) << 16 | u32::from(u16_at(bytes, at + 6)?);
        let length = usize::from(u16_at(bytes, at + 8)?);
        self.at = at + 10 + length;
        let data = bytes.get(at + 10..self.at)?;
        Some(match class & !TOP_BIT {
            CLASS_IN => Entry::Record { section, name, kind, ttl, data },
            _ => Entry::Other,
        })
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let place = self.left.iter().position(|count| *count > 0)?;
        self.looked_at += 1;
        if self.looked_at > MAX_ENTRIES {
            return None;
        }
        let entry = self.read(place);
        match &entry {
            Some(_) => *self.left.get_mut(place)? -= 1,
            // What follows cannot be found any more.
            None => self.left = [0; 4],
        }
        entry
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let pair = bytes.get(at..at + 2)?;
    Some(u16::from_be_bytes(pair.try_into().ok()?))
}

/// The name at `at`, and where it ends. A pointer leads back only (RFC 1035 §4.1.4), so that no chain of them has a
/// loop; a name that is too long is malformed.
fn read_name(bytes: &[u8], at: usize) -> Option<(Name, usize)> {
    let mut name = Name::new();
    let (mut at, mut end, mut limit) = (at, None, at);
    loop {
        let first = *bytes.get(at)?;
        match first >> 6 {
            0 if first == 0 => return Some((name, end.unwrap_or(at + 1))),
            0 => {
                if name.len > 0 {
                    name.push(b'.')?;
                }
                let after = at + 1 + usize::from(first);
                for byte in bytes.get(at + 1..after)? {
                    name.push(*byte)?;
                }
                at = after;
            }
            3 => {
                let target = usize::from(u16_at(bytes, at)? & 0x3FFF);
                end.get_or_insert(at + 2);
                if target >= limit {
                    return None;
                }
                (at, limit) = (target, target);
            }
            _ => return None,
        }
    }
}

/// The address in the data of an A or AAAA record.
pub(super) fn address(kind: u16, data: &[u8]) -> Option<IpAddr> {
    match kind {
        kind::A => Some(IpAddr::from(<[u8; 4]>::try_from(data).ok()?)),
        kind::AAAA => Some(IpAddr::from(<[u8; 16]>::try_from(data).ok()?)),
        _ => None,
    }
}

/// The type of the record that holds this address.
pub(super) fn kind_of(ip: IpAddr) -> u16 {
    if ip.is_ipv4() { kind::A } else { kind::AAAA }
}

/// Which record an answer consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    /// The address.
    Address,
    /// That there is no record but the one of the address (RFC 6762 §6.1).
    NothingElse,
}

/// An answer about a name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer<'a> {
    pub(super) name: &'a str,
    pub(super) ip: IpAddr,
    pub(super) holds: Holds,
    pub(super) ttl: u32,
    /// To a resolver that knows nothing of multicast (RFC 6762 §6.7): the id and the type of its question.
    pub(super) legacy: Option<(u16, u16)>,
}

/// Writes an answer. `None` if it does not fit.
pub(super) fn write_answer(buf: &mut [u8], answer: &Answer<'_>) -> Option<usize> {
    let Answer { name, ip, holds, ttl, legacy } = *answer;
    let mut out = Out { buf, len: 0 };
    let (id, questions) = legacy.map_or((0, 0), |(id, _)| (id, 1));
    out.header(id, RESPONSE, [questions, 1])?;
    if let Some((_, kind)) = legacy {
        out.question(name, kind, CLASS_IN)?;
    }
    out.name(name)?;
    let class = if legacy.is_some() { CLASS_IN } else { CLASS_IN | TOP_BIT };
    match holds {
        Holds::Address => {
            out.u16s(&[kind_of(ip), class, (ttl >> 16) as u16, ttl as u16])?;
            match ip {
                IpAddr::V4(ip) => out.u16s(&[4])?.bytes(&ip.octets())?,
                IpAddr::V6(ip) => out.u16s(&[16])?.bytes(&ip.octets())?,
            };
        }
        Holds::NothingElse => {
            // The next name is the name itself; window 0 and a bit for each type that there is (RFC 4034 §4.1).
            let bits: &[u8] = if ip.is_ipv4() { &[0x40] } else { &[0, 0, 0, 0x08] };
            let length = name.len() + 2 + 2 + bits.len();
            out.u16s(&[kind::NSEC, class, (ttl >> 16) as u16, ttl as u16, length as u16])?;
            out.name(name)?;
            out.bytes(&[0, bits.len() as u8])?.bytes(bits)?;
        }
    }
    Some(out.len)
}

/// Writes a query for both addresses of a name. `None` if it does not fit.
pub(super) fn write_query(buf: &mut [u8], id: u16, name: &str) -> Option<usize> {
    let mut out = Out { buf, len: 0 };
    out.header(id, 0, [2, 0])?;
    out.question(name, kind::A, CLASS_IN)?;
    out.question(name, kind::AAAA, CLASS_IN)?;
    Some(out.len)
}

struct Out<'b> {
    buf: &'b mut [u8],
    len: usize,
}

impl Out<'_> {
    fn bytes(&mut self, bytes: &[u8]) -> Option<&mut Self> {
        self.buf.get_mut(self.len..self.len + bytes.len())?.copy_from_slice(bytes);
        self.len += bytes.len();
        Some(self)
    }

    fn u16s(&mut self, values: &[u16]) -> Option<&mut Self> {
        for value in values {
            self.bytes(&value.to_be_bytes())?;
        }
        Some(self)
    }

    fn header(&mut self, id: u16, flags: u16, counts: [u16; 2]) -> Option<&mut Self> {
        let [questions, answers] = counts;
        self.u16s(&[id, flags, questions, answers, 0, 0])
    }

    fn question(&mut self, name: &str, kind: u16, class: u16) -> Option<&mut Self> {
        self.name(name)?.u16s(&[kind, class])
    }

    fn name(&mut self, name: &str) -> Option<&mut Self> {
        for label in name.split('.') {
            self.bytes(&[label.len() as u8])?.bytes(label.as_bytes())?;
        }
        self.bytes(&[0])
    }
}
