//! floe and its peers' crates, side by side in floe's own simulator: the same networks, one trait, one table.

mod cost;
mod embedder;
mod floe_peer;
mod is_peer;
mod lab;
mod meter;
#[path = "../../../tests/sim/scenarios/networks.rs"]
mod networks;
mod peer;
mod plot;
mod rice_peer;
mod rtc_peer;
mod seat;
mod table;

use floe::Config;
use floe::sim::{HostId, World};

use networks::{Outcome, Scenario, Server, Site, lossy, scenarios};
use peer::{Contender, Start};
use seat::Seat;

const USAGE: &str = "\
scenarios         the table of the scenarios
costs             the table of costs: takes a quarter of an hour, and valgrind
write scenarios   the same, into docs/peers.md and docs/peers.svg
write costs       the same, into docs/peers.md
check             that all run, and that floe does here what it does in its own tests
run NAME [ROW]    every setting of one implementation";

const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/peers");

fn contenders() -> Vec<Contender> {
    let mut all = Vec::from(floe_peer::CONTENDERS);
    all.extend(is_peer::CONTENDERS);
    all.extend(rice_peer::CONTENDERS);
    all.extend(rtc_peer::CONTENDERS);
    all
}

fn place(contender: &Contender) -> impl FnMut(&mut World, Site) -> HostId {
    move |world, Site { host, role, seed, server }| {
        world.guest(host, |now, addresses| Seat::new(contender, Start { now, role, seed, server }, addresses))
    }
}

fn usable(world: &World, host: HostId) -> bool {
    world.guest_ref::<Seat>(host).peer.is_usable()
}

fn completed(world: &World, host: HostId) -> bool {
    world.guest_ref::<Seat>(host).peer.is_completed()
}

fn run(scenario: &Scenario, contender: &Contender) -> Outcome {
    scenario.run(&mut place(contender), [&usable, &completed])
}

/// floe as the simulator's own agent, as its tests have it.
fn place_own(world: &mut World, Site { host, role, seed, server }: Site) -> HostId {
    let config = Config::new(role, seed);
    let config = match server {
        Server::None => config,
        Server::Stun(addr) => config.stun_server(addr),
        Server::Turn(server) => config.turn_server(server),
    };
    world.agent(host, config)
}

fn check() {
    let own: [networks::Ask<'_>; 2] = [&World::usable, &World::completed];
    let floe = &floe_peer::CONTENDERS[0];
    for scenario in scenarios() {
        let expected = scenario.run(&mut place_own, own);
        assert_eq!(run(&scenario, floe), expected, "floe in {}", scenario.name);
    }
    for number in 0..100 {
        let expected = lossy(0.3, number, &mut place_own, own);
        let here = lossy(0.3, number, &mut place(floe), [&usable, &completed]);
        assert_eq!(here, expected, "floe with 30 % loss, seed {number}");
    }
    for contender in contenders() {
        let it = run(&scenarios()[0], &contender);
        let name = format!("{}, {}", contender.name, contender.settings);
        assert!(it.usable.iter().chain(&it.completed).all(|at| at.is_finite()), "{name}: {it:?}");
        println!("{name}: {it:?}");
    }
}

/// Puts text between the two marks of this name in docs/peers.md.
fn write(name: &str, text: &str) {
    let path = format!("{DOCS}.md");
    let page = std::fs::read_to_string(&path).expect("docs/peers.md");
    let marks = [format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->")];
    let start = page.find(&marks[0]).expect("the first mark") + marks[0].len();
    let end = page.find(&marks[1]).expect("the second mark");
    std::fs::write(&path, format!("{}{text}{}", &page[..start], &page[end..])).expect("docs/peers.md");
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| words[at].parse().expect("a number");
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["scenarios"] => println!("{}", table::markdown(&table::rows())),
        ["costs"] => println!("{}", cost::markdown()),
        ["write", "scenarios"] => {
            let rows = table::rows();
            write("scenarios", &table::markdown(&rows));
            std::fs::write(format!("{DOCS}.svg"), plot::svg(&rows)).expect("docs/peers.svg");
        }
        ["write", "costs"] => write("costs", &cost::markdown()),
        ["check"] => check(),
        ["run", name, ref rows @ ..] => {
            for scenario in scenarios().iter().filter(|it| rows.is_empty() || rows.contains(&it.name)) {
                for contender in contenders().iter().filter(|it| it.name == name) {
                    println!("{:4} {}: {:?}", scenario.name, contender.settings, run(scenario, contender));
                }
            }
        }
        ["exercise", name, what, _, _] => cost::exercise(name, what, number(3), number(4)),
        _ => {
            eprintln!("{USAGE}");
            std::process::exit(2);
        }
    }
}
