//! Networks that let no UDP out: the relay is reached over TCP or TLS, and the data goes over it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::lab::{Family, Lab, Nat};
use crate::peer::{Pair, Peer};
use crate::server::{Identity, Implementation, PASSWORD, Server, USERNAME};

const PATIENCE: Duration = Duration::from_secs(20);
/// TCP passes, and of UDP the discard service.
const TCP_ONLY: Nat = Nat::OnlyUdpPort(9);

/// A certificate for the address of the server, which is its own root, in files that go with it.
struct Certificate {
    directory: PathBuf,
}

impl Certificate {
    fn new(name: &str, family: Family) -> Self {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let made = rcgen::generate_simple_self_signed([family.server().to_string()]).unwrap();
        std::fs::write(directory.join("cert.pem"), made.cert.pem()).unwrap();
        std::fs::write(directory.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        Self { directory }
    }

    fn file(&self, name: &str) -> String {
        self.directory.join(name).to_string_lossy().into_owned()
    }

    fn identity(&self) -> Identity {
        Identity { certificate: self.file("cert.pem"), key: self.file("key.pem") }
    }
}

impl Drop for Certificate {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Two hosts without UDP meet on a relay that each reaches as `uri` says.
fn both_meet(name: &str, uri: impl Fn(&Server) -> String) {
    for family in [Family::V4, Family::V6] {
        for implementation in [Implementation::Floe, Implementation::Coturn] {
            let lab = Lab::new([TCP_ONLY, TCP_ONLY]);
            let certificate = Certificate::new(name, family);
            let mut server = Server::start_with(&lab, implementation, family, Some(&certificate.identity()));
            let (uri, ca) = (uri(&server), certificate.file("cert.pem"));
            let servers =
                ["--turn", &uri, "--turn-username", USERNAME, "--turn-password", PASSWORD, "--ca", &ca];
            let peer = |number: u8, role: &str| {
                let bind = family.host(number).to_string();
                let host = format!("host{number}");
                Peer::spawn(&lab, &host, &[&[role, "--bind", &bind], &servers[..]].concat())
            };
            let mut pair = Pair::of([peer(1, "--controlling"), peer(2, "--controlled")]);
            let connects = std::panic::AssertUnwindSafe(|| pair.connect(&lab, PATIENCE));
            if let Err(panic) = std::panic::catch_unwind(connects) {
                eprintln!("{implementation:?} {family:?}\n{}", server.process.report());
                std::panic::resume_unwind(panic);
            }
            let types: Vec<_> = pair.peers.iter().filter_map(Peer::selected_types).flatten().collect();
            assert_eq!(types, ["relay"; 4], "{implementation:?} {family:?}");
        }
    }
}

#[test]
#[ignore = "needs root, ip, nft and turnserver"]
fn hosts_without_udp_meet_on_a_relay_over_tcp() {
    both_meet("over-tcp", |server| format!("{}?transport=tcp", server.uri("turn")));
}

#[test]
#[ignore = "needs root, ip, nft and turnserver"]
fn hosts_without_udp_meet_on_a_relay_over_tls() {
    both_meet("over-tls", |server| server.uri("turns"));
}
