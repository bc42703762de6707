//! The sockets of a mapper.

use std::future::pending;
use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use socket2::{Domain, Protocol, SockRef, Type};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, UdpSocket};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::io::CloseReason;
use crate::net::gateway::Gateway;
use crate::portmap::{
    ANNOUNCEMENT_PORT, ANNOUNCEMENTS_V4, ANNOUNCEMENTS_V6, CONTROL_PORT, Channel, Input, StreamId,
};

/// Longer datagrams are of no protocol here (RFC 6887 §7): what is cut off makes them malformed.
const BUFFER: usize = 2048;
/// Pieces of a connection that wait for the machine; more make it wait.
const PIECES: usize = 8;
/// As far as SSDP goes (UPnP Device Architecture 1.1 §1.3.2).
const SSDP_TTL: u32 = 2;

/// What has come.
#[derive(Debug)]
pub(super) enum Arrival {
    /// A datagram of this length, in the buffer of the socket.
    Datagram(Channel, usize, SocketAddr),
    Unreachable,
    Stream(StreamId, Piece),
    Nothing,
}

/// What happens to a connection.
#[derive(Debug)]
pub(super) enum Piece {
    Connected,
    Bytes(Vec<u8>),
    Closed(CloseReason),
}

/// A socket and what it has received.
struct Port {
    socket: UdpSocket,
    buf: Box<[u8; BUFFER]>,
}

/// A connection: its task, and the way to it.
struct Stream {
    id: StreamId,
    writes: mpsc::Sender<Vec<u8>>,
    task: AbortHandle,
}

pub(super) struct Sockets {
    local: IpAddr,
    control: Port,
    search: Option<Port>,
    announcements: Option<Port>,
    stream: Option<Stream>,
    pieces: (Pieces, mpsc::Receiver<(StreamId, Piece)>),
}

type Pieces = mpsc::Sender<(StreamId, Piece)>;

impl Sockets {
    /// The control socket has to be there; without the other ones there is less.
    pub(super) fn open(local: IpAddr, gateway: Gateway) -> io::Result<Self> {
        let control = control(local, gateway)?;
        let or_none = |what: &str, port: io::Result<Port>| {
            port.inspect_err(|error| tracing::debug!(%error, what, "a socket for port mappings")).ok()
        };
        let search = local.is_ipv4().then(|| or_none("search", search(local))).flatten();
        let announcements = or_none("announcements", announcements(local, gateway.scope));
        Ok(Self { local, control, search, announcements, stream: None, pieces: mpsc::channel(PIECES) })
    }

    /// What comes next. May be dropped and called again.
    pub(super) async fn arrival(&mut self) -> Arrival {
        let (control, search, announcements) = (&mut self.control, &mut self.search, &mut self.announcements);
        tokio::select! {
            received = control.socket.recv_from(&mut control.buf[..]) => match received {
                Ok((len, source)) => Arrival::Datagram(Channel::Control, len, source),
                // ICMP, which a connected socket is told.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Arrival::Unreachable,
                Err(_) => Arrival::Nothing,
            },
            arrival = receive(search, Channel::Search) => arrival,
            arrival = receive(announcements, Channel::Announcements) => arrival,
            Some((stream, piece)) = self.pieces.1.recv() => Arrival::Stream(stream, piece),
        }
    }

    /// The same for the machine.
    pub(super) fn input<'a>(&'a self, arrival: &'a Arrival) -> Option<Input<'a>> {
        Some(match arrival {
            Arrival::Datagram(channel, len, source) => {
                let port = match channel {
                    Channel::Control => Some(&self.control),
                    Channel::Search => self.search.as_ref(),
                    Channel::Announcements => self.announcements.as_ref(),
                };
                Input::Datagram { channel: *channel, source: *source, payload: port?.buf.get(..*len)? }
            }
            Arrival::Unreachable => Input::Unreachable,
            Arrival::Stream(stream, Piece::Connected) => Input::Connected(*stream),
            Arrival::Stream(stream, Piece::Bytes(bytes)) => Input::Received { stream: *stream, bytes },
            Arrival::Stream(stream, Piece::Closed(why)) => Input::Closed { stream: *stream, why: *why },
            Arrival::Nothing => return None,
        })
    }

