//! Where the agent sends from: sockets of the driver, and relays reached through them.

use std::net::{IpAddr, SocketAddr};

use super::relays::RelayId;
use crate::candidate::{BaseId, TcpType};
use crate::checks::room::reserve_first;
use crate::io::{ComponentId, SocketId};
use crate::sorted::Sorted;

/// How packets leave a base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Via {
    /// Through a socket.
    Socket,
    /// Through a TCP connection for each remote address, which this side opens or accepts. `socket` is the one that
    /// listens.
    Tcp(TcpType),
    /// Through a relay, whose server is reached from another base.
    Relay(RelayId),
}

/// Whether the peer can learn of a base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// Its candidates are signalled as they are found.
    Yes,
    /// It came after the end of candidates: in this ICE session nobody tells the peer (RFC 8838 §13).
    No,
}

/// A transport address that candidates of this agent are based on (RFC 8445 §4).
#[derive(Debug, Clone, Copy)]
pub(super) struct Base {
    pub(super) component: ComponentId,
    pub(super) addr: SocketAddr,
    /// The socket that finally sends, and its address.
    pub(super) socket: SocketId,
    pub(super) local: IpAddr,
    pub(super) via: Via,
    /// The local preference of its candidates; of TCP ones the part that does not say the direction (RFC 6544 §4.2).
    pub(super) preference: u16,
    pub(super) told: Told,
}

/// All bases. Ids are never used twice, so the places of those that are gone stay empty.
#[derive(Debug, Default)]
pub(super) struct Bases {
    list: Vec<Option<Base>>,
    live: usize,
    by_socket: Sorted<(SocketId, IpAddr, BaseId)>,
}

impl Bases {
    pub(super) fn add(&mut self, base: Base) -> BaseId {
        let id = BaseId(self.list.len() as u16);
        if base.via == Via::Socket {
            self.by_socket.insert((base.socket, base.local, id));
        }
        reserve_first(&mut self.list);
        self.list.push(Some(base));
        self.live += 1;
        id
    }

    pub(super) fn get(&self, id: BaseId) -> Option<&Base> {
        self.list.get(usize::from(id.0))?.as_ref()
    }

    pub(super) fn remove(&mut self, id: BaseId) {
        let Some(base) = self.list.get_mut(usize::from(id.0)).and_then(Option::take) else { return };
        self.live -= 1;
        if base.via == Via::Socket {
            self.by_socket.remove(&(base.socket, base.local, id));
        }
    }

    /// A relayed base whose relay is reached from another socket or connection now.
    pub(super) fn rehome(&mut self, id: BaseId, socket: SocketId, local: IpAddr) {
        if let Some(base) = self.list.get_mut(usize::from(id.0)).and_then(Option::as_mut)
            && base.via != Via::Socket
        {
            (base.socket, base.local) = (socket, local);
        }
    }

    /// A new ICE session: the candidates of all bases are signalled again.
    pub(super) fn tell_all(&mut self) {
        for base in self.list.iter_mut().flatten() {
            base.told = Told::Yes;
        }
    }

    /// The base that a datagram to this address of this socket arrived on.
    pub(super) fn of_socket(&self, socket: SocketId, local: IpAddr) -> Option<BaseId> {
        let at = (socket, local);
        self.by_socket.find(|(socket, local, _)| (*socket, *local).cmp(&at)).map(|(.., base)| *base)
    }

    /// The base whose connections this socket accepts at this address.
    pub(super) fn of_listener(&self, listener: SocketId, local: IpAddr) -> Option<BaseId> {
        let passive = Via::Tcp(TcpType::Passive);
        let is_it = |base: &Base| (base.via, base.socket, base.local) == (passive, listener, local);
        self.iter().find(|(_, base)| is_it(base)).map(|(id, _)| id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (BaseId, &Base)> {
        let all = self.list.iter().enumerate();
        all.filter_map(|(index, base)| Some((BaseId(index as u16), base.as_ref()?)))
    }

    /// Whether another one would be more than `limit`, or have no number.
    pub(super) fn is_full(&self, limit: usize) -> bool {
        !self.has_room(1, limit)
    }

    /// Whether so many more are within `limit`.
    pub(super) fn has_room(&self, count: usize, limit: usize) -> bool {
        self.live + count <= limit && u16::try_from(self.list.len() + count).is_ok()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.live == 0
    }
}
