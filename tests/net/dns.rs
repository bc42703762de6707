//! Names by DNS: a name server on loopback that answers from a table (RFC 8489 §8.1, RFC 2782).

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use floe::net::probe::Probe;
use floe::net::resolve::{Record, Resolution};
use floe::net::{Resolver, Server};
use simple_dns::rdata::{A, AAAA, RData, SRV};
use simple_dns::{CLASS, Name, Packet, PacketFlag, QTYPE, RCODE, ResourceRecord, TYPE};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

use crate::{V4, within};

/// What the name server knows. A name that is not there does not exist.
#[derive(Default)]
struct Zone {
    addresses: HashMap<&'static str, Vec<IpAddr>>,
    services: HashMap<&'static str, Vec<(u16, u16, u16, &'static str)>>,
    /// Questions of this type get no answer.
    silent: Option<TYPE>,
}

impl Zone {
    fn name(mut self, name: &'static str, ips: &[&str]) -> Self {
        self.addresses.insert(name, ips.iter().map(|ip| ip.parse().unwrap()).collect());
        self
    }

    /// Priority, weight, port, target.
    fn service(mut self, name: &'static str, record: (u16, u16, u16, &'static str)) -> Self {
        self.services.entry(name).or_default().push(record);
        self
    }

    fn silent_for(mut self, kind: TYPE) -> Self {
        self.silent = Some(kind);
        self
    }

    /// The answer; `None` for silence.
    fn answer(&self, bytes: &[u8], asked: &Mutex<Vec<String>>) -> Option<Vec<u8>> {
        let query = Packet::parse(bytes).unwrap();
        let question = &query.questions[0];
        let name = question.qname.to_string().to_ascii_lowercase();
        let QTYPE::TYPE(kind) = question.qtype else { return None };
        asked.lock().unwrap().push(format!("{kind:?} {name}"));
        if self.silent == Some(kind) {
            return None;
        }
        let ips = self.addresses.get(name.as_str());
        let services = self.services.get(name.as_str());
        let mut answer = query.clone().into_reply();
        answer.set_flags(PacketFlag::RECURSION_AVAILABLE);
        answer.additional_records.clear();
        *answer.rcode_mut() =
            if ips.is_none() && services.is_none() { RCODE::NameError } else { RCODE::NoError };
        let of_kind = ips.into_iter().flatten().filter_map(|ip| match (ip, kind) {
            (IpAddr::V4(ip), TYPE::A) => Some(RData::A(A { address: u32::from(*ip) })),
            (IpAddr::V6(ip), TYPE::AAAA) => Some(RData::AAAA(AAAA { address: u128::from(*ip) })),
            _ => None,
        });
        let of_service = services.into_iter().flatten().filter(|_| kind == TYPE::SRV);
        let of_service = of_service.map(|(priority, weight, port, target)| {
            let target = Name::new_unchecked(target);
            RData::SRV(SRV { priority: *priority, weight: *weight, port: *port, target })
        });
        for data in of_kind.chain(of_service) {
            answer.answers.push(ResourceRecord::new(question.qname.clone(), CLASS::IN, 60, data));
        }
        Some(answer.build_bytes_vec().unwrap())
    }
}

