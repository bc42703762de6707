//! UDP sockets: the only file that knows how the platform batches, marks and pins datagrams.

use std::cell::RefCell;
use std::io::{self, IoSliceMut};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use quinn_udp::{EcnCodepoint, RecvMeta, UdpSocketState};
use socket2::{Domain, Protocol, Type};
use tokio::io::Interest;

use crate::candidate::address::{Scope, scope};
use crate::io::{Datagram, Ecn, SocketId, Transmit};
use crate::turn::data::{HEADROOM, TAILROOM};

use super::icmp::Errors;
use super::mtu;
use super::range;

/// Buffers of one receive call. With GRO each may hold a row of datagrams.
const BATCH: usize = if quinn_udp::BATCH_SIZE < 8 { quinn_udp::BATCH_SIZE } else { 8 };
/// No UDP payload is longer, and no row that GRO makes.
const BUFFER: usize = 65_536;
/// A buffer with the room to frame what is in it.
const ROOM: usize = HEADROOM + BUFFER + TAILROOM;

/// How often a datagram is sent again that met the errors of others: they come in between again.
const RETRIES: usize = 3;

/// What is asked of the kernel: the default of a few hundred kilobytes is less than what one scheduling delay
/// piles up at 1 Gbit/s. The kernel may give less.
const KERNEL_BUFFER: usize = 2 << 20;

thread_local! {
    /// Between two calls nothing is held in it, so one for a thread serves every session.
    static RECEIVED: RefCell<Vec<u8>> = RefCell::new(vec![0; BATCH * ROOM]);
}

/// Who chooses the address that datagrams leave from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The socket is bound to it.
    Bound,
    /// The kernel, by its routes: the socket is bound to the wildcard address, and what arrives counts as sent to the
    /// base (RFC 8828 §6.1).
    Routed,
}

/// A bound, non-blocking UDP socket that never fragments, where the platform can promise that.
#[derive(Debug)]
pub(super) struct UdpSocket {
    io: tokio::net::UdpSocket,
    state: UdpSocketState,
    local: SocketAddr,
    /// The MTU of the interface that it is bound to.
    mtu: AtomicUsize,
    /// What ICMP says, where somebody wants to know.
    errors: Option<Errors>,
}

impl UdpSocket {
    /// Binds a socket for the base `local`. With port 0 and a range, to some free port of that range.
    pub(super) fn bind(
        local: SocketAddr,
        source: Source,
        ports: Option<&RangeInclusive<u16>>,
        mtu: usize,
    ) -> io::Result<Self> {
        range::bind(ports, local, |local| Self::open(local, source, mtu))
    }

    fn open(mut local: SocketAddr, source: Source, mtu: usize) -> io::Result<Self> {
        let socket = socket2::Socket::new(Domain::for_address(local), Type::DGRAM, Some(Protocol::UDP))?;
        if local.is_ipv6() {
            // One family a socket: addresses never come IPv4-mapped.
            socket.set_only_v6(true)?;
        }
        socket.set_nonblocking(true)?;
        // Advice only: a kernel that refuses keeps its default.
        let _ = socket.set_recv_buffer_size(KERNEL_BUFFER);
        let _ = socket.set_send_buffer_size(KERNEL_BUFFER);
        let bound = match (source, local) {
            (Source::Bound, local) => local,
            (Source::Routed, SocketAddr::V4(_)) => (Ipv4Addr::UNSPECIFIED, local.port()).into(),
            (Source::Routed, SocketAddr::V6(_)) => (Ipv6Addr::UNSPECIFIED, local.port()).into(),
        };
        socket.bind(&bound.into())?;
        let state = UdpSocketState::new((&socket).into())?;
        let io = tokio::net::UdpSocket::from_std(socket.into())?;
        local.set_port(io.local_addr()?.port());
        Ok(Self { io, state, local, mtu: AtomicUsize::new(mtu), errors: None })
    }

    /// As it is, and ICMP errors are kept for [`take_unreachable`](Self::take_unreachable), where the platform tells them.
    pub(super) fn watching_errors(mut self) -> Self {
        self.errors = Errors::watch(&self.io, self.local);
        self
    }

