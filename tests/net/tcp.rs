//! Candidates over TCP (RFC 6544) on real connections.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use floe::candidate::{Candidate, CandidateType, Foundation, TcpRank, TcpType};
use floe::credentials::Credentials;
use floe::io::Transport;
use floe::net::{Endpoint, Session};
use floe::signal::{Signal, What};
use floe::stun::auth::Integrity;
use floe::stun::wire::attr;
use floe::stun::{Class, Key, Message, Method, TransactionId, Writer};
use floe::{Event, Role, State};
use tokio::task::spawn_blocking;

use crate::{V4, V6, has_ipv6, loopback, within};

fn open(endpoint: &Endpoint, role: Role) -> Session {
    endpoint.open(endpoint.config(role).tcp(TcpRank::AfterUdp))
}

/// The candidate of a signal.
fn candidate(event: &Event) -> Option<&Candidate> {
    match event {
        Event::Signal(Signal { what: What::Candidate(candidate), .. }) => Some(candidate),
        _ => None,
    }
}

/// Carries signals between two sessions, without UDP candidates, until both have completed. Returns which candidates were
/// selected.
async fn complete_over_tcp(a: &Session, b: &Session) -> Vec<(Candidate, Candidate)> {
    let mut selected = Vec::new();
    within("completing", async {
        while a.state() != State::Completed || b.state() != State::Completed || selected.len() < 2 {
            let (event, to) = tokio::select! {
                event = a.event() => (event.unwrap(), b),
                event = b.event() => (event.unwrap(), a),
            };
            if candidate(&event).is_some_and(|candidate| candidate.transport == Transport::Udp) {
                continue;
            }
            match event {
                Event::Signal(signal) => to.signal(signal).await.unwrap(),
                Event::Selected { local, remote, .. } => selected.push((*local, *remote)),
                _ => {}
            }
        }
    })
    .await;
    selected
}

async fn exchange(from: &Session, to: &Session, text: &[u8]) {
    let mut buf = [0; 2000];
    within("data", async {
        from.send(floe::io::ComponentId::FIRST, text).await.unwrap();
        let (_, len) = to.recv(&mut buf).await.unwrap();
        assert_eq!(&buf[..len], text);
    })
    .await;
}

/// RFC 6544 §7.1, §7.2, §10.1: one connection carries checks and data, each behind its length.
#[tokio::test]
async fn two_endpoints_without_udp_exchange_data_over_tcp() {
    for ip in [V4, V6] {
        if ip == V6 && !has_ipv6() {
            continue;
        }
        let endpoint = loopback(ip).await;
        let (a, b) = (open(&endpoint, Role::Controlling), open(&endpoint, Role::Controlled));
        let selected = complete_over_tcp(&a, &b).await;
        for (local, remote) in &selected {
            assert_eq!((local.transport, remote.transport), (Transport::Tcp, Transport::Tcp));
        }
        for size in [0, 1, 1200] {
            exchange(&a, &b, &vec![7; size]).await;
            exchange(&b, &a, &vec![8; size]).await;
        }
        within("closing", async { tokio::join!(a.close(), b.close()) }).await;
    }
}

/// RFC 6544 §4.2: both are tried, and UDP is what is selected.
#[tokio::test]
async fn where_udp_works_tcp_is_not_selected() {
    let endpoint = loopback(V4).await;
    let (a, b) = (open(&endpoint, Role::Controlling), open(&endpoint, Role::Controlled));
    let mut selected = Vec::new();
    within("completing", async {
        while a.state() != State::Completed || b.state() != State::Completed || selected.len() < 2 {
            let (event, to) = tokio::select! {
                event = a.event() => (event.unwrap(), &b),
                event = b.event() => (event.unwrap(), &a),
            };
            match event {
                Event::Signal(signal) => to.signal(signal).await.unwrap(),
                Event::Selected { local, .. } => selected.push(local.transport),
                _ => {}
            }
        }
    })
    .await;
    assert!(selected.iter().all(|transport| *transport == Transport::Udp), "{selected:?}");
}

