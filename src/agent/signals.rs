//! Signaling: what this agent tells about itself, and what the peer says.

use std::net::SocketAddr;

use super::Agent;
use super::bases::Via;
use super::config::Nomination;
use super::event::Event;
use super::flow::Flow;
use super::notes::Notes;
use super::state::State;
use super::trickle::Trickle;
use crate::candidate::{Address, Candidate, TcpType};
use crate::checks::Permission;
use crate::checks::checklist::{Checklist, ChecklistState};
use crate::credentials::{Credentials, IceOption, Ufrag};
use crate::error::SignalError;
use crate::io::{ComponentId, Transport};
use crate::signal::{Signal, What};
use crate::stun::transaction::{RTO, lifetime};
use crate::time::{Duration, Instant};
use crate::trace::Side;

/// Ufrags of the peer's former generations that are remembered.
const MAX_FORMER: usize = 16;
/// The Ta that need not be proposed (RFC 8445 §14.2).
const DEFAULT_TA: Duration = Duration::from_millis(50);

impl Agent {
    pub(super) fn signal_credentials(&mut self) {
        for stream in 0..self.checks.checklists().len() as u16 {
            self.signal_credentials_of(stream);
        }
    }

    pub(super) fn signal_credentials_of(&mut self, stream: u16) {
        let Some(checklist) = self.checks.checklist(stream).filter(|list| !list.is_removed()) else {
            return;
        };
        let mut credentials = Credentials::new(checklist.local.ufrag.clone(), checklist.local.pwd.clone());
        credentials.pacing = Some(self.config.pacing).filter(|ta| *ta != DEFAULT_TA);
        credentials.lite = !self.checks.sends_checks();
        credentials.options.reserve_exact(3);
        credentials.options.push(IceOption::ICE2);
        if self.config.trickle != Trickle::Off {
            credentials.options.push(IceOption::TRICKLE);
        }
        if matches!(self.config.nomination, Nomination::Renominate { .. }) {
            credentials.options.push(IceOption::RENOMINATION);
        }
        credentials.options.extend(self.hard_option());
        let mut signal = Signal::new(stream, What::Credentials(credentials));
        signal.ufrag = Some(checklist.local.ufrag.clone());
        self.tell(signal);
    }

    /// Takes a signal of the peer, in the order the peer emitted them.
    ///
    /// # Errors
    /// [`SignalError`] says why it was not taken; the session goes on without it. After
    /// [`UnknownStream`](SignalError::UnknownStream) for a stream that the peer has added,
    /// [add](Agent::add_stream) it here too, and hand the signal in again.
    pub fn handle_signal(&mut self, now: Instant, signal: Signal) -> Result<(), SignalError> {
        self.wake_up(now);
        let names = Notes::names(&signal);
        let result = self.take_signal(now, signal);
        if let Err(error) = &result {
            self.stats.signals_refused += 1;
            self.notes.refused(names, error);
        }
        result
    }

    fn take_signal(&mut self, now: Instant, signal: Signal) -> Result<(), SignalError> {
        if self.is_over() {
            return Err(SignalError::Closed);
        }
        let stream = signal.stream;
        let checklist = self.checks.checklist(stream).filter(|list| !list.is_removed());
        let checklist = checklist.ok_or(SignalError::UnknownStream(stream))?;
        let known = checklist.remote.as_ref().map(|remote| &remote.credentials);
        if let What::Credentials(credentials) = signal.what {
            return self.follow_credentials(now, stream, credentials);
        }
        // Browsers say it in the candidate itself.
        let named = match &signal.what {
            What::Candidate(candidate) => signal.ufrag.as_ref().or(candidate.ufrag.as_ref()),
            _ => signal.ufrag.as_ref(),
        };
        match (named, known) {
            (Some(named), Some(known)) if *named != known.ufrag => {
                return Err(SignalError::OldGeneration(named.to_string()));
            }
            // After a restart of ours the peer's credentials come before its candidates: these are late.
            (named, None) => {
                if let Some((_, former)) = self.former.iter().rfind(|(of, _)| *of == stream) {
                    return Err(SignalError::OldGeneration(named.unwrap_or(former).to_string()));
                }
            }
            _ => {}
        }
        match signal.what {
            What::Candidate(_) if checklist.remote_ended => Err(SignalError::AfterEnd),
            What::Candidate(candidate) => self.take_candidate(now, stream, candidate),
            What::EndOfCandidates => {
                self.checks.end_remote_candidates(stream);
                self.follow_checks(now);
                Ok(())
            }
            What::Selected(pair) => self.take_selected(now, stream, pair.from_afar()),
            What::Confirmed(pair) => self.take_confirmed(now, stream, pair.from_afar()),
            What::Credentials(_) => Ok(()),
        }
    }