    /// What cannot be sent is lost, as on the link: the machine repeats it.
    pub(super) fn send(&self, channel: Channel, destination: SocketAddr, payload: &[u8]) {
        // Not through tokio, which does not know yet that a fresh socket is writable.
        let sent = match (channel, &self.search) {
            (Channel::Control, _) => SockRef::from(&self.control.socket).send(payload).map(drop),
            (Channel::Search, Some(port)) => {
                SockRef::from(&port.socket).send_to(payload, &destination.into()).map(drop)
            }
            _ => Ok(()),
        };
        if let Err(error) = sent {
            tracing::trace!(%error, %destination, "port mapping: send error");
        }
    }

    /// The machine has one connection at a time.
    pub(super) fn connect(&mut self, id: StreamId, remote: SocketAddr) {
        let (writes, requests) = mpsc::channel(PIECES);
        let (local, pieces) = (SocketAddr::new(self.local, 0), self.pieces.0.clone());
        let task = tokio::spawn(async move {
            let why = match talk(id, local, remote, requests, &pieces).await {
                Ok(()) => CloseReason::Ended,
                Err(error) => match error.kind() {
                    io::ErrorKind::ConnectionRefused => CloseReason::Refused,
                    io::ErrorKind::ConnectionReset => CloseReason::Reset,
                    io::ErrorKind::TimedOut => CloseReason::TimedOut,
                    _ => CloseReason::Unreachable,
                },
            };
            let _ = pieces.send((id, Piece::Closed(why))).await;
        });
        let stream = Stream { id, writes, task: task.abort_handle() };
        if let Some(old) = self.stream.replace(stream) {
            old.task.abort();
        }
    }

    pub(super) fn write(&self, id: StreamId, bytes: &[u8]) {
        if let Some(stream) = self.stream.as_ref().filter(|stream| stream.id == id) {
            // A request is one or two pieces.
            let _ = stream.writes.try_send(bytes.to_vec());
        }
    }

    pub(super) fn close(&mut self, id: StreamId) {
        if let Some(stream) = self.stream.take_if(|stream| stream.id == id) {
            stream.task.abort();
        }
    }
}

impl Drop for Sockets {
    fn drop(&mut self) {
        if let Some(stream) = self.stream.take() {
            stream.task.abort();
        }
    }
}

async fn receive(port: &mut Option<Port>, channel: Channel) -> Arrival {
    let Some(port) = port else { return pending().await };
    match port.socket.recv_from(&mut port.buf[..]).await {
        Ok((len, source)) => Arrival::Datagram(channel, len, source),
        Err(_) => Arrival::Nothing,
    }
}

/// A connection from beginning to end.
async fn talk(
    id: StreamId,
    local: SocketAddr,
    remote: SocketAddr,
    mut requests: mpsc::Receiver<Vec<u8>>,
    pieces: &Pieces,
) -> io::Result<()> {
    let socket = if remote.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.bind(local)?;
    let mut stream = socket.connect(remote).await?;
    // Who does not listen any more has closed the connection.
    let _ = pieces.send((id, Piece::Connected)).await;
    let mut buf = [0; BUFFER];
    loop {
        tokio::select! {
            Some(request) = requests.recv() => stream.write_all(&request).await?,
            read = stream.read(&mut buf) => match read? {
                0 => return Ok(()),
                len => drop(pieces.send((id, Piece::Bytes(buf[..len].to_vec()))).await),
            },
        }
    }
}

fn port(socket: socket2::Socket) -> io::Result<Port> {
    socket.set_nonblocking(true)?;
    Ok(Port { socket: UdpSocket::from_std(socket.into())?, buf: Box::new([0; BUFFER]) })
}

