//! Two agents behind simulated NATs, on a virtual clock.

use std::fmt::{self, Write as _};
use std::time::Duration;

use floe::Role;
use floe::candidate::CandidateType;
use floe::sim::{Gateway, Host, HostId, Interface, Link, Nat, Udp, World};

use super::{config, heading};
use crate::exit::Exit;
use crate::lines::print;

/// Ten times what the slowest pair of NATs takes.
const LIMIT: Duration = Duration::from_secs(20);

/// What stands before a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    None,
    FullCone,
    AddressRestricted,
    PortRestricted,
    Symmetric,
    Firewall,
    /// UDP passes to and from the server's port only.
    Blocked,
}

const KINDS: [Kind; 7] = [
    Kind::None,
    Kind::FullCone,
    Kind::AddressRestricted,
    Kind::PortRestricted,
    Kind::Symmetric,
    Kind::Firewall,
    Kind::Blocked,
];

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::FullCone => "full-cone",
            Self::AddressRestricted => "address-restricted",
            Self::PortRestricted => "port-restricted",
            Self::Symmetric => "symmetric",
            Self::Firewall => "firewall",
            Self::Blocked => "blocked",
        }
    }

    fn host(self) -> Host {
        let gateway: Gateway = match self {
            Self::None | Self::Blocked => Nat::none(),
            Self::FullCone => Nat::full_cone().into(),
            Self::AddressRestricted => Nat::address_restricted().into(),
            Self::PortRestricted => Nat::port_restricted().into(),
            Self::Symmetric => Nat::symmetric().into(),
            Self::Firewall => Nat::firewall().into(),
        };
        match self {
            Self::Blocked => Interface::v4(gateway).link(Link::wan().udp(Udp::Only(vec![3478]))).into(),
            _ => gateway.into(),
        }
    }
}

/// Two kinds of NAT, as named on the command line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pair(Kind, Kind);

/// Reads `A,B`.
pub(crate) fn pair(text: &str) -> Result<Pair, String> {
    let kind = |name: &str| {
        let names = KINDS.map(Kind::name).join(", ");
        let kind = KINDS.into_iter().find(|kind| kind.name() == name);
        kind.ok_or_else(|| format!("'{name}' is none of {names}"))
    };
    let (a, b) = text.split_once(',').ok_or("there is no comma between two kinds of NAT")?;
    Ok(Pair(kind(a)?, kind(b)?))
}

/// How two agents met.
struct Meeting {
    world: World,
    hosts: [HostId; 2],
    usable: Duration,
    types: [CandidateType; 2],
}

impl fmt::Display for Meeting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = if self.types.contains(&CandidateType::Relayed) { "relay" } else { "direct" };
        f.pad(&format!("{way} {}", self.usable.as_millis()))
    }
}

impl Pair {
    /// Connects two agents, lets them send to each other and checks that the path is direct where one can be.
    fn meet(self) -> Result<Meeting, String> {
        let mut world = World::new(1);
        let (stun, turn) = (world.stun_server(), world.turn_server());
        let hosts = [(self.0, Role::Controlling), (self.1, Role::Controlled)].map(|(kind, role)| {
            let config = config(role, world.seed()).stun_server(stun).turn_server(turn.clone());
            world.agent(kind.host(), config)
        });
        let [a, b] = hosts;
        world.signal(a, b);
        let usable = world.run_until(LIMIT, |world| world.usable(a) && world.usable(b));
        world.run_until(LIMIT, |world| world.completed(a) && world.completed(b));
        let types = world.selected_types(a, b);
        let direct = !types.contains(&CandidateType::Relayed);
        if direct != world.direct_path_possible(a, b) {
            return Err(format!("{} with {}: selected {types:?}", self.0.name(), self.1.name()));
        }
        for (host, text) in [(a, b"from alice"), (b, b"from bob..")] {
            world.send(host, text);
        }
        world.run_for(Duration::from_secs(1));
        let heard = |host, text: &[u8]| world.received(host).iter().any(|arrival| arrival.payload == text);
        if !heard(b, b"from alice") || !heard(a, b"from bob..") {
            return Err(format!("{} with {}: data was lost", self.0.name(), self.1.name()));
        }
        Ok(Meeting { world, hosts, usable, types })
    }
}

/// One pair, with every datagram.
pub(super) fn show_pair(pair: Pair) -> Result<(), Exit> {
    heading(&format!("alice behind {}, bob behind {}: simulated", pair.0.name(), pair.1.name()));
    let meeting = pair.meet().map_err(Exit::failure)?;
    print(&meeting.world.to_string().trim_end());
    let [a, b] = meeting.hosts;
    for (name, host) in [("alice", a), ("bob", b)] {
        if let Some((local, remote)) = meeting.world.selected(host) {
            print(&format!("{name:<6} selected  {local}\n                 {remote}"));
        }
    }
    print(&format!("usable after {} ms of virtual time, data both ways", meeting.usable.as_millis()));
    Ok(())
}

/// Every kind with every kind.
pub(super) fn show_matrix() -> Result<(), Exit> {
    heading("4  Behind simulated NATs of every kind");
    print(
        &"How two agents meet, and after how many milliseconds of virtual time both can send. Signals and datagrams",
    );
    print(
        &"take time as on the Internet; rows are the controlling side. `--nat A,B` shows one pair in detail.\n",
    );
    let row = |name: &str, cells: &[String]| {
        let mut line = format!("{name:<19}");
        for cell in cells {
            // A string takes all that is written to it.
            let _ = write!(line, "{cell:>12}");
        }
        print(&line);
    };
    let short = |kind: Kind| kind.name().replace("restricted", "r.");
    row("", &KINDS.map(short));
    let (mut direct, mut relayed) = (0, 0);
    for a in KINDS {
        let mut cells = Vec::new();
        for b in KINDS {
            let meeting = Pair(a, b).meet().map_err(Exit::failure)?;
            let is_relayed = meeting.types.contains(&CandidateType::Relayed);
            *(if is_relayed { &mut relayed } else { &mut direct }) += 1;
            cells.push(meeting.to_string());
        }
        row(a.name(), &cells);
    }
    print(&format!(
        "\nAll {} pairs connected and carried data: {direct} directly, which is everywhere a direct path can be, {relayed} \
         through the relay.",
        direct + relayed
    ));
    Ok(())
}
