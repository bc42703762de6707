//! Hostile servers: a script answers, and each ends in a clear result.

use std::net::SocketAddr;

use super::*;
use crate::io::Datagram;
use crate::stun::wire::{Class, Method, attr};
use crate::stun::{Message, Writer};
use crate::time::Duration;

const SERVER: &str = "192.0.2.10:3478";
const LOCAL: &str = "10.0.0.2";

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// What a script does with a request to a server: from where it answers, and what.
type Script<'a> = &'a mut dyn FnMut(&Message<'_>, SocketAddr, SocketAddr) -> Option<(SocketAddr, Vec<u8>)>;

/// Runs a probe against a script that sees the request, its source and its destination.
fn run(servers: &[&str], script: Script<'_>) -> Report {
    run_with(servers, |config| config, script)
}

fn run_with(servers: &[&str], adjust: impl FnOnce(Config) -> Config, script: Script<'_>) -> Report {
    let mut now = crate::time::test_epoch();
    let config = Config::new(LOCAL.parse().unwrap(), servers.iter().map(|it| addr(it)), [7; 32]);
    let mut probe = Probe::new(adjust(config), now);
    let mut locals = std::collections::BTreeMap::new();
    let mut buf = vec![0; Probe::BUFFER];
    let mut sent = 0;
    while !probe.is_over() {
        let mut answers = Vec::new();
        let wake = loop {
            match probe.poll_output(&mut buf) {
                Output::Transmit(transmit) => {
                    sent += 1;
                    let request = Message::parse(transmit.payload).unwrap();
                    let local = locals[&transmit.socket];
                    let answer = script(&request, local, transmit.destination);
                    answers.extend(answer.map(|(source, bytes)| (transmit.socket, source, bytes)));
                }
                Output::Open { socket, local } => {
                    locals.insert(socket, local);
                    probe.handle_input(now, Input::Opened { socket, local });
                }
                Output::Connect(connect) => {
                    let why = crate::io::CloseReason::Refused;
                    probe.handle_input(now, Input::NotConnected { request: connect.request, why });
                }
                Output::Close(_) | Output::Event(_) => {}
                Output::Wait(wake) => break wake,
            }
        };
        for (socket, source, payload) in answers {
            let payload = payload.as_slice();
            let local = LOCAL.parse().unwrap();
            let datagram = Datagram { socket, local, source, ecn: None, payload };
            probe.handle_input(now, Input::Datagram(datagram));
        }
        if let Some(wake) = wake {
            now = now.max(wake.at);
        }
        probe.handle_input(now, Input::Timeout);
        assert!(sent < 2000, "it must end");
    }
    assert!(now - probe.report().began <= Duration::from_secs(250));
    probe.report().clone()
}

/// A success response.
fn mapped(request: &Message<'_>, mapped: SocketAddr, other: Option<&str>) -> Vec<u8> {
    let mut buf = [0; 256];
    let mut writer = Writer::new(&mut buf, Class::Success, Method::BINDING, request.transaction_id());
    writer.put_xor_address(attr::XOR_MAPPED_ADDRESS, mapped);
    if let Some(other) = other {
        writer.put_address(attr::OTHER_ADDRESS, addr(other));
    }
    writer.finish().unwrap().to_vec()
}

fn error(request: &Message<'_>, code: u16) -> Vec<u8> {
    let mut buf = [0; 256];
    let mut writer = Writer::new(&mut buf, Class::Error, Method::BINDING, request.transaction_id());
    writer.put_error_code(code, "no").put_address(attr::ALTERNATE_SERVER, addr("192.0.2.99:3478"));
    writer.finish().unwrap().to_vec()
}

/// What a NAT that maps independently makes of a socket.
fn outside(local: SocketAddr) -> SocketAddr {
    SocketAddr::new("203.0.113.7".parse().unwrap(), local.port() ^ 1)
}

/// RFC 5780 §4.2.
#[test]
fn a_server_that_never_answers_is_nothing_that_was_reached() {
    let report = run(&[SERVER], &mut |_, _, _| None);
    assert_eq!(report.connectivity, Finding::Known(Connectivity::Nothing));
    assert_eq!(report.mapping, Finding::Unknown(Why::NoAnswer));
    assert_eq!(Verdict::of(&report), Verdict::Nothing);
}

/// RFC 5780 §5.2: a permanent failure.
#[test]
fn a_server_that_refuses_ends_in_its_error_code() {
    for code in [300, 400, 401, 420, 500] {
        let mut asked = Vec::new();
        let report = run(&[SERVER], &mut |request, _, to| {
            asked.push(to);
            Some((to, error(request, code)))
        });
        assert_eq!(report.mapping, Finding::Unknown(Why::Refused(code)));
        assert_eq!(report.connectivity, Finding::Known(Connectivity::Udp));
        // RFC 5780 §5: ALTERNATE-SERVER is ignored.
        assert!(asked.iter().all(|to| *to == addr(SERVER)), "{asked:?}");
    }
}

/// RFC 5780 §5.
#[test]
fn a_server_that_refuses_change_request_leaves_filtering_unknown() {
    let report = run(&[SERVER], &mut |request, local, to| {
        let has_it = request.plain().attributes().has(attr::CHANGE_REQUEST);
        let answer = mapped(request, outside(local), Some("192.0.2.11:3479"));
        Some((to, if has_it { error(request, 420) } else { answer }))
    });
    assert_eq!(report.filtering, Finding::Unknown(Why::Refused(420)));
    assert_eq!(report.mapping, Finding::Known(Mapping::EndpointIndependent));
}

#[test]
fn a_server_that_ignores_change_request_proves_no_filter() {
    let report = run(&[SERVER], &mut |request, local, to| {
        Some((to, mapped(request, outside(local), Some("192.0.2.11:3479"))))
    });
    assert_eq!(report.filtering, Finding::Unknown(Why::Ignored));
}

/// Its silence looks like a filter.
#[test]
fn a_server_that_never_answers_from_its_other_address_proves_no_filter() {
    let report = run(&[SERVER], &mut |request, local, to| {
        let has_it = request.plain().attributes().has(attr::CHANGE_REQUEST);
        (!has_it).then(|| (to, mapped(request, outside(local), Some("192.0.2.11:3479"))))
    });
    assert_eq!(report.filtering, Finding::Unknown(Why::SilentOtherAddress));
    assert_eq!(report.mapping, Finding::Known(Mapping::EndpointIndependent));
}

#[test]
fn an_other_address_that_must_not_be_asked_is_not() {
    for other in [
        "127.0.0.1:3479",
        "224.0.0.1:3479",
        "0.0.0.0:3479",
        "255.255.255.255:3479",
        "169.254.1.1:3479",
        "192.0.2.10:3479",
        "192.0.2.11:3478",
        "192.0.2.11:0",
        "10.0.0.2:3479",
        "203.0.113.7:3479",
        "[2001:db8::1]:3479",
    ] {
        let mut asked = Vec::new();
        let report = run(&[SERVER], &mut |request, local, to| {
            asked.push(to);
            let is_own = request.class() == Class::Request && to != addr(SERVER);
            (!is_own).then(|| (to, mapped(request, outside(local), Some(other))))
        });
        assert_eq!(report.filtering, Finding::Unknown(Why::BadOtherAddress), "{other}");
        assert_eq!(report.mapping, Finding::Unknown(Why::OneServer), "{other}");
        assert!(asked.iter().all(|to| *to != addr(other)), "{other}");
    }
}

#[test]
fn garbage_and_answers_from_elsewhere_are_told_apart() {
    let report = run(&[SERVER], &mut |_, _, to| Some((to, b"HTTP/1.1 302 Found".to_vec())));
    assert_eq!(report.connectivity, Finding::Unknown(Why::Garbage));
    let report = run(&[SERVER], &mut |request, local, _| {
        Some((addr("192.0.2.66:3478"), mapped(request, outside(local), None)))
    });
    assert_eq!(report.connectivity, Finding::Unknown(Why::Elsewhere));
}

#[test]
fn an_address_that_no_host_can_have_is_not_believed() {
    for lie in ["127.0.0.1:5000", "224.0.0.1:5000", "0.0.0.0:0", "203.0.113.7:0", "[2001:db8::1]:5000"] {
        let report = run(&[SERVER], &mut |request, _, to| Some((to, mapped(request, addr(lie), None))));
        assert_eq!(report.translation, Finding::Unknown(Why::Implausible), "{lie}");
        assert_eq!(report.mapping, Finding::Unknown(Why::Implausible), "{lie}");
    }
}

#[test]
fn one_external_endpoint_for_every_socket_is_a_lie() {
    let report = run(&[SERVER], &mut |request, _, to| {
        Some((to, mapped(request, addr("203.0.113.7:5000"), Some("192.0.2.11:3479"))))
    });
    assert_eq!(report.mapping, Finding::Unknown(Why::Implausible));
    assert_eq!(report.translation, Finding::Unknown(Why::Implausible));
}

#[test]
fn a_server_that_says_something_else_each_time_proves_nothing() {
    let mut port = 20_000;
    let report = run(&[SERVER], &mut |request, _, to| {
        port += 7;
        Some((
            to,
            mapped(request, SocketAddr::new("203.0.113.7".parse().unwrap(), port), Some("192.0.2.11:3479")),
        ))
    });
    assert_eq!(report.mapping, Finding::Unknown(Why::Unstable));
}

#[test]
fn of_two_servers_one_that_lies_about_the_address_proves_nothing() {
    let report = run(&[SERVER, "198.51.100.1:3478"], &mut |request, local, to| {
        let lie = SocketAddr::new("203.0.113.99".parse().unwrap(), local.port());
        let seen = if to == addr(SERVER) { outside(local) } else { lie };
        Some((to, mapped(request, seen, None)))
    });
    assert_eq!(report.mapping, Finding::Unknown(Why::ServersDisagree));
}

/// RFC 5780 §4.4: not the symmetric check of ICE.
#[test]
fn an_answer_counts_from_the_other_address_and_from_no_third_one() {
    for (from, filtering) in [
        ("192.0.2.11:3479", Finding::Known(Filtering::EndpointIndependent)),
        ("192.0.2.12:3479", Finding::Unknown(Why::Elsewhere)),
    ] {
        let report = run(&[SERVER], &mut |request, local, to| {
            let change = request.plain().attributes().change_request();
            let source = match change {
                Some(change) if change.ip => addr(from),
                Some(_) => addr("192.0.2.10:3479"),
                None => to,
            };
            Some((source, mapped(request, outside(local), Some("192.0.2.11:3479"))))
        });
        assert_eq!(report.filtering, filtering, "{from}");
    }
}

/// RFC 5780 §5.
#[test]
fn a_server_that_refuses_response_port_leaves_the_lifetime_unknown() {
    let adjust = |config: Config| config.lifetime(Duration::from_secs(60));
    let report = run_with(&[SERVER], adjust, &mut |request, local, to| {
        let has_it = request.plain().attributes().has(attr::RESPONSE_PORT);
        let answer = mapped(request, outside(local), None);
        Some((to, if has_it { error(request, 420) } else { answer }))
    });
    assert_eq!(report.lifetime, Finding::Unknown(Why::Refused(420)));
}

/// RFC 5780 §3.5: PADDING, and not together with RESPONSE-PORT.
#[test]
fn fragments_that_get_out_are_told_and_silence_proves_nothing() {
    for passes in [true, false] {
        let mut padded = 0;
        let adjust = |config: Config| config.fragments(1500);
        let report = run_with(&[SERVER], adjust, &mut |request, local, to| {
            let plain = request.plain();
            let has_it = plain.attributes().find(attr::PADDING).is_some_and(|it| it.len() == 1500);
            assert!(!has_it || !plain.attributes().has(attr::RESPONSE_PORT));
            padded += u32::from(has_it);
            (passes || !has_it).then(|| (to, mapped(request, outside(local), None)))
        });
        assert!(padded > 0);
        assert_eq!(report.fragments_pass.known().is_some(), passes, "{:?}", report.fragments_pass);
    }
}

/// RFC 5780 §3.6.
#[test]
fn what_rewrites_addresses_in_payloads_is_told_by_the_two_mapped_addresses() {
    for (clear, payload) in [
        (None, Finding::Unknown(Why::NotInClear)),
        (Some(false), Finding::Known(Payload::Untouched)),
        (Some(true), Finding::Known(Payload::Rewritten)),
    ] {
        let report = run(&[SERVER], &mut |request, local, to| {
            let mut buf = [0; 256];
            let mut writer = Writer::new(&mut buf, Class::Success, Method::BINDING, request.transaction_id());
            writer.put_xor_address(attr::XOR_MAPPED_ADDRESS, outside(local));
            if let Some(is_rewritten) = clear {
                writer.put_address(attr::MAPPED_ADDRESS, if is_rewritten { local } else { outside(local) });
            }
            Some((to, writer.finish().unwrap().to_vec()))
        });
        assert_eq!(report.payload, payload);
        assert_eq!(report.translation, Finding::Known(Translation::Translated));
    }
}

/// RFC 4787 §4.1, §4.2: with several addresses and random ports.
#[test]
fn arbitrary_pooling_is_told() {
    let report = run(&[SERVER], &mut |request, local, to| {
        let ip = if local.port() & 2 == 0 { "203.0.113.7" } else { "203.0.113.8" };
        Some((to, mapped(request, SocketAddr::new(ip.parse().unwrap(), local.port()), None)))
    });
    assert_eq!(report.pooling, Finding::Known(Pooling::Arbitrary));
    assert_eq!(report.ports, Finding::Known(PortAllocation::Preserving));
    assert_eq!(report.parity, Finding::Known(Parity::Preserved));
}

/// RFC 4787 §4.1: what one cannot have in its words.
#[test]
fn two_plain_servers_tell_whether_the_mapping_depends_on_the_destination() {
    for (step, mapping) in [(0, Mapping::EndpointIndependent), (1, Mapping::Dependent)] {
        let report = run(&[SERVER, "198.51.100.1:3478"], &mut |request, local, to| {
            let mut seen = outside(local);
            seen.set_port(seen.port() ^ if to == addr(SERVER) { 0 } else { step * 0x0ff0 });
            Some((to, mapped(request, seen, None)))
        });
        assert_eq!(report.mapping, Finding::Known(mapping));
        assert_eq!(report.filtering, Finding::Unknown(Why::NoOtherAddress));
    }
}

/// RFC 4787 §7: what rewrites an address breaks the FINGERPRINT beside it.
#[test]
fn a_rewritten_address_is_told_although_the_fingerprint_does_not_fit_any_more() {
    for (clear, payload) in [(true, Ok(Payload::Rewritten)), (false, Err(Why::Unreadable))] {
        let report = run(&[SERVER, "198.51.100.1:3478"], &mut |request, local, to| {
            let mut buf = [0; 256];
            let mut writer = Writer::new(&mut buf, Class::Success, Method::BINDING, request.transaction_id());
            writer.put_xor_address(attr::XOR_MAPPED_ADDRESS, outside(local));
            writer.put_address(attr::MAPPED_ADDRESS, if clear { local } else { outside(local) });
            writer.fingerprint();
            let mut bytes = writer.finish().unwrap().to_vec();
            let last = bytes.last_mut().unwrap();
            *last ^= 1;
            Some((to, bytes))
        });
        match payload {
            Ok(payload) => {
                assert_eq!(report.payload, Finding::Known(payload));
                assert_eq!(report.mapping, Finding::Known(Mapping::EndpointIndependent));
            }
            // Nothing explains it: whatever was changed, nothing of it is believed.
            Err(why) => assert_eq!(report.mapping, Finding::Unknown(why)),
        }
    }
}

/// A second address that nobody can reach is none; other servers take its place.
#[test]
fn a_second_address_that_does_not_answer_leaves_the_mapping_to_other_servers() {
    let plain = "198.51.100.1:3478";
    for (servers, mapping) in [
        (&[SERVER][..], Finding::Unknown(Why::OneServer)),
        (&[SERVER, plain][..], Finding::Known(Mapping::EndpointIndependent)),
    ] {
        let report = run(servers, &mut |request, local, to| {
            let other = (to == addr(SERVER)).then_some("192.0.2.11:3479");
            let is_there = to.ip() == addr(SERVER).ip() || to == addr(plain);
            let has_change = request.plain().attributes().has(attr::CHANGE_REQUEST);
            (is_there && !has_change).then(|| (to, mapped(request, outside(local), other)))
        });
        assert_eq!(report.mapping, mapping);
        assert_eq!(report.filtering, Finding::Unknown(Why::SilentOtherAddress));
    }
}

/// Its silence has a pattern, and none of it is a filter.
#[test]
fn a_server_that_answers_so_often_and_no_more_is_told_nothing_wrong_of() {
    for every in 2..6 {
        let mut count = 0;
        let report = run(&[SERVER], &mut |request, local, to| {
            count += 1;
            let change = request.plain().attributes().has(attr::CHANGE_REQUEST);
            let source = if change { addr("192.0.2.11:3479") } else { to };
            (count % every == 0).then(|| (source, mapped(request, outside(local), Some("192.0.2.11:3479"))))
        });
        assert!(report.filtering.known().is_none_or(|it| it == Filtering::EndpointIndependent), "{every}");
        assert!(report.mapping.known().is_none_or(|it| it == Mapping::EndpointIndependent), "{every}");
    }
}

/// A server that limits what it does for CHANGE-REQUEST, and answers all else.
#[test]
fn a_server_that_answers_few_change_requests_proves_no_filter() {
    let mut count = 0;
    let report = run(&[SERVER], &mut |request, local, to| {
        let change = request.plain().attributes().has(attr::CHANGE_REQUEST);
        count += u32::from(change);
        let source = if change { addr("192.0.2.11:3479") } else { to };
        (!change || count > 200).then(|| (source, mapped(request, outside(local), Some("192.0.2.11:3479"))))
    });
    assert_eq!(report.filtering, Finding::Unknown(Why::SilentOtherAddress));
}

/// RFC 6146: an IPv6 host whose servers see an IPv4 address.
#[test]
fn behind_nat64_the_mapping_is_told_and_a_hairpin_cannot_be() {
    let servers = ["[64:ff9b::c000:20a]:3478", "[64:ff9b::c633:6401]:3478"];
    let local = "2001:db8::2".parse().unwrap();
    let config = Config::new(local, servers.map(addr), [7; 32]);
    let report = run_with(&[], |_| config, &mut |request, local, to| {
        // Its other address is of the family that the server itself has.
        Some((to, mapped(request, outside(local), Some("192.0.2.11:3479"))))
    });
    assert_eq!(report.translation, Finding::Known(Translation::Translated));
    assert_eq!(report.mapping, Finding::Known(Mapping::EndpointIndependent));
    assert_eq!(report.filtering, Finding::Unknown(Why::BadOtherAddress));
    assert_eq!(report.hairpinning, Finding::Unknown(Why::OtherFamily));
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(64))]

    /// Whatever comes back, it ends, within its packets and its time.
    #[test]
    fn no_bytes_of_a_server_upset_a_probe(seed: u64, cut in 0usize..60, flip in 0usize..60) {
        let mut state = seed;
        run(&[SERVER, "198.51.100.1:3478"], &mut |request, local, to| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let mut bytes = mapped(request, outside(local), Some("192.0.2.11:3479"));
            match state >> 62 {
                0 => return None,
                1 => bytes.truncate(cut),
                2 => if let Some(byte) = bytes.get_mut(flip) { *byte ^= (state >> 32) as u8 },
                _ => {}
            }
            let source = if (state >> 40) % 4 == 0 { addr("192.0.2.11:3479") } else { to };
            Some((source, bytes))
        });
    }
}
