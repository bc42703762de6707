//! What a test asks a world.

use std::net::IpAddr;

use super::nat::NatId;
use super::node::HostId;
use super::packet::{Arrival, Packets};
use super::world::World;
use crate::agent::{Agent, Event, Path, State};
use crate::candidate::{Candidate, CandidateType};
use crate::io::ComponentId;
use crate::signal::Signal;
use crate::time::Duration;

impl World {
    /// The agent on a host.
    ///
    /// # Panics
    /// If there is none.
    pub fn agent_ref(&self, host: HostId) -> &Agent {
        &self.nodes[host.0].endpoint().expect("an agent on this host").agent
    }

    /// The state of the agent.
    pub fn state(&self, host: HostId) -> State {
        self.agent_ref(host).state()
    }

    /// Whether every component has a selected pair.
    pub fn completed(&self, host: HostId) -> bool {
        self.state(host) == State::Completed
    }

    /// Whether data can be sent on the first component.
    pub fn usable(&self, host: HostId) -> bool {
        self.agent_ref(host).path(ComponentId::FIRST).is_some()
    }

    /// What the agent has said, signals apart, and when since the world began.
    ///
    /// # Panics
    /// If there is no agent on this host.
    pub fn events(&self, host: HostId) -> &[(Duration, Event)] {
        &self.nodes[host.0].endpoint().expect("an agent on this host").events
    }

    /// What the agent has signalled, in order.
    pub fn signals(&self, host: HostId) -> Vec<Signal> {
        self.channels.get(&host).map(|channel| channel.said.clone()).unwrap_or_default()
    }

    /// The local and the remote candidate of the pair that the agent selected last for its first component.
    pub fn selected(&self, host: HostId) -> Option<(&Candidate, &Candidate)> {
        self.events(host).iter().rev().find_map(|(_, event)| match event {
            Event::Selected { component: ComponentId::FIRST, local, remote } => Some((&**local, &**remote)),
            _ => None,
        })
    }

    /// The types of the local candidates of the selected pairs at both ends.
    ///
    /// # Panics
    /// If one of them has not selected a pair.
    pub fn selected_types(&self, a: HostId, b: HostId) -> [CandidateType; 2] {
        [a, b].map(|host| self.selected(host).expect("a selected pair").0.kind)
    }

    /// Sends data on the path of the agent's first component.
    ///
    /// # Panics
    /// If there is no path, or more than 65,000 bytes.
    pub fn send(&mut self, host: HostId, data: &[u8]) {
        let path = self.agent_ref(host).path(ComponentId::FIRST).expect("a path to send on");
        let mut buf = vec![0; Path::HEADROOM + data.len() + Path::TAILROOM];
        buf[Path::HEADROOM..Path::HEADROOM + data.len()].copy_from_slice(data);
        let packets = self.nodes[host.0].packets_of(&path.wrap(&mut buf, data.len()));
        for packet in packets {
            self.send_packet(host, packet);
        }
    }

    /// What a host has received: data of the peer on an agent, every datagram on a host without a program.
    pub fn received(&self, host: HostId) -> &[Arrival] {
        &self.nodes[host.0].arrivals
    }

    /// What became of the datagrams of all hosts.
    pub fn packets(&self) -> Packets {
        self.packets
    }

    /// What became of the datagrams that this host sent.
    pub fn packets_of(&self, host: HostId) -> Packets {
        self.nodes[host.0].packets
    }

    /// The addresses of a host, in order.
    pub fn addresses(&self, host: HostId) -> Vec<IpAddr> {
        self.topology.addresses(host).collect()
    }

    /// The NAT that this address of a host stands behind.
    pub fn gateway(&self, host: HostId, ip: IpAddr) -> Option<NatId> {
        self.topology.gateway(host, ip)
    }

    /// The address of a NAT in the network outside.
    pub fn external(&self, nat: NatId) -> IpAddr {
        self.topology.nat(nat).0.external()
    }
}
