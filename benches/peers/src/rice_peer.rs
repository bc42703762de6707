//! `rice-proto`. It gathers by itself, and is polled after whatever happened until it waits and has nothing to send.

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use floe::Role;
use floe::credentials::Credentials;
use floe::signal::{Signal, What};
use floe::sim::Wish;
use rice_proto::agent::{Agent, AgentPoll};
use rice_proto::candidate::TransportType;
use rice_proto::component::ComponentConnectionState;
use rice_proto::random_string;
use rice_proto::turn::{TurnConfig, TurnCredentials};
use stun_proto::agent::Transmit;

use crate::meter::metered;
use crate::networks::Server;
use crate::peer::{Contender, Gathering, Local, Peer, Start};

pub(crate) const CONTENDERS: [Contender; 4] = [
    Contender { name: "rice-proto", settings: "default", make: |start| Box::new(Rice::new(start, 50, None)) },
    Contender { name: "rice-proto", settings: "Ta 5 ms", make: |start| Box::new(Rice::new(start, 5, None)) },
    Contender {
        name: "rice-proto",
        settings: "RTO 50 ms",
        make: |start| Box::new(Rice::new(start, 50, Some(50))),
    },
    Contender {
        name: "rice-proto",
        settings: "Ta 5 ms, RTO 50 ms",
        make: |start| Box::new(Rice::new(start, 5, Some(50))),
    },
];

/// A TURN client has a socket of its own: this far above the port of the host candidate.
const TURN_PORTS: u16 = 100;
/// After so long candidates that are missing are not waited for.
const PATIENCE: Duration = Duration::from_secs(5);

struct Rice {
    agent: Agent,
    stream: usize,
    component: usize,
    epoch: Instant,
    server: Server,
    sockets: Vec<SocketAddr>,
    has_ended: bool,
    /// What the peer has said so far.
    heard: Vec<What>,
    signals: VecDeque<Signal>,
    is_usable: bool,
    is_completed: bool,
}

impl fmt::Debug for Rice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rice").field("is_completed", &self.is_completed).finish_non_exhaustive()
    }
}

impl Rice {
    fn new(start: Start, ta: u64, rto: Option<u64>) -> Self {
        let builder = Agent::builder().trickle_ice(true).controlling(start.role == Role::Controlling);
        let mut agent = metered(|| builder.timing_advance(Duration::from_millis(ta)).build());
        if let Some(rto) = rto.map(Duration::from_millis) {
            agent.set_request_retransmits(rto, Duration::MAX, 7, rto * 16);
        }
        let stream = agent.add_stream();
        let mut handle = agent.mut_stream(stream).expect("a stream");
        let component = handle.add_component().expect("a component");
        let (ufrag, passwd) = (random_string(8), random_string(24));
        let mut credentials =
            Credentials::new(ufrag.parse().expect("a ufrag"), passwd.parse().expect("a password"));
        credentials.pacing = Some(Duration::from_millis(ta));
        handle.set_local_credentials(rice_proto::stream::Credentials { ufrag, passwd });
        Self {
            agent,
            stream,
            component,
            epoch: start.now,
            server: start.server,
            sockets: Vec::new(),
            has_ended: false,
            heard: Vec::new(),
            signals: [Signal::new(0, What::Credentials(credentials))].into(),
            is_usable: false,
            is_completed: false,
        }
    }

    fn time(&self, now: Instant) -> stun_proto::Instant {
        stun_proto::Instant::from_nanos((now - self.epoch).as_nanos() as i64)
    }

    fn end(&mut self) {
        if !std::mem::replace(&mut self.has_ended, true) {
            self.agent.mut_stream(self.stream).expect("a stream").end_of_local_candidates();
            self.signals.push_back(Signal::new(0, What::EndOfCandidates));
        }
    }

    fn follow(&mut self, now: Instant, poll: AgentPoll) -> Option<stun_proto::Instant> {
        match poll {
            AgentPoll::WaitUntil(at) => return Some(at),
            AgentPoll::GatheredCandidate(candidate) => {
                let text = candidate.gathered.candidate.to_sdp_string();
                let mut stream = self.agent.mut_stream(self.stream).expect("a stream");
                if metered(|| stream.add_local_gathered_candidate(candidate.gathered)) {
                    let what = What::Candidate(text.parse().expect("a candidate"));
                    self.signals.push_back(Signal::new(0, what));
                }
            }
            AgentPoll::GatheringComplete(_) => self.end(),
            AgentPoll::SelectedPair(selected) => {
                let pair = selected.selected.candidate_pair().clone();
                // The agent's choice is told to the component, which sends data on it.
                let mut stream = self.agent.mut_stream(self.stream).expect("a stream");
                let mut component = stream.mut_component(self.component).expect("a component");
                metered(|| component.set_selected_pair(pair)).expect("a pair of the agent");
                self.is_usable = true;
            }
            AgentPoll::ComponentStateChange(change) => {
                self.is_completed = change.state == ComponentConnectionState::Connected;
            }
            AgentPoll::AllocateSocket(socket) => {
                let time = self.time(now);
                let mut stream = self.agent.mut_stream(self.stream).expect("a stream");
                let (from, to) = (socket.from, socket.to);
                stream.allocated_socket(socket.component_id, socket.transport, from, to, Ok(from), time);
            }
            AgentPoll::RemoveSocket(_) | AgentPoll::Closed => {}
        }
        None
    }
}

