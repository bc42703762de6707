//! `rtc-ice`. Its embedder gathers. A check that was asked for runs as soon as the agent may: with its next timeout, which
//! it wants at once.

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use floe::Role;
use floe::credentials::Credentials;
use floe::signal::{Signal, What};
use floe::sim::Wish;
use rtc_ice::candidate::candidate_host::CandidateHostConfig;
use rtc_ice::candidate::candidate_relay::CandidateRelayConfig;
use rtc_ice::candidate::candidate_server_reflexive::CandidateServerReflexiveConfig;
use rtc_ice::candidate::{Candidate, CandidateConfig, unmarshal_candidate};
use rtc_ice::state::ConnectionState;
use rtc_ice::{Agent, AgentConfig, crypto};
use rtc_shared::{TransportContext, TransportMessage, TransportProtocol};
use sansio::Protocol;

use crate::meter::metered;
use crate::peer::{Contender, Gathering, Local, Peer, Start};

pub(crate) const CONTENDERS: [Contender; 3] = [
    Contender { name: "rtc-ice", settings: "default", make: |start| Box::new(Rtc::new(&start, None)) },
    Contender {
        name: "rtc-ice",
        settings: "checks every 50 ms, no wait before nomination",
        make: |start| Box::new(Rtc::new(&start, Some(50))),
    },
    Contender {
        name: "rtc-ice",
        settings: "checks every 5 ms, no wait before nomination",
        make: |start| Box::new(Rtc::new(&start, Some(5))),
    },
];

struct Rtc {
    agent: Agent,
    role: Role,
    remote: Option<Credentials>,
    signals: VecDeque<Signal>,
}

impl fmt::Debug for Rtc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rtc").field("state", &self.agent.state().to_string()).finish_non_exhaustive()
    }
}

impl Rtc {
    fn new(start: &Start, interval: Option<u64>) -> Self {
        let mut config =
            AgentConfig { is_controlling: start.role == Role::Controlling, ..AgentConfig::default() };
        if let Some(interval) = interval {
            config.check_interval = Duration::from_millis(interval);
            for wait in [
                &mut config.host_acceptance_min_wait,
                &mut config.srflx_acceptance_min_wait,
                &mut config.prflx_acceptance_min_wait,
                &mut config.relay_acceptance_min_wait,
            ] {
                *wait = Some(Duration::ZERO);
            }
        }
        let provider = crypto::default_provider().expect("cryptography");
        let agent = metered(|| Agent::new(start.now, Arc::new(config), provider)).expect("an agent");
        let local = agent.get_local_credentials();
        let (ufrag, pwd) = (local.ufrag.parse(), local.pwd.parse());
        let credentials = Credentials::new(ufrag.expect("a ufrag"), pwd.expect("a password"));
        let signals = [Signal::new(0, What::Credentials(credentials))].into();
        Self { agent, role: start.role, remote: None, signals }
    }
}

fn base_config(addr: SocketAddr) -> CandidateConfig {
    CandidateConfig {
        network: "udp".to_owned(),
        address: addr.ip().to_string(),
        port: addr.port(),
        component: 1,
        ..CandidateConfig::default()
    }
}

fn candidate_of(local: Local) -> Candidate {
    let candidate = match local {
        Local::Host(addr) => {
            CandidateHostConfig { base_config: base_config(addr), ..Default::default() }.new_candidate_host()
        }
        Local::Reflexive { base, mapped } => CandidateServerReflexiveConfig {
            base_config: base_config(mapped),
            rel_addr: base.ip().to_string(),
            rel_port: base.port(),
            url: None,
        }
        .new_candidate_server_reflexive(),
        Local::Relayed { base, relayed } => CandidateRelayConfig {
            base_config: base_config(relayed),
            rel_addr: base.ip().to_string(),
            rel_port: base.port(),
            url: None,
        }
        .new_candidate_relay(),
    };
    candidate.expect("a candidate")
}

impl Peer for Rtc {
    fn gathering(&self) -> Gathering {
        Gathering::OfEmbedder
    }

    fn add_local(&mut self, _: Instant, local: Local) {
        let candidate = candidate_of(local);
        let text = format!("candidate:{}", candidate.marshal());
        self.signals.push_back(Signal::new(0, What::Candidate(text.parse().expect("a candidate"))));
        // A pair of a reflexive candidate would be checked from its base, as that of the base is: one too many.
        if !matches!(local, Local::Reflexive { .. }) {
            metered(|| self.agent.add_local_candidate(candidate)).expect("a new candidate");
        }
    }

    fn end_of_local(&mut self, _: Instant) {
        self.signals.push_back(Signal::new(0, What::EndOfCandidates));
    }

    fn handle_signal(&mut self, now: Instant, signal: &Signal) {
        match &signal.what {
            What::Credentials(credentials) => self.remote = Some(credentials.clone()),
            What::Candidate(candidate) => {
                let text = candidate.to_string();
                let text = text.trim_start_matches("candidate:");
                let candidate = unmarshal_candidate(text).expect("a candidate");
                metered(|| self.agent.add_remote_candidate(candidate)).expect("a new candidate");
            }
            _ => {
                let remote = self.remote.take().expect("credentials come first");
                let (ufrag, pwd) = (remote.ufrag.as_str().to_owned(), remote.pwd.as_str().to_owned());
                let is_controlling = self.role == Role::Controlling;
                metered(|| self.agent.start_connectivity_checks(now, is_controlling, ufrag, pwd))
                    .expect("a start");
            }
        }
    }

    fn handle_datagram(&mut self, now: Instant, local: SocketAddr, source: SocketAddr, payload: &[u8]) {
        let transport = TransportContext {
            local_addr: local,
            peer_addr: source,
            transport_protocol: TransportProtocol::UDP,
            ecn: None,
        };
        // What it refuses is lost.
        let message = BytesMut::from(payload);
        let _ = metered(|| self.agent.handle_read(TransportMessage { now, transport, message }));
    }

    fn handle_timeout(&mut self, now: Instant) {
        metered(|| self.agent.handle_timeout(now)).expect("a timeout");
    }

    fn poll(&mut self, _: Instant) -> Wish {
        while metered(|| self.agent.poll_event()).is_some() {}
        if let Some(signal) = self.signals.pop_front() {
            return Wish::Signal(signal);
        }
        self.signals = VecDeque::new();
        match metered(|| self.agent.poll_write()) {
            Some(message) => Wish::Transmit {
                source: message.transport.local_addr,
                destination: message.transport.peer_addr,
                payload: message.message.to_vec(),
            },
            None => Wish::Wait(metered(|| self.agent.poll_timeout())),
        }
    }

    fn is_usable(&self) -> bool {
        self.agent.get_selected_candidate_pair().is_some()
    }

    fn is_completed(&self) -> bool {
        matches!(self.agent.state(), ConnectionState::Connected | ConnectionState::Completed)
    }
}
