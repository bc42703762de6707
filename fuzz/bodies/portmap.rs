//! The body of the fuzz target `portmap`, replayed by `tests/portmap/fuzzed.rs` on stable.

use std::time::{Duration, Instant};

use floe::io::{CloseReason, Transport};
use floe::portmap::{Channel, Config, Input, Mapper, Output, Wish, fuzzed};

/// Every parser reads the bytes; then a gateway says them, in pieces: each piece is what it answers to the next thing
/// that it is asked. Nothing panics, nobody else is asked, and the mapper does not talk without end.
pub fn portmap(data: &[u8]) {
    fuzzed::parse(data);
    let (local, gateway) = ([192, 168, 1, 7].into(), [192, 168, 1, 1].into());
    let mut now = epoch();
    let mut mapper = Mapper::new(Config::new(local, gateway, [7; 32]));
    let _ = mapper.map(now, Wish::new(Transport::Udp, 5000));
    let mut pieces = data.split(|byte| *byte == 0xA7);
    let mut buf = [0; 1500];
    for _ in 0..2000 {
        match mapper.poll_output(&mut buf) {
            Output::Transmit { channel, destination, payload } => {
                let is_gateway = destination.ip() == gateway && destination.port() == 5351;
                assert!(is_gateway || channel == Channel::Search, "{destination}");
                // With the right nonce, so that answers are taken.
                let mut answer = payload.to_vec();
                let Some(piece) = pieces.next() else { return };
                let given = piece.len().min(24.min(answer.len()));
                answer[..given].copy_from_slice(&piece[..given]);
                let payload: &[u8] = if piece.len() % 2 == 0 { piece } else { &answer };
                let source = std::net::SocketAddr::new(gateway, destination.port());
                mapper.handle_input(now, Input::Datagram { channel, source, payload });
            }
            Output::Connect { stream, remote } => {
                assert_eq!(remote.ip(), gateway);
                mapper.handle_input(now, Input::Connected(stream));
            }
            Output::Write { stream, .. } => {
                let Some(bytes) = pieces.next() else { return };
                mapper.handle_input(now, Input::Received { stream, bytes });
                mapper.handle_input(now, Input::Closed { stream, why: CloseReason::Ended });
            }
            Output::Wait(Some(wake)) => {
                now = now.max(wake.at) + Duration::from_millis(1);
                mapper.handle_input(now, Input::Timeout);
            }
            Output::Wait(None) => return,
            _ => {}
        }
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "an Instant has no other constructor; only differences are used"
)]
fn epoch() -> Instant {
    Instant::now()
}