fn datagrams(local: IpAddr) -> io::Result<socket2::Socket> {
    let domain = Domain::for_address(SocketAddr::new(local, 0));
    socket2::Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))
}

/// From a port that the system chooses (RFC 6887 §8.1), connected: the system tells of ICMP, and filters by the source.
fn control(local: IpAddr, gateway: Gateway) -> io::Result<Port> {
    let socket = datagrams(local)?;
    socket.bind(&SocketAddr::new(local, 0).into())?;
    let server: SocketAddr = match gateway.ip {
        IpAddr::V4(ip) => (ip, CONTROL_PORT).into(),
        IpAddr::V6(ip) => SocketAddrV6::new(ip, CONTROL_PORT, 0, gateway.scope).into(),
    };
    socket.connect(&server.into())?;
    port(socket)
}

fn search(local: IpAddr) -> io::Result<Port> {
    let socket = datagrams(local)?;
    if let IpAddr::V4(ip) = local {
        socket.set_multicast_if_v4(&ip)?;
        socket.set_multicast_ttl_v4(SSDP_TTL)?;
    }
    socket.bind(&SocketAddr::new(local, 0).into())?;
    port(socket)
}

/// Bound to the group where the system can, so that several clients get along (RFC 6886 §3.2.1).
fn announcements(local: IpAddr, scope: u32) -> io::Result<Port> {
    let socket = datagrams(local)?;
    socket.set_reuse_address(true)?;
    #[cfg(unix)]
    socket.set_reuse_port(true)?;
    let group: SocketAddr = match local {
        IpAddr::V4(ip) => {
            #[cfg(target_os = "linux")]
            socket.set_multicast_all_v4(false)?;
            socket.join_multicast_v4(&ANNOUNCEMENTS_V4, &ip)?;
            (ANNOUNCEMENTS_V4, ANNOUNCEMENT_PORT).into()
        }
        IpAddr::V6(_) => {
            socket.set_only_v6(true)?;
            #[cfg(target_os = "linux")]
            socket.set_multicast_all_v6(false)?;
            socket.join_multicast_v6(&ANNOUNCEMENTS_V6, scope)?;
            SocketAddrV6::new(ANNOUNCEMENTS_V6, ANNOUNCEMENT_PORT, 0, scope).into()
        }
    };
    let any = match local {
        IpAddr::V4(_) => IpAddr::from([0; 4]),
        IpAddr::V6(_) => IpAddr::from([0; 16]),
    };
    let bound = if cfg!(unix) { group } else { SocketAddr::new(any, ANNOUNCEMENT_PORT) };
    socket.bind(&bound.into())?;
    port(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6886 §3.2.1, RFC 6887 §14.1.3: on the interface in use, beside others.
    #[tokio::test]
    async fn two_clients_of_one_host_listen_for_announcements() {
        let local = IpAddr::from([127, 0, 0, 1]);
        let mut ports = [announcements(local, 0).unwrap(), announcements(local, 0).unwrap()];
        for port in &ports {
            assert_eq!(port.socket.local_addr().unwrap(), "224.0.0.1:5350".parse().unwrap());
        }
        let gateway = datagrams(local).unwrap();
        gateway.set_multicast_if_v4(&std::net::Ipv4Addr::LOCALHOST).unwrap();
        gateway.bind(&SocketAddr::new(local, 0).into()).unwrap();
        let group = SocketAddr::from((ANNOUNCEMENTS_V4, ANNOUNCEMENT_PORT));
        gateway.send_to(b"announcement", &group.into()).unwrap();
        for port in &mut ports {
            let received = port.socket.recv_from(&mut port.buf[..]);
            let (len, source) =
                tokio::time::timeout(std::time::Duration::from_secs(20), received).await.unwrap().unwrap();
            assert_eq!((&port.buf[..len], source.ip()), (&b"announcement"[..], local));
        }
    }
}
