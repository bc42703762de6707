//! `floe peer`: one ICE agent as a process, with JSON lines on stdin and stdout for signaling, data and commands.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use floe::agent::Policy;
use floe::io::ComponentId;
use floe::net::Session;
use floe::signal::{Signal, What};
use floe::{Event, Role, State};

use crate::addresses::Addresses;
use crate::exit::{self, Exit};
use crate::known_nat::KnownNat;
use crate::lines::{self, Line, Out, Stats};
use crate::servers::{Names, Servers};

/// One ICE agent that speaks JSON lines on stdin and stdout
///
/// Whoever runs two of them is the signaling channel: it copies the lines of type credentials, candidate and
/// end-of-candidates from one to the other.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Lines out: credentials, candidate, end-of-candidates, state, selected, data, error, stats,
           diagnosis
Lines in:  credentials, candidate, end-of-candidates (the other side's), and
           {\"type\":\"send\",\"text\":…}  {\"type\":\"burst\",\"count\":N,\"size\":BYTES}  {\"type\":\"stats\"}
           {\"type\":\"diagnosis\"}  {\"type\":\"restart\"}  {\"type\":\"close\"}

Example, two machines and a pipe:
  mkfifo f
  floe peer --controlling <f | ssh HOST floe peer --controlled >f

Exit status: 0 after close, the end of stdin or an interrupt, 1 after failed, 2 for a usage error")]
pub(crate) struct Args {
    /// Nominate: one of the two does, usually the one that calls
    #[arg(long, conflicts_with = "controlled")]
    controlling: bool,
    /// Follow the other side's nomination (default)
    #[arg(long)]
    controlled: bool,
    #[command(flatten)]
    servers: Servers,
    /// Which candidates may be used: all, or relayed ones only
    #[arg(long, value_enum, default_value_t = PolicyArg::All)]
    policy: PolicyArg,
    /// Print no candidate before gathering has ended
    #[arg(long)]
    no_trickle: bool,
    /// A lite agent: for a host with a public address; it answers checks and sends none
    #[arg(long)]
    lite: bool,
    #[command(flatten)]
    addresses: Addresses,
    #[command(flatten)]
    nat: KnownNat,
    /// Send back whatever arrives
    #[arg(long)]
    echo: bool,
    /// Fail if there is no connection so many seconds after the remote credentials
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    timeout: Option<Duration>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum PolicyArg {
    All,
    Relay,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds| *seconds > 0.0);
    let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    duration.ok_or_else(|| "not a number of seconds above 0".to_owned())
}

pub(crate) async fn run(args: Args) -> Result<(), Exit> {
    args.servers.check()?;
    args.nat.check()?;
    let endpoint =
        args.addresses.endpoint().trust(args.servers.trust()?).bind().await.map_err(Exit::failure)?;
    let role = if args.controlling { Role::Controlling } else { Role::Controlled };
    let policy = match args.policy {
        PolicyArg::All => Policy::All,
        PolicyArg::Relay => Policy::Relay,
    };
    let config = args.addresses.add_to(endpoint.config(role).policy(policy));
    let mut config = args.nat.add_to(config);
    if args.lite {
        config = config.lite();
    }
    let (out, rest) = Out::new();
    let mut problems = Vec::new();
    let (config, names) = args.servers.add_to(config, |problem| problems.push(problem)).await?;
    for problem in problems {
        out.error(problem).await;
    }
    let mut peer = Peer {
        out,
        session: Arc::new(endpoint.open(config)),
        names,
        echo: args.echo,
        held: args.no_trickle.then(Vec::new),
        timeout: args.timeout,
        since: None,
        deadline: None,
    };
    let result = peer.run().await;
    drop(peer);
    rest.printed().await;
    result
}

struct Peer {
    out: Out,
    session: Arc<Session>,
    names: Names,
    echo: bool,
    /// Without trickling: candidates that wait for the end of gathering.
    held: Option<Vec<Signal>>,
    timeout: Option<Duration>,
    /// When the remote credentials arrived.
    since: Option<Instant>,
    /// When `--timeout` is over, unless it is connected by then.
    deadline: Option<Instant>,
}

impl Peer {
    async fn run(&mut self) -> Result<(), Exit> {
        let mut input = lines::stdin();
        let mut buf = vec![0; 65_536];
        let (session, out) = (self.session.clone(), self.out.clone());
        let mut interrupted = std::pin::pin!(exit::interrupted());
        loop {
            let deadline = self.deadline;
            let timeout = async move {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                event = session.event() => match event {
                    Some(event) => if self.follow(event).await.is_break() {
                        self.explain().await;
                        return Err(Exit::Told);
                    },
                    None => return Ok(()),
                },
                Ok((component, len)) = session.recv(&mut buf) => self.show_data(component, &buf[..len]).await,
                line = input.recv() => {
                    let ended = match line {
                        Some(line) => self.take_line(line).await.is_break(),
                        None => true,
                    };
                    if ended {
                        return self.close().await;
                    }
                }
                // Allocations are given back, as at the end of the input.
                () = &mut interrupted => return self.close().await,
                () = out.closed() => return self.close().await,
                () = timeout => {
                    self.out.error("not connected in time".to_owned()).await;
                    self.show_state(State::Failed).await;
                    self.explain().await;
                    session.close().await;
                    return Err(Exit::Told);
                }
            }
        }
    }

    async fn close(&self) -> Result<(), Exit> {
        self.session.close().await;
        self.show_state(State::Closed).await;
        Ok(())
    }

    /// Shows what happened; breaks at the end of the session.
    async fn follow(&mut self, event: Event) -> ControlFlow<()> {
        match event {
            Event::Signal(signal) => self.show_signal(signal).await,
            Event::State(state) => {
                if matches!(state, State::Connected | State::Completed) {
                    self.deadline = None;
                }
                self.show_state(state).await;
                if state == State::Failed {
                    return ControlFlow::Break(());
                }
            }
            Event::Selected { local, remote, .. } => {
                let (local, remote) = (local.to_string(), remote.to_string());
                self.out.report(&Line::Selected { local, remote, ms: self.ms() }).await;
            }
            Event::Server { server, base, problem } => {
                let name = self.names.of(server);
                self.out.error(format!("{name} from {base}: {problem}")).await;
            }
            Event::Failed(reason) => self.out.error(reason.to_string()).await,
            // Whoever is first: restarts that cross are one.
            Event::RestartNeeded(_) => self.session.restart().await,
            _ => {}
        }
        ControlFlow::Continue(())
    }

    async fn show_signal(&mut self, signal: Signal) {
        match (&mut self.held, &signal.what) {
            (Some(held), What::Candidate(_)) => held.push(signal),
            (Some(held), What::EndOfCandidates) => {
                for held in held.drain(..) {
                    self.out.json(&held).await;
                }
                self.out.json(&signal).await;
            }
            _ => self.out.json(&signal).await,
        }
    }

    async fn show_state(&self, state: State) {
        self.out.report(&Line::State { state: state.as_str(), ms: self.ms() }).await;
    }

    /// Milliseconds since the remote credentials arrived, 0 before.
    fn ms(&self) -> f64 {
        self.since.map_or(0.0, |since| lines::millis(since.elapsed()))
    }

    async fn show_data(&self, component: ComponentId, data: &[u8]) {
        self.out.report(&Line::Data { text: String::from_utf8_lossy(data) }).await;
        if self.echo
            && let Err(problem) = self.session.send(component, data).await
        {
            self.out.error(format!("echo: {problem}")).await;
        }
    }

    /// Does what a line of stdin says; breaks on `close`.
    async fn take_line(&mut self, line: Result<String, &'static str>) -> ControlFlow<()> {
        let line = match line {
            Ok(line) if line.trim().is_empty() => return ControlFlow::Continue(()),
            Ok(line) => serde_json::from_str(&line).map_err(|problem| problem.to_string()),
            Err(problem) => Err(problem.to_owned()),
        };
        let line: Value = match line {
            Ok(line) => line,
            Err(problem) => {
                self.out.error(format!("malformed line: {problem}")).await;
                return ControlFlow::Continue(());
            }
        };
        let done = match line["type"].as_str() {
            Some("credentials" | "candidate" | "end-of-candidates") => self.take_signal(line).await,
            Some("send") => self.send(&line).await,
            Some("burst") => self.burst(&line),
            Some("stats") => {
                self.show_stats().await;
                Ok(())
            }
            Some("restart") => {
                self.session.restart().await;
                Ok(())
            }
            Some("diagnosis") => {
                self.show_diagnosis().await;
                Ok(())
            }
            Some("close") => return ControlFlow::Break(()),
            // A later version's line.
            Some(_) => Ok(()),
            None => Err("malformed line: type: is missing".to_owned()),
        };
        if let Err(problem) = done {
            self.out.error(problem).await;
        }
        ControlFlow::Continue(())
    }

    async fn take_signal(&mut self, line: Value) -> Result<(), String> {
        let signal: Signal = serde_json::from_value(line).map_err(|problem| problem.to_string())?;
        let first_credentials = self.since.is_none() && matches!(signal.what, What::Credentials(_));
        let arrived = Instant::now();
        if first_credentials {
            self.since = Some(arrived);
        }
        match self.session.signal(signal).await {
            Ok(()) if first_credentials => self.deadline = self.timeout.map(|timeout| arrived + timeout),
            Ok(()) => {}
            Err(problem) => {
                if first_credentials {
                    self.since = None;
                }
                return Err(problem.to_string());
            }
        }
        Ok(())
    }

    async fn send(&self, line: &Value) -> Result<(), String> {
        let text = line["text"].as_str().ok_or("send: text: is not a string")?;
        let sent = self.session.send(ComponentId::FIRST, text.as_bytes()).await;
        sent.map_err(|problem| format!("send: {problem}"))
    }

    fn burst(&self, line: &Value) -> Result<(), String> {
        let count = line["count"].as_u64().ok_or("burst: count: is not a number")?;
        let size = line["size"].as_u64().ok_or("burst: size: is not a number")?;
        let size = usize::try_from(size).ok().filter(|size| *size <= 65_535);
        let size = size.ok_or("burst: size: is above 65535")?;
        let (session, out) = (self.session.clone(), self.out.clone());
        tokio::spawn(async move {
            for number in 1..=count {
                let mut payload = format!("burst {number} ").into_bytes();
                payload.resize(size.max(payload.len()), b'.');
                if let Err(problem) = session.send(ComponentId::FIRST, &payload).await {
                    out.error(format!("burst: datagram {number} of {count}: {problem}")).await;
                    return;
                }
            }
        });
        Ok(())
    }

    async fn show_diagnosis(&self) {
        if let Some(diagnosis) = self.session.diagnosis().await {
            let causes = diagnosis.causes.iter().map(Into::into).collect();
            self.out.json(&Line::Diagnosis { causes, text: diagnosis.to_string() }).await;
        }
    }

    /// For whoever reads stderr: why it failed.
    async fn explain(&self) {
        if let Some(diagnosis) = self.session.diagnosis().await {
            eprint!("{diagnosis}");
        }
    }

    async fn show_stats(&self) {
        let stats = self.session.stats().await;
        let stats = Stats {
            packets_sent: stats.packets_sent,
            bytes_sent: stats.bytes_sent,
            packets_received: stats.agent.packets_received,
            bytes_received: stats.agent.bytes_received,
            packets_discarded_on_send: stats.packets_discarded_on_send,
            packets_discarded_on_receive: stats.packets_discarded_on_receive,
            send_errors: stats.send_errors,
            receive_errors: stats.receive_errors,
            datagrams_dropped: stats.agent.datagrams_dropped,
            datagrams_unclaimed: stats.unclaimed,
            signals_refused: stats.agent.signals_refused,
            max_payload: self.session.max_payload(ComponentId::FIRST),
        };
        self.out.report(&Line::Stats(stats)).await;
    }
}
