//! The data path: payloads wrapped in place and unwrapped, direct and relayed.

mod wire;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};

use floe::stun::TransactionId;
use floe::turn::data::{Framing, HEADROOM, TAILROOM, wrap};

use wire::{Wire, start};

const PAYLOAD: usize = 1200;

fn send(c: &mut Criterion) {
    let mut group = c.benchmark_group("send");
    group.throughput(Throughput::Bytes(PAYLOAD as u64));
    let mut wire = Wire::new(start(), 1);
    wire.signal();
    wire.complete();
    let path = wire.path();
    let mut buf = [0; HEADROOM + PAYLOAD + TAILROOM];
    group.bench_function("path", |bencher| bencher.iter(|| path.wrap(&mut buf, PAYLOAD).payload.len()));
    let peer = "203.0.113.9:40000".parse().expect("an address");
    for (name, framing) in [
        ("channel", Framing::Channel(0x4001)),
        ("send indication", Framing::Send { peer, id: TransactionId([7; 12]) }),
    ] {
        group.bench_function(name, |bencher| bencher.iter(|| wrap(framing, &mut buf, PAYLOAD).len()));
    }
}

fn receive(c: &mut Criterion) {
    let mut group = c.benchmark_group("receive");
    group.throughput(Throughput::Bytes(PAYLOAD as u64));
    for sockets in [1, 10] {
        let mut wire = Wire::new(start(), sockets);
        wire.signal();
        wire.complete();
        let (socket, source, _) = wire.next_consent_request();
        let payload = [200; PAYLOAD];
        group.bench_function(format!("direct/{sockets}"), |bencher| {
            bencher.iter(|| assert_eq!(wire.data(socket, source, &payload), PAYLOAD));
        });
    }
}

criterion_group!(data, send, receive);
criterion_main!(data);