    /// The first credentials of the peer, their repetition, its answer to a restart of ours, or its own restart (RFC 8445
    /// §9, RFC 8839 §4.4.1.1).
    ///
    /// What tells the last two apart is how often each side has begun: the peer's generations answer ours one by one. So
    /// restarts that cross are one, whoever hears of the other first.
    fn follow_credentials(
        &mut self,
        now: Instant,
        stream: u16,
        credentials: Credentials,
    ) -> Result<(), SignalError> {
        if self.is_former(stream, &credentials.ufrag) {
            return Err(SignalError::OldGeneration(credentials.ufrag.to_string()));
        }
        let known = self.checks.checklist(stream).and_then(|list| list.remote.as_ref());
        let was_lite = known.map(|remote| remote.credentials.lite);
        let known = known.map(|remote| (remote.credentials.ufrag.clone(), &remote.credentials.pwd));
        match known {
            None => {}
            Some((ufrag, pwd)) if ufrag == credentials.ufrag && *pwd == credentials.pwd => {
                // RFC 8445 §9: a peer becomes lite, or full, with a restart.
                return if was_lite == Some(credentials.lite) {
                    Ok(())
                } else {
                    Err(SignalError::HalfRestart)
                };
            }
            Some((ufrag, pwd)) if ufrag == credentials.ufrag || *pwd == credentials.pwd => {
                return Err(SignalError::HalfRestart);
            }
            Some((ufrag, _)) => {
                if self.heard(stream) > self.checks.generation.0 {
                    self.begin_session(now);
                } else {
                    self.forget(stream, ufrag);
                    self.checks.forget_peer(stream);
                }
            }
        }
        self.count_generation(stream);
        self.take_credentials(now, stream, credentials);
        Ok(())
    }

    /// One more generation of the peer. The first stream leads: another one that was added later has heard fewer, and is as
    /// far as the first one with what it hears first.
    fn count_generation(&mut self, stream: u16) {
        let is_first = self.checks.checklist(stream).is_some_and(|list| list.remote.is_none());
        let lists = self.checks.checklists().iter().zip(&self.heard);
        let leader = lists.filter(|(list, _)| !list.is_removed()).map(|(_, heard)| *heard).next();
        if let Some(heard) = self.heard.get_mut(usize::from(stream)) {
            *heard = (*heard + 1).max(leader.filter(|_| is_first).unwrap_or(0));
        }
    }

    /// How many generations of the peer were taken.
    fn heard(&self, stream: u16) -> u32 {
        self.heard.get(usize::from(stream)).copied().unwrap_or(0)
    }

    fn is_former(&self, stream: u16, ufrag: &Ufrag) -> bool {
        self.former.iter().any(|(of, former)| *of == stream && former == ufrag)
    }

    /// Remembers a ufrag of the peer that is not in force any more: what still comes of it is late.
    pub(super) fn forget(&mut self, stream: u16, ufrag: Ufrag) {
        if self.former.len() >= MAX_FORMER {
            self.former.remove(0);
        }
        self.former.push((stream, ufrag));
    }

