//! `floe demo`: what floe does, on this machine, in some seconds.

mod act;
mod simulated;

use std::net::IpAddr;
use std::time::Duration;

use floe::agent::Policy;
use floe::net::Server;
use floe::server::{Cidr, PeerRules};
use floe::turn::TurnServer;
use floe::{Config, Role};

use crate::exit::Exit;
use crate::lines::{millis, print};
use act::Act;

/// Two endpoints and a STUN/TURN server on this machine: watch them connect
///
/// Over real UDP sockets: directly, through server-reflexive candidates and through the relay, with data both ways.
/// Then behind simulated NATs of every kind, on a virtual clock.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  floe demo
  floe demo --nat symmetric,port-restricted

Exit status: 0 if all of it worked, else 1; 2 for a usage error")]
pub(crate) struct Args {
    /// Show one pair of simulated NATs only, in detail: none, full-cone, address-restricted, port-restricted,
    /// symmetric, firewall, blocked
    #[arg(long, value_name = "A,B", value_parser = simulated::pair)]
    nat: Option<simulated::Pair>,
}

pub(crate) async fn run(args: Args) -> Result<(), Exit> {
    if let Some(pair) = args.nat {
        return simulated::show_pair(pair);
    }
    real().await?;
    simulated::show_matrix()
}

const USERNAME: &str = "alice-and-bob";
const PASSWORD: &str = "a secret of the demo";
/// The server. Datagrams to it leave from this address too where the kernel chooses.
const SERVER: &str = "127.0.0.1";
/// Where a NAT is played: the socket is said to be here, and the kernel lets it send from 127.0.0.1.
const BEHIND: &str = "127.0.0.2";

/// The three ways to connect, over real sockets.
async fn real() -> Result<(), Exit> {
    print(&"Two endpoints, alice and bob, and a STUN/TURN server: real UDP sockets on this machine.");
    let loopback: Cidr = "127.0.0.0/8".parse().map_err(Exit::failure)?;
    let server_ip: IpAddr = SERVER.parse().map_err(Exit::failure)?;
    let config = Server::config().user(USERNAME, PASSWORD).relay_address(server_ip);
    let config = config.peers(PeerRules::default().allow(loopback));
    let server = Server::bind(config, [(server_ip, 0).into()]).await.map_err(Exit::failure)?;
    let addr = server.addrs().first().copied().ok_or_else(|| Exit::failure("the server has no address"))?;
    let turn = TurnServer::new(addr, USERNAME, PASSWORD);

    let direct = Act {
        title: "1  Directly",
        about: "Both know each other's host candidate. Data flows after one round trip.",
        bind: SERVER,
        kinds: ["host", "host"],
    };
    direct.play(|config| config).await?;

    let reflexive = Act {
        title: "2  Through server-reflexive candidates",
        about: "Neither tells its own address, only what the STUN server sees: the kernel plays the NAT here, for the \
                sockets\nare on 127.0.0.2 and what they send comes from 127.0.0.1.",
        bind: BEHIND,
        kinds: ["srflx", "srflx"],
    };
    reflexive.play(|config| config.policy(Policy::DefaultRouteOnly).stun_server(addr)).await?;

    let relayed = Act {
        title: "3  Through the relay",
        about: "Both allow relayed candidates only: the data crosses the TURN server twice.",
        bind: SERVER,
        kinds: ["relay", "relay"],
    };
    relayed.play(|config| config.policy(Policy::Relay).turn_server(turn.clone())).await?;

    let stats = server.shutdown().await.server;
    print(&format!(
        "\nThe server made {} allocations and relayed {} datagrams to peers and {} to clients.",
        stats.allocations_made, stats.packets_to_peers, stats.packets_to_clients
    ));
    Ok(())
}

/// A heading over the whole width.
fn heading(title: &str) {
    let line = "─".repeat(99_usize.saturating_sub(title.chars().count()));
    print(&format!("\n{title} {line}"));
}

/// Milliseconds with one decimal.
fn ms(time: Duration) -> String {
    format!("{:.1} ms", millis(time))
}

/// A configuration of the demo.
fn config(role: Role, seed: [u8; 32]) -> Config {
    Config::new(role, seed).trace(512)
}
