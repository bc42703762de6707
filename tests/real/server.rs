//! The two STUN/TURN servers that the lab knows, on the same addresses and with the same user.

use std::net::{IpAddr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use crate::lab::{Family, Lab};
use crate::process::Process;

pub(crate) const USERNAME: &str = "ann";
pub(crate) const PASSWORD: &str = "correct horse";
const REALM: &str = "lab.example";
const PORT: u16 = 3478;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Implementation {
    Floe,
    Coturn,
}

/// A server that runs in the lab's server namespace.
pub(crate) struct Server {
    pub(crate) process: Process,
    addr: IpAddr,
}

impl Server {
    pub(crate) fn start(lab: &Lab, implementation: Implementation, family: Family) -> Self {
        let addr = family.server();
        let mut process = match implementation {
            Implementation::Floe => Process::spawn("floe server", &mut floe(lab, addr)),
            Implementation::Coturn => Process::spawn("turnserver", &mut coturn(lab, addr)),
        };
        let ready = match implementation {
            Implementation::Floe => "listening",
            Implementation::Coturn => "Total General servers",
        };
        assert!(process.says(ready, Duration::from_secs(10)), "{}", process.report());
        Self { process, addr }
    }

    /// `stun:203.0.113.10:3478`, or with the scheme `turn`.
    pub(crate) fn uri(&self, scheme: &str) -> String {
        format!("{scheme}:{}", SocketAddr::new(self.addr, PORT))
    }
}

fn floe(lab: &Lab, addr: IpAddr) -> Command {
    let mut command = lab.command("server", env!("CARGO_BIN_EXE_floe"));
    command.args(["server", "--listen", &SocketAddr::new(addr, PORT).to_string()]);
    command.args(["--realm", REALM, "--user", &format!("{USERNAME}:{PASSWORD}")]);
    command
}

fn coturn(lab: &Lab, addr: IpAddr) -> Command {
    let mut command = lab.command("server", "turnserver");
    let addr = addr.to_string();
    command.args(["-n", "--listening-ip", &addr, "--relay-ip", &addr, "--listening-port", &PORT.to_string()]);
    command.args(["--lt-cred-mech", "--realm", REALM, "--user", &format!("{USERNAME}:{PASSWORD}")]);
    command.args(["--no-tls", "--no-dtls", "--no-cli", "--log-file", "stdout", "--fingerprint"]);
    command.args(["--pidfile", "/dev/null", "--userdb", "/dev/null"]);
    command
}
