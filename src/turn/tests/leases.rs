//! What is renewed, and when; what travels how.

use super::*;
use crate::turn::data::{Framing, HEADROOM, TAILROOM, wrap};
use std::net::IpAddr;

/// A Data indication.
fn data(peer: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let mut buf = [0; 200];
    let id = crate::stun::TransactionId([3; 12]);
    let mut writer = Writer::new(&mut buf, Class::Indication, Method::DATA, id);
    writer.put_xor_address(attr::XOR_PEER_ADDRESS, peer).put(attr::DATA, payload);
    writer.finish().unwrap().to_vec()
}

fn channel_data(number: u16, payload: &[u8]) -> Vec<u8> {
    let mut buf = vec![0; HEADROOM];
    buf.extend(payload);
    buf.extend([0; TAILROOM]);
    wrap(Framing::Channel(number), &mut buf, payload.len()).to_vec()
}

fn bound() -> Bench {
    let mut bench = Bench::permitted();
    bench.client.bind(addr(PEER));
    let (_, bind) = bench.next_sent().unwrap();
    assert_eq!(bind.method(), Method::CHANNEL_BIND);
    bench.accept(&bind);
    assert_eq!(bench.take_events(), [Event::ChannelBound { peer: addr(PEER), number: 0x4000 }]);
    bench
}

/// RFC 8656 §8: about a minute before the end, and sooner if it is short.
#[test]
fn an_allocation_is_refreshed_before_it_ends() {
    for (lifetime, at) in [(600, 540), (1200, 1140), (60, 30), (10, 5)] {
        let mut bench = Bench::new();
        let first = bench.slot();
        bench.challenge(&first, code::UNAUTHENTICATED, "nonce", None);
        let second = bench.slot();
        bench.allocate(&second, lifetime);
        let (first, lost) = bench.next_sent().unwrap();
        assert_eq!((first, lost.method()), (secs(at), Method::REFRESH));
        assert_eq!(lost.message().plain().attributes().lifetime(), None);
        let (_, refresh) = bench.next_sent().unwrap();
        assert!(refresh == lost, "the first one was lost");
        bench.refresh(&refresh, lifetime);
        let (next, _) = bench.next_sent().unwrap();
        assert_eq!(next, secs(2 * at));
    }
}

/// RFC 8656 §8: a client may refresh whenever it wants to know.
#[test]
fn an_allocation_is_refreshed_at_once_if_somebody_asks_and_once_only() {
    let mut bench = Bench::allocated();
    bench.client.refresh(bench.now);
    bench.client.refresh(bench.now);
    let refresh = one(bench.drain());
    assert_eq!(refresh.method(), Method::REFRESH);
    bench.refuse(&refresh, code::ALLOCATION_MISMATCH);
    assert_eq!(bench.take_events(), [Event::Lost]);
    bench.client.refresh(bench.now);
    assert!(bench.drain().is_empty(), "there is nothing to refresh");
}

/// RFC 8656 §8.3: any error but 437 leaves the allocation as it is.
#[test]
fn an_allocation_that_cannot_be_refreshed_ends_at_its_time() {
    let mut bench = Bench::allocated();
    let (_, refresh) = bench.next_sent().unwrap();
    bench.refuse(&refresh, 500);
    let (at, _) = bench.next_sent().unwrap();
    assert_eq!(at, secs(545), "it is asked again after a pause");
    while bench.next_sent().is_some() {}
    assert_eq!(bench.take_events(), [Event::Lost]);
    assert_eq!(bench.now - bench.start, secs(600));
}

/// RFC 8656 §9, §10.1.
#[test]
fn permissions_share_a_request_and_are_renewed_a_minute_before_their_end() {
    let mut bench = Bench::allocated();
    let peers: Vec<IpAddr> = (1..=12).map(|n| IpAddr::from([192, 0, 2, n])).collect();
    for peer in &peers {
        bench.client.permit(SocketAddr::new(*peer, 1));
        bench.client.permit(SocketAddr::new(*peer, 2));
    }
    let first = bench.slot();
    let second = bench.slot();
    assert!(!bench.client.wants_slot());
    let asked: Vec<_> = first.peers().into_iter().chain(second.peers()).map(|peer| peer.ip()).collect();
    assert_eq!((asked, first.peers().len()), (peers.clone(), 8));
    assert_eq!(bench.client.framing(SocketAddr::new(peers[0], 1)), None, "not before it is granted");
    bench.accept(&first);
    bench.accept(&second);
    let granted: Vec<_> = peers.iter().map(|peer| Event::PermissionGranted { peer: *peer }).collect();
    assert_eq!(bench.take_events(), granted);
    bench.step().unwrap();
    let renewals = bench.drain();
    assert_eq!(bench.now - bench.start, secs(240));
    assert_eq!(renewals.iter().map(|request| request.peers().len()).sum::<usize>(), 12);
    for renewal in &renewals {
        bench.accept(renewal);
    }
    assert_eq!(bench.take_events(), [], "a renewal is no news");
}

