//! What stands at the ends of the network: hosts with an agent on them, servers, and hosts with nothing but
//! sockets.

use std::net::{IpAddr, SocketAddr};

use super::guest::{self, Guest};
use super::link::Link;
use super::names::Errand;
use super::nat::{Gateway, Nat, NatId};
use super::packet::{Arrival, Fate, Packet, Packets, Protocol};
use super::probing::Probing;
use super::serving::Serving;
use super::tcp::Streams;
use crate::agent::{Agent, Config, Event, Input, Output, Received};
use crate::io::{ComponentId, Connect, Datagram, Socket, SocketId, Transmit};
use crate::signal::Signal;
use crate::stun::Family;
use crate::time::{Duration, Instant};

/// Ports of agents' sockets count from here on each host.
const FIRST_PORT: u16 = 50_000;
/// The largest datagram that a node is asked to write.
pub(super) const BUFFER: usize = 1500;

/// A host of a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(pub(super) usize);

/// One address of a host and how it is linked.
#[derive(Debug, Clone)]
pub struct Interface {
    pub(super) gateway: Gateway,
    pub(super) family: Family,
    pub(super) address: Option<IpAddr>,
    pub(super) link: Option<Link>,
}

impl Interface {
    /// An IPv4 address behind this NAT, or a public one.
    pub fn v4(gateway: impl Into<Gateway>) -> Self {
        Self { gateway: gateway.into(), family: Family::V4, address: None, link: None }
    }

    /// An IPv6 address. NATs do not translate it, they filter only.
    pub fn v6(gateway: impl Into<Gateway>) -> Self {
        Self { family: Family::V6, ..Self::v4(gateway) }
    }

    /// This address instead of the next free one. Adding the host panics if it is taken in its network.
    #[must_use]
    pub fn address(mut self, address: IpAddr) -> Self {
        self.family = address.into();
        self.address = Some(address);
        self
    }

    /// Its link to the network it is in; default [`Link::wan`] on the Internet and [`Link::lan`] behind a NAT.
    #[must_use]
    pub fn link(mut self, link: Link) -> Self {
        self.link = Some(link);
        self
    }
}

/// The interfaces of a host: what [`World::agent`](super::World::agent) takes. A NAT alone means one IPv4
/// interface behind it.
#[derive(Debug, Clone)]
pub struct Host(pub(super) Vec<Interface>);

impl From<Gateway> for Host {
    fn from(gateway: Gateway) -> Self {
        Self(vec![Interface::v4(gateway)])
    }
}

impl From<Nat> for Host {
    fn from(nat: Nat) -> Self {
        Gateway::from(nat).into()
    }
}

impl From<NatId> for Host {
    fn from(nat: NatId) -> Self {
        Gateway::from(nat).into()
    }
}

impl From<Interface> for Host {
    fn from(interface: Interface) -> Self {
        Self(vec![interface])
    }
}

impl<const N: usize> From<[Interface; N]> for Host {
    fn from(interfaces: [Interface; N]) -> Self {
        Self(interfaces.into())
    }
}

impl From<Vec<Interface>> for Host {
    fn from(interfaces: Vec<Interface>) -> Self {
        Self(interfaces)
    }
}

/// What a node has to say when it is polled.
pub(super) enum Polled {
    Packets(Vec<Packet>),
    Connect(Connect),
    Signal(Signal),
    /// Names, its own and the peer's.
    Name(Errand),
    /// It wrote something down.
    Noted,
    Wait(Option<Instant>),
}

/// The open sockets of a host.
pub(super) type Sockets = Vec<(SocketId, SocketAddr)>;

/// What was opened on an address.
#[derive(Debug, Default)]
pub(super) struct Opened {
    pub(super) sockets: Sockets,
    pub(super) listeners: Sockets,
}

/// A host and what runs on it.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) id: HostId,
    pub(super) program: Program,
    pub(super) sockets: Sockets,
    pub(super) streams: Streams,
    pub(super) arrivals: Vec<Arrival>,
    pub(super) packets: Packets,
    pub(super) wake: Option<Instant>,
}

#[derive(Debug)]
pub(super) enum Program {
    /// Every port is open; what arrives is kept.
    Sockets,
    /// An ICE agent.
    Agent(Box<Endpoint>),
    /// A STUN and TURN server.
    Server(Box<Serving>),
    /// A measurement of its NAT.
    Probe(Box<Probing>),
    /// Somebody else's program.
    Guest(Box<dyn Guest>),
}

