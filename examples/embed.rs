//! An agent in a plain event loop: one thread, one socket of its own, no runtime.
//!
//! Two of them run here, in two threads, and signal over channels. `cargo run --example embed`

use std::net::UdpSocket;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use floe::io::{ComponentId, Datagram, Socket, SocketId};
use floe::signal::Signal;
use floe::{Agent, Config, Event, Input, Output, Path, Received, Role};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn run(role: Role, to_peer: &Sender<Signal>, from_peer: &Receiver<Signal>) -> Result<String> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let local = socket.local_addr()?;
    let mut agent = Agent::new(Config::new(role, rand::random()), now());
    agent.add_socket(now(), SocketId(0), Socket::udp(local))?;
    agent.end_of_sockets(now());
    let (mut buf, mut heard) = ([0; 1500], None);
    loop {
        // Do what the agent wants.
        let wake = loop {
            match agent.poll_output(&mut buf) {
                Output::Transmit(transmit) => drop(socket.send_to(transmit.payload, transmit.destination)?),
                Output::Event(Event::Signal(signal)) => drop(to_peer.send(signal)),
                Output::Event(Event::Path { path: Some(path), .. }) => say_hello(&socket, &path, role)?,
                Output::Event(event) => println!("{role:?}: {event:?}"),
                Output::Wait(wake) => break wake,
                _ => {}
            }
        };
        if let (Some(heard), true) = (&heard, agent.state() == floe::State::Completed) {
            return Ok(format!("{role:?} on {:?} heard {heard:?}", agent.path(ComponentId::FIRST)));
        }
        // Tell it what happened: a signal, a datagram, or that time has passed.
        for signal in from_peer.try_iter() {
            agent.handle_signal(now(), signal)?;
        }
        let wait = wake.map_or(Duration::from_secs(1), |wake| wake.at.saturating_duration_since(now()));
        socket.set_read_timeout(Some(wait.clamp(Duration::from_millis(1), Duration::from_millis(5))))?;
        if let Ok((len, source)) = socket.recv_from(&mut buf) {
            let datagram =
                Datagram { socket: SocketId(0), local: local.ip(), source, ecn: None, payload: &buf[..len] };
            if let Received::Data { payload, .. } = agent.handle_input(now(), Input::Datagram(datagram)) {
                heard = Some(String::from_utf8_lossy(payload).into_owned());
            }
        }
        if wake.is_some_and(|wake| wake.at <= now()) {
            let _ = agent.handle_input(now(), Input::Timeout);
        }
    }
}

fn say_hello(socket: &UdpSocket, path: &Path, role: Role) -> Result<()> {
    let text = format!("hello from the {role:?} side");
    let mut buf = [0; Path::HEADROOM + 100 + Path::TAILROOM];
    buf[Path::HEADROOM..][..text.len()].copy_from_slice(text.as_bytes());
    let transmit = path.wrap(&mut buf, text.len());
    socket.send_to(transmit.payload, transmit.destination)?;
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "an embedder reads the clock; the agent never does")]
fn now() -> Instant {
    Instant::now()
}

fn main() -> Result<()> {
    let ((to_b, from_a), (to_a, from_b)) = (channel(), channel());
    let b = std::thread::spawn(move || run(Role::Controlled, &to_a, &from_a));
    println!("{}", run(Role::Controlling, &to_b, &from_b)?);
    println!("{}", b.join().expect("the thread did not panic")?);
    Ok(())
}
