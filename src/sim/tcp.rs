//! TCP connections: who has which, and what segments do to them. They take the way of datagrams, through links and NATs.
//!
//! ```text
//!  connect ── Syn ──► listener ── SynAck ──► connected      whole messages in order, each one segment
//!               └──► nobody ──── Reset ───► refused
//!               └──► lost                   timed out after 10 s
//! ```

use std::net::{IpAddr, SocketAddr};

use super::node::{HostId, Program, Sockets};
use super::packet::{Arrival, Fate, Packet, Protocol, Segment};
use super::world::{Parcel, Rank, World};
use crate::agent::{Input, Received};
use crate::io::{CloseReason, Connect, ConnectId, Datagram, SocketId, StreamProtocol, Transmit};
use crate::time::Duration;

/// How long a connection may take to come about.
const PATIENCE: Duration = Duration::from_secs(10);
/// Ports of connections count from here on each host: no agent listens there.
const FIRST_PORT: u16 = 30_000;
/// Tokens of connections count from here: no socket of an agent has one of them.
const FIRST_SOCKET: u32 = 1 << 16;

/// One end of a connection.
#[derive(Debug)]
struct Stream {
    socket: SocketId,
    local: SocketAddr,
    remote: SocketAddr,
    /// Whoever waits for it to stand.
    opening: Option<ConnectId>,
    sent: u32,
    received: u32,
}

/// The connections of a host.
#[derive(Debug, Default)]
pub(super) struct Streams {
    listeners: Sockets,
    list: Vec<Stream>,
    /// Connections so far.
    opened: u32,
}

impl Streams {
    pub(super) fn listen(&mut self, listeners: Sockets) {
        self.listeners.extend(listeners);
    }

    /// An address is gone, with all that it had. Returns the sockets that listened there.
    pub(super) fn leave(&mut self, ip: IpAddr) -> Sockets {
        self.list.retain(|stream| stream.local.ip() != ip);
        let (gone, kept) = self.listeners.iter().partition(|(_, addr)| addr.ip() == ip);
        self.listeners = kept;
        gone
    }

    fn add(&mut self, local: SocketAddr, remote: SocketAddr, opening: Option<ConnectId>) -> SocketId {
        let socket = SocketId(FIRST_SOCKET + self.opened);
        self.opened += 1;
        self.list.push(Stream { socket, local, remote, opening, sent: 0, received: 0 });
        socket
    }

    fn free_port(&self) -> u16 {
        FIRST_PORT + (self.opened % 20_000) as u16
    }

    fn between(&self, local: SocketAddr, remote: SocketAddr) -> Option<usize> {
        self.list.iter().position(|stream| (stream.local, stream.remote) == (local, remote))
    }

    /// The segments of a transmit, if it is for one of these.
    pub(super) fn packets(&mut self, id: HostId, transmit: &Transmit<'_>) -> Vec<Packet> {
        let stream = self.list.iter_mut().find(|stream| stream.socket == transmit.socket);
        let Some(stream) = stream.filter(|stream| stream.opening.is_none()) else { return Vec::new() };
        let segment = transmit.segment_size.unwrap_or(transmit.payload.len()).max(1);
        let first = transmit.payload.is_empty().then_some(transmit.payload);
        let payloads = first.into_iter().chain(transmit.payload.chunks(segment));
        payloads.map(|payload| stream.message(id, payload)).collect()
    }

    /// What a server writes to the other end of a connection goes over that.
    pub(super) fn carry(&mut self, packet: Packet) -> Packet {
        match (self.between(packet.source, packet.destination), packet.origin) {
            (Some(at), Some(host)) => self.list[at].message(host, &packet.payload),
            _ => packet,
        }
    }

    /// Closes one of these, and tells the other end.
    pub(super) fn close(&mut self, id: HostId, socket: SocketId) -> Option<Packet> {
        self.listeners.retain(|(listener, _)| *listener != socket);
        let at = self.list.iter().position(|stream| stream.socket == socket)?;
        let stream = self.list.swap_remove(at);
        Some(segment(id, Segment::Fin, stream.local, stream.remote))
    }
}

