//! The client of one TURN server: to follow.
#![allow(missing_docs, clippy::unused_self, clippy::missing_errors_doc)]
use super::TurnServer;
use super::data::Framing;
use crate::io::Wake;
use crate::time::{Duration, Instant};
use std::net::{IpAddr, SocketAddr};

#[derive(Debug)]
pub struct Client;
#[derive(Debug)]
pub enum Input<'a> {
    Timeout,
    Slot,
    Datagram(&'a [u8]),
}
#[must_use]
pub enum Received<'a> {
    Data { peer: SocketAddr, payload: &'a [u8] },
    Consumed,
    Unclaimed,
}
#[derive(Debug)]
pub enum Problem {
    Unreachable,
}
#[derive(Debug)]
pub enum Event {
    Allocated { relayed: SocketAddr, mapped: SocketAddr, lifetime: Duration },
    Problem(Problem),
    PermissionGranted { peer: IpAddr },
    PermissionRefused { peer: IpAddr, code: u16 },
    ChannelBound { peer: SocketAddr, number: u16 },
    Lost,
}
pub enum Output<'b> {
    Transmit(&'b [u8]),
    Event(Event),
    Wait(Option<Wake>),
}
#[allow(unused_variables, clippy::needless_pass_by_value)]
impl Client {
    pub fn new(server: TurnServer, seed: [u8; 32]) -> Self {
        Self
    }
    pub fn permit(&mut self, peer: SocketAddr) {}
    pub fn bind(&mut self, peer: SocketAddr) {}
    pub fn close(&mut self, now: Instant) {}
    pub fn wants_slot(&self) -> bool {
        false
    }
    pub fn deadline(&self) -> Option<Instant> {
        None
    }
    pub fn framing(&self, peer: SocketAddr) -> Option<Framing> {
        None
    }
    pub fn handle_input<'a>(&mut self, now: Instant, input: Input<'a>) -> Received<'a> {
        Received::Unclaimed
    }
    pub(crate) fn write_transmit(&mut self, buf: &mut [u8]) -> Option<usize> {
        None
    }
    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        None
    }
}