/// An agent with what it has said.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) agent: Agent,
    pub(super) events: Vec<(Duration, Event)>,
    components: Vec<u16>,
    tcp: bool,
    /// Sockets so far: no id and no port is used twice.
    opened: u16,
}

impl Endpoint {
    pub(super) fn new(config: Config, now: Instant) -> Self {
        let (components, tcp) = (config.components.clone(), config.has_tcp());
        Self {
            agent: Agent::new(config, now),
            events: Vec::new(),
            components: components.to_vec(),
            tcp,
            opened: 0,
        }
    }

    /// Opens a socket on this address for each component, and one that listens if it is to have TCP candidates.
    pub(super) fn open(&mut self, now: Instant, ip: IpAddr) -> Opened {
        let mut opened = Opened::default();
        for (stream, count) in (0..).zip(&self.components.clone()) {
            self.open_stream(now, ip, stream, *count, &mut opened);
        }
        opened
    }

    fn open_stream(&mut self, now: Instant, ip: IpAddr, stream: u16, components: u16, opened: &mut Opened) {
        for component in 1..=components {
            let component = ComponentId { stream, component };
            let udp = |local| Socket::Udp { local, component };
            opened.sockets.extend(self.add(now, ip, udp));
            if self.tcp {
                let listener = |local| Socket::TcpListener { local, component };
                opened.listeners.extend(self.add(now, ip, listener));
            }
        }
    }

    /// A data stream more, with sockets on these addresses. An agent that is over has none.
    pub(super) fn add_stream(&mut self, now: Instant, components: u16, ips: &[IpAddr]) -> Opened {
        let mut opened = Opened::default();
        if let Ok(stream) = self.agent.add_stream(now, components) {
            self.components.push(components);
            for ip in ips {
                self.open_stream(now, *ip, stream, components, &mut opened);
            }
            self.agent.end_of_sockets(now);
        }
        opened
    }

    /// The next socket, for the agent's own purposes.
    fn reserve(&mut self, ip: IpAddr) -> (SocketId, SocketAddr) {
        let next = (SocketId(self.opened.into()), SocketAddr::new(ip, FIRST_PORT + self.opened));
        self.opened += 1;
        next
    }

    /// An agent that is over, or has too many, goes without it.
    fn add(
        &mut self,
        now: Instant,
        ip: IpAddr,
        socket: impl FnOnce(SocketAddr) -> Socket,
    ) -> Option<(SocketId, SocketAddr)> {
        let (id, local) = (SocketId(self.opened.into()), SocketAddr::new(ip, FIRST_PORT + self.opened));
        self.agent.add_socket(now, id, socket(local)).ok()?;
        self.opened += 1;
        Some((id, local))
    }
}

impl Node {
    pub(super) fn new(id: HostId, program: Program, sockets: Sockets) -> Self {
        let (streams, packets) = (Streams::default(), Packets::default());
        Self { id, program, sockets, streams, arrivals: Vec::new(), packets, wake: None }
    }

    pub(super) fn endpoint(&self) -> Option<&Endpoint> {
        match &self.program {
            Program::Agent(endpoint) => Some(endpoint),
            Program::Sockets | Program::Server(_) | Program::Guest(_) | Program::Probe(_) => None,
        }
    }

    pub(super) fn endpoint_mut(&mut self) -> Option<&mut Endpoint> {
        match &mut self.program {
            Program::Agent(endpoint) => Some(endpoint),
            Program::Sockets | Program::Server(_) | Program::Guest(_) | Program::Probe(_) => None,
        }
    }

    /// The instant of its last wake has come.
    pub(super) fn timeout(&mut self, now: Instant) {
        match &mut self.program {
            Program::Sockets => {}
            Program::Agent(endpoint) => {
                let _ = endpoint.agent.handle_input(now, Input::Timeout);
            }
            Program::Server(serving) => serving.timeout(now),
            Program::Probe(probing) => {
                probing.probe.handle_input(now, crate::discovery::Input::Timeout);
            }
            Program::Guest(guest) => guest.handle_timeout(now),
        }
    }

    /// Takes what the peer has signalled.
    pub(super) fn signal(&mut self, now: Instant, signal: Signal) {
        match &mut self.program {
            Program::Sockets | Program::Server(_) | Program::Probe(_) => {}
            // A refused signal is in the agent's counters.
            Program::Agent(endpoint) => drop(endpoint.agent.handle_signal(now, signal)),
            Program::Guest(guest) => guest.handle_signal(now, signal),
        }
    }

