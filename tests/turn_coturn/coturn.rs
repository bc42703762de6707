//! A coturn of one test, which ends with it.

use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Coturn {
    child: Child,
    pub(crate) addr: SocketAddr,
    args: Vec<String>,
}

impl Coturn {
    /// It listens on a free port of `ip` over UDP and TCP, and does TLS there too if it has a certificate.
    pub(crate) fn start(ip: &str, more: &[&str]) -> Self {
        let addr = UdpSocket::bind((ip, 0)).expect("a free port").local_addr().expect("its address");
        let port = addr.port().to_string();
        let mut args = vec!["-n", "--listening-ip", ip, "--relay-ip", ip, "--listening-port", &port];
        args.extend(["--lt-cred-mech", "--realm", "lab.example", "--user", "ann:correct horse", "--no-cli"]);
        args.extend(["--no-dtls", "--allow-loopback-peers", "--cli-password", "unused"]);
        args.extend(["--log-file", "stdout", "--pidfile", "/dev/null", "--userdb", "/dev/null"]);
        args.extend(more);
        if !more.contains(&"--cert") {
            args.push("--no-tls");
        }
        let args: Vec<String> = args.into_iter().map(str::to_owned).collect();
        let mut coturn = Self { child: spawn(&args), addr, args };
        coturn.listens();
        coturn
    }

    /// Kills it and starts it again: it has forgotten everything.
    pub(crate) fn restart(&mut self) {
        self.end();
        self.child = spawn(&self.args);
        self.listens();
    }

    fn listens(&mut self) {
        let start = Instant::now();
        while TcpStream::connect(self.addr).is_err() {
            assert!(start.elapsed() < PATIENCE, "coturn does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(args: &[String]) -> Child {
    let mut command = Command::new("turnserver");
    command.args(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("turnserver")
}

impl Drop for Coturn {
    fn drop(&mut self) {
        self.end();
    }
}