impl Stream {
    fn message(&mut self, id: HostId, payload: &[u8]) -> Packet {
        let number = self.sent;
        self.sent += 1;
        Packet { payload: payload.to_vec(), ..segment(id, Segment::Data(number), self.local, self.remote) }
    }
}

fn segment(id: HostId, segment: Segment, source: SocketAddr, destination: SocketAddr) -> Packet {
    let protocol = Protocol::Tcp(segment);
    Packet { protocol, origin: Some(id), source, destination, payload: Vec::new() }
}

impl World {
    /// Lets a host without a program open a TCP connection. An agent opens its own.
    pub fn connect(&mut self, host: HostId, source: SocketAddr, destination: SocketAddr) {
        self.nodes[host.0].streams.add(source, destination, Some(ConnectId(0)));
        self.send_packet(host, segment(host, Segment::Syn, source, destination));
    }

    /// Lets a host send a message on one of its connections, whatever its agent wants.
    ///
    /// # Panics
    /// If it has none between these.
    pub fn write(&mut self, host: HostId, local: SocketAddr, remote: SocketAddr, message: &[u8]) {
        let streams = &mut self.nodes[host.0].streams;
        let at = streams.between(local, remote).expect("a connection between these");
        let packet = streams.list[at].message(host, message);
        self.send_packet(host, packet);
    }

    /// The TCP connections of a host that stand: its own address, and that of the other end as the host sees it.
    pub fn connections(&self, host: HostId) -> Vec<(SocketAddr, SocketAddr)> {
        let streams = self.nodes[host.0].streams.list.iter();
        streams
            .filter(|stream| stream.opening.is_none())
            .map(|stream| (stream.local, stream.remote))
            .collect()
    }

    /// Breaks all TCP connections of a host: both ends learn it.
    pub fn reset(&mut self, host: HostId) {
        for stream in std::mem::take(&mut self.nodes[host.0].streams.list) {
            self.send_packet(host, segment(host, Segment::Reset, stream.local, stream.remote));
            self.tell_agent(host, lost(&stream, CloseReason::Reset));
        }
        self.drain(host);
    }

    /// From now on nobody listens on a host: connections to it are refused.
    pub fn stop_listening(&mut self, host: HostId) {
        self.nodes[host.0].streams.listeners.clear();
    }

    pub(super) fn open_connection(&mut self, host: HostId, connect: &Connect) {
        let request = connect.request;
        if let StreamProtocol::TurnTls { .. } = connect.protocol {
            let why = CloseReason::Unsupported;
            return self.tell_agent(host, Input::NotConnected { request, why });
        }
        let streams = &mut self.nodes[host.0].streams;
        let local = SocketAddr::new(connect.local.ip(), streams.free_port());
        streams.add(local, connect.remote, Some(request));
        self.send_packet(host, segment(host, Segment::Syn, local, connect.remote));
        self.schedule(self.now + PATIENCE, Rank::Name, Parcel::Impatience(host, request));
    }

    pub(super) fn give_up_connecting(&mut self, host: HostId, request: ConnectId) {
        let list = &mut self.nodes[host.0].streams.list;
        let before = list.len();
        list.retain(|stream| stream.opening != Some(request));
        if list.len() < before {
            self.tell_agent(host, Input::NotConnected { request, why: CloseReason::TimedOut });
            self.drain(host);
        }
    }

