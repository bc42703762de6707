//! Whose checks are answered, and how (RFC 8445 §7.3).

use floe::io::{Datagram, Socket, SocketId};
use floe::signal::{Signal, What};
use floe::stun::auth::Integrity;
use floe::stun::wire::attr;
use floe::stun::{Class, Key, Message, Method, TransactionId};
use floe::{Agent, Config, Event, Input, Output, Role};

use crate::bench::{Bench, PEER, PEER_PWD, addr, kinds, message};

/// A check with this name and password.
fn check(username: &str, pwd: &str) -> Vec<u8> {
    message(Class::Request, Method::BINDING, TransactionId([9; 12]), |writer| {
        writer.put_username(username).put_u32(attr::PRIORITY, 7).put_u64(attr::ICE_CONTROLLING, 1);
        writer.integrity(&Key::short_term(pwd), Integrity::Sha1).fingerprint();
    })
}

/// ICE-7.3-a: every base that was signalled is served.
#[test]
fn a_check_to_any_base_is_answered_from_that_base() {
    let now = Bench::of(Config::new(Role::Controlled, [1; 32])).now;
    let mut agent = Agent::new(Config::new(Role::Controlled, [2; 32]), now);
    let bases = ["192.0.2.1:5000", "192.0.2.1:5001", "[2001:db8::1]:5000"];
    for (id, base) in (0..).zip(bases) {
        agent.add_socket(now, SocketId(id), Socket::udp(addr(base))).expect("a socket");
    }
    agent.end_of_sockets(now);
    let mut buf = [0; 1500];
    let mut own = None;
    loop {
        match agent.poll_output(&mut buf) {
            Output::Event(Event::Signal(Signal { what: What::Credentials(it), .. })) => own = Some(it),
            Output::Wait(_) => break,
            _ => {}
        }
    }
    let own = own.expect("credentials");
    let check = check(&format!("{}:peer", own.ufrag), own.pwd.as_str());
    for (id, base) in (0..).zip(bases) {
        let source = if addr(base).is_ipv4() { addr(PEER) } else { addr("[2001:db8::2]:6000") };
        let (socket, local) = (SocketId(id), addr(base).ip());
        let datagram = Datagram { socket, local, source, ecn: None, payload: &check };
        let _ = agent.handle_input(now, Input::Datagram(datagram));
        let mut answered = None;
        loop {
            match agent.poll_output(&mut buf) {
                Output::Transmit(it) => {
                    let class = Message::parse(it.payload).expect("STUN").class();
                    answered = Some((it.socket, it.local, it.destination, class));
                }
                Output::Wait(_) => break,
                _ => {}
            }
        }
        assert_eq!(answered, Some((socket, local, source, Class::Success)), "{base}");
    }
}

/// ICE-7.3-b: what another password signed changes nothing.
#[test]
fn a_check_counts_only_with_our_own_password() {
    for (own, expected) in [(false, 401), (true, 0)] {
        let mut bench = Bench::of(Config::new(Role::Controlled, [7; 32]));
        bench.signal(&format!("0 credentials ufrag=peer pwd={PEER_PWD}"));
        let pwd = if own { bench.pwd.clone() } else { PEER_PWD.to_owned() };
        let check = check(&format!("{}:peer", bench.ufrag), &pwd);
        assert_eq!(bench.answers(PEER, &check)[0].code(), expected);
        bench.wait(crate::bench::ms(500));
        let triggered = bench.sent.iter().any(|it| it.is(Class::Request) && it.to == addr(PEER));
        assert_eq!(triggered, own);
    }
}

/// ICE-7.3-d: the part before the colon is ours, the other one anybody's.
#[test]
fn a_username_is_valid_by_our_ufrag_and_a_colon() {
    for (name, code) in [
        ("OWN:peer", 0),
        ("OWN:somebody", 0),
        ("OWN:", 0),
        ("OWN", 401),
        ("OWNx:peer", 401),
        ("peer:OWN", 401),
        ("x:peer", 401),
        (":peer", 401),
    ] {
        for known in [true, false] {
            let mut bench = Bench::of(Config::new(Role::Controlled, [7; 32]));
            if known {
                bench.signal(&format!("0 credentials ufrag=peer pwd={PEER_PWD}"));
            }
            let check = check(&name.replace("OWN", &bench.ufrag.clone()), &bench.pwd.clone());
            assert_eq!(bench.answers(PEER, &check)[0].code(), code, "{name} {known}");
        }
    }
}

