//! The test of a TURN server (RFC 8656): two allocations that send to each other.
//!
//! ```text
//!  own ──► server ──► relayed address of own ──► relayed address of peer ──► server ──► peer
//!   ▲                                                                                    │
//!   └───────────────────────────── and the same way back ────────────────────────────────┘
//! ```

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::time::Duration;

use crate::io::StreamProtocol;
use crate::net::tls::Tls;
use crate::stun::wire::{Class, Method};
use crate::turn::data::Framing;
use crate::turn::{Client, Event, TurnServer};

use super::failure::Failure;
use super::link::Link;
use super::side::Side;
use super::step::{Step, Teller, Telling, Via, Whose};

/// How long the server may take to take an allocation back; it does so by itself later.
const GOODBYE: Duration = Duration::from_secs(2);

/// How one server is tested at one address.
#[derive(Debug)]
pub(super) struct Test<'a> {
    pub(super) server: TurnServer,
    pub(super) protocol: Option<&'a StreamProtocol>,
    pub(super) local: Option<IpAddr>,
    pub(super) tls: &'a Tls,
    pub(super) patience: Duration,
    pub(super) datagrams: u32,
}

/// Both allocations. The second one comes when the first one stands.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) own: Side,
    pub(super) peer: Option<Side>,
}

impl Test<'_> {
    /// Runs it on this link. Whatever the end is, the server is told that its allocations are not needed any more.
    pub(super) async fn run<T: Telling>(
        self,
        link: Link,
        teller: &mut Teller<T>,
        stop: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<(), Failure> {
        let mut pair = Pair { own: Side::new(self.server.clone(), link), peer: None };
        let tested = tokio::select! {
            tested = self.steps(&mut pair, teller) => tested,
            () = stop => Err(Failure::Stopped),
        };
        if pair.give_back().await {
            teller.tell(Step::Deleted);
        }
        tested
    }

    async fn steps<T: Telling>(&self, pair: &mut Pair, teller: &mut Teller<T>) -> Result<(), Failure> {
        let own = self.allocate(&mut pair.own, Whose::Own, teller).await?;
        let opening = Link::open(self.local, self.server.addr, self.protocol, self.tls, teller);
        let late = Failure::Silent { server: self.server.addr, step: "the second connection" };
        let link = tokio::time::timeout(self.patience, opening).await.unwrap_or(Err(late))?;
        let side = pair.peer.insert(Side::new(self.server.clone(), link));
        let peer = self.allocate(side, Whose::Peer, teller).await?;

        pair.both(|side, to| side.with(|client, _| client.permit(to)), own, peer)?;
        let is_permitted = |side: &Side, to| side.client().framing(to).is_some();
        self.until_both(pair, "the permission", own, peer, is_permitted).await?;
        teller.tell(Step::Permitted { peer });
        self.exchange(pair, Via::Indications, own, peer, teller).await?;

        pair.both(|side, to| side.with(|client, _| client.bind(to)), own, peer)?;
        let is_bound = |side: &Side, to| matches!(side.client().framing(to), Some(Framing::Channel(_)));
        self.until_both(pair, "the channel", own, peer, is_bound).await?;
        if let Some(Framing::Channel(number)) = pair.own.client().framing(peer) {
            teller.tell(Step::Bound { peer, number });
        }
        self.exchange(pair, Via::Channel, own, peer, teller).await?;

        pair.own.answers.clear();
        pair.own.with(Client::refresh)?;
        let refreshed = |pair: &mut Pair| {
            let mut answers = pair.own.answers.drain(..);
            answers.find(|answer| answer.method == Method::REFRESH && answer.class == Class::Success)
        };
        let answer = self.until(pair, "the refresh", refreshed).await?;
        teller.tell(Step::Refreshed { lifetime: answer.lifetime, took: answer.took });
        Ok(())
    }

    /// Allocates, and returns the relayed address.
    async fn allocate<T: Telling>(
        &self,
        side: &mut Side,
        whose: Whose,
        teller: &mut Teller<T>,
    ) -> Result<SocketAddr, Failure> {
        let step = match whose {
            Whose::Own => "the allocation",
            Whose::Peer => "the second allocation",
        };
        let server = side.server();
        let work = async {
            side.with(|_, _| ())?;
            let mut last = None;
            loop {
                while let Some(answer) = side.answers.pop_front() {
                    if answer.is_challenge() && last.is_none() {
                        let (realm, took) = (answer.realm.clone(), answer.took);
                        teller.tell(Step::Challenged { whose, realm, took });
                    }
                    last = Some(answer);
                }
                match side.events.pop_front() {
                    Some(Event::Allocated { relayed, mapped, lifetime }) => {
                        let (software, took) =
                            last.map_or((None, Duration::ZERO), |answer| (answer.software, answer.took));
                        let algorithm = side.algorithm;
                        let step =
                            Step::Allocated { whose, relayed, mapped, lifetime, algorithm, software, took };
                        teller.tell(step);
                        return Ok(relayed);
                    }
                    Some(Event::Problem(problem)) => return Err(Failure::Answer { step, problem }),
                    Some(_) => {}
                    None => side.happen().await?,
                }
            }
        };
        let allocated = tokio::time::timeout(self.patience, work).await;
        allocated.unwrap_or(Err(Failure::Silent { server, step }))
    }

    async fn until_both(
        &self,
        pair: &mut Pair,
        step: &'static str,
        own: SocketAddr,
        peer: SocketAddr,
        is_so: impl Fn(&Side, SocketAddr) -> bool,
    ) -> Result<(), Failure> {
        let both = |pair: &mut Pair| {
            let so = is_so(&pair.own, peer) && pair.peer.as_ref().is_some_and(|side| is_so(side, own));
            so.then_some(())
        };
        self.until(pair, step, both).await
    }

    /// Drives both until `look` finds what it looks for, or one of them has a problem, or it takes too long.
    pub(super) async fn until<R>(
        &self,
        pair: &mut Pair,
        step: &'static str,
        mut look: impl FnMut(&mut Pair) -> Option<R>,
    ) -> Result<R, Failure> {
        let work = async {
            loop {
                pair.check(step)?;
                if let Some(found) = look(pair) {
                    return Ok(found);
                }
                pair.happen().await?;
            }
        };
        let done = tokio::time::timeout(self.patience, work).await;
        done.unwrap_or(Err(Failure::Silent { server: self.server.addr, step }))
    }
}

