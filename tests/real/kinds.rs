//! `floe nat` behind many kinds of NAT at once: NATs in user space (`nat.py`), each before a host of its own. What floe
//! tells is compared with what the table says and with what plain sockets see (`observe.py`).
//!
//! ```text
//!   host 1   10.0.1.2 ── NATs of 1 ──┐
//!   host 2   10.0.2.2 ── NATs of 2 ──┼── server 203.0.113.10, .11; 2001:db8:ffff::10, ::11
//!   …                                ┘
//! ```

mod table;

use std::io::Write as _;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::lab::{inside, ip_in, run};
use crate::nat::{By, coturn};
use crate::process::Process;
use table::{AD, APD, EIM, Kind, kinds};

const FLOE: &str = env!("CARGO_BIN_EXE_floe");
const NATS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real/nat.py");
const OBSERVE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real/observe.py");
const PATIENCE: Duration = Duration::from_secs(15);
const SERVER: [[&str; 2]; 2] = [["203.0.113.10", "203.0.113.11"], ["2001:db8:ffff::10", "2001:db8:ffff::11"]];

/// The namespaces of the laboratory, with its NATs and its servers in them.
struct Bench {
    /// That of the server, and one for each host.
    names: Vec<String>,
    /// They end before their namespaces.
    processes: Vec<Process>,
}

impl Bench {
    fn new(kinds: &[Kind], by: By) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("floe-kinds-{}-{number}", std::process::id());
        let names: Vec<_> = (0..=kinds.len()).map(|number| format!("{prefix}-{number}")).collect();
        // From now on they are removed, whatever happens.
        let mut bench = Self { names, processes: Vec::new() };
        for name in &bench.names {
            run(std::process::Command::new("ip").args(["netns", "add", name]));
            ip_in(name, "link set lo up");
        }
        let hosts = (1..).zip(kinds).map(|(number, kind)| {
            let nats: Vec<_> =
                kind.nats.iter().enumerate().map(|(at, nat)| addressed(nat, number, at, kind)).collect();
            json!({ "namespace": bench.names[number], "nats": nats })
        });
        let plan = json!({ "public": bench.names[0], "hosts": hosts.collect::<Vec<_>>() });
        let mut nats = Process::spawn("nat.py", std::process::Command::new("python3").arg(NATS));
        writeln!(nats.child.stdin.as_mut().unwrap(), "{plan}").unwrap();
        assert!(nats.says("ready", PATIENCE), "{}", nats.report());
        bench.processes.push(nats);
        bench.address(kinds);
        bench.serve(by);
        bench
    }

    fn address(&self, kinds: &[Kind]) {
        let server = &self.names[0];
        for ip in SERVER.concat() {
            let flags = if ip.contains(':') { "nodad" } else { "" };
            ip_in(server, &format!("addr add {ip} dev out {flags}"));
        }
        ip_in(server, "link set out up");
        ip_in(server, "route add default dev out");
        ip_in(server, "-6 route add default dev out");
        for (number, kind) in (1..).zip(kinds) {
            let (name, host) = (&self.names[number], kind.host(number));
            if kind.is_v6 {
                ip_in(name, &format!("addr add {host}/64 dev eth0 nodad"));
            } else {
                ip_in(name, &format!("addr add {host}/24 dev eth0"));
            }
            ip_in(name, "link set eth0 up");
            ip_in(
                name,
                if kind.is_v6 { "-6 route add default dev eth0" } else { "route add default dev eth0" },
            );
        }
    }

    fn serve(&mut self, by: By) {
        let server = self.names[0].clone();
        for [a, b] in SERVER {
            let at = |ip: &str, port: u16| std::net::SocketAddr::new(ip.parse().unwrap(), port).to_string();
            let (command, word) = match by {
                By::Coturn if !a.contains(':') => {
                    (coturn(inside(&server, "turnserver"), [a, b]), "(admin thread)")
                }
                _ => {
                    let mut command = inside(&server, FLOE);
                    command.args(["server", "--listen", &at(a, 3478), "--alternate", &at(b, 3479)]);
                    (command, "3478")
                }
            };
            // Two plain ones beside them.
            let mut plain = inside(&server, FLOE);
            plain.args(["server", "--listen", &at(a, 5000), "--listen", &at(b, 5000)]);
            let mut echo = inside(&server, "python3");
            echo.args([OBSERVE, "serve", a, b]);
            for (name, mut command, word) in
                [("RFC 5780", command, word), ("plain", plain, "5000"), ("echo", echo, "ready")]
            {
                let mut process = Process::spawn(name, &mut command);
                assert!(process.says(word, PATIENCE), "{}", process.report());
                self.processes.push(process);
            }
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.processes.clear();
        for name in &self.names {
            // A failure here must not hide the one that the test is about.
            let _ = std::process::Command::new("ip").args(["netns", "del", name]).status();
        }
    }
}

