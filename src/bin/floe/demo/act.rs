//! One way to connect two endpoints over real sockets, shown from the first candidate to the last byte.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use floe::io::ComponentId;
use floe::net::{Endpoint, Session};
use floe::signal::{Signal, What};
use floe::trace::Ladder;
use floe::{Config, Event, Role, State};

use super::{heading, ms};
use crate::exit::Exit;
use crate::lines::print;

/// Datagrams each way.
const COUNT: u32 = 50;
/// Bytes of each.
const SIZE: usize = 1000;
/// Longer than any of it takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is shown, and what has to come of it.
pub(super) struct Act {
    pub(super) title: &'static str,
    pub(super) about: &'static str,
    /// The address of both endpoints.
    pub(super) bind: &'static str,
    /// The types of the selected pair that prove it.
    pub(super) kinds: [&'static str; 2],
}

/// One endpoint, as far as the demo looks at it.
struct Side {
    name: &'static str,
    session: Session,
    /// Signals that wait until both have gathered: the acts differ in what was gathered, not in who was faster.
    held: Vec<Signal>,
    gathered: bool,
    candidates: Vec<String>,
    usable: Option<Duration>,
    selected: Option<[(&'static str, String); 2]>,
    problems: Vec<String>,
}

impl Act {
    pub(super) async fn play(&self, configure: impl Fn(Config) -> Config) -> Result<(), Exit> {
        heading(self.title);
        print(&self.about);
        let bind: IpAddr = self.bind.parse().map_err(Exit::failure)?;
        let endpoint = Endpoint::builder().addresses([bind]).bind().await.map_err(Exit::failure)?;
        let start = now();
        let side = |name, role| Side {
            name,
            session: endpoint.open(configure(endpoint.config(role).trace(512))),
            held: Vec::new(),
            gathered: false,
            candidates: Vec::new(),
            usable: None,
            selected: None,
            problems: Vec::new(),
        };
        let mut sides = [side("alice", Role::Controlling), side("bob", Role::Controlled)];
        let connected = tokio::time::timeout(PATIENCE, connect(&mut sides, start)).await;
        let completed = start.elapsed();
        let [alice, bob] = &sides;
        print(&"");
        for side in [alice, bob] {
            for candidate in &side.candidates {
                print(&format!("{:<6} {candidate}", side.name));
            }
        }
        let traces = (alice.session.trace().await, bob.session.trace().await);
        let ladder = Ladder::new(start, (alice.name, &traces.0), (bob.name, &traces.1));
        print(&format!("\n{}", ladder.to_string().trim_end()));
        for side in [alice, bob] {
            for problem in &side.problems {
                print(&format!("{}: {problem}", side.name));
            }
        }
        match connected {
            Err(_) => return Err(Exit::failure(format!("{}: not connected after {PATIENCE:?}", self.title))),
            Ok(connected) => connected?,
        }
        self.show_result(alice, bob, completed)?;
        exchange(&alice.session, &bob.session).await?;
        print(&format!(
            "data      {COUNT} datagrams of {SIZE} bytes each way, all of them intact; the path takes up to {} bytes",
            alice.session.max_payload(ComponentId::FIRST).unwrap_or_default()
        ));
        let [alice, bob] = sides;
        tokio::join!(alice.session.close(), bob.session.close());
        Ok(())
    }

    fn show_result(&self, alice: &Side, bob: &Side, completed: Duration) -> Result<(), Exit> {
        let Some([(local, local_addr), (remote, remote_addr)]) = &alice.selected else {
            return Err(Exit::failure(format!("{}: alice has selected no pair", self.title)));
        };
        print(&format!("\nselected  alice {local} {local_addr}  ↔  bob {remote} {remote_addr}"));
        if let (Some(first), Some(second)) = (alice.usable, bob.usable) {
            let (first, second) = (ms(first), ms(second));
            print(&format!(
                "usable    alice after {first}, bob after {second}; nominated after {}",
                ms(completed)
            ));
        }
        for side in [alice, bob] {
            let kinds = side.selected.as_ref().map(|selected| selected.each_ref().map(|(kind, _)| *kind));
            if kinds != Some(self.kinds) {
                let (title, name, wanted) = (self.title, side.name, self.kinds);
                return Err(Exit::failure(format!(
                    "{title}: {name} selected {kinds:?} instead of {wanted:?}"
                )));
            }
        }
        Ok(())
    }
}

/// Carries signals until both have completed.
async fn connect(sides: &mut [Side; 2], start: Instant) -> Result<(), Exit> {
    let done = |side: &Side| side.session.state() == State::Completed && side.selected.is_some();
    while !sides.iter().all(done) {
        let [alice, bob] = &*sides;
        let (from, event) = tokio::select! {
            event = alice.session.event() => (0, event),
            event = bob.session.event() => (1, event),
        };
        let [a, b] = &mut *sides;
        let side = if from == 0 { &mut *a } else { &mut *b };
        match event {
            Some(event) => follow(side, event, start)?,
            None => return Err(Exit::failure(format!("the session of {} is over", side.name))),
        }
        if a.gathered && b.gathered {
            deliver(a, b).await?;
            deliver(b, a).await?;
        }
    }
    Ok(())
}

async fn deliver(from: &mut Side, to: &Side) -> Result<(), Exit> {
    for signal in from.held.drain(..) {
        to.session.signal(signal).await.map_err(Exit::failure)?;
    }
    Ok(())
}

fn follow(from: &mut Side, event: Event, start: Instant) -> Result<(), Exit> {
    match event {
        Event::Signal(signal) => {
            if let What::Candidate(candidate) = &signal.what {
                from.candidates.push(candidate.to_string());
            }
            from.gathered |= signal.what == What::EndOfCandidates;
            from.held.push(signal);
        }
        Event::Path { path: Some(_), .. } => {
            from.usable.get_or_insert(start.elapsed());
        }
        Event::Selected { local, remote, .. } => {
            let end = |candidate: &floe::candidate::Candidate| {
                let address = candidate.address.socket().map_or_else(String::new, |addr| addr.to_string());
                (candidate.kind.as_str(), address)
            };
            from.selected = Some([end(&local), end(&remote)]);
        }
        Event::Server { problem, .. } => from.problems.push(problem.to_string()),
        Event::Failed(reason) => return Err(Exit::failure(format!("{}: {reason}", from.name))),
        _ => {}
    }
    Ok(())
}

/// Sends datagrams both ways, one after the other, and compares every byte.
async fn exchange(alice: &Session, bob: &Session) -> Result<(), Exit> {
    let mut buf = vec![0; 2 * SIZE];
    for number in 0..COUNT {
        for (from, to, name) in [(alice, bob, "alice"), (bob, alice, "bob")] {
            let mut payload = format!("{name} {number} ").into_bytes();
            payload.resize(SIZE, number as u8);
            from.send(ComponentId::FIRST, &payload).await.map_err(Exit::failure)?;
            let received = tokio::time::timeout(PATIENCE, to.recv(&mut buf)).await;
            let received =
                received.map_err(|_| Exit::failure(format!("datagram {number} of {name} is lost")))?;
            let (_, len) = received.map_err(Exit::failure)?;
            if buf.get(..len) != Some(&payload[..]) {
                return Err(Exit::failure(format!("datagram {number} of {name} is damaged")));
            }
        }
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the demo shows real time")]
fn now() -> Instant {
    Instant::now()
}
