//! `floe nat` without a server, behind a gateway that runs miniupnpd.

use std::process::Command;

use serde_json::Value;

use crate::home::{GATEWAY, HOST, Home, PUBLIC};
use crate::lab::{inside, run};

const FLOE: &str = env!("CARGO_BIN_EXE_floe");

/// What it says of IPv4, and its exit status.
fn alone(command: &mut Command) -> (Value, Option<i32>) {
    let output = command.args(["nat", "--json"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of_v4 = lines.iter().find(|it| it["type"] == "local" && it["family"] == "IPv4");
    let note = lines.last().unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    assert!(note["message"].as_str().is_some_and(|text| text.contains("floe nat stun:")), "{text}");
    (of_v4.unwrap_or_else(|| panic!("{text}")).clone(), output.status.code())
}

#[test]
#[ignore = "needs root and miniupnpd"]
fn the_gateway_tells_its_address_outside_and_keeps_no_mapping() {
    let home = Home::new(PUBLIC);
    let (told, status) = alone(&mut home.command("host", FLOE));
    assert_eq!(status, Some(0), "{told:#}");
    assert_eq!((&told["local"], &told["gateway"]), (&HOST.into(), &GATEWAY.into()), "{told:#}");
    assert_eq!((&told["address"], &told["external"]), (&"private".into(), &PUBLIC.into()), "{told:#}");
    assert_eq!(told["nats"], "one-or-more", "{told:#}");
    assert_eq!((&told["mapping"]["is"], &told["filtering"]["is"]), (&"unknown".into(), &"unknown".into()));
    assert_eq!(home.mappings(), 0, "taken back");
}

#[test]
#[ignore = "needs root and miniupnpd"]
fn a_gateway_behind_a_nat_or_without_a_word_makes_one_nat_certain_at_least() {
    let mut home = Home::new("192.168.99.9");
    let (told, status) = alone(&mut home.command("host", FLOE));
    assert_eq!(status, Some(0), "{told:#}");
    let is_further = told["nats"] == "two-or-more" && told["external_address"] == "private";
    assert!(is_further || (told["nats"] == "one-or-more" && told["problem"].is_string()), "{told:#}");
    home.daemon = None;
    let (told, status) = alone(&mut home.command("host", FLOE));
    assert_eq!(status, Some(0), "{told:#}");
    assert_eq!((&told["nats"], &told["external"]), (&"one-or-more".into(), &Value::Null), "{told:#}");
}

#[test]
#[ignore = "needs root and ip"]
fn without_a_network_it_fails_and_says_so() {
    let name = format!("floe-alone-{}", std::process::id());
    run(Command::new("ip").args(["netns", "add", &name]));
    let (told, status) = alone(&mut inside(&name, FLOE));
    let _ = Command::new("ip").args(["netns", "del", &name]).status();
    assert_eq!(status, Some(1), "{told:#}");
    assert!(told["error"].is_string(), "{told:#}");
}
