//! `floe gather`: the candidates of this machine, as they come.

use std::time::Instant;

use floe::agent::Policy;
use floe::candidate::Candidate;
use floe::signal::What;
use floe::{Event, Role};

use crate::addresses::Addresses;
use crate::exit::Exit;
use crate::lines;
use crate::servers::Servers;

/// Show which candidates this machine has
///
/// Prints host candidates at once, server-reflexive and relayed ones as the servers answer, and what is wrong with
/// servers that do not.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  floe gather --stun stun:stun.example.org --turn turn:203.0.113.1 --turn-username ann --turn-password secret

Exit status: 0 if there is a candidate and every server gave one, else 1, 2 for a usage error")]
pub(crate) struct Args {
    #[command(flatten)]
    servers: Servers,
    #[command(flatten)]
    addresses: Addresses,
    /// Relayed candidates only
    #[arg(long)]
    relay: bool,
}

pub(crate) async fn run(args: Args) -> Result<(), Exit> {
    args.servers.check()?;
    let endpoint =
        args.addresses.endpoint().trust(args.servers.trust()?).bind().await.map_err(Exit::failure)?;
    let policy = if args.relay { Policy::Relay } else { Policy::All };
    let mut problems = 0;
    let complain = |problem| {
        eprintln!("floe: {problem}");
        problems += 1;
    };
    let config = args.addresses.add_to(endpoint.config(Role::Controlling).policy(policy));
    let (config, names) = args.servers.add_to(config, complain).await?;
    let start = now();
    let session = endpoint.open(config);
    let mut candidates = 0;
    lines::print(
        &"      ms  type   address                                          priority  related address",
    );
    while let Some(event) = session.event().await {
        let ms = lines::millis(start.elapsed());
        match event {
            Event::Signal(signal) => match signal.what {
                What::Candidate(candidate) => {
                    candidates += 1;
                    lines::print(&row(ms, &candidate));
                }
                What::EndOfCandidates => break,
                _ => {}
            },
            Event::Server { server, base, problem } => {
                problems += 1;
                eprintln!("floe: {} from {base}: {problem}", names.of(server));
            }
            _ => {}
        }
    }
    session.close().await;
    match (candidates, problems) {
        (0, _) => Err(Exit::failure("no candidate")),
        (_, 0) => Ok(()),
        (_, 1) => Err(Exit::failure("one server gave no candidate")),
        (_, problems) => Err(Exit::failure(format!("{problems} problems with servers"))),
    }
}

fn row(ms: f64, candidate: &Candidate) -> String {
    let address = candidate.address.to_string();
    let related = candidate.related.map_or_else(String::new, |related| related.to_string());
    let (kind, priority) = (candidate.kind.as_str(), candidate.priority);
    let tcp = candidate.tcp_type.map_or_else(String::new, |direction| format!("tcp {}", direction.as_str()));
    let row = format!("{ms:8.1}  {kind:5}  {address:47}  {priority:>10}  {related}");
    format!("{} {tcp}", row.trim_end()).trim_end().to_owned()
}

#[expect(clippy::disallowed_methods, reason = "a command shows real time")]
fn now() -> Instant {
    Instant::now()
}