impl Pair {
    /// Each side with the relayed address of the other one.
    fn both(
        &mut self,
        mut ask: impl FnMut(&mut Side, SocketAddr) -> Result<(), Failure>,
        own: SocketAddr,
        peer: SocketAddr,
    ) -> Result<(), Failure> {
        ask(&mut self.own, peer)?;
        self.peer.as_mut().map_or(Ok(()), |side| ask(side, own))
    }

    /// Waits until something has happened on either side. May be dropped and called again.
    pub(super) async fn happen(&mut self) -> Result<(), Failure> {
        match &mut self.peer {
            Some(peer) => tokio::select! {
                happened = self.own.happen() => happened,
                happened = peer.happen() => happened,
            },
            None => self.own.happen().await,
        }
    }

    /// Whether a side was told of a problem.
    pub(super) fn check(&mut self, step: &'static str) -> Result<(), Failure> {
        for side in std::iter::once(&mut self.own).chain(&mut self.peer) {
            while let Some(event) = side.events.pop_front() {
                match event {
                    Event::Problem(problem) | Event::PermissionRefused { problem, .. } => {
                        return Err(Failure::Answer { step, problem });
                    }
                    Event::Lost | Event::ChannelLost { .. } => return Err(Failure::Lost),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Deletes the allocations. Whether there were any, and the server agreed.
    async fn give_back(&mut self) -> bool {
        let mut deleted = false;
        for side in std::iter::once(&mut self.own).chain(&mut self.peer) {
            side.answers.clear();
            let work = async {
                side.with(Client::close)?;
                while !side.client().is_finished() {
                    side.happen().await?;
                }
                Ok::<_, Failure>(())
            };
            // It ends by itself if it cannot be told.
            let _ = tokio::time::timeout(GOODBYE, work).await;
            let is_success = |answer: &super::side::Answer| {
                answer.method == Method::REFRESH && answer.class == Class::Success
            };
            deleted |= side.answers.iter().any(is_success);
        }
        deleted
    }
}
