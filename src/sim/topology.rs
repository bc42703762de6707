//! Who stands where: a tree of networks. The Internet is its root, each NAT has one network inside, and addresses
//! mean something in one network only, so that two homes may use the same ones (RFC 4787 REQ-7).

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::link::{Link, Pipe};
use super::nat::table::Table;
use super::nat::{Gateway, Hairpin, Nat, NatId, Stray};
use super::node::{HostId, Interface};
use super::packet::{Fate, Packet};
use crate::rng::Rng;
use crate::stun::Family;
use crate::time::Instant;

/// A network: 0 is the Internet, 1 + n the inside of NAT n.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Network(usize);

impl Network {
    pub(super) const INTERNET: Self = Self(0);

    fn gateway(self) -> Option<NatId> {
        self.0.checked_sub(1).map(NatId)
    }

    /// The address that its newcomer number `n` gets: of the benchmarking range (RFC 2544) on the Internet.
    fn address(self, family: Family, n: u32) -> IpAddr {
        let inside = self.0 as u32;
        match family {
            Family::V4 if inside == 0 => Ipv4Addr::from_bits(0xC612_0000 + n).into(),
            Family::V4 => Ipv4Addr::from_bits((10 << 24) + (inside << 8) + n).into(),
            Family::V6 => Ipv6Addr::new(0x2001, 0xdb8, inside as u16, 0, 0, 0, 0, n as u16).into(),
        }
    }
}

impl NatId {
    pub(super) fn inside(self) -> Network {
        Network(self.0 + 1)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    Host(HostId),
    Nat(NatId),
}

/// Both directions of a link. Up leads toward the Internet.
#[derive(Debug, Clone)]
pub(super) struct Edge {
    pub(super) network: Network,
    pub(super) up: Pipe,
    pub(super) down: Pipe,
}

impl Edge {
    fn new(network: Network, link: Link) -> Self {
        Self { network, up: Pipe::new(link.clone()), down: Pipe::new(link) }
    }
}

/// Where a datagram goes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Down the link of this host.
    Host(HostId),
    /// Down the link of this NAT.
    Down(NatId),
    /// Up the link of this NAT.
    Up(NatId),
    /// Nowhere.
    Dropped(Fate),
}

/// All networks.
#[derive(Debug, Clone, Default)]
pub(super) struct Topology {
    owners: BTreeMap<(Network, IpAddr), Owner>,
    nats: Vec<(Table, Edge)>,
    interfaces: BTreeMap<(HostId, IpAddr), Edge>,
}

impl Topology {
    pub(super) fn add_nat(&mut self, outer: Network, nat: Nat) -> NatId {
        let id = NatId(self.nats.len());
        let count = 0..nat.addresses();
        let externals = count.map(|_| self.settle(outer, Family::V4, None, Owner::Nat(id))).collect();
        let edge = Edge::new(outer, nat.link.clone());
        self.nats.push((Table::new(nat, externals), edge));
        id
    }

    /// Gives a host another address.
    pub(super) fn attach(&mut self, host: HostId, interface: Interface) -> IpAddr {
        let network = match interface.gateway {
            Gateway::Public => Network::INTERNET,
            Gateway::New(nat) => self.add_nat(Network::INTERNET, nat).inside(),
            Gateway::Behind(nat) => nat.inside(),
        };
        let ip = self.settle(network, interface.family, interface.address, Owner::Host(host));
        let default = if network == Network::INTERNET { Link::wan() } else { Link::lan() };
        self.interfaces.insert((host, ip), Edge::new(network, interface.link.unwrap_or(default)));
        ip
    }

    /// Takes this address, or a free one. What no NAT translates is an address of the outer network too: there
    /// the NAT has it.
    fn settle(&mut self, network: Network, family: Family, address: Option<IpAddr>, owner: Owner) -> IpAddr {
        let mut way = vec![(network, owner)];
        let mut home = network;
        while let Some(nat) = home.gateway().filter(|nat| !self.nat(*nat).0.nat().translates(family)) {
            home = self.nats[nat.0].1.network;
            way.push((home, Owner::Nat(nat)));
        }
        let ip = address.unwrap_or_else(|| self.free_address(home, family));
        for (network, owner) in way {
            self.claim(network, ip, owner);
        }
        ip
    }

    fn claim(&mut self, network: Network, ip: IpAddr, owner: Owner) {
        let before = self.owners.insert((network, ip), owner);
        assert!(before.is_none(), "{ip} is taken in its network");
    }

    /// Takes an address away from a host. What is sent to it is lost from now on.
    pub(super) fn detach(&mut self, host: HostId, ip: IpAddr) {
        let Some(edge) = self.interfaces.remove(&(host, ip)) else { return };
        let mut at = edge.network;
        self.owners.remove(&(at, ip));
        // The NATs that routed it without translation.
        while let Some(nat) = at.gateway() {
            at = self.nats[nat.0].1.network;
            if self.owners.get(&(at, ip)) != Some(&Owner::Nat(nat)) {
                return;
            }
            self.owners.remove(&(at, ip));
        }
    }