    fn take_credentials(&mut self, now: Instant, stream: u16, credentials: Credentials) {
        self.learn_trickle(&credentials);
        let joins = self.checks.checklist(stream).is_some_and(Checklist::joins);
        if let Some(role) = self.checks.set_remote_credentials(stream, credentials) {
            self.follow_role(role);
        }
        if joins {
            self.pac_over = false;
            self.checks.regain_patience();
        }
        if joins || (self.pac.deadline().is_none() && !self.pac_over) {
            // RFC 8863 §4: the time that a check takes to fail.
            self.pac.set(now + lifetime(RTO));
        }
        if stream == ComponentId::FIRST.stream {
            self.prepare_hard(now);
        }
        self.update_state(now);
        self.follow_checks(now);
    }

    fn take_candidate(&mut self, now: Instant, stream: u16, candidate: Candidate) -> Result<(), SignalError> {
        let component = ComponentId { stream, component: candidate.component };
        if self.flow_of(component).is_none() {
            return Err(SignalError::UnknownComponent(candidate.component));
        }
        self.checks.note_component(component);
        match (candidate.transport, candidate.tcp_type) {
            (Transport::Tcp, _) if self.config.tcp.is_none() => {
                return Err(SignalError::Unsupported("a TCP candidate"));
            }
            (Transport::Tcp, Some(TcpType::SimultaneousOpen)) => {
                return Err(SignalError::Unsupported("a TCP candidate for simultaneous open"));
            }
            _ => {}
        }
        match candidate.address {
            Address::Socket(addr) => self.admit_candidate(now, component, addr, candidate),
            Address::Name { .. } => self.ask_name(component, candidate),
        }
    }

    /// Takes a remote candidate at `addr`, which its name stands for if it has one.
    pub(super) fn admit_candidate(
        &mut self,
        now: Instant,
        component: ComponentId,
        addr: SocketAddr,
        candidate: Candidate,
    ) -> Result<(), SignalError> {
        let has_loopback = self.bases.iter().any(|(_, base)| base.addr.ip().is_loopback());
        if !self.config.remote_filter.admits(addr, has_loopback) {
            return Err(SignalError::Address(addr));
        }
        self.record_candidate_at(now, Side::Remote, &candidate, addr);
        let bases = &self.bases;
        let permission = |base| match bases.get(base).map(|base| base.via) {
            Some(Via::Relay(_)) => Permission::Needed,
            _ => Permission::Granted,
        };
        let added = self.checks.add_remote(component, addr, candidate, permission);
        added.map_err(SignalError::TooMany)?;
        self.ask_permissions(now);
        Ok(())
    }

    /// The state that follows from what is known, announced if it changed.
    pub(super) fn update_state(&mut self, now: Instant) {
        if self.is_over() {
            return;
        }
        let lists = self.checks.checklists();
        let heard = lists.iter().any(|list| list.remote.is_some());
        // After a restart the checks of the new session decide, once the peer has answered it.
        let generation = self.checks.generation;
        let mut losses = self.flows.iter().filter_map(|flow| flow.lost);
        let lost = losses.any(|lost| lost.generation == generation || !heard);
        // A stream that failed does not hold the others back (RFC 8445 §8.1.2).
        let has_failed = |list: &Checklist| list.state == ChecklistState::Failed;
        let all_failed = lists.iter().all(has_failed);
        let counts = |list: &&Checklist| all_failed || !has_failed(list);
        let is_on = |flow: &&Flow| {
            let checklist = self.checks.checklist(flow.component.stream);
            self.checks.is_shared(flow.component) && checklist.as_ref().is_some_and(counts)
        };
        let state = if lost {
            State::Disconnected
        } else if lists.iter().filter(counts).all(Checklist::is_selected) {
            State::Completed
        } else if self.flows.iter().filter(is_on).all(|flow| flow.path.is_some()) {
            State::Connected
        } else if heard {
            State::Checking
        } else if self.bases.is_empty() {
            State::New
        } else {
            State::Gathering
        };
        if state == self.state {
            return;
        }
        self.state = state;
        self.record_state(now, state);
        self.events.push_back(Event::State(state));
        match state {
            State::Completed => {
                self.give_up.stop();
                self.free.completed(now);
            }
            State::Disconnected => self.give_up.set(now + GIVE_UP),
            _ => {}
        }
    }
}

/// An agent without consent waits this long for the peer to come back some other way.
pub(super) const GIVE_UP: Duration = Duration::from_secs(30);
