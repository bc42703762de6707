//! A host that measures how its NAT behaves, and the server that it asks.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::nat::Nat;
use super::node::{Host, HostId, Interface, Node, Polled, Program, Sockets, packets};
use super::serving::Serving;
use super::tcp::Streams;
use super::world::World;
use crate::discovery::{Config, Event, Input, Output, Probe, Report};
use crate::time::{Duration, Instant};

/// The two ports of the server on each of its addresses.
const PORTS: [u16; 2] = [3478, 3479];
/// Two addresses of each family, of the documentation ranges.
const V4: [Ipv4Addr; 2] = [Ipv4Addr::new(192, 0, 2, 10), Ipv4Addr::new(192, 0, 2, 11)];
const V6: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 0x10),
    Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 0x11),
];

/// A probe with what it has said.
#[derive(Debug)]
pub(super) struct Probing {
    pub(super) probe: Probe,
    pub(super) events: Vec<(Duration, Event)>,
}

impl Probing {
    pub(super) fn poll(
        &mut self,
        now: Instant,
        at: Duration,
        id: HostId,
        sockets: &mut Sockets,
        streams: &mut Streams,
    ) -> Polled {
        let mut buf = vec![0; Probe::BUFFER];
        match self.probe.poll_output(&mut buf) {
            Output::Transmit(transmit) => {
                let datagrams: Vec<_> = packets(id, sockets, &transmit).collect();
                Polled::Packets(datagrams.into_iter().chain(streams.packets(id, &transmit)).collect())
            }
            Output::Open { socket, local } => {
                let is_taken = sockets.iter().any(|(_, addr)| *addr == local);
                let answer = if is_taken {
                    Input::NotOpened { socket }
                } else {
                    sockets.push((socket, local));
                    Input::Opened { socket, local }
                };
                self.probe.handle_input(now, answer);
                Polled::Noted
            }
            Output::Connect(connect) => Polled::Connect(connect),
            Output::Close(socket) => {
                sockets.retain(|(open, _)| *open != socket);
                Polled::Packets(streams.close(id, socket).into_iter().collect())
            }
            Output::Event(event) => {
                self.events.push((at, event));
                Polled::Noted
            }
            Output::Wait(wake) => Polled::Wait(wake.map(|wake| wake.at)),
        }
    }

    /// What became of connections and came on them.
    pub(super) fn tell(&mut self, now: Instant, input: &crate::agent::Input<'_>) {
        use crate::agent::Input as Told;
        let input = match *input {
            Told::Datagram(datagram) => Input::Datagram(datagram),
            Told::Connected { request, socket, .. } => Input::Connected { request, socket },
            Told::NotConnected { request, why } => Input::NotConnected { request, why },
            Told::Closed { socket, why } => Input::Closed { socket, why },
            _ => return,
        };
        self.probe.handle_input(now, input);
    }
}

impl World {
    /// A host that measures from its first address with these servers. What `adjust` makes of the configuration is what
    /// it uses.
    ///
    /// # Panics
    /// If an interface names an address that is taken, or there is none.
    pub fn probe(
        &mut self,
        host: impl Into<Host>,
        servers: impl IntoIterator<Item = SocketAddr>,
        adjust: impl FnOnce(Config) -> Config,
    ) -> HostId {
        let seed = self.seed();
        let (id, addresses) = self.place(host);
        let config = adjust(Config::new(addresses[0], servers, seed));
        let probe = Probe::new(config, self.now());
        let probing = Probing { probe, events: Vec::new() };
        self.add(Node::new(id, Program::Probe(Box::new(probing)), Vec::new()))
    }

    /// Adds a server that speaks RFC 5780, with two addresses of each family; its first one of IPv4 and of IPv6.
    ///
    /// # Panics
    /// If it is there already.
    pub fn behavior_server(&mut self) -> [SocketAddr; 2] {
        let interfaces = V4.map(Into::into).into_iter().chain(V6.map(Into::into));
        let interfaces: Vec<_> = interfaces.map(|ip| Interface::v4(Nat::none()).address(ip)).collect();
        let config = crate::server::Config::new(self.seed());
        let (host, _) = self.place(interfaces);
        let mut serving = Serving::new(crate::server::Server::new(config, self.now()));
        let mut sockets = serving.listen_behavior(V4.map(|ip| PORTS.map(|port| (ip, port).into())));
        sockets.extend(serving.listen_behavior(V6.map(|ip| PORTS.map(|port| (ip, port).into()))));
        self.add(Node::new(host, Program::Server(Box::new(serving)), sockets));
        [(V4[0], PORTS[0]).into(), (V6[0], PORTS[0]).into()]
    }

    fn probing(&self, host: HostId) -> &Probing {
        match &self.nodes[host.0].program {
            Program::Probe(probing) => probing,
            _ => panic!("no probe on this host"),
        }
    }

    /// Lets time pass until a probe is done, and returns what it found.
    ///
    /// # Panics
    /// If there is no probe on this host, or it is not done within two hours of virtual time.
    pub fn measured(&mut self, host: HostId) -> Report {
        self.run_until(Duration::from_secs(7200), |world| world.probing(host).probe.is_over());
        self.probing(host).probe.report().clone()
    }

    /// What a probe has said, and when since the world began.
    ///
    /// # Panics
    /// If there is no probe on this host.
    pub fn progress(&self, host: HostId) -> &[(Duration, Event)] {
        &self.probing(host).events
    }
}
