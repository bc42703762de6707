//! The setting of a simulation: who stands where, who signals to whom, and what changes on the way.

use std::net::IpAddr;

use super::link::{Link, Pipe};
use super::nat::{Nat, NatId};
use super::node::{Endpoint, Host, HostId, Interface, Node, Opened, Program, Sockets};
use super::topology::Network;
use super::world::{Parcel, Rank, World};
use crate::agent::{Config, Policy};
use crate::time::Duration;

/// Records that each agent keeps for the ladder, unless its configuration says otherwise.
const TRACE: usize = 4096;
/// The latency of [`World::signal`].
const SIGNALING: Duration = Duration::from_millis(50);
impl World {
    /// A NAT on the Internet, for several hosts.
    pub fn nat(&mut self, nat: Nat) -> NatId {
        self.topology.add_nat(Network::INTERNET, nat)
    }

    /// A NAT behind another one, as with a provider that has a NAT of its own.
    pub fn nat_behind(&mut self, outer: NatId, nat: Nat) -> NatId {
        self.topology.add_nat(outer.inside(), nat)
    }

    /// A host with an agent that has a socket on each interface for each component. It starts now: for one that
    /// starts later, [`run_for`](Self::run_for) first. The first interface of each family has the default route: an
    /// agent whose policy wants it has a socket there only.
    ///
    /// # Panics
    /// If an interface names an address that is taken.
    pub fn agent(&mut self, host: impl Into<Host>, mut config: Config) -> HostId {
        if config.trace == 0 {
            config.trace = TRACE;
        }
        let (id, mut addresses) = self.place(host);
        if matches!(config.policy, Policy::DefaultRoute | Policy::DefaultRouteOnly) {
            let mut families = Vec::new();
            addresses.retain(|ip| {
                !families.contains(&ip.is_ipv4()) && {
                    families.push(ip.is_ipv4());
                    true
                }
            });
        }
        let mut endpoint = Endpoint::new(config, self.now);
        let mut opened = Opened::default();
        for ip in addresses {
            let Opened { sockets, listeners } = endpoint.open(self.now, ip);
            opened.sockets.extend(sockets);
            opened.listeners.extend(listeners);
        }
        endpoint.agent.end_of_sockets(self.now);
        let mut node = Node::new(id, Program::Agent(Box::new(endpoint)), opened.sockets);
        node.streams.listen(opened.listeners);
        self.add(node)
    }

    /// A host without a program: all its ports are open, what arrives is kept, and it sends what
    /// [`transmit`](Self::transmit) says.
    ///
    /// # Panics
    /// If an interface names an address that is taken.
    pub fn host(&mut self, host: impl Into<Host>) -> HostId {
        let (id, _) = self.place(host);
        self.add(Node::new(id, Program::Sockets, Vec::new()))
    }

    /// Finds addresses for the host that is added next.
    pub(super) fn place(&mut self, host: impl Into<Host>) -> (HostId, Vec<IpAddr>) {
        let id = HostId(self.nodes.len());
        let interfaces = host.into().0.into_iter();
        (id, interfaces.map(|interface| self.topology.attach(id, interface)).collect())
    }

    pub(super) fn add(&mut self, node: Node) -> HostId {
        let id = HostId(self.nodes.len());
        self.nodes.push(node);
        self.drain(id);
        id
    }

    /// Carries the signals of both agents to each other, those that were emitted before too: in order, without
    /// loss, with a latency of 50 ms.
    pub fn signal(&mut self, a: HostId, b: HostId) {
        self.signal_one_way(a, b, SIGNALING);
        self.signal_one_way(b, a, SIGNALING);
    }

    /// Carries the signals of one agent to another one, those that were emitted before too.
    pub fn signal_one_way(&mut self, from: HostId, to: HostId, latency: Duration) {
        let channel = self.channels.entry(from).or_default();
        channel.to = Some((to, latency));
        for signal in std::mem::take(&mut channel.waiting) {
            self.schedule(self.now + latency, Rank::Signal, Parcel::Signal(to, signal));
        }
    }

    /// Puts a link into every direct way from one host to another, in addition to those that are there. A relayed
    /// way is not concerned: its hops end at the server.
    pub fn set_path(&mut self, from: HostId, to: HostId, link: Link) {
        self.paths.insert((from, to), Pipe::new(link));
    }

    /// Lets two hosts' direct datagrams vanish, both ways, from now on. To cut one way, or to mend a cut, use
    /// [`set_path`](Self::set_path) with [`Link::down`] or [`Link::ideal`].
    pub fn cut(&mut self, a: HostId, b: HostId) {
        self.set_path(a, b, Link::down());
        self.set_path(b, a, Link::down());
    }

    /// Replaces the link of one address of a host: what leaves by `up`, what arrives by `down`. All ways of that address
    /// are concerned, relayed ones too. What is on the way arrives as it would have.
    ///
    /// # Panics
    /// If the host has no such address.
    pub fn set_link(&mut self, host: HostId, ip: IpAddr, up: Link, down: Link) {
        let edge = self.topology.interface_mut(host, ip).expect("an address of this host");
        (edge.up, edge.down) = (Pipe::new(up), Pipe::new(down));
    }

    /// Restarts a NAT: it forgets its mappings.
    pub fn flush(&mut self, nat: NatId) {
        self.topology.flush(nat);
    }

    /// Gives a host another address; its agent gets sockets there.
    ///
    /// # Panics
    /// If the interface names an address that is taken.
    pub fn add_interface(&mut self, host: HostId, interface: Interface) -> IpAddr {
        let ip = self.topology.attach(host, interface);
        let node = &mut self.nodes[host.0];
        let opened = node.endpoint_mut().map(|endpoint| endpoint.open(self.now, ip)).unwrap_or_default();
        node.sockets.extend(opened.sockets);
        node.streams.listen(opened.listeners);
        self.drain(host);
        ip
    }

    /// Adds a data stream to the agent of a host, with a socket for each component on each of its addresses.
    pub fn add_stream(&mut self, host: HostId, components: u16) {
        let ips: Vec<IpAddr> = self.topology.addresses(host).collect();
        let node = &mut self.nodes[host.0];
        let added = node.endpoint_mut().map(|endpoint| endpoint.add_stream(self.now, components, &ips));
        let opened = added.unwrap_or_default();
        node.sockets.extend(opened.sockets);
        node.streams.listen(opened.listeners);
        self.drain(host);
    }

    /// Takes an address away from a host; its agent is told.
    pub fn remove_interface(&mut self, host: HostId, ip: IpAddr) {
        self.topology.detach(host, ip);
        let node = &mut self.nodes[host.0];
        let (gone, kept): (Sockets, Sockets) = node.sockets.iter().partition(|(_, addr)| addr.ip() == ip);
        node.sockets = kept;
        let gone = gone.into_iter().chain(node.streams.leave(ip)).collect::<Sockets>();
        if let Some(endpoint) = node.endpoint_mut() {
            for (socket, _) in gone {
                endpoint.agent.remove_socket(self.now, socket);
            }
        }
        self.drain(host);
    }
}