/// Runs a program on a host; the last line that it prints.
fn ask(namespace: &str, program: &str, args: &[String]) -> Value {
    let mut command = inside(namespace, program);
    let output = command.args(args).stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let last = text.lines().last();
    let last = last.unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    serde_json::from_str(last).unwrap()
}

/// What plain sockets see on a host, what floe tells with a server of RFC 5780, and with two plain servers: not beside
/// coturn, where that is the same, nor where it measured the lifetime, which takes long enough.
fn measure(namespace: &str, number: usize, kind: &Kind, by: By) -> [Value; 3] {
    let [a, b] = SERVER[kind.family()];
    let uri = |ip: &str, port: u16| format!("stun:{}", std::net::SocketAddr::new(ip.parse().unwrap(), port));
    let look = [OBSERVE, "look", &kind.host(number), a, b].map(str::to_owned);
    let seen = ask(namespace, "python3", &look);
    let mut args = vec!["nat".to_owned(), uri(a, 3478), "--json".to_owned()];
    if kind.lifetime.is_some() {
        args.extend(["--lifetime".to_owned(), "15".to_owned()]);
        return [seen, ask(namespace, FLOE, &args), Value::Null];
    }
    let told = ask(namespace, FLOE, &args);
    if by == By::Coturn {
        return [seen, told, Value::Null];
    }
    let plain = ["nat".to_owned(), uri(a, 5000), uri(b, 5000), "--json".to_owned()];
    [seen, told, ask(namespace, FLOE, &plain)]
}

/// With addresses of its own outside: those of the provider's network are private.
fn addressed(nat: &Value, number: usize, at: usize, kind: &Kind) -> Value {
    let mut nat = nat.clone();
    let count = nat["addresses"].as_u64().unwrap_or(1);
    let is_last = at + 1 == kind.nats.len();
    let ip = |n: u64| if is_last { format!("198.51.{number}.{n}") } else { format!("100.64.{number}.{n}") };
    nat["external"] = (1..=count).map(ip).collect::<Vec<_>>().into();
    nat
}

/// What plain sockets see is what the table says.
fn check_observed(kind: &Kind, seen: &Value) {
    let of = format!("{}: {seen:#}", kind.name);
    let mapped: Vec<&Value> = seen["seen"].as_array().unwrap().iter().collect();
    assert!(mapped.iter().all(|it| !it.is_null()), "{of}");
    let same = |at: usize| mapped[0] == mapped[at];
    let mapping = match (same(1), same(2), same(3)) {
        (true, true, true) => EIM,
        (true, false, false) => AD,
        (false, true, false) => "port-dependent",
        (false, false, false) => APD,
        _ => "none of RFC 4787",
    };
    assert_eq!(Some(mapping), kind.truth("mapping"), "{of}");
    let filtering = match (seen["any"].as_bool().unwrap(), seen["address"].as_bool().unwrap()) {
        (true, _) => EIM,
        (false, true) => AD,
        (false, false) => APD,
    };
    assert_eq!(Some(filtering), kind.truth("filtering"), "{of}");
    let translation = if *mapped[0] == seen["local"] { "none" } else { "translated" };
    assert_eq!(Some(translation), kind.truth("translation"), "{of}");
    if translation == "translated" {
        assert_eq!(seen["hairpinning"].as_str(), kind.truth("hairpinning"), "{of}");
    }
    let kept = seen["row"].as_array().unwrap().iter().filter(|row| row[0] == row[2]).count();
    assert_eq!(kept > 6, kind.truth("ports") == Some("preserving"), "{of}");
}

/// What `floe nat` tells is what the table says, or unknown; the facts that are unknown.
fn check_told(kind: &Kind, report: &Value) -> Vec<String> {
    let mut unknown = Vec::new();
    for (fact, truth) in &kind.truth {
        match report[fact]["is"].as_str().unwrap() {
            told if told == *truth => {}
            // A port that was taken is none that was free.
            "preserving-if-free" if *truth == "preserving" => {}
            "unknown" => unknown.push(format!("{}: {fact}: {}", kind.name, report[fact]["why"])),
            "dependent" if *fact == "mapping" && *truth != EIM => {}
            told => panic!("{}: {fact} is {truth}, told {told}: {report:#}", kind.name),
        }
    }
    if let (Some(lifetime), Some(told)) = (kind.lifetime, report["lifetime_s"].as_array()) {
        let (low, high) = (told[0].as_f64().unwrap(), told[1].as_f64());
        assert!(low <= lifetime && high.is_none_or(|high| lifetime <= high), "{}: {report:#}", kind.name);
    }
    unknown
}