/// RFC 6544 §9.2: data flows on while the next session connects.
#[tokio::test]
async fn a_restart_over_tcp_brings_a_new_connection() {
    let endpoint = loopback(V4).await;
    let (a, b) = (open(&endpoint, Role::Controlling), open(&endpoint, Role::Controlled));
    complete_over_tcp(&a, &b).await;
    exchange(&a, &b, b"before").await;
    let old = a.path(floe::io::ComponentId::FIRST).unwrap();
    a.restart().await;
    exchange(&a, &b, b"meanwhile").await;
    complete_over_tcp(&a, &b).await;
    within("another path", async {
        while a.path(floe::io::ComponentId::FIRST) == Some(old) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    exchange(&b, &a, b"after").await;
}

/// The passive candidate of a session.
async fn passive(session: &Session) -> SocketAddr {
    within("a passive candidate", async {
        loop {
            let event = session.event().await.unwrap();
            if let Some(found) = candidate(&event).filter(|it| it.tcp_type == Some(TcpType::Passive)) {
                return found.address.socket().unwrap();
            }
        }
    })
    .await
}

/// RFC 6544 §7.2, RFC 4571 §2: whoever connects and does not speak STUN is sent away.
#[tokio::test]
async fn a_stranger_that_does_not_speak_stun_is_disconnected() {
    let endpoint = loopback(V4).await;
    let session = open(&endpoint, Role::Controlled);
    let addr = passive(&session).await;
    let closed = spawn_blocking(move || {
        let mut stream = TcpStream::connect(addr).unwrap();
        stream.write_all(&[0, 5]).unwrap();
        stream.write_all(b"hello").unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).map(|_| rest)
    });
    assert_eq!(within("the end", closed).await.unwrap().unwrap(), b"");
}

/// RFC 6544 §7.1: a remote candidate that turns out to be a web server costs one connection, and the session goes on.
#[tokio::test]
async fn a_web_server_in_the_place_of_the_peer_is_left_alone() {
    let endpoint = loopback(V4).await;
    let session = open(&endpoint, Role::Controlling);
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = server.local_addr().unwrap();
    let answered = spawn_blocking(move || {
        let (mut stream, _) = server.accept().unwrap();
        let mut begin = [0; 22];
        stream.read_exact(&mut begin).unwrap();
        // An HTTP status line as a length asks for 18,516 bytes: enough of them make a frame.
        stream.write_all(&b"HTTP/1.1 400 Bad Request\r\n".repeat(800)).unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        begin
    });
    let credentials = Credentials::new("peer".parse().unwrap(), "passwordpasswordpassword".parse().unwrap());
    session.signal(Signal::new(0, What::Credentials(credentials))).await.unwrap();
    let candidate = Candidate::udp(Foundation::from_number(1), 1, 1, addr, CandidateType::Host, None);
    session.signal(Signal::new(0, What::Candidate(candidate.over_tcp(TcpType::Passive)))).await.unwrap();
    let begin = within("the end of the connection", answered).await.unwrap();
    // RFC 4571: the length, then the Binding request.
    assert_eq!(begin[2..4], [0, 1]);
    assert_eq!(begin[6..10], [0x21, 0x12, 0xA4, 0x42]);
    assert_eq!(session.state(), State::Checking);
}

const PEER_PWD: &str = "passwordpasswordpassword";

fn frame(message: &[u8]) -> Vec<u8> {
    let mut frame = (message.len() as u16).to_be_bytes().to_vec();
    frame.extend(message);
    frame
}

fn read_frame(stream: &mut TcpStream) -> Vec<u8> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message).unwrap();
    message
}

/// A Binding request of a controlling peer, or its answer to one.
fn written(class: Class, id: TransactionId, fill: impl FnOnce(&mut Writer<'_>), pwd: &str) -> Vec<u8> {
    let mut buf = [0; 500];
    let mut writer = Writer::new(&mut buf, class, Method::BINDING, id);
    fill(&mut writer);
    writer.integrity(&Key::short_term(pwd), Integrity::Sha1).fingerprint();
    writer.finish().unwrap().to_vec()
}

/// RFC 6544 §7.2: a peer that knows nothing but the RFCs, and whose kernel cuts as it likes.
#[tokio::test]
async fn frames_may_be_cut_anywhere_for_the_whole_life_of_a_connection() {
    let endpoint = loopback(V4).await;
    let session = open(&endpoint, Role::Controlled);
    let (mut own, mut addr) = (None, None);
    within("what is signalled", async {
        while own.is_none() || addr.is_none() {
            let event = session.event().await.unwrap();
            if let Some(found) = candidate(&event).filter(|it| it.tcp_type == Some(TcpType::Passive)) {
                addr = found.address.socket();
            }
            if let Event::Signal(Signal { what: What::Credentials(credentials), .. }) = event {
                own = Some((credentials.ufrag.to_string(), credentials.pwd.as_str().to_owned()));
            }
        }
    })
    .await;
    let ((ufrag, pwd), addr) = (own.unwrap(), addr.unwrap());
    let credentials = Credentials::new("peer".parse().unwrap(), PEER_PWD.parse().unwrap());
    session.signal(Signal::new(0, What::Credentials(credentials))).await.unwrap();
    let peer = spawn_blocking(move || {
        let mut stream = TcpStream::connect(addr).unwrap();
        stream.set_nodelay(true).unwrap();
        let id = TransactionId([7; 12]);
        let fill = |writer: &mut Writer<'_>| {
            writer.put_username(&format!("{ufrag}:peer")).put_u32(attr::PRIORITY, 1_500_000_000);
            writer.put_u64(attr::ICE_CONTROLLING, 1).put(attr::USE_CANDIDATE, &[]);
        };
        for byte in frame(&written(Class::Request, id, fill, &pwd)) {
            stream.write_all(&[byte]).unwrap();
        }
        // The answer and the triggered check, in this order or the other.
        let mut is_answered = false;
        let check = loop {
            let message = read_frame(&mut stream);
            let message = Message::parse(&message).unwrap();
            match message.class() {
                Class::Request => break message.transaction_id(),
                class => {
                    assert_eq!((class, message.transaction_id()), (Class::Success, id));
                    is_answered = true;
                }
            }
        };
        let own = stream.local_addr().unwrap();
        let fill = |writer: &mut Writer<'_>| {
            writer.put_xor_address(attr::XOR_MAPPED_ADDRESS, addr);
        };
        let answer = frame(&written(Class::Success, check, fill, PEER_PWD));
        // Half of the next message travels with it.
        let data: Vec<u8> = (0..50_u8).flat_map(|n| frame(&vec![n; usize::from(n) + 1])).collect();
        let all = [answer, data].concat();
        for piece in all.chunks(73) {
            stream.write_all(piece).unwrap();
        }
        assert!(own.port() != addr.port() && is_answered);
        stream
    });
    let mut stream = within("the peer", peer).await.unwrap();
    let mut buf = [0; 100];
    for n in 0..50_u8 {
        let (_, len) = within("data", session.recv(&mut buf)).await.unwrap();
        assert_eq!(&buf[..len], vec![n; usize::from(n) + 1]);
    }
    within("the way back", session.send(floe::io::ComponentId::FIRST, b"thanks")).await.unwrap();
    let heard = spawn_blocking(move || read_frame(&mut stream));
    assert_eq!(within("the answer", heard).await.unwrap(), b"thanks");
}
