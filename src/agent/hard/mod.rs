//! A direct path between a NAT that maps each destination to another port and one that maps all to the same: nobody can
//! tell the peer the port that its checks have to go to, so it is found by trying.
//!
//! ```text
//!  hard side: 256 sockets, a check from each ──►  NAT: 256 of 64,512 ports are open to the stable side
//!  stable side: a check to one port after the other of that NAT, from its one socket ──►  1 - (1 - 256/64512)^n hit one
//!  the socket that is hit becomes a base, and checks back: from there on it is a pair like all others
//! ```
//!
//! It begins 2 s after the peer's credentials came, if no pair without a relay is valid by then, and on the stable side
//! 1.5 s later, so that ports are open when they are tried: some NATs mind what comes before. Each probe is one packet, takes
//! a slot that nobody else wants, is never repeated, and nothing is remembered of it; its answer is dropped, since the peer
//! checks back. It ends with the first direct pair, and when its packets or its time are spent. Data goes on the relayed
//! pair meanwhile, and with renomination on the direct one afterwards.
//!
//! | what | file |
//! |---|---|
//! | when it begins and ends, whose turn it is, and sockets that are hit | here |
//! | what is known of the own NAT, and the budgets | `config` |
//! | which ports are tried | `guess` |

mod config;
mod guess;

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

pub use config::{HardNat, Ports};

use super::Agent;
use super::bases::{Base, Told, Via};
use super::config::{Implementation, Policy};
use super::event::{Output, Received};
use super::output::Intent;
use crate::candidate::CandidateType;
use crate::checks::Permission;
use crate::checks::checklist::Checklist;
use crate::credentials::IceOption;
use crate::io::{ComponentId, Datagram, SocketId};
use crate::stun::Message;
use crate::stun::wire::{Class, Kind, Method, classify};
use crate::time::{Duration, Instant, Timer};
use guess::Guesses;

/// What ordinary checks have before it begins.
const DELAY: Duration = Duration::from_secs(2);
/// What the hard side has before the stable side begins.
const LEAD: Duration = Duration::from_millis(1500);
/// The component that it is done for.
const COMPONENT: ComponentId = ComponentId::FIRST;

/// What the driver has to do.
#[derive(Debug)]
pub(super) enum Errand {
    Open(IpAddr),
    Close(SocketId),
}

impl Errand {
    pub(super) fn into_output(self) -> Output<'static> {
        match self {
            Self::Open(local) => Output::Open { local },
            Self::Close(socket) => Output::Close(socket),
        }
    }
}

/// One probe, from a socket.
#[derive(Debug, Clone, Copy)]
pub(super) struct Probe {
    pub(super) socket: SocketId,
    pub(super) local: IpAddr,
    pub(super) to: SocketAddr,
}

/// What this side does.
#[derive(Debug)]
enum Part {
    /// It opens ports to this address, with a socket of this address for each.
    Opens { local: IpAddr, to: SocketAddr },
    /// It tries ports of this address from this socket.
    Tries { socket: SocketId, local: IpAddr, to: IpAddr, guesses: Guesses },
}

/// The search of one agent.
#[derive(Debug, Default)]
pub(super) struct Hard {
    /// When it begins.
    start: Timer,
    /// When it is over.
    end: Timer,
    part: Option<Part>,
    /// Packets that are left.
    left: u16,
    /// Sockets that the driver was asked for and has not opened yet.
    asked: u16,
    /// Sockets that were not hit.
    sockets: Vec<(SocketId, SocketAddr)>,
    pub(super) errands: VecDeque<Errand>,
}

impl Hard {
    pub(super) fn deadline(&self) -> Option<Instant> {
        crate::time::earliest(self.start.deadline(), self.end.deadline())
    }

    pub(super) fn wants_slot(&self) -> bool {
        self.part.is_some() && self.left > 0
    }

    /// A socket is gone: one of probes, or that which the peer's ports are tried from.
    pub(super) fn forget(&mut self, gone: SocketId) {
        self.sockets.retain(|(socket, _)| *socket != gone);
        if matches!(&self.part, Some(Part::Tries { socket, .. }) if *socket == gone) {
            self.finish();
        }
    }

    /// Ends it, and gives the sockets back.
    pub(super) fn finish(&mut self) {
        self.start.stop();
        self.end.stop();
        self.part = None;
        self.asked = 0;
        self.errands.retain(|errand| matches!(errand, Errand::Close(_)));
        self.errands.extend(self.sockets.drain(..).map(|(socket, _)| Errand::Close(socket)));
    }
}

impl Agent {
    fn hard_nat(&self) -> Option<HardNat> {
        let is_full = self.config.implementation == Implementation::Full;
        self.config.hard_nat.filter(|_| is_full && self.config.policy != Policy::Relay)
    }

    /// What tells the peer of the own NAT.
    pub(super) fn hard_option(&self) -> Option<IceOption> {
        self.hard_nat().map(|hard| hard.ports.option())
    }

    /// What the peer has told of its NAT, if one side has stable ports and the other one has not.
    fn ports_of_peer(&self, own: Ports) -> Option<Ports> {
        let list = self.checks.checklist(COMPONENT.stream).filter(|list| !list.is_removed())?;
        let remote = list.remote.as_ref()?;
        let theirs = remote.credentials.options.iter().find_map(Ports::of_option)?;
        ((own == Ports::Stable) != (theirs == Ports::Stable)).then_some(theirs)
    }

