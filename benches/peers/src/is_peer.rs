//! `is`. Its embedder gathers, and lets it act at once after whatever happened: a datagram, the peer's candidates.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use floe::Role;
use floe::credentials::Credentials;
use floe::signal::{Signal, What};
use floe::sim::Wish;
use is::stun::{StunMessage, StunPacket};
use is::{Candidate, IceAgent, IceAgentEvent, IceCreds, Protocol};

use crate::meter::metered;
use crate::peer::{Contender, Gathering, Local, Peer, Start};

pub(crate) const CONTENDERS: [Contender; 4] = [
    Contender { name: "is", settings: "default", make: |start| Box::new(Is::new(&start, 50, 250)) },
    Contender { name: "is", settings: "Ta 5 ms", make: |start| Box::new(Is::new(&start, 5, 250)) },
    Contender { name: "is", settings: "RTO 50 ms", make: |start| Box::new(Is::new(&start, 50, 50)) },
    Contender { name: "is", settings: "Ta 5 ms, RTO 50 ms", make: |start| Box::new(Is::new(&start, 5, 50)) },
];

#[derive(Debug)]
struct Is {
    agent: IceAgent,
    signals: VecDeque<Signal>,
    is_usable: bool,
}

impl Is {
    fn new(start: &Start, ta: u64, rto: u64) -> Self {
        let mut agent = metered(|| IceAgent::new(IceCreds::new()));
        agent.set_controlling(start.role == Role::Controlling);
        agent.set_timing_advance(Duration::from_millis(ta));
        agent.set_initial_stun_rto(Duration::from_millis(rto));
        let creds = agent.local_credentials();
        let (ufrag, pwd) = (creds.ufrag.parse(), creds.pass.parse());
        let mut credentials = Credentials::new(ufrag.expect("a ufrag"), pwd.expect("a password"));
        credentials.pacing = Some(Duration::from_millis(ta));
        let signals = [Signal::new(0, What::Credentials(credentials))].into();
        metered(|| agent.handle_timeout(start.now));
        Self { agent, signals, is_usable: false }
    }

    fn signal(&mut self, candidate: &Candidate) {
        let text = candidate.to_sdp_string().trim_start_matches("a=").to_owned();
        let candidate = text.parse().expect("a candidate");
        self.signals.push_back(Signal::new(0, What::Candidate(candidate)));
    }
}

impl Peer for Is {
    fn gathering(&self) -> Gathering {
        Gathering::OfEmbedder
    }

    fn add_local(&mut self, _: Instant, local: Local) {
        let (candidate, is_sent_from) = match local {
            Local::Host(addr) => (Candidate::host(addr, "udp"), true),
            // It sends from the base alone: what a STUN server saw is for the peer only.
            Local::Reflexive { base, mapped } => (Candidate::server_reflexive(mapped, base, "udp"), false),
            Local::Relayed { base, relayed } => (Candidate::relayed(relayed, base, "udp"), true),
        };
        let candidate = candidate.expect("an address");
        if is_sent_from {
            let added = metered(|| self.agent.add_local_candidate(candidate)).cloned();
            self.signal(&added.expect("a new candidate"));
        } else {
            self.signal(&candidate);
        }
    }

    fn end_of_local(&mut self, _: Instant) {
        self.signals.push_back(Signal::new(0, What::EndOfCandidates));
    }

    fn handle_signal(&mut self, now: Instant, signal: &Signal) {
        match &signal.what {
            What::Credentials(credentials) => {
                let (ufrag, pass) = (credentials.ufrag.as_str().into(), credentials.pwd.as_str().into());
                metered(|| self.agent.set_remote_credentials(IceCreds { ufrag, pass }));
            }
            What::Candidate(candidate) => {
                let candidate = Candidate::from_sdp_string(&candidate.to_string()).expect("a candidate");
                metered(|| self.agent.add_remote_candidate(candidate));
            }
            // All of a description is known before it acts.
            _ => metered(|| self.agent.handle_timeout(now)),
        }
    }

    fn handle_datagram(&mut self, now: Instant, local: SocketAddr, source: SocketAddr, payload: &[u8]) {
        metered(|| {
            let Ok(message) = StunMessage::parse(payload) else { return };
            let packet = StunPacket { proto: Protocol::Udp, source, destination: local, message };
            self.agent.handle_packet(now, packet);
            self.agent.handle_timeout(now);
        });
    }

    fn handle_timeout(&mut self, now: Instant) {
        metered(|| self.agent.handle_timeout(now));
    }

    fn poll(&mut self, _: Instant) -> Wish {
        while let Some(event) = metered(|| self.agent.poll_event()) {
            self.is_usable |= matches!(event, IceAgentEvent::NominatedSend { .. });
        }
        if let Some(signal) = self.signals.pop_front() {
            return Wish::Signal(signal);
        }
        self.signals = VecDeque::new();
        match metered(|| self.agent.poll_transmit()) {
            Some(transmit) => Wish::Transmit {
                source: transmit.source,
                destination: transmit.destination,
                payload: transmit.contents.into(),
            },
            None => Wish::Wait(metered(|| self.agent.poll_timeout())),
        }
    }

    fn is_usable(&self) -> bool {
        self.is_usable
    }

    fn is_completed(&self) -> bool {
        // Its own `Completed` also waits for all other pairs; nominated is what the others call completed.
        self.agent.state().is_connected()
    }
}