impl Peer for Rice {
    fn gathering(&self) -> Gathering {
        Gathering::Own
    }

    fn add_local(&mut self, _: Instant, local: Local) {
        if let Local::Host(addr) = local {
            self.sockets.push(addr);
        }
    }

    fn end_of_local(&mut self, _: Instant) {
        let sockets: Vec<_> = self.sockets.iter().map(|addr| (TransportType::Udp, *addr)).collect();
        let (mut stun, mut turn) = (Vec::new(), Vec::new());
        match &self.server {
            Server::None => {}
            Server::Stun(addr) => stun.push((TransportType::Udp, *addr)),
            Server::Turn(server) => {
                let credentials = TurnCredentials::new(&server.username, &server.password);
                let config = TurnConfig::new(TransportType::Udp, server.addr, credentials);
                turn.extend(
                    self.sockets
                        .iter()
                        .map(|addr| (SocketAddr::new(addr.ip(), addr.port() + TURN_PORTS), config.clone())),
                );
            }
        }
        let turn: Vec<_> = turn.iter().map(|(local, config)| (*local, config)).collect();
        let mut stream = self.agent.mut_stream(self.stream).expect("a stream");
        let mut component = stream.mut_component(self.component).expect("a component");
        metered(|| component.gather_candidates(&sockets, &stun, &turn)).expect("gathering");
    }

    fn handle_signal(&mut self, _: Instant, signal: &Signal) {
        self.heard.push(signal.what.clone());
        if signal.what != What::EndOfCandidates {
            return;
        }
        // All of a description is known before it acts.
        let mut stream = self.agent.mut_stream(self.stream).expect("a stream");
        for what in self.heard.drain(..) {
            match what {
                What::Credentials(credentials) => {
                    let (ufrag, passwd) =
                        (credentials.ufrag.as_str().into(), credentials.pwd.as_str().into());
                    let credentials = rice_proto::stream::Credentials { ufrag, passwd };
                    metered(|| stream.set_remote_credentials(credentials));
                }
                What::Candidate(candidate) => {
                    let text = format!("a={candidate}").replacen(" udp ", " UDP ", 1);
                    let candidate = text.parse().expect("a candidate");
                    metered(|| stream.add_remote_candidate(candidate));
                }
                _ => metered(|| stream.end_of_remote_candidates()),
            }
        }
    }

    fn handle_datagram(&mut self, now: Instant, local: SocketAddr, source: SocketAddr, payload: &[u8]) {
        let time = self.time(now);
        let transmit = Transmit::new(payload, TransportType::Udp, source, local);
        let mut stream = self.agent.mut_stream(self.stream).expect("a stream");
        metered(|| {
            let reply = stream.handle_incoming_data(self.component, transmit, time);
            if reply.have_more_data {
                while stream.poll_recv().is_some() {}
            }
        });
    }

    fn handle_timeout(&mut self, _: Instant) {}

    fn poll(&mut self, now: Instant) -> Wish {
        if now >= self.epoch + PATIENCE {
            self.end();
        }
        let time = self.time(now);
        let until = loop {
            let poll = metered(|| self.agent.poll(time));
            if let Some(until) = self.follow(now, poll) {
                break until;
            }
        };
        if let Some(signal) = self.signals.pop_front() {
            return Wish::Signal(signal);
        }
        self.signals = VecDeque::new();
        if let Some(transmit) = metered(|| self.agent.poll_transmit(time)) {
            let Transmit { data, from, to, .. } = transmit.transmit;
            return Wish::Transmit { source: from, destination: to, payload: data.into_vec() };
        }
        let until = self.epoch + Duration::from_nanos(until.as_nanos().max(0) as u64);
        let until = if self.has_ended { until } else { until.min(self.epoch + PATIENCE) };
        Wish::Wait(Some(until))
    }

    fn is_usable(&self) -> bool {
        self.is_usable
    }

    fn is_completed(&self) -> bool {
        self.is_completed
    }
}