    pub(super) fn finish_hard(&mut self) {
        if let Some(hard) = &mut self.hard {
            hard.finish();
        }
    }

    /// The peer's credentials have come.
    pub(super) fn prepare_hard(&mut self, now: Instant) {
        let Some(hard) = self.hard_nat() else { return };
        self.finish_hard();
        if self.ports_of_peer(hard.ports).is_some() {
            let lead = if hard.ports == Ports::Stable { LEAD } else { Duration::ZERO };
            self.hard.get_or_insert_default().start.set(now + DELAY + lead);
        }
    }

    pub(super) fn run_hard(&mut self, now: Instant) {
        if self.hard.as_mut().is_some_and(|hard| hard.start.take_due(now)) {
            self.begin_hard(now);
        }
        let Some(running) = self.hard.as_mut().filter(|hard| hard.part.is_some()) else { return };
        let is_removed = self.checks.checklist(COMPONENT.stream).is_none_or(Checklist::is_removed);
        if is_removed || running.end.is_due(now) || self.checks.has_direct(COMPONENT) {
            running.finish();
        }
    }

    fn begin_hard(&mut self, now: Instant) {
        let Some(hard) = self.hard_nat().filter(|_| !self.checks.has_direct(COMPONENT)) else { return };
        let Some(theirs) = self.ports_of_peer(hard.ports) else { return };
        let Some((local, remote)) = self.checks.reflexive_ends(COMPONENT) else { return };
        let Some(base) = self.bases.get(local.base).filter(|base| base.via == Via::Socket) else { return };
        let (socket, local, to) = (base.socket, base.local, remote.addr);
        let (part, left) = if hard.ports == Ports::Stable {
            let guesses = Guesses::new(theirs, to.port(), &mut self.rng);
            (Part::Tries { socket, local, to: to.ip(), guesses }, hard.probes)
        } else {
            (Part::Opens { local, to }, hard.sockets)
        };
        let Some(search) = &mut self.hard else { return };
        (search.part, search.left) = (Some(part), left);
        search.end.set(now + hard.time);
    }

    /// A slot that nobody else wants.
    pub(super) fn slot_for_guess(&mut self) -> bool {
        let Some(hard) = self.hard.as_mut().filter(|hard| hard.wants_slot()) else { return false };
        hard.left -= 1;
        match &mut hard.part {
            Some(Part::Opens { local, .. }) => {
                hard.asked += 1;
                hard.errands.push_back(Errand::Open(*local));
            }
            Some(Part::Tries { socket, local, to, guesses }) => {
                if let Some(port) = guesses.next() {
                    let (socket, local, to) = (*socket, *local, SocketAddr::new(*to, port.get()));
                    self.intents.push(Intent::Guess(Probe { socket, local, to }));
                }
            }
            None => return false,
        }
        true
    }

    /// The driver has opened a socket: its probe leaves at once. One that nobody waits for any more is closed.
    pub(super) fn follow_opened(&mut self, socket: SocketId, local: SocketAddr) {
        let hard = self.hard.get_or_insert_default();
        match &hard.part {
            Some(Part::Opens { to, .. }) if hard.asked > 0 => {
                hard.asked -= 1;
                hard.sockets.push((socket, local));
                self.intents.push(Intent::Guess(Probe { socket, local: local.ip(), to: *to }));
            }
            _ => hard.errands.push_back(Errand::Close(socket)),
        }
    }

    /// A datagram that came to a socket of probes, `None` if it is not one. The peer's check makes it a base like every
    /// other, with one candidate that is not signalled; the pair that it makes is learnt by both sides.
    pub(super) fn handle_probed<'a>(
        &mut self,
        now: Instant,
        datagram: &Datagram<'a>,
    ) -> Option<Received<'a>> {
        let at = self.hard.as_ref()?.sockets.iter().position(|(socket, _)| *socket == datagram.socket)?;
        let payload = datagram.payload;
        let message = Some(payload).filter(|it| classify(it) == Kind::Stun).map(Message::parse);
        let Some(Ok(message)) = message else { return Some(Received::Unclaimed) };
        let is_check = (message.class(), message.method()) == (Class::Request, Method::BINDING)
            && message.has_fingerprint()
            && self.checks.vouches_for(COMPONENT.stream, message);
        if !is_check || self.bases.is_full(usize::from(self.config.limits.bases)) {
            return Some(Received::Unclaimed);
        }
        self.wake_up(now);
        let (socket, addr) = self.hard.as_mut()?.sockets.swap_remove(at);
        let preference = self.host_preference.next(addr.ip());
        let (via, told) = (Via::Socket, Told::No);
        let base = Base { component: COMPONENT, addr, socket, local: addr.ip(), via, preference, told };
        let id = self.bases.add(base);
        let candidate = self.candidate(&base, CandidateType::Host, addr, None, None);
        self.checks.add_base(id, COMPONENT, candidate, Permission::Granted);
        Some(self.handle_payload(now, id, datagram.source, payload))
    }
}
