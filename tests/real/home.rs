//! A home: one host behind a gateway that runs miniupnpd, and somebody outside.
//!
//! ```text
//!   host 10.77.0.2 ── 10.77.0.1 gateway 11.22.33.44 ── 11.22.33.254 outside
//! ```
//!
//! miniupnpd maps nothing at an address that it knows not to be public, the documentation addresses among them.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::lab::{feed, inside, ip_in, run};
use crate::process::Process;

pub(crate) const HOST: &str = "10.77.0.2";
pub(crate) const GATEWAY: &str = "10.77.0.1";
pub(crate) const PUBLIC: &str = "11.22.33.44";

/// What miniupnpd puts its rules into.
const RULES: &str = "table inet filter {
  chain miniupnpd { }
  chain prerouting_miniupnpd { }
  chain postrouting_miniupnpd { }
  chain forward {
    type filter hook forward priority 0
    iifname \"in\" accept
    ct state established,related accept
    jump miniupnpd
    drop
  }
  chain prerouting {
    type nat hook prerouting priority -100
    jump prerouting_miniupnpd
  }
  chain postrouting {
    type nat hook postrouting priority 100
    jump postrouting_miniupnpd
    oifname \"out\" masquerade
  }
}
";

/// The namespaces of one test, and the daemon of its gateway.
pub(crate) struct Home {
    prefix: String,
    files: PathBuf,
    pub(crate) daemon: Option<Process>,
}

impl Home {
    /// With this address outside, a /24.
    pub(crate) fn new(public: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("floe-home-{}-{number}", std::process::id());
        let files = std::env::temp_dir().join(&prefix);
        std::fs::create_dir_all(&files).unwrap();
        let mut home = Self { prefix, files, daemon: None };
        for short in ["gateway", "host", "outside"] {
            run(Command::new("ip").args(["netns", "add", &home.name(short)]));
            home.ip(short, "link set lo up");
        }
        let (host, outside) = (home.name("host"), home.name("outside"));
        home.ip("gateway", &format!("link add in type veth peer name eth0 netns {host}"));
        home.ip("gateway", &format!("link add out type veth peer name eth0 netns {outside}"));
        let neighbour = format!("{}.254", public.rsplit_once('.').unwrap().0);
        for (short, device, addr) in [
            ("gateway", "in", GATEWAY),
            ("gateway", "out", public),
            ("host", "eth0", HOST),
            ("outside", "eth0", &neighbour),
        ] {
            home.ip(short, &format!("addr add {addr}/24 dev {device}"));
            home.ip(short, &format!("link set {device} up"));
        }
        home.ip("host", &format!("route add default via {GATEWAY}"));
        home.ip("gateway", &format!("route add default via {neighbour}"));
        run(home.command("gateway", "sh").args(["-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]));
        feed(home.command("gateway", "nft").args(["-f", "-"]), RULES);
        home.start_daemon();
        home
    }

    fn start_daemon(&mut self) {
        let config = self.files.join("miniupnpd.conf");
        let text = format!(
            "ext_ifname=out\nlistening_ip=in\nenable_natpmp=yes\nenable_upnp=yes\nsecure_mode=yes\n\
             lease_file={}\nuuid=5d3f1f1e-0000-4000-8000-000000000001\n\
             upnp_forward_chain=miniupnpd\nupnp_nat_chain=prerouting_miniupnpd\n\
             upnp_nat_postrouting_chain=postrouting_miniupnpd\nmin_lifetime=2\n\
             allow 1024-65535 10.77.0.0/24 1024-65535\ndeny 0-65535 0.0.0.0/0 0-65535\n",
            self.files.join("leases").display()
        );
        std::fs::write(&config, text).unwrap();
        let mut command = self.command("gateway", "miniupnpd");
        command.arg("-d").arg("-f").arg(config).arg("-P").arg(self.files.join("pid"));
        let mut daemon = Process::spawn("miniupnpd", &mut command);
        let is_up = daemon.says("Listening for NAT-PMP/PCP", Duration::from_secs(10));
        assert!(is_up, "{}", daemon.report());
        self.daemon = Some(daemon);
    }

    pub(crate) fn name(&self, short: &str) -> String {
        format!("{}-{short}", self.prefix)
    }

    /// A command that will run inside a namespace.
    pub(crate) fn command(&self, short: &str, program: &str) -> Command {
        inside(&self.name(short), program)
    }

    fn ip(&self, short: &str, args: &str) {
        ip_in(&self.name(short), args);
    }

    /// The gateway's rules that lead a port inside.
    pub(crate) fn mappings(&self) -> usize {
        let output = self.command("gateway", "nft").args(["list", "ruleset"]).output().unwrap();
        String::from_utf8_lossy(&output.stdout).matches("dnat ").count()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // Before its namespace.
        self.daemon = None;
        for short in ["gateway", "host", "outside"] {
            // A failure here must not hide the one that the test is about.
            let _ = Command::new("ip").args(["netns", "del", &self.name(short)]).status();
        }
        let _ = std::fs::remove_dir_all(&self.files);
    }
}
