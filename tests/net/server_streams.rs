//! The server over TCP and TLS.

use std::net::SocketAddr;
use std::time::Duration;

use floe::net::Server;
use floe::net::server::{Protocol, ServerStats};
use floe::server::{Cidr, Config, PeerRules};
use floe::stun::auth::{Integrity, PasswordAlgorithm};
use floe::stun::codec::PROTOCOL_UDP;
use floe::stun::wire::attr;
use floe::stun::{Class, Key, Message, Method, TransactionId, Writer};
use floe::tcp::{Deframer, Framing};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};

use crate::{V4, V6, has_ipv6, within};

/// A Binding request (RFC 8489 §5).
const BINDING: [u8; 20] = *b"\0\x01\0\0\x21\x12\xA4\x42twelve bytes";

pub(crate) fn relaying() -> Config {
    Server::config().user("ann", "secret").relay_address(V4).peers(PeerRules::default().allow(Cidr::from(V4)))
}

/// A server that accepts connections at an address of loopback.
async fn over_tcp(config: Config) -> (Server, SocketAddr) {
    let server = Server::builder(config).tcp((V4, 0).into()).bind().await.unwrap();
    let addr = server.listening()[0].addr;
    (server, addr)
}

/// Asks until the counters are as they have to be.
pub(crate) async fn counters(server: &Server, are_good: impl Fn(&ServerStats) -> bool) -> ServerStats {
    within("the counters", async {
        loop {
            let stats = server.stats().await;
            if are_good(&stats) {
                return stats;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
}

/// A client on any stream.
struct Client<S> {
    io: S,
    deframer: Deframer,
    nonce: String,
    next: u8,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    fn new(io: S) -> Self {
        Self { io, deframer: Deframer::new(Framing::Turn), nonce: String::new(), next: 0 }
    }

    async fn recv(&mut self) -> Vec<u8> {
        within("a message", async {
            loop {
                if let Some(message) = self.deframer.next_frame().unwrap() {
                    return message.to_vec();
                }
                let mut buf = [0; 4096];
                let len = self.io.read(&mut buf).await.unwrap();
                assert!(len > 0, "the server closed the connection");
                self.deframer.push(&buf[..len]);
            }
        })
        .await
    }

    async fn closed(&mut self) {
        within("the end", async {
            let mut buf = [0; 4096];
            while self.io.read(&mut buf).await.is_ok_and(|len| len > 0) {}
        })
        .await;
    }

    async fn ask(&mut self, method: Method, fill: impl Fn(&mut Writer<'_>)) -> Vec<u8> {
        self.next += 1;
        let mut buf = [0; 1000];
        let mut writer = Writer::new(&mut buf, Class::Request, method, TransactionId([self.next; 12]));
        fill(&mut writer);
        if !self.nonce.is_empty() {
            let key = Key::long_term(PasswordAlgorithm::Md5, "ann", "floe", "secret");
            writer.put_username("ann").put_realm("floe").put_nonce(&self.nonce);
            writer.integrity(&key, Integrity::Sha1);
        }
        let request = writer.finish().unwrap().to_vec();
        self.io.write_all(&request).await.unwrap();
        self.recv().await
    }

    async fn allocate(&mut self) -> SocketAddr {
        for _ in 0..2 {
            let answer = self
                .ask(Method::ALLOCATE, |writer| {
                    writer.put_requested_transport(PROTOCOL_UDP);
                })
                .await;
            let attributes = Message::parse(&answer).unwrap().plain().attributes();
            if let Some(relayed) = attributes.xor_address(attr::XOR_RELAYED_ADDRESS) {
                return relayed;
            }
            self.nonce = attributes.nonce().unwrap();
        }
        panic!("no allocation");
    }

    async fn bind(&mut self, number: u16, peer: SocketAddr) {
        let answer = self
            .ask(Method::CHANNEL_BIND, |writer| {
                writer.put_channel_number(number).put_xor_address(attr::XOR_PEER_ADDRESS, peer);
            })
            .await;
        assert_eq!(Message::parse(&answer).unwrap().class(), Class::Success);
    }
}

/// Data of odd length both ways: ChannelData is padded on a stream (RFC 8656 §12.5).
pub(crate) async fn relays<S: AsyncRead + AsyncWrite + Unpin>(io: S) {
    let mut client = Client::new(io);
    let relayed = client.allocate().await;
    let peer = UdpSocket::bind((V4, 0)).await.unwrap();
    client.bind(0x4001, peer.local_addr().unwrap()).await;
    // Two messages in one write, the second cut.
    let mut stream = Vec::new();
    Framing::Turn.put(&[0x40, 1, 0, 3, 1, 2, 3], &mut stream);
    Framing::Turn.put(&[0x40, 1, 0, 5, 5, 6, 7, 8, 9], &mut stream);
    client.io.write_all(&stream[..10]).await.unwrap();
    client.io.flush().await.unwrap();
    let mut buf = [0; 100];
    let (len, source) = within("data", peer.recv_from(&mut buf)).await.unwrap();
    assert_eq!((&buf[..len], source), (&[1, 2, 3][..], relayed));
    client.io.write_all(&stream[10..]).await.unwrap();
    client.io.flush().await.unwrap();
    let len = within("data", peer.recv(&mut buf)).await.unwrap();
    assert_eq!(&buf[..len], [5, 6, 7, 8, 9]);

    for payload in [&b"a"[..], b"bcd", b"", b"efgh"] {
        peer.send_to(payload, relayed).await.unwrap();
        let message = client.recv().await;
        assert_eq!(message, [&[0x40, 1, 0, payload.len() as u8], payload].concat());
    }
}

#[tokio::test]
async fn udp_and_tcp_share_a_port_in_both_families() {
    let mut builder = Server::builder(Server::config()).udp((V4, 0).into()).tcp((V4, 0).into());
    if has_ipv6() {
        builder = builder.udp((V6, 0).into()).tcp((V6, 0).into());
    }
    let server = builder.bind().await.unwrap();
    for pair in server.listening().chunks(2) {
        assert_eq!([pair[0].protocol, pair[1].protocol], [Protocol::Udp, Protocol::Tcp]);
        assert_eq!(pair[0].addr, pair[1].addr);
        let io = TcpStream::connect(pair[1].addr).await.unwrap();
        let own = io.local_addr().unwrap();
        let mut client = Client::new(io);
        // Cut at every byte.
        for byte in BINDING {
            client.io.write_all(&[byte]).await.unwrap();
        }
        let answer = client.recv().await;
        let attributes = Message::parse(&answer).unwrap().plain().attributes();
        assert_eq!(attributes.xor_address(attr::XOR_MAPPED_ADDRESS), Some(own));
    }
}

#[tokio::test]
async fn a_client_over_tcp_gets_a_relay_and_its_end_is_that_of_the_allocation() {
    let (server, addr) = over_tcp(relaying()).await;
    relays(TcpStream::connect(addr).await.unwrap()).await;
    let stats = counters(&server, |stats| stats.server.allocations == 0).await.server;
    assert_eq!((stats.connections, stats.connections_made, stats.allocations_made), (0, 1, 1));
    assert_eq!((stats.packets_to_peers, stats.packets_to_clients), (2, 4));
}

#[tokio::test]
async fn what_is_neither_stun_nor_channel_data_closes_the_connection() {
    let (server, addr) = over_tcp(relaying()).await;
    for junk in [&b"SSH-2.0-x\r\n"[..], b"\x16\x03\x01\x02\x00\x01\x00\x01", &[0xFF; 5000], b"\0\x01\0\x03"] {
        let mut client = Client::new(TcpStream::connect(addr).await.unwrap());
        client.io.write_all(junk).await.unwrap();
        client.closed().await;
    }
    let stats = counters(&server, |stats| stats.server.connections == 0).await;
    assert_eq!((stats.unclaimed, stats.server.connections_made), (4, 4));
    // And the server goes on.
    relays(TcpStream::connect(addr).await.unwrap()).await;
}

#[tokio::test]
async fn connections_above_the_limit_are_closed_and_the_others_are_served() {
    let (server, addr) = over_tcp(relaying().max_connections(20)).await;
    let mut kept = Vec::new();
    for number in 0..300 {
        let mut io = TcpStream::connect(addr).await.unwrap();
        if number < 20 {
            // Half a message each, the longest that there is.
            io.write_all(&[0x40, 0, 0xFF, 0xFF, 1, 2, 3]).await.unwrap();
        }
        kept.push(io);
    }
    let stats = counters(&server, |stats| stats.server.connections_refused == 280).await.server;
    assert_eq!((stats.connections, stats.connections_made), (20, 20));
    drop(kept);
    counters(&server, |stats| stats.server.connections == 0).await;
    relays(TcpStream::connect(addr).await.unwrap()).await;
}

#[tokio::test]
async fn half_a_message_does_not_keep_a_connection() {
    let (server, addr) = over_tcp(relaying().idle_timeout(Duration::from_millis(50))).await;
    let mut client = Client::new(TcpStream::connect(addr).await.unwrap());
    client.io.write_all(&BINDING[..7]).await.unwrap();
    client.closed().await;
    assert_eq!(counters(&server, |stats| stats.server.connections == 0).await.server.connections_idle, 1);
}

/// The client does not read: what does not fit is dropped frame by frame, and the server holds a bounded rest.
#[tokio::test]
async fn a_slow_client_gets_whole_frames_only() {
    let (server, addr) = over_tcp(relaying()).await;
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut client = Client::new(socket.connect(addr).await.unwrap());
    let relayed = client.allocate().await;
    let peer = UdpSocket::bind((V4, 0)).await.unwrap();
    client.bind(0x4001, peer.local_addr().unwrap()).await;
    let mut sent = 0_u32;
    within("a full queue", async {
        while server.stats().await.packets_discarded_on_send == 0 {
            for _ in 0..64 {
                let payload = [&sent.to_be_bytes()[..], &[7; 1201]].concat();
                peer.send_to(&payload, relayed).await.unwrap();
                sent += 1;
            }
        }
    })
    .await;
    // It reads at last: every frame is whole, in order, and some are missing.
    let (mut last, mut count) = (None, 0);
    loop {
        let Ok(message) = tokio::time::timeout(Duration::from_millis(50), client.recv()).await else {
            peer.send_to(b"the end", relayed).await.unwrap();
            continue;
        };
        if message == b"\x40\x01\0\x07the end" {
            break;
        }
        assert_eq!((message.len(), &message[..2]), (4 + 1205, &[0x40, 1][..]));
        let number = u32::from_be_bytes(message[4..8].try_into().unwrap());
        assert!(last.is_none_or(|last| last < number) && message[8..].iter().all(|byte| *byte == 7));
        last = Some(number);
        count += 1;
    }
    assert!(count > 0 && count < sent);
}
