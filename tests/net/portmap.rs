//! Port mappings with real sockets: the gateway is a script on another loopback address.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use floe::io::Transport;
use floe::net::{Endpoint, PortMapping};
use floe::portmap::{Event, Protocol, Wish};
use floe::signal::What;
use floe::{Event as AgentEvent, Role};
use tokio::net::UdpSocket;

use super::{V4, within};

/// Port 5351 of an address that no other test has.
async fn gateway(last: u8) -> (UdpSocket, IpAddr) {
    let ip = IpAddr::from([127, 53, 51, last]);
    (UdpSocket::bind((ip, 5351)).await.unwrap(), ip)
}

async fn request(gateway: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buf = [0; 1100];
    let (len, source) = within("a request", gateway.recv_from(&mut buf)).await.unwrap();
    (buf[..len].to_vec(), source)
}

/// The success of PCP, at 198.51.100.9 and the port of inside.
fn answer(request: &[u8], lifetime: u32) -> Vec<u8> {
    let mut answer = request.to_vec();
    answer[1] |= 0x80;
    answer[4..8].copy_from_slice(&lifetime.to_be_bytes());
    answer[8..24].fill(0);
    answer.copy_within(40..42, 42);
    answer[44..60].copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 198, 51, 100, 9]);
    answer
}

fn lifetime(request: &[u8]) -> u32 {
    u32::from_be_bytes(request[4..8].try_into().unwrap())
}

fn only_pcp(gateway: IpAddr) -> PortMapping {
    PortMapping::new().gateway(gateway).protocols(&[Protocol::Pcp])
}

/// RFC 6887 §8.1
#[tokio::test]
async fn the_client_address_in_a_request_is_the_source_of_the_packet() {
    let (gateway, ip) = gateway(1).await;
    let mapper = only_pcp(ip).open().unwrap();
    mapper.map(Wish::new(Transport::Udp, 5000)).await.unwrap();
    let (request, source) = request(&gateway).await;
    assert_eq!(source.ip(), mapper.local());
    let IpAddr::V4(v4) = source.ip() else { panic!("{source}") };
    assert_eq!(request[8..24], v4.to_ipv6_mapped().octets());
}

/// RFC 6887 §16.4, §11.5: on a host with several addresses
#[tokio::test]
async fn a_mapping_is_asked_for_from_its_own_address_and_renewed_from_there() {
    for last in [77, 78] {
        let (gateway, ip) = gateway(last).await;
        let local = IpAddr::from([127, 0, 0, last]);
        let mapper = only_pcp(ip).local(local).open().unwrap();
        mapper.map(Wish::new(Transport::Udp, 5000)).await.unwrap();
        let (first, source) = request(&gateway).await;
        assert_eq!((source.ip(), first[23]), (local, last));
        // Nine seconds: the first renewal is due after at least four.
        gateway.send_to(&answer(&first, 9), source).await.unwrap();
        let (renewal, again) = request(&gateway).await;
        assert_eq!((again, &renewal[8..36]), (source, &first[8..36]));
    }
}

/// RFC 6887 §8.1
#[tokio::test]
async fn each_mapper_asks_from_a_port_that_the_system_chose() {
    let (gateway, ip) = gateway(3).await;
    let mut ports = Vec::new();
    let mut mappers = Vec::new();
    for _ in 0..20 {
        let mapper = only_pcp(ip).open().unwrap();
        mapper.map(Wish::new(Transport::Udp, 5000)).await.unwrap();
        ports.push(request(&gateway).await.1.port());
        mappers.push(mapper);
    }
    assert_eq!(ports.iter().collect::<BTreeSet<_>>().len(), 20, "{ports:?}");
    let steps: BTreeSet<i32> = ports.windows(2).map(|it| i32::from(it[1]) - i32::from(it[0])).collect();
    assert!(steps.len() > 3, "they are no sequence: {ports:?}");
}

#[tokio::test]
async fn a_mapper_that_is_closed_takes_its_mapping_back() {
    let (gateway, ip) = gateway(4).await;
    let mapper = only_pcp(ip).open().unwrap();
    let id = mapper.map(Wish::new(Transport::Tcp, 5000)).await.unwrap();
    let (first, source) = request(&gateway).await;
    gateway.send_to(&answer(&first, 7200), source).await.unwrap();
    let Some(Event::Mapped { mapping, .. }) = within("a mapping", mapper.event()).await else { panic!() };
    assert_eq!(mapping.external, "198.51.100.9:5000".parse().unwrap());
    let script = async {
        let (last, source) = request(&gateway).await;
        assert_eq!(lifetime(&last), 0);
        gateway.send_to(&answer(&last, 0), source).await.unwrap();
    };
    within("closing", async { tokio::join!(mapper.close(), script) }).await;
    assert_eq!(mapper.event().await, Some(Event::Unmapped { id }));
    assert_eq!(mapper.event().await, None);
}

