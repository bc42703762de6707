//! The implementations that floe is run against.

use std::process::Command;

use crate::lab::Lab;

const PEERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/peers");
/// Where `.ci/run` puts what it installs and builds for these tests.
const BUILT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/interop");

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Other {
    Aioice,
    Chromium,
    Libnice,
    Pion,
}

/// The role of floe; the other side has the other one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    Controlling,
    Controlled,
}

impl Role {
    /// The options of the contract for floe and for the other side.
    pub(crate) fn options(self) -> [&'static str; 2] {
        match self {
            Self::Controlling => ["--controlling", "--controlled"],
            Self::Controlled => ["--controlled", "--controlling"],
        }
    }
}

impl Other {
    /// The command that runs its adapter in a namespace of the lab.
    pub(crate) fn command(self, lab: &Lab, host: &str) -> Command {
        let python = |python: &str, script| {
            let mut command = lab.command(host, python);
            command.arg("-u").arg(format!("{PEERS}/{script}"));
            command
        };
        let mut command = match self {
            Self::Aioice => python(&format!("{BUILT}/venv/bin/python"), "aioice_peer.py"),
            Self::Chromium => python("/usr/bin/python3", "chromium_peer.py"),
            Self::Libnice => python("/usr/bin/python3", "nice_peer.py"),
            Self::Pion => lab.command(host, &format!("{BUILT}/pion")),
        };
        // Chromium keeps its profile there.
        command.env("TMPDIR", env!("CARGO_TARGET_TMPDIR")).env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    /// Whether it can be told to send a text. Chromium sends data only over DTLS, which floe does not speak: from it come
    /// the first datagrams of a handshake.
    pub(crate) fn sends_text(self) -> bool {
        self != Self::Chromium
    }
}