#[test]
#[ignore = "needs root, ip and python3"]
fn floe_nat_tells_no_kind_of_nat_wrong() {
    let kinds = kinds();
    assert!(kinds.len() > 25);
    every_kind_is_told(&kinds, By::Floe);
}

/// RFC 5780 spoken with the server of others.
#[test]
#[ignore = "needs root, ip, python3 and coturn"]
fn floe_nat_tells_no_kind_of_nat_wrong_with_coturn() {
    let mut kinds = kinds();
    kinds.retain(|kind| !kind.is_v6 && kind.lifetime.is_none());
    every_kind_is_told(&kinds, By::Coturn);
}

fn every_kind_is_told(kinds: &[Kind], by: By) {
    let bench = Bench::new(kinds, by);
    let results: Vec<[Value; 3]> = std::thread::scope(|scope| {
        let names = &bench.names;
        let all = (1..).zip(kinds);
        let threads =
            all.map(|(number, kind)| scope.spawn(move || measure(&names[number], number, kind, by)));
        let threads: Vec<_> = threads.collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut unknown = Vec::new();
    for (kind, [seen, report, plain]) in kinds.iter().zip(&results) {
        if kind.name != "loss" && kind.name != "arbitrary pooling" {
            check_observed(kind, seen);
        }
        unknown.extend(check_told(kind, report));
        if plain.is_null() {
            continue;
        }
        let mut of_plain = kind.clone();
        of_plain.lifetime = None;
        of_plain.truth.retain(|(fact, _)| !["refresh", "filtering"].contains(fact));
        // Ports that are the same do not tell it from one that depends on nothing.
        if kind.truth("mapping") == Some("port-dependent") {
            of_plain.truth.retain(|(fact, _)| *fact != "mapping");
        }
        check_told(&of_plain, plain);
        assert_eq!(plain["filtering"]["is"], "unknown", "{}: {plain:#}", kind.name);
    }
    // Behind a filter that the hairpin does not pass, and where an address is drawn for each mapping. Ports that are drawn
    // may look like counting.
    let is_open = |it: &&String| {
        !it.contains("hairpinning: \"filtered\"")
            && *it != "small block: ports: \"unstable\""
            && !it.starts_with("loss")
            && !it.starts_with("arbitrary")
    };
    let open: Vec<_> = unknown.iter().filter(is_open).collect();
    assert!(open.is_empty(), "{open:#?}");
}

/// Three hosts whose UDP does not pass: one reaches the server over TCP, one something that speaks no STUN, and one nobody.
#[test]
#[ignore = "needs root, ip and python3"]
fn floe_nat_tells_blocked_udp_from_what_accepts_connections_and_from_nothing() {
    let blocked = Kind::new("UDP blocked", json!({ "udp": false }), EIM, APD, "preserving");
    let kinds = vec![blocked.clone(), blocked.clone(), blocked];
    let mut bench = Bench::new(&kinds, By::Floe);
    let portal = "import socket; s = socket.create_server(('203.0.113.10', 9000)); print('ready', flush=True)
while True: c, _ = s.accept(); c.sendall(b'HTTP/1.1 302 Found\\r\\n\\r\\n'); c.close()";
    let mut portal = Process::spawn("portal", inside(&bench.names[0], "python3").args(["-c", portal]));
    assert!(portal.says("ready", PATIENCE), "{}", portal.report());
    bench.processes.push(portal);
    let names = &bench.names;
    let told = std::thread::scope(|scope| {
        let of = |number: usize, port: u16| {
            let uri = format!("stun:203.0.113.10:{port}");
            scope.spawn(move || ask(&names[number], FLOE, &["nat".to_owned(), uri, "--json".to_owned()]))
        };
        [of(1, 3478), of(2, 9000), of(3, 9001)].map(|thread| thread.join().unwrap())
    });
    let words = told.each_ref().map(|it| it["connectivity"]["is"].as_str().unwrap());
    assert_eq!(words, ["tcp-only", "captive", "nothing"], "{told:#?}");
    let verdicts = told.each_ref().map(|it| it["verdict"].as_str().unwrap());
    assert_eq!(verdicts, ["turn-over-tcp", "captive", "nothing"]);
}
