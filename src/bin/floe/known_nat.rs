//! What a command line tells of the NAT before this host.

use std::time::Duration;

use floe::Config;
use floe::agent::HardNat;
use floe::nat::{Behavior, Ports};

use crate::exit::Exit;

/// The most sockets, and with them packets, behind a NAT that is not stable.
const MAX_SOCKETS: u16 = 512;

#[derive(Debug, clap::Args)]
pub(crate) struct KnownNat {
    /// Look for a direct path between a NAT that maps each destination to another port and one that does not, while the
    /// relay carries data; both sides need the option, each with what its own NAT does: stable (one port for all
    /// destinations), random, or the difference from one port to the next, such as +1; `floe nat` tells it
    #[arg(long, value_name = "PORTS", allow_hyphen_values = true)]
    hard_nat: Option<Ports>,
    /// The most packets that this side sends for it: up to 4096 if its NAT is stable [default: 900], else up to 512, each
    /// from a socket of its own [default: 256]
    #[arg(long, value_name = "N", requires = "hard_nat", value_parser = clap::value_parser!(u16).range(1..=4096))]
    hard_nat_packets: Option<u16>,
    /// The most seconds that it may take, from 2 s after the remote credentials on; 1 to 60 [default: 10]
    #[arg(long, value_name = "SECONDS", requires = "hard_nat", value_parser = clap::value_parser!(u64).range(1..=60))]
    hard_nat_time: Option<u64>,
    /// The NAT keeps mappings for so many seconds without traffic: a connection without data is kept alive by fewer
    /// packets; `floe nat --lifetime` measures it
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    mapping_lifetime: Option<u64>,
}

impl KnownNat {
    /// What can be told without an agent.
    pub(crate) fn check(&self) -> Result<(), Exit> {
        match (self.hard_nat, self.hard_nat_packets) {
            (Some(Ports::Stable), _) | (_, None) => Ok(()),
            (_, Some(count)) if count <= MAX_SOCKETS => Ok(()),
            _ => Err(Exit::usage(format!(
                "--hard-nat-packets: at most {MAX_SOCKETS} unless --hard-nat is stable: each is sent from its own socket"
            ))),
        }
    }

    pub(crate) fn add_to(&self, config: Config) -> Config {
        let lifetime = self.mapping_lifetime.map(Duration::from_secs);
        let config = config.nat(lifetime.into_iter().fold(Behavior::new(), Behavior::lifetime));
        let Some(ports) = self.hard_nat else { return config };
        let mut hard = HardNat::new(ports);
        if let Some(count) = self.hard_nat_packets {
            hard = hard.probes(count).sockets(count);
        }
        if let Some(seconds) = self.hard_nat_time {
            hard = hard.time(Duration::from_secs(seconds));
        }
        config.hard_nat(hard)
    }
}

/// The options of `floe peer` for a NAT that was measured; `None` if they would tell nothing.
pub(crate) fn options(known: &Behavior) -> Option<String> {
    let ports = known.ports.map(|ports| format!("--hard-nat {ports}"));
    // A shorter time is no lie about the NAT; a fraction would be none that the option takes.
    let lifetime = known.lifetime.filter(|lifetime| lifetime.as_secs() > 0);
    let lifetime = lifetime.map(|lifetime| format!("--mapping-lifetime {}", lifetime.as_secs()));
    let options: Vec<_> = ports.into_iter().chain(lifetime).collect();
    (!options.is_empty()).then(|| options.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_floe_nat_prints_is_what_floe_peer_takes() {
        use clap::Parser;

        #[derive(Parser)]
        struct Command {
            #[command(flatten)]
            known: KnownNat,
        }
        let seconds = Duration::from_secs;
        for (known, printed) in [
            (Behavior::new(), None),
            (Behavior::new().ports(Ports::Sequential(-2)), Some("--hard-nat -2")),
            (Behavior::new().lifetime(Duration::from_millis(28_900)), Some("--mapping-lifetime 28")),
            (
                Behavior::new().ports(Ports::Random).lifetime(seconds(300)),
                Some("--hard-nat random --mapping-lifetime 300"),
            ),
        ] {
            let options = options(&known);
            assert_eq!(options.as_deref(), printed);
            let args = options.iter().flat_map(|options| options.split(' '));
            let parsed = Command::try_parse_from(["floe"].into_iter().chain(args)).unwrap().known;
            assert_eq!(parsed.hard_nat, known.ports);
            assert_eq!(parsed.mapping_lifetime, known.lifetime.map(|lifetime| lifetime.as_secs()));
        }
    }
}
