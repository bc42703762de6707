//! The codec: a check built, read and verified.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};

use floe::stun::auth::Integrity;
use floe::stun::wire::attr;
use floe::stun::{Class, Key, Message, Method, TransactionId, Writer};

const PWD: &str = "VOkJxbRl1RmTxUk/WvJxBt";

fn build<'b>(buf: &'b mut [u8], key: &Key, integrity: Integrity) -> &'b [u8] {
    let mut writer = Writer::new(buf, Class::Request, Method::BINDING, TransactionId([7; 12]));
    writer.put(attr::USERNAME, b"evtjh6vY:a8Kd9fPq").put_u32(attr::PRIORITY, 0x6E00_01FF);
    writer.put_u64(attr::ICE_CONTROLLING, 0x932F_F9B1_5126_3B36).put(attr::USE_CANDIDATE, &[]);
    writer.integrity(key, integrity).fingerprint();
    writer.finish().expect("room for it")
}

fn checks(c: &mut Criterion) {
    let key = Key::short_term(PWD);
    let mut group = c.benchmark_group("codec");
    for (name, integrity) in [("sha1", Integrity::Sha1), ("sha256", Integrity::Sha256)] {
        let mut buf = [0; 1500];
        let check = build(&mut buf, &key, integrity).to_vec();
        group.throughput(Throughput::Bytes(check.len() as u64));
        group.bench_function(format!("build/{name}"), |bencher| {
            bencher.iter(|| build(&mut buf, &key, integrity).len());
        });
        group.bench_function(format!("parse/{name}"), |bencher| {
            bencher.iter(|| Message::parse(std::hint::black_box(&check)).is_ok());
        });
        group.bench_function(format!("verify/{name}"), |bencher| {
            bencher.iter(|| {
                let message = Message::parse(std::hint::black_box(&check)).expect("well-formed");
                let verified = message.verify(&key).expect("authentic");
                verified.attributes().u32(attr::PRIORITY)
            });
        });
    }
}

criterion_group!(codec, checks);
criterion_main!(codec);
