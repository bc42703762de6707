//! Candidate-pair checking: forming N × N pairs, running them to completion in virtual time, answering one check.

mod wire;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};

use wire::{Wire, start};

/// Host candidates a side; the limit of pairs is 100.
const SIZES: [u32; 4] = [1, 10, 32, 100];

fn form(c: &mut Criterion) {
    let mut group = c.benchmark_group("form");
    for sockets in SIZES {
        group.bench_with_input(BenchmarkId::from_parameter(sockets), &sockets, |bencher, sockets| {
            bencher.iter_batched_ref(|| Wire::new(start(), *sockets), Wire::signal, BatchSize::LargeInput);
        });
    }
}

fn complete(c: &mut Criterion) {
    let mut group = c.benchmark_group("complete");
    for sockets in SIZES {
        group.bench_with_input(BenchmarkId::from_parameter(sockets), &sockets, |bencher, sockets| {
            bencher.iter(|| {
                let mut wire = Wire::new(start(), *sockets);
                wire.signal();
                wire.complete();
            });
        });
    }
}

fn answer(c: &mut Criterion) {
    let mut group = c.benchmark_group("answer");
    for sockets in [1, 10] {
        let mut wire = Wire::new(start(), sockets);
        wire.signal();
        wire.complete();
        let check = wire.next_consent_request();
        let mut buf = [0; 1500];
        group.bench_function(BenchmarkId::from_parameter(sockets), |bencher| {
            bencher.iter(|| {
                assert!(wire.answer(&check, &mut buf) > 0);
            });
        });
        group.bench_function(BenchmarkId::new("idle", sockets), |bencher| {
            bencher.iter(|| wire.idle(&mut buf));
        });
    }
}

criterion_group!(checks, form, complete, answer);
criterion_main!(checks);