    fn free_address(&self, network: Network, family: Family) -> IpAddr {
        let candidates = (1..=u32::from(u16::MAX)).map(|n| network.address(family, n));
        let mut free = candidates.filter(|ip| !self.owners.contains_key(&(network, *ip)));
        free.next().expect("a network has room for 65,535")
    }

    pub(super) fn addresses(&self, host: HostId) -> impl Iterator<Item = IpAddr> {
        self.interfaces.keys().filter(move |(owner, _)| *owner == host).map(|(_, ip)| *ip)
    }

    pub(super) fn interface(&self, host: HostId, ip: IpAddr) -> Option<&Edge> {
        self.interfaces.get(&(host, ip))
    }

    pub(super) fn interface_mut(&mut self, host: HostId, ip: IpAddr) -> Option<&mut Edge> {
        self.interfaces.get_mut(&(host, ip))
    }

    pub(super) fn nat(&self, nat: NatId) -> &(Table, Edge) {
        &self.nats[nat.0]
    }

    pub(super) fn nat_edge_mut(&mut self, nat: NatId) -> &mut Edge {
        &mut self.nats[nat.0].1
    }

    /// The NAT that a host's address stands behind.
    pub(super) fn gateway(&self, host: HostId, ip: IpAddr) -> Option<NatId> {
        self.interface(host, ip)?.network.gateway()
    }

    /// Whether an address of this host is in the same network as that one, so that multicast gets there.
    pub(super) fn share_a_link(&self, host: HostId, owner: HostId, ip: IpAddr) -> bool {
        let Some(far) = self.interface(owner, ip) else { return false };
        let mut near = self.addresses(host).filter_map(|ip| self.interface(host, ip));
        near.any(|edge| edge.network == far.network && far.network != Network::INTERNET)
    }

    pub(super) fn flush(&mut self, nat: NatId) {
        self.nats[nat.0].0.flush();
    }

    /// The same networks before anybody sent anything, and with NATs that stray packets do not spoil: whether
    /// those come depends on who is first.
    pub(super) fn pristine(&self) -> Self {
        let mut copy = self.clone();
        for (table, _) in &mut copy.nats {
            *table = table.anew(table.nat().clone().stray(Stray::Dropped));
        }
        copy
    }

    /// What a network does with a datagram: it belongs here, or further in, or it leaves by the NAT.
    pub(super) fn forward(
        &mut self,
        now: Instant,
        rng: &mut Rng,
        network: Network,
        packet: &mut Packet,
    ) -> Next {
        match (self.owners.get(&(network, packet.destination.ip())), network.gateway()) {
            (Some(Owner::Host(host)), _) => Next::Host(*host),
            (Some(Owner::Nat(nat)), _) => Next::Down(*nat),
            (None, Some(nat)) => self.leave(now, rng, nat, packet),
            (None, None) => Next::Dropped(Fate::Unroutable),
        }
    }

    /// From inside through a NAT; to the NAT's own address it is a hairpin (RFC 4787 §6).
    fn leave(&mut self, now: Instant, rng: &mut Rng, nat: NatId, packet: &mut Packet) -> Next {
        let table = &mut self.nats[nat.0].0;
        let hairpin = table.nat().translates(packet.source.ip().into()) && table.has(packet.destination.ip());
        let mode = table.nat().hairpin;
        if hairpin && mode == Hairpin::None {
            return Next::Dropped(Fate::Filtered);
        }
        let transport = packet.transport();
        let Some(external) = table.outbound(now, rng, transport, packet.source, packet.destination) else {
            return Next::Dropped(Fate::Filtered);
        };
        table.translate(&mut packet.payload, packet.source.ip(), external.ip());
        if !hairpin {
            packet.source = external;
            return Next::Up(nat);
        }
        let Some(internal) = table.inbound(now, transport, external, packet.destination) else {
            return Next::Dropped(Fate::Filtered);
        };
        packet.destination = internal;
        if mode == Hairpin::ExternalSource {
            packet.source = external;
        }
        self.forward(now, rng, nat.inside(), packet)
    }

    /// From outside through a NAT.
    pub(super) fn enter(&mut self, now: Instant, nat: NatId, packet: &mut Packet) -> Result<(), Fate> {
        let table = &mut self.nats[nat.0].0;
        let internal = table.inbound(now, packet.transport(), packet.source, packet.destination);
        let internal = internal.ok_or(Fate::Filtered)?;
        table.translate(&mut packet.payload, packet.destination.ip(), internal.ip());
        packet.destination = internal;
        Ok(())
    }
}
