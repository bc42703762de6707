//! What goes into a client and what comes out of it.

use std::net::{IpAddr, SocketAddr};

use super::alternate::Alternate;
use super::problem::Problem;
use crate::io::Wake;
use crate::stun::Family;
use crate::time::Duration;

/// What happened outside.
#[derive(Debug, Clone, Copy)]
pub enum Input<'a> {
    /// The time of [`Client::deadline`](super::Client::deadline) has come.
    Timeout,
    /// One new paced transaction may begin (RFC 8445 §14.2). Wasted if none waits: [`Client::wants_slot`](super::Client::wants_slot).
    Slot,
    /// A datagram from the server's address. From any other it must not come here (RFC 8656 §11.4).
    Datagram(&'a [u8]),
}

/// What an input was.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received<'a> {
    /// A payload that a permitted peer sent to the relayed transport address; a sub-slice of the input.
    Data {
        /// Who sent it.
        peer: SocketAddr,
        /// What it sent; possibly empty.
        payload: &'a [u8],
    },
    /// It was for the client, or is to be dropped.
    Consumed,
    /// Not of this allocation.
    Unclaimed,
}

/// What the client has to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// There is an allocation. It is refreshed until [`Client::close`](super::Client::close). Said once for each relayed
    /// transport address: one allocation may have one of each family.
    Allocated {
        /// The relayed transport address.
        relayed: SocketAddr,
        /// Where the server sees the client: a server-reflexive address.
        mapped: SocketAddr,
        /// How long it lasts without a refresh.
        lifetime: Duration,
    },
    /// The allocation has no relayed address of this family, the server says (RFC 8656 §7.3), and there will be none. Servers
    /// that do not know of two families say nothing.
    Lacking {
        /// The family that was asked for.
        family: Family,
        /// 440 or 508, as a rule.
        problem: Problem,
    },
    /// There is no allocation: another server is to be asked (RFC 8489 §10), by another client. The server itself said so.
    Redirected(Alternate),
    /// After [`Client::attach`](super::Client::attach): the allocation goes on from the new socket or connection
    /// (RFC 8016 §3.2.3), with its permissions and channels.
    Moved,
    /// The connection to the server is dead: a request got no answer on it (RFC 8489 §6.2.2). Close it; then call
    /// [`Client::detach`](super::Client::detach) or [`Client::disconnected`](super::Client::disconnected).
    Stalled,
    /// There is no allocation and there will be none; [`Problem::pause`] says whether another client may try. Or, before
    /// [`Event::Lost`], why.
    Problem(Problem),
    /// All ports of this address may be sent to and heard. Said again when a granted permission is asked for.
    PermissionGranted {
        /// The peer.
        peer: IpAddr,
    },
    /// This address cannot be sent to, or not any more. Said again when it is asked for, unless its permission was only
    /// not renewed in time: then it is asked for anew.
    PermissionRefused {
        /// The peer.
        peer: IpAddr,
        /// Why.
        problem: Problem,
    },
    /// Data to this peer goes through a channel from now on.
    ChannelBound {
        /// The peer.
        peer: SocketAddr,
        /// 0x4000..=0x4FFF.
        number: u16,
    },
    /// The channel is over: data goes in Send indications again.
    ChannelLost {
        /// The peer.
        peer: SocketAddr,
    },
    /// The allocation is gone, and with it all permissions and channels. The client does nothing more.
    Lost,
}

/// What is next.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub enum Output<'b> {
    /// A datagram for the server.
    Transmit(&'b [u8]),
    /// Something to know.
    Event(Event),
    /// Drained. Come back at that time with [`Input::Timeout`], or with [`Input::Slot`] if a slot is wanted. A client
    /// that has had no input yet knows no time: it waits for its first slot.
    Wait(Option<Wake>),
}