#[test]
fn a_permission_that_is_granted_or_refused_is_told_again_when_asked_for() {
    let mut bench = Bench::permitted();
    bench.client.permit(addr(PEER));
    assert_eq!(bench.take_events(), [Event::PermissionGranted { peer: addr(PEER).ip() }]);
    bench.client.permit(addr("[2001:db8::7]:6000"));
    let events = bench.take_events();
    assert!(
        matches!(&events[..], [Event::PermissionRefused { problem, .. }] if problem.has_code(443)),
        "an address family that the allocation lacks: {events:?}"
    );
}

/// RFC 8656 §10.2: nothing of a refused request is installed.
#[test]
fn one_forbidden_peer_does_not_spoil_the_others() {
    let mut bench = Bench::allocated();
    let (good, bad) = (addr("192.0.2.1:1"), addr("10.0.0.1:1"));
    bench.client.permit(bad);
    bench.client.permit(good);
    let both = bench.slot();
    assert_eq!(both.peers().len(), 2);
    bench.refuse(&both, code::FORBIDDEN);
    assert_eq!(bench.take_events(), []);
    for _ in 0..2 {
        let request = bench.slot();
        if one(request.peers()).ip() == bad.ip() {
            bench.refuse(&request, code::FORBIDDEN);
        } else {
            bench.accept(&request);
        }
    }
    let problem = Problem::Error { code: 403, reason: "Forbidden".into() };
    assert_eq!(
        bench.take_events(),
        [Event::PermissionRefused { peer: bad.ip(), problem }, Event::PermissionGranted { peer: good.ip() }]
    );
    assert!(!bench.client.wants_slot());
}

/// RFC 8656 §9, §11.4: 300 s, whatever was sent meanwhile.
#[test]
fn a_permission_that_is_not_renewed_ends_and_the_peer_is_not_heard() {
    let mut bench = Bench::permitted();
    let packet = data(addr(PEER), b"hello");
    assert_eq!(bench.receive(&packet), Received::Data { peer: addr(PEER), payload: b"hello" });
    bench.now = bench.start + secs(299);
    assert!(matches!(bench.receive(&packet), Received::Data { .. }));
    bench.now = bench.start + secs(300);
    assert_eq!(bench.receive(&packet), Received::Consumed, "even before the timeout was handled");
    bench.wait(secs(0));
    let _ = bench.drain();
    let ended = Event::PermissionRefused { peer: addr(PEER).ip(), problem: Problem::Unreachable };
    assert_eq!(bench.events, [ended]);
    assert_eq!(bench.client.framing(addr(PEER)), None);
}

/// RFC 8656 §10.3: one lost request, or a server that is busy, costs nothing.
#[test]
fn a_renewal_that_fails_is_tried_again_as_long_as_the_permission_lasts() {
    let mut bench = Bench::permitted();
    let (at, renewal) = bench.next_sent().unwrap();
    assert_eq!((at, renewal.method()), (secs(240), Method::CREATE_PERMISSION));
    bench.refuse(&renewal, 500);
    let (at, renewal) = bench.next_sent().unwrap();
    assert_eq!((at, renewal.peers()), (secs(245), vec![addr("192.0.2.7:0")]));
    bench.accept(&renewal);
    assert_eq!(bench.take_events(), []);
    let (at, renewal) = bench.next_sent().unwrap();
    assert_eq!(at, secs(485));
    bench.refuse(&renewal, code::FORBIDDEN);
    assert!(matches!(bench.take_events()[..], [Event::PermissionRefused { .. }]), "a refusal counts at once");
    assert_eq!(bench.client.framing(addr(PEER)), None);
}

/// RFC 8656 §11.4.
#[test]
fn data_comes_from_permitted_addresses_only_and_from_all_their_ports() {
    let mut bench = Bench::permitted();
    let port = addr("192.0.2.7:1");
    let (heard, empty, unheard) = (data(port, b"a"), data(port, b""), data(addr("192.0.2.8:6000"), b"a"));
    assert_eq!(bench.receive(&heard), Received::Data { peer: port, payload: b"a" });
    assert_eq!(bench.receive(&empty), Received::Data { peer: port, payload: b"" });
    assert_eq!(bench.receive(&unheard), Received::Consumed);
    assert_eq!(bench.receive(&channel_data(0x4000, b"a")), Received::Consumed, "no such channel");
    assert_eq!(bench.receive(b"other"), Received::Unclaimed);
    assert_eq!(Bench::new().receive(&heard), Received::Unclaimed, "there is no allocation");
}

