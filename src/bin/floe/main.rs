//! The `floe` command.

mod addresses;
mod demo;
mod exit;
mod gather;
mod known_nat;
mod lines;
mod map;
mod nat;
mod nat_alone;
mod nat_words;
mod peer;
mod probe;
mod server;
mod servers;
mod steps;

use clap::{Parser, Subcommand};

use exit::Exit;

/// ICE and NAT traversal from the shell: connect two peers, gather candidates, run a STUN and TURN server.
#[derive(Debug, Parser)]
#[command(name = "floe", version, max_term_width = 110)]
struct Floe {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Args),
    Peer(peer::Args),
    Server(server::Args),
    Gather(gather::Args),
    Map(map::Args),
    Stun(probe::Stun),
    Turn(probe::Turn),
    Nat(nat::Args),
}

fn main() -> std::process::ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let result = match Floe::parse().command {
        Command::Demo(args) => block_on(demo::run(args)),
        Command::Peer(args) => block_on(peer::run(args)),
        Command::Server(args) => block_on(server::run(args)),
        Command::Gather(args) => block_on(gather::run(args)),
        Command::Map(args) => block_on(map::run(args)),
        Command::Stun(args) => block_on(probe::stun(args)),
        Command::Turn(args) => block_on(probe::turn(args)),
        Command::Nat(args) => block_on(nat::run(args)),
    };
    match result {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(exit) => exit.report(),
    }
}

/// Runs on this thread alone: one session keeps no core busy.
fn block_on(future: impl Future<Output = Result<(), Exit>>) -> Result<(), Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Exit::failure(format!("no runtime: {error}")))?;
    let result = runtime.block_on(future);
    // A name server that does not answer holds nobody up.
    runtime.shutdown_background();
    result
}