/// A name server, and what it was asked. It ends with the test.
struct NameServer {
    addr: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl NameServer {
    async fn start(zone: Zone) -> Self {
        let socket = UdpSocket::bind((V4, 0)).await.unwrap();
        let (addr, asked) = (socket.local_addr().unwrap(), Arc::<Mutex<Vec<String>>>::default());
        let log = asked.clone();
        let task = tokio::spawn(async move {
            let mut buf = [0; 1500];
            loop {
                let (len, client) = socket.recv_from(&mut buf).await.unwrap();
                if let Some(answer) = zone.answer(&buf[..len], &log) {
                    socket.send_to(&answer, client).await.unwrap();
                }
            }
        });
        Self { addr, asked, task }
    }

    fn resolver(&self) -> Resolver {
        Resolver::name_servers([self.addr]).unwrap()
    }

    async fn resolve(&self, uri: &str) -> std::io::Result<Resolution> {
        let uri = uri.parse().unwrap();
        within("the name", self.resolver().resolve(&uri)).await
    }

    /// The addresses as text.
    async fn addrs(&self, uri: &str) -> Vec<String> {
        self.resolve(uri).await.unwrap().addrs.iter().map(ToString::to_string).collect()
    }

    fn was_asked(&self, question: &str) -> bool {
        self.asked.lock().unwrap().iter().any(|asked| asked == question)
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// RFC 8489 §8.1, RFC 7064 §3.2, RFC 7065 §3.2.
#[tokio::test]
async fn a_name_without_srv_records_has_its_addresses_at_the_default_port() {
    let zone = Zone::default().name("example.org", &["192.0.2.1", "2001:db8::1"]);
    let zone = zone.name("four.example.org", &["192.0.2.4"]).name("six.example.org", &["2001:db8::6"]);
    let server = NameServer::start(zone).await;
    for (uri, wanted) in [
        ("stun:example.org", &["[2001:db8::1]:3478", "192.0.2.1:3478"][..]),
        ("turns:example.org", &["[2001:db8::1]:5349", "192.0.2.1:5349"]),
        ("stun:four.example.org", &["192.0.2.4:3478"]),
        ("stun:six.example.org", &["[2001:db8::6]:3478"]),
    ] {
        assert_eq!(server.addrs(uri).await, wanted, "{uri}");
    }
    assert!(server.was_asked("SRV _stun._udp.example.org"));
    let unknown = server.resolve("stun:unknown.example.org").await.unwrap_err();
    assert_eq!(unknown.kind(), std::io::ErrorKind::NotFound);
}

/// RFC 7065 §3.1, RFC 5928 §3: scheme and transport pick the service, and nothing else is asked for.
#[tokio::test]
async fn scheme_and_transport_pick_the_service() {
    for (uri, service) in [
        ("stun:example.org", "_stun._udp"),
        ("stuns:example.org", "_stuns._tcp"),
        ("turn:example.org", "_turn._udp"),
        ("turn:example.org?transport=tcp", "_turn._tcp"),
        ("turns:example.org?transport=tcp", "_turns._tcp"),
    ] {
        let server = NameServer::start(Zone::default().name("example.org", &["192.0.2.1"])).await;
        server.addrs(uri).await;
        let asked = server.asked.lock().unwrap();
        let mut services = asked.iter().filter(|question| question.starts_with("SRV"));
        assert_eq!(services.next().map(String::as_str), Some(format!("SRV {service}.example.org").as_str()));
        assert_eq!(services.next(), None, "{uri}");
    }
}

/// RFC 8489 §8.1: with a port DNS is asked for addresses alone.
#[tokio::test]
async fn with_a_port_no_srv_record_is_asked_for() {
    let zone = Zone::default().name("example.org", &["192.0.2.1"]).name("other.org", &["192.0.2.2"]);
    let server = NameServer::start(zone.service("_stun._udp.example.org", (1, 1, 1, "other.org"))).await;
    assert_eq!(server.addrs("stun:example.org:8000").await, ["192.0.2.1:8000"]);
    assert!(!server.was_asked("SRV _stun._udp.example.org"));
}

/// RFC 2782: priorities in order; the addresses of the name itself are not those of the service.
#[tokio::test]
async fn the_servers_of_srv_records_are_tried_by_priority() {
    let service = "_turn._tcp.example.org";
    let zone = Zone::default()
        .name("example.org", &["192.0.2.99"])
        .name("first.example.org", &["192.0.2.1", "2001:db8::1"])
        .name("second.example.org", &["192.0.2.2"])
        .service(service, (20, 0, 3480, "second.example.org"))
        .service(service, (10, 5, 3479, "first.example.org"));
    let server = NameServer::start(zone).await;
    let addrs = server.addrs("turn:example.org?transport=tcp").await;
    assert_eq!(addrs, ["[2001:db8::1]:3479", "192.0.2.1:3479", "192.0.2.2:3480"]);
    let lookups = server.resolve("turn:example.org?transport=tcp").await.unwrap().lookups;
    assert_eq!((lookups[0].record, lookups[0].name.as_str()), (Record::Srv, service));
    assert_eq!(lookups[0].answer.as_ref().map(Vec::len), Ok(2));
}

/// RFC 2782: among equals weight decides how often one comes first; here by 64 draws of 99 to 1.
#[tokio::test]
async fn among_servers_of_one_priority_weight_decides() {
    let zone = Zone::default()
        .name("heavy.example.org", &["192.0.2.1"])
        .name("light.example.org", &["192.0.2.2"])
        .service("_stun._udp.example.org", (1, 1, 3478, "light.example.org"))
        .service("_stun._udp.example.org", (1, 9999, 3478, "heavy.example.org"));
    let server = NameServer::start(zone).await;
    let (resolver, uri) = (server.resolver(), "stun:example.org".parse().unwrap());
    let mut heavy_first = 0;
    for _ in 0..64 {
        let addrs = resolver.resolve(&uri).await.unwrap().addrs;
        assert_eq!(addrs.len(), 2);
        heavy_first += usize::from(addrs[0] == "192.0.2.1:3478".parse().unwrap());
    }
    assert!(heavy_first > 32, "{heavy_first} of 64");
}

/// RFC 2782: "." says that the service is decidedly not there.
#[tokio::test]
async fn the_root_as_target_means_no_such_service() {
    let zone = Zone::default().name("example.org", &["192.0.2.1"]);
    let server = NameServer::start(zone.service("_turn._udp.example.org", (0, 0, 0, "."))).await;
    let error = server.resolve("turn:example.org").await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    assert_eq!(server.addrs("stun:example.org").await, ["192.0.2.1:3478"], "another service is not meant");
}

/// RFC 8489 §8.1, RFC 8305 §3: a family, or SRV, that DNS does not answer for does not take the other one away.
#[tokio::test]
async fn questions_without_an_answer_do_not_hide_those_with_one() {
    for kind in [TYPE::AAAA, TYPE::SRV] {
        let zone = Zone::default().name("example.org", &["192.0.2.1"]).silent_for(kind);
        let server = NameServer::start(zone).await;
        assert_eq!(server.addrs("stun:example.org").await, ["192.0.2.1:3478"], "{kind:?}");
    }
}

/// RFC 8489 §8.1: the next server, by the order of SRV, when one does not answer; and the port is that of the record.
#[tokio::test]
async fn a_server_that_does_not_answer_is_followed_by_the_next_one_at_its_own_port() {
    let (mute, alive) = (UdpSocket::bind((V4, 0)).await.unwrap(), stun_server().await);
    let (mute_port, port) = (mute.local_addr().unwrap().port(), alive.addrs()[0].port());
    let zone = Zone::default()
        .name("mute.example.org", &["127.0.0.1"])
        .name("alive.example.org", &["127.0.0.1"])
        .service("_stun._udp.example.org", (1, 0, mute_port, "mute.example.org"))
        .service("_stun._udp.example.org", (2, 0, port, "alive.example.org"));
    let server = NameServer::start(zone).await;
    let probe = Probe::new().resolver(server.resolver()).patience(Duration::from_secs(1));
    let uri = "stun:example.org".parse().unwrap();
    within("the test", probe.stun(&uri, |_| ())).await.unwrap();
    assert_eq!(alive.stats().await.server.answers, 1);
    assert!(mute.try_recv(&mut [0; 100]).is_ok(), "the first one was asked too");
}

async fn stun_server() -> Server {
    Server::bind(Server::config(), [(V4, 0).into()]).await.unwrap()
}