/// RFC 8656 §12: Send indications until the channel is confirmed, but its data counts from the request on.
#[test]
fn data_takes_the_channel_once_it_is_confirmed() {
    let mut bench = Bench::permitted();
    let Some(Framing::Send { peer, id }) = bench.client.framing(addr(PEER)) else { panic!("not Send") };
    assert_eq!(peer, addr(PEER));
    let packet = channel_data(0x4000, b"hello");
    bench.client.bind(addr(PEER));
    bench.client.bind(addr(PEER));
    assert_eq!(bench.receive(&packet), Received::Consumed);
    let (_, bind) = bench.next_sent().unwrap();
    let attributes = bind.message().plain().attributes();
    assert_eq!((attributes.channel_number(), bind.peers()), (Some(0x4000), vec![addr(PEER)]));
    assert_eq!(bench.receive(&packet), Received::Data { peer: addr(PEER), payload: b"hello" });
    assert_eq!(bench.client.framing(addr(PEER)), Some(Framing::Send { peer, id }), "one id serves all");
    bench.accept(&bind);
    assert_eq!(bench.client.framing(addr(PEER)), Some(Framing::Channel(0x4000)));
    let other = addr("192.0.2.7:7000");
    assert!(matches!(bench.client.framing(other), Some(Framing::Send { .. })), "a channel is for one port");
    assert_eq!(bench.receive(&packet), Received::Data { peer: addr(PEER), payload: b"hello" });
}

/// RFC 8656 §12.1: ChannelBind permits the peer.
#[test]
fn a_channel_needs_no_permission_before_it() {
    let mut bench = Bench::allocated();
    bench.client.bind(addr(PEER));
    let (_, bind) = bench.next_sent().unwrap();
    bench.accept(&bind);
    let granted = Event::PermissionGranted { peer: addr(PEER).ip() };
    assert_eq!(bench.take_events(), [granted, Event::ChannelBound { peer: addr(PEER), number: 0x4000 }]);
    assert_eq!(bench.client.framing(addr(PEER)), Some(Framing::Channel(0x4000)));
}

/// RFC 8656 §9, §12: permissions last 300 s, channels and this allocation 600 s.
#[test]
fn twenty_minutes_pass_without_losing_anything() {
    let mut bench = bound();
    let mut asked: Vec<(u64, Method)> = Vec::new();
    while bench.now - bench.start < secs(1200) {
        let (at, request) = bench.next_sent().unwrap();
        asked.push((at.as_secs(), request.method()));
        match request.method() {
            Method::REFRESH => bench.refresh(&request, 600),
            _ => bench.accept(&request),
        }
        assert_eq!(bench.client.framing(addr(PEER)), Some(Framing::Channel(0x4000)));
        assert_eq!(bench.take_events(), []);
    }
    let times = |method| -> Vec<u64> {
        asked.iter().filter(|(_, asked)| *asked == method).map(|(at, _)| *at).collect()
    };
    assert_eq!(times(Method::REFRESH), [540, 1080]);
    assert_eq!(times(Method::CHANNEL_BIND), [540, 1080]);
    assert_eq!(times(Method::CREATE_PERMISSION), [240, 480, 780, 1020, 1320], "ChannelBind renews it too");
}

#[test]
fn a_channel_that_is_refused_more_time_gives_way_to_send_indications() {
    let mut bench = bound();
    loop {
        let (_, request) = bench.next_sent().unwrap();
        match request.method() {
            Method::CHANNEL_BIND => break bench.refuse(&request, code::ALLOCATION_QUOTA_REACHED),
            Method::REFRESH => bench.refresh(&request, 600),
            _ => bench.accept(&request),
        }
    }
    let _ = bench.drain();
    assert_eq!(bench.events, [Event::ChannelLost { peer: addr(PEER) }]);
    assert!(matches!(bench.client.framing(addr(PEER)), Some(Framing::Send { .. })));
}

/// RFC 8656 §12.3.
#[test]
fn a_400_to_a_channel_gives_the_allocation_up() {
    let mut bench = Bench::permitted();
    bench.client.bind(addr(PEER));
    let (_, bind) = bench.next_sent().unwrap();
    bench.refuse(&bind, code::BAD_REQUEST);
    let delete = one(bench.drain());
    assert_eq!(delete.message().plain().attributes().lifetime(), Some(Duration::ZERO));
    assert!(matches!(bench.events[..], [Event::Problem(_), Event::Lost]));
}

/// RFC 8489 §6.2: at most ten transactions are open, and the rest follows when there is room.
#[test]
fn more_channels_than_open_transactions_are_bound_one_after_the_other() {
    let mut bench = Bench::permitted();
    for port in 1..=25 {
        bench.client.bind(SocketAddr::new(addr(PEER).ip(), port));
    }
    bench.step().unwrap();
    let mut open = bench.drain();
    assert_eq!(open.len(), 10);
    let mut bound = 0;
    while let Some(request) = open.pop() {
        bench.accept(&request);
        bound += 1;
        open.extend(bench.drain());
        assert!(open.len() <= 10);
    }
    assert_eq!(bound, 25);
}