/// ICE-7.3-g: no redirection, no MAPPED-ADDRESS, and nothing at all for a request without the magic cookie.
#[test]
fn checks_are_answered_without_the_habits_of_rfc_3489() {
    let mut bench = Bench::new(Role::Controlled);
    let good = bench.check();
    let mut old = good.clone();
    old[5] ^= 0xff;
    assert!(bench.answers(PEER, &old).is_empty());
    let wrong = check(&format!("{}:peer", bench.ufrag), "not our password, surely");
    for raw in [good, wrong] {
        let answers = bench.answers(PEER, &raw);
        let kinds = kinds(&answers[0].raw);
        assert!(!kinds.contains(&attr::MAPPED_ADDRESS) && !kinds.contains(&0x8023), "{kinds:?}");
        assert_ne!(answers[0].code(), 300);
    }
}

/// ICE-7.2.4-b, ICE-7.3-h: in checks and in all their answers; a request without one, or with a wrong one, has none.
#[test]
fn checks_and_their_answers_have_a_fingerprint() {
    let mut bench = Bench::new(Role::Controlled);
    let ours = bench.next_request(PEER);
    assert!(ours.message().has_fingerprint());
    let good = bench.check();
    let wrong = check(&format!("{}:peer", bench.ufrag), "not our password, surely");
    let strange = bench.check_with(|writer| {
        writer.put(0x7001, &[]);
    });
    for (raw, code) in [(good, 0), (wrong, 401), (strange, 420)] {
        let answers = bench.answers(PEER, &raw);
        assert!(answers[0].message().has_fingerprint() && answers[0].code() == code);
        let mut bent = raw.clone();
        *bent.last_mut().expect("bytes") ^= 1;
        assert!(bench.answers(PEER, &bent).is_empty());
    }
}

/// ICE-7.3.1.1-c: 487 is signed as any answer; after a switch the check is answered, and checked back.
#[test]
fn a_conflict_is_answered_with_a_signed_487_or_with_success_and_a_triggered_check() {
    for role in [Role::Controlling, Role::Controlled] {
        let kind = if role == Role::Controlling { attr::ICE_CONTROLLING } else { attr::ICE_CONTROLLED };
        for theirs in [0, u64::MAX] {
            let mut bench = Bench::of(Config::new(role, [7; 32]));
            bench.signal(&format!("0 credentials ufrag=peer pwd={PEER_PWD}"));
            let (name, key) = (format!("{}:peer", bench.ufrag), Key::short_term(&bench.pwd));
            let check = message(Class::Request, Method::BINDING, TransactionId([9; 12]), |writer| {
                writer.put_username(&name).put_u32(attr::PRIORITY, 7).put_u64(kind, theirs);
                writer.integrity(&key, Integrity::Sha1).fingerprint();
            });
            let answers = bench.answers(PEER, &check);
            let refuses = (role == Role::Controlling) == (theirs == 0);
            assert_eq!(answers[0].code(), if refuses { 487 } else { 0 });
            assert!(answers[0].message().verify(&key).is_ok() && answers[0].message().has_fingerprint());
            assert_eq!(bench.agent.role() == role, refuses);
            bench.wait(crate::bench::ms(500));
            let triggered = bench.sent.iter().any(|it| it.is(Class::Request) && it.to == addr(PEER));
            assert_eq!(triggered, !refuses, "{role:?} {theirs}");
        }
    }
}

/// ICE-7.3.1.4-f: a triggered check waits for the description that its ufrag belongs to, and has that password.
#[test]
fn a_triggered_check_has_the_password_that_was_signalled_with_the_ufrag() {
    let mut bench = Bench::of(Config::new(Role::Controlled, [7; 32]));
    let check = bench.check();
    assert!(bench.answers(PEER, &check)[0].is(Class::Success));
    bench.wait(crate::bench::secs(1));
    assert!(bench.sent.iter().all(|it| !it.is(Class::Request)), "nobody's password is known");
    bench.signal(&format!("0 credentials ufrag=peer pwd={PEER_PWD}"));
    let triggered = bench.next_request(PEER);
    assert_eq!(triggered.message().username(), Some(format!("peer:{}", bench.ufrag).as_bytes()));
    assert!(triggered.message().verify(&Key::short_term(PEER_PWD)).is_ok());
}