#[tokio::test]
async fn a_host_that_nobody_listens_at_is_told_at_once() {
    let ip = IpAddr::from([127, 53, 51, 5]);
    let mapper = only_pcp(ip).patience(Duration::from_secs(3600)).open().unwrap();
    let id = mapper.map(Wish::new(Transport::Udp, 5000)).await.unwrap();
    let problem = within("ICMP", mapper.event()).await;
    assert!(matches!(problem, Some(Event::Problem { .. })), "{problem:?}");
    assert_eq!(within("the end", mapper.event()).await, Some(Event::Unavailable { id }));
}

/// RFC 6887 §11: bound first, mapped then
#[tokio::test]
async fn a_session_maps_ports_whose_sockets_are_bound() {
    let (gateway, ip) = gateway(6).await;
    let endpoint = Endpoint::builder().addresses([V4]).port_mapping(only_pcp(ip)).bind().await.unwrap();
    let session = endpoint.open(endpoint.config(Role::Controlling));
    let (first, source) = request(&gateway).await;
    let port = u16::from_be_bytes([first[40], first[41]]);
    assert!(UdpSocket::bind((V4, port)).await.is_err(), "the port is in use");
    gateway.send_to(&answer(&first, 7200), source).await.unwrap();
    let mut candidates = Vec::new();
    loop {
        let AgentEvent::Signal(signal) = within("signals", session.event()).await.unwrap() else { continue };
        match signal.what {
            What::Candidate(candidate) => candidates.push(candidate),
            What::EndOfCandidates => break,
            _ => {}
        }
    }
    assert_eq!(candidates.len(), 2, "{candidates:?}");
    assert_eq!(candidates[1].address.socket(), Some(SocketAddr::from(([198, 51, 100, 9], port))));
    assert_eq!(candidates[1].priority >> 24, 105);
    let script = async {
        let (last, source) = request(&gateway).await;
        assert_eq!((lifetime(&last), &last[24..42]), (0, &first[24..42]));
        gateway.send_to(&answer(&last, 0), source).await.unwrap();
    };
    within("closing", async { tokio::join!(session.close(), script) }).await;
}

/// RFC 6886 §3.8
#[tokio::test]
async fn a_gateway_without_an_answer_does_not_keep_gathering_from_its_end() {
    let (_gateway, ip) = gateway(7).await;
    let mapping = only_pcp(ip).wait(Duration::from_millis(100));
    let endpoint = Endpoint::builder().addresses([V4]).port_mapping(mapping).bind().await.unwrap();
    let session = endpoint.open(endpoint.config(Role::Controlling));
    loop {
        if let AgentEvent::Signal(signal) = within("the end of gathering", session.event()).await.unwrap()
            && let What::EndOfCandidates = signal.what
        {
            break;
        }
    }
    within("closing", session.close()).await;
}

/// RFC 6887 §10.2: the mapping comes before any packet from the port, or nobody waits for it any longer
#[tokio::test]
async fn with_before_traffic_nothing_is_sent_before_the_port_is_mapped() {
    for (last, answers) in [(8, true), (9, false)] {
        let (gateway, ip) = gateway(last).await;
        let stun = UdpSocket::bind((V4, 0)).await.unwrap();
        let wait = Duration::from_secs(if answers { 3600 } else { 1 });
        let mapping = only_pcp(ip).before_traffic(wait);
        let endpoint = Endpoint::builder().addresses([V4]).port_mapping(mapping).bind().await.unwrap();
        let config = endpoint.config(Role::Controlling).stun_server(stun.local_addr().unwrap());
        let session = endpoint.open(config);
        let (first, source) = request(&gateway).await;
        let mut buf = [0; 100];
        if answers {
            // Time enough for a question to the server to leave, if it did.
            let early = tokio::time::timeout(Duration::from_millis(300), stun.recv_from(&mut buf)).await;
            assert!(early.is_err(), "{early:?}");
            gateway.send_to(&answer(&first, 7200), source).await.unwrap();
        }
        let (_, from) = within("a question", stun.recv_from(&mut buf)).await.unwrap();
        assert_eq!(from.port().to_be_bytes(), first[40..42]);
        drop(session);
    }
}
