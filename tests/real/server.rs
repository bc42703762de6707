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
const TLS_PORT: u16 = 5349;

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

/// The files of a certificate, with which a server listens over TLS too.
pub(crate) struct Identity {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Server {
    pub(crate) fn start(lab: &Lab, implementation: Implementation, family: Family) -> Self {
        Self::start_with(lab, implementation, family, None)
    }

    pub(crate) fn start_with(
        lab: &Lab,
        implementation: Implementation,
        family: Family,
        identity: Option<&Identity>,
    ) -> Self {
        let addr = family.server();
        let mut process = match implementation {
            Implementation::Floe => Process::spawn("floe server", &mut floe(lab, addr, identity)),
            Implementation::Coturn => Process::spawn("turnserver", &mut coturn(lab, addr, identity)),
        };
        let ready = match implementation {
            Implementation::Floe => "listening",
            Implementation::Coturn => "Total General servers",
        };
        assert!(process.says(ready, Duration::from_secs(10)), "{}", process.report());
        Self { process, addr }
    }

    /// `stun:203.0.113.10:3478`, or with the scheme `turn` or `turns`.
    pub(crate) fn uri(&self, scheme: &str) -> String {
        let port = if scheme == "turns" { TLS_PORT } else { PORT };
        format!("{scheme}:{}", SocketAddr::new(self.addr, port))
    }
}

fn floe(lab: &Lab, addr: IpAddr, identity: Option<&Identity>) -> Command {
    let mut command = lab.command("server", env!("CARGO_BIN_EXE_floe"));
    command.args(["server", "--listen", &SocketAddr::new(addr, PORT).to_string()]);
    command.args(["--realm", REALM, "--user", &format!("{USERNAME}:{PASSWORD}")]);
    if let Some(Identity { certificate, key }) = identity {
        let addr = SocketAddr::new(addr, TLS_PORT).to_string();
        command.args(["--tls-listen", &addr, "--tls-cert", certificate, "--tls-key", key]);
    }
    command
}

fn coturn(lab: &Lab, addr: IpAddr, identity: Option<&Identity>) -> Command {
    let mut command = lab.command("server", "turnserver");
    let addr = addr.to_string();
    command.args(["-n", "--listening-ip", &addr, "--relay-ip", &addr, "--listening-port", &PORT.to_string()]);
    command.args(["--lt-cred-mech", "--realm", REALM, "--user", &format!("{USERNAME}:{PASSWORD}")]);
    command.args(["--no-dtls", "--no-cli", "--log-file", "stdout", "--fingerprint", "--mobility"]);
    match identity {
        None => command.arg("--no-tls"),
        Some(Identity { certificate, key }) => command
            .args(["--tls-listening-port", &TLS_PORT.to_string()])
            .args(["--cert", certificate, "--pkey", key]),
    };
    command.args(["--pidfile", "/dev/null", "--userdb", "/dev/null"]);
    command
}
