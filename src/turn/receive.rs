//! What the server sends: answers, and data of the peers.

use super::client::Client;
use super::data::{read_channel_data, read_indication};
use super::event::Received;
use crate::stun::Message;
use crate::stun::wire::{Class, Kind, Method, classify};
use crate::time::Instant;

impl Client {
    pub(super) fn handle_datagram<'a>(&mut self, now: Instant, datagram: &'a [u8]) -> Received<'a> {
        let received = self.read_datagram(now, datagram);
        if matches!(received, Received::Data { .. }) && self.is_moving() {
            self.requests.hurry_move();
        }
        received
    }

    fn read_datagram<'a>(&mut self, now: Instant, datagram: &'a [u8]) -> Received<'a> {
        let live = self.allocation.is_live();
        match classify(datagram) {
            Kind::ChannelData if live => self.handle_channel_data(now, datagram),
            Kind::Stun => match Message::parse(datagram) {
                Ok(message) => match (message.class(), message.method()) {
                    (Class::Indication, Method::DATA) if live => self.handle_indication(now, &message),
                    (Class::Success | Class::Error, _) => self.handle_answer(now, message),
                    _ => Received::Unclaimed,
                },
                Err(_) => Received::Unclaimed,
            },
            _ => Received::Unclaimed,
        }
    }

    fn handle_channel_data<'a>(&self, now: Instant, datagram: &'a [u8]) -> Received<'a> {
        let read = read_channel_data(datagram);
        let known = read.and_then(|(number, payload)| Some((self.channels.peer(number)?, payload)));
        match known {
            Some(((peer, confirmed), payload))
                if !confirmed || self.permissions.is_active(peer.ip(), now) =>
            {
                Received::Data { peer, payload }
            }
            _ => Received::Consumed,
        }
    }

    fn handle_indication<'a>(&self, now: Instant, message: &Message<'a>) -> Received<'a> {
        match read_indication(message) {
            Some((peer, payload)) if self.permissions.is_active(peer.ip(), now) => {
                Received::Data { peer, payload }
            }
            _ => Received::Consumed,
        }
    }
}