    /// Where nobody receives what was sent, as ICMP says: what is new. It is found while something is sent or received.
    pub(super) fn take_unreachable(&self) -> Vec<SocketAddr> {
        let mut list = self.errors.as_ref().map_or_else(Vec::new, Errors::take);
        for addr in &mut list {
            *addr = normalise(*addr, self.local);
        }
        list
    }

    /// Takes out of the kernel what ICMP says; whether there was something.
    fn read_errors(&self) -> bool {
        self.errors.as_ref().is_some_and(|errors| errors.read(&self.io))
    }

    /// The base that it serves.
    pub(super) fn local(&self) -> SocketAddr {
        self.local
    }

    /// The MTU of its interface in bytes.
    pub(super) fn mtu(&self) -> usize {
        self.mtu.load(Ordering::Relaxed)
    }

    /// Sends at once or fails: `WouldBlock` if the send buffer is full, `InvalidInput` with the limit if the
    /// datagram is too large for the interface.
    pub(super) fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let transmission = quinn_udp::Transmit {
            destination: transmit.destination,
            ecn: transmit.ecn.map(to_codepoint),
            contents: transmit.payload,
            segment_size: transmit.segment_size,
            // The socket is bound to its source, or the kernel chooses it.
            src_ip: None,
        };
        let attempt = || self.state.try_send((&self.io).into(), &transmission);
        // The kernel is asked first: the reactor does not know yet that a new socket is writable. Only what is
        // tried under the reactor's eyes makes `writable` wait.
        let sent = match attempt() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.io.try_io(Interest::WRITABLE, attempt)
            }
            Err(error) if self.errors.is_some() => self.send_again(error, attempt),
            sent => sent,
        };
        sent.map_err(
            |error| {
                if quinn_udp::is_msg_size_err(&error) { self.too_large(transmit).into() } else { error }
            },
        )
    }

    /// The error may be that of an earlier datagram, which went to somebody else.
    fn send_again(&self, mut error: io::Error, attempt: impl Fn() -> io::Result<()>) -> io::Result<()> {
        for _ in 0..RETRIES {
            let was_there = self.read_errors();
            match attempt() {
                Err(own) if own.kind() != io::ErrorKind::WouldBlock => error = own,
                sent => return sent,
            }
            if !was_there {
                break;
            }
        }
        Err(error)
    }

    fn too_large(&self, transmit: &Transmit<'_>) -> TooLarge {
        let len = transmit.segment_size.unwrap_or(transmit.payload.len());
        let limit = mtu::payload(self.mtu(), transmit.destination);
        if len > limit {
            return TooLarge { len, limit };
        }
        // The interface carries less than it did when the socket was bound.
        self.mtu.fetch_min(mtu::UNKNOWN, Ordering::Relaxed);
        TooLarge { len, limit: mtu::payload(self.mtu(), transmit.destination) }
    }

    /// Waits until there may be room in the send buffer again. Any number of tasks may wait.
    pub(super) async fn writable(&self) -> io::Result<()> {
        self.io.writable().await
    }

    /// Whether something is there to receive. One task at a time may wait.
    pub(super) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.poll_recv_ready(cx)
    }

    /// Hands what has arrived to `take`, one datagram after the other, at most a batch of them. `WouldBlock` if
    /// there was nothing.
    pub(super) fn receive(&self, id: SocketId, mut take: impl FnMut(Datagram<'_>)) -> io::Result<()> {
        self.receive_rows(|meta, room| {
            let row = &room[HEADROOM..HEADROOM + meta.len];
            for payload in segments(row, meta.stride) {
                take(self.datagram(id, meta, payload));
            }
        })
    }

    /// As [`receive`](Self::receive), for a relay: each datagram lies at `HEADROOM..HEADROOM + len` of a buffer in
    /// which [`wrap`](crate::turn::data::wrap) frames it in place. `take` gets the datagram without its payload,
    /// the buffer and `len`.
    pub(super) fn receive_framed(
        &self,
        id: SocketId,
        mut take: impl FnMut(Datagram<'static>, &mut [u8], usize),
    ) -> io::Result<()> {
        self.receive_rows(|meta, room| {
            let header = self.datagram(id, meta, &[]);
            if meta.len <= meta.stride {
                return take(header, room, meta.len);
            }
            // A datagram in a row has no room of its own.
            let row = &room[HEADROOM..HEADROOM + meta.len];
            for payload in segments(row, meta.stride) {
                let mut room = vec![0; HEADROOM + payload.len() + TAILROOM];
                room[HEADROOM..HEADROOM + payload.len()].copy_from_slice(payload);
                take(header, &mut room, payload.len());
            }
        })
    }

    /// One call of the kernel. What it received lies behind `HEADROOM` in each buffer.
    fn receive_rows(&self, mut take: impl FnMut(&RecvMeta, &mut [u8])) -> io::Result<()> {
        RECEIVED.with_borrow_mut(|buffer| {
            let mut metas = [RecvMeta::default(); BATCH];
            let mut rooms = buffer.chunks_exact_mut(ROOM);
            let mut slices: [IoSliceMut<'_>; BATCH] = std::array::from_fn(|_| {
                IoSliceMut::new(rooms.next().map_or(&mut [], |room| &mut room[HEADROOM..HEADROOM + BUFFER]))
            });
            let receive = || self.state.recv((&self.io).into(), &mut slices, &mut metas);
            let count = match self.io.try_io(Interest::READABLE, receive) {
                // What was sent has failed, and not what is received.
                Err(error) if error.kind() != io::ErrorKind::WouldBlock && self.read_errors() => 0,
                received => received?,
            };
            for (meta, room) in metas[..count].iter_mut().zip(buffer.chunks_exact_mut(ROOM)) {
                meta.len = meta.len.min(BUFFER);
                take(meta, room);
            }
            Ok(())
        })
    }

    fn datagram<'a>(&self, id: SocketId, meta: &RecvMeta, payload: &'a [u8]) -> Datagram<'a> {
        Datagram {
            socket: id,
            local: self.local.ip(),
            source: normalise(meta.addr, self.local),
            ecn: meta.ecn.map(from_codepoint),
            payload,
        }
    }
}