    fn tell_agent(&mut self, host: HostId, input: Input<'_>) {
        let at = self.now - self.epoch;
        let node = &mut self.nodes[host.0];
        let message = match &input {
            Input::Datagram(datagram) => Some(*datagram),
            _ => None,
        };
        let payload = match &mut node.program {
            Program::Agent(endpoint) => match endpoint.agent.handle_input(self.now, input) {
                Received::Data { payload, .. } => Some(payload),
                _ => None,
            },
            Program::Sockets => message.map(|message| message.payload),
            Program::Probe(probing) => {
                probing.tell(self.now, &input);
                None
            }
            Program::Guest(_) => None,
            Program::Server(serving) => {
                let stream = message.and_then(|it| node.streams.list.iter().find(|s| s.socket == it.socket));
                let local = stream.map(|stream| stream.local);
                let socket = node.sockets.iter().find(|(_, addr)| Some(*addr) == local).map(|(id, _)| *id);
                if let (Some(message), Some(socket)) = (message, socket) {
                    serving.receive(self.now, node.id, &node.sockets, Datagram { socket, ..message });
                }
                None
            }
        };
        if let (Some(payload), Some(message)) = (payload, message) {
            let stream = node.streams.list.iter().find(|stream| stream.socket == message.socket);
            let local = stream.map_or(SocketAddr::new(message.local, 0), |stream| stream.local);
            let payload = payload.to_vec();
            node.arrivals.push(Arrival { at, source: message.source, local, payload });
        }
    }

    /// A segment has come to a host.
    pub(super) fn receive_segment(&mut self, host: HostId, kind: Segment, packet: &Packet) -> Fate {
        let (remote, local) = (packet.source, packet.destination);
        let node = &mut self.nodes[host.0];
        let streams = &mut node.streams;
        let known = streams.between(local, remote);
        match (kind, known) {
            (Segment::Syn, None) => {
                let listener = streams.listeners.iter().find(|(_, addr)| *addr == local).map(|(id, _)| *id);
                let is_open = match node.program {
                    Program::Sockets => true,
                    Program::Agent(_) | Program::Probe(_) => listener.is_some(),
                    // Guests have UDP only.
                    Program::Guest(_) => false,
                    Program::Server(_) => node.sockets.iter().any(|(_, addr)| *addr == local),
                };
                if !is_open {
                    self.send_packet(host, segment(host, Segment::Reset, local, remote));
                    return Fate::Unroutable;
                }
                let socket = streams.add(local, remote, None);
                self.send_packet(host, segment(host, Segment::SynAck, local, remote));
                if let Some(listener) = listener {
                    self.tell_agent(host, Input::Accepted { listener, socket, local, remote });
                }
            }
            (Segment::SynAck, Some(at)) => {
                let stream = &mut streams.list[at];
                let socket = stream.socket;
                if let Some(request) = stream.opening.take() {
                    self.tell_agent(host, Input::Connected { request, socket, local });
                }
            }
            (Segment::Data(number), Some(at)) => {
                let stream = &mut streams.list[at];
                // What was lost before is never made up for, so that nothing behind it comes.
                if stream.received != number {
                    return Fate::Lost;
                }
                stream.received += 1;
                let (socket, payload) = (stream.socket, packet.payload.as_slice());
                let datagram = Datagram { socket, local: local.ip(), source: remote, ecn: None, payload };
                self.tell_agent(host, Input::Datagram(datagram));
            }
            (Segment::Fin | Segment::Reset, Some(at)) => {
                let stream = streams.list.swap_remove(at);
                let why = match (kind, stream.opening) {
                    (Segment::Fin, _) => CloseReason::Ended,
                    (_, Some(_)) => CloseReason::Refused,
                    (_, None) => CloseReason::Reset,
                };
                self.tell_agent(host, lost(&stream, why));
            }
            (Segment::Syn, Some(_)) | (Segment::Fin | Segment::Reset, None) => return Fate::Unroutable,
            (Segment::SynAck | Segment::Data(_), None) => {
                self.send_packet(host, segment(host, Segment::Reset, local, remote));
                return Fate::Unroutable;
            }
        }
        Fate::Delivered
    }
}

/// What an agent is told of a connection that ended.
fn lost(stream: &Stream, why: CloseReason) -> Input<'static> {
    match stream.opening {
        Some(request) => Input::NotConnected { request, why },
        None => Input::Closed { socket: stream.socket, why },
    }
}