    /// Takes a datagram that was sent to one of its addresses.
    pub(super) fn receive(&mut self, now: Instant, at: Duration, packet: &Packet) -> Fate {
        let (source, local) = (packet.source, packet.destination);
        let arrival = |payload: &[u8]| Arrival { at, source, local, payload: payload.to_vec() };
        let socket = self.sockets.iter().find(|(_, addr)| *addr == local).map(|(socket, _)| *socket);
        let payload = packet.payload.as_slice();
        let datagram =
            socket.map(|socket| Datagram { socket, local: local.ip(), source, ecn: None, payload });
        match (&mut self.program, datagram) {
            (Program::Sockets, _) => self.arrivals.push(arrival(payload)),
            (Program::Guest(guest), _) => guest.handle_datagram(now, local, source, payload),
            (_, None) => return Fate::Unroutable,
            (Program::Server(serving), Some(datagram)) => {
                serving.receive(now, self.id, &self.sockets, datagram);
            }
            (Program::Probe(probing), Some(datagram)) => {
                probing.probe.handle_input(now, crate::discovery::Input::Datagram(datagram));
            }
            (Program::Agent(endpoint), Some(datagram)) => {
                let received = endpoint.agent.handle_input(now, Input::Datagram(datagram));
                if let Received::Data { payload, .. } = received {
                    self.arrivals.push(arrival(payload));
                }
            }
        }
        Fate::Delivered
    }

    /// The next thing it wants to have done.
    pub(super) fn poll(&mut self, now: Instant, at: Duration) -> Polled {
        let mut buf = [0; BUFFER];
        match &mut self.program {
            Program::Sockets => Polled::Wait(None),
            Program::Probe(probing) => probing.poll(now, at, self.id, &mut self.sockets, &mut self.streams),
            Program::Guest(guest) => guest::polled(self.id, guest.poll(now)),
            Program::Server(serving) => match serving.poll(now, self.id, &mut self.sockets) {
                Polled::Packets(packets) => {
                    Polled::Packets(packets.into_iter().map(|it| self.streams.carry(it)).collect())
                }
                other => other,
            },
            Program::Agent(endpoint) => match endpoint.agent.poll_output(&mut buf) {
                Output::Transmit(transmit) => Polled::Packets(
                    packets(self.id, &self.sockets, &transmit)
                        .chain(self.streams.packets(self.id, &transmit))
                        .collect(),
                ),
                Output::Event(Event::Signal(signal)) => Polled::Signal(signal),
                Output::Event(event) => {
                    endpoint.events.push((at, event));
                    Polled::Noted
                }
                Output::Close(socket) => {
                    self.sockets.retain(|(id, _)| *id != socket);
                    Polled::Packets(self.streams.close(self.id, socket).into_iter().collect())
                }
                Output::Open { local } => {
                    let (socket, local) = endpoint.reserve(local);
                    self.sockets.push((socket, local));
                    let _ = endpoint.agent.handle_input(now, Input::Opened { socket, local });
                    Polled::Noted
                }
                Output::Connect(connect) => Polled::Connect(connect),
                Output::Publish { name, address } => Polled::Name(Errand::Publish(name, address)),
                Output::Withdraw { name } => Polled::Name(Errand::Withdraw(name)),
                Output::Resolve(resolve) => Polled::Name(Errand::Resolve(resolve)),
                Output::Wait(wake) => Polled::Wait(wake.map(|wake| wake.at)),
            },
        }
    }

    /// The datagrams of a transmit of the application.
    pub(super) fn packets_of(&mut self, transmit: &Transmit<'_>) -> Vec<Packet> {
        packets(self.id, &self.sockets, transmit).chain(self.streams.packets(self.id, transmit)).collect()
    }
}

/// The datagrams of a transmit: one, or a row of segments.
pub(super) fn packets<'a>(
    id: HostId,
    sockets: &'a Sockets,
    transmit: &'a Transmit<'_>,
) -> impl Iterator<Item = Packet> + 'a {
    let socket =
        sockets.iter().find(|(socket, addr)| *socket == transmit.socket && addr.ip() == transmit.local);
    let (payload, destination) = (transmit.payload, transmit.destination);
    let segment = transmit.segment_size.unwrap_or(payload.len()).max(1);
    // An empty datagram is a datagram too.
    let count = payload.len().div_ceil(segment).max(1);
    socket.into_iter().flat_map(move |(_, source)| {
        (0..count).map(move |n| Packet {
            protocol: Protocol::Udp,
            origin: Some(id),
            source: *source,
            destination,
            payload: payload[n * segment..payload.len().min((n + 1) * segment)].to_vec(),
        })
    })
}