/// The datagrams of a row that GRO made. An empty one is one, too.
fn segments(row: &[u8], stride: usize) -> impl Iterator<Item = &[u8]> {
    row.chunks(stride.max(1)).chain(row.is_empty().then_some(row))
}

/// A source address in the form that every layer above compares: IPv4 instead of IPv4-mapped, no flow label, and the
/// scope id of the base where the scope is a link.
fn normalise(source: SocketAddr, base: SocketAddr) -> SocketAddr {
    match (SocketAddr::new(source.ip().to_canonical(), source.port()), base) {
        (SocketAddr::V6(plain), SocketAddr::V6(base)) if scope((*plain.ip()).into()) == Scope::LinkLocal => {
            SocketAddrV6::new(*plain.ip(), plain.port(), 0, base.scope_id()).into()
        }
        (plain, _) => plain,
    }
}

fn to_codepoint(ecn: Ecn) -> EcnCodepoint {
    match ecn {
        Ecn::Ect0 => EcnCodepoint::Ect0,
        Ecn::Ect1 => EcnCodepoint::Ect1,
        Ecn::Ce => EcnCodepoint::Ce,
    }
}

fn from_codepoint(codepoint: EcnCodepoint) -> Ecn {
    match codepoint {
        EcnCodepoint::Ect0 => Ecn::Ect0,
        EcnCodepoint::Ect1 => Ecn::Ect1,
        EcnCodepoint::Ce => Ecn::Ce,
    }
}

/// A datagram that does not fit: what is inside an [`io::Error`] of kind `InvalidInput`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a datagram of {len} bytes is too large, {limit} is the most")]
#[non_exhaustive]
pub struct TooLarge {
    /// The length of the payload in bytes.
    pub len: usize,
    /// The largest payload that may be sent, in bytes.
    pub limit: usize,
}

impl From<TooLarge> for io::Error {
    fn from(error: TooLarge) -> Self {
        Self::new(io::ErrorKind::InvalidInput, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_source_loses_what_equality_must_not_see() {
        let base = SocketAddr::V6(SocketAddrV6::new("fe80::1".parse().unwrap(), 5000, 0, 7));
        assert_eq!(normalise(addr("[::ffff:192.0.2.1]:9"), base), addr("192.0.2.1:9"));
        let with_flow = SocketAddrV6::new("2001:db8::1".parse().unwrap(), 9, 77, 3).into();
        assert_eq!(normalise(with_flow, base), addr("[2001:db8::1]:9"));
        let link_local = SocketAddrV6::new("fe80::2".parse().unwrap(), 9, 77, 3).into();
        let SocketAddr::V6(seen) = normalise(link_local, base) else { panic!("IPv6") };
        assert_eq!((seen.flowinfo(), seen.scope_id()), (0, 7));
    }

    #[tokio::test]
    async fn a_port_range_is_kept_and_used_up() {
        // The first socket finds a free port, the range is that one.
        let free = UdpSocket::bind(addr("127.0.0.1:0"), Source::Bound, None, 1500).unwrap();
        let port = free.local().port();
        let taken = UdpSocket::bind(addr("127.0.0.1:0"), Source::Bound, Some(&(port..=port)), 1500);
        assert_eq!(taken.unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(free);
        let socket = UdpSocket::bind(addr("127.0.0.1:0"), Source::Bound, Some(&(port..=port)), 1500).unwrap();
        assert_eq!(socket.local().port(), port);
        #[expect(clippy::reversed_empty_ranges, reason = "that is the point")]
        let none = UdpSocket::bind(addr("127.0.0.1:0"), Source::Bound, Some(&(9..=8)), 1500);
        assert_eq!(none.unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }

    /// Else an error of one fails the next one, as long as errors come.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn what_icmp_says_of_one_address_is_told_and_harms_no_datagram_to_another_one() {
        for ip in ["127.0.0.1", "::1"] {
            let any = SocketAddr::new(ip.parse().unwrap(), 0);
            let Ok(socket) = UdpSocket::bind(any, Source::Bound, None, 1500) else { continue };
            let socket = socket.watching_errors();
            let open = std::net::UdpSocket::bind(any).unwrap();
            open.set_nonblocking(true).unwrap();
            // Their ports are free again.
            let closed = [(); 2].map(|()| std::net::UdpSocket::bind(any).unwrap());
            let closed = closed.map(|socket| socket.local_addr().unwrap());
            let send = |to| socket.try_send(&Transmit::new(SocketId(0), any.ip(), to, b"hello"));
            assert_eq!(socket.take_unreachable(), []);
            for round in 0..20 {
                for closed in closed {
                    send(closed).unwrap();
                }
                send(open.local_addr().unwrap()).unwrap();
                assert_eq!(open.recv(&mut [0; 9]).unwrap(), 5, "{round}");
                assert_eq!(socket.take_unreachable(), closed, "{round}");
                assert_eq!(socket.take_unreachable(), []);
            }
            // Who only receives is not told that it failed.
            send(closed[0]).unwrap();
            let from = open.send_to(b"hello", socket.local()).unwrap();
            socket.io.readable().await.unwrap();
            let mut received = 0;
            while received == 0 {
                socket.receive(SocketId(0), |datagram| received += datagram.payload.len()).unwrap();
            }
            assert_eq!((received, socket.take_unreachable()), (from, vec![closed[0]]));
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn the_kernel_refuses_what_would_be_fragmented() {
        // Linux's loopback interface has an MTU of 65536: for IPv4 the length field is the limit, for IPv6 the MTU.
        for (base, len, limit) in [("127.0.0.1:0", 65_508, 65_507), ("[::1]:0", 65_489, 65_488)] {
            let Ok(socket) = UdpSocket::bind(addr(base), Source::Bound, None, 65_536) else { continue };
            let bytes = vec![0; len];
            let send = |len: usize| {
                socket.try_send(&Transmit::new(
                    SocketId(0),
                    socket.local().ip(),
                    socket.local(),
                    &bytes[..len],
                ))
            };
            let error = send(len).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            let inside = error.get_ref().and_then(|inside| inside.downcast_ref::<TooLarge>());
            assert_eq!(inside, Some(&TooLarge { len, limit }));
            send(limit).unwrap();
        }
    }
}
