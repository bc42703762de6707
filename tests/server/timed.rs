//! Users with a password for a time.

use std::time::Duration;

use floe::server::Config;
use floe::stun::Method;
use floe::stun::auth::timed_password;

use super::client::{Login, RELAY, World, client, config};

const SECRET: &str = "north";
/// The Unix time at the beginning.
const START: u64 = 1_700_000_000;

fn world(config: Config) -> World {
    let mut world = World::new(config.rest_secret(SECRET));
    world.server.set_unix_time(world.now, Duration::from_secs(START));
    world
}

fn login(world: &mut World, number: u16, user: &str) -> Login {
    let nonce = world.challenge(client(number)).nonce();
    Login { user: user.into(), password: timed_password(SECRET.as_bytes(), user), nonce }
}

fn allocate(world: &mut World, number: u16, login: &Login) -> u16 {
    let put = |writer: &mut floe::stun::Writer<'_>| {
        writer.put_requested_transport(17);
    };
    world.request(client(number), login, Method::ALLOCATE, put).code()
}

#[test]
fn a_password_for_a_time_is_good_until_the_time_in_its_username() {
    let mut world = world(config());
    for (number, user, code) in [
        (1, "1700000060:ann", 0),
        (2, "1700000060", 0),
        (3, "1700000000:ann", 401),
        (4, "1699999999:ann", 401),
        (5, "ann", 401),
        (6, ":ann", 401),
        (7, "+1700000060:ann", 401),
        (8, "99999999999999999999999:ann", 401),
    ] {
        let login = login(&mut world, number, user);
        assert_eq!(allocate(&mut world, number, &login), code, "{user}");
    }
    let ann = login(&mut world, 1, "1700000060:ann");
    world.pass(59);
    assert_eq!(world.refresh(client(1), &ann, None).code(), 0);
    world.pass(1);
    assert_eq!(world.refresh(client(1), &ann, None).code(), 401);
    // With a newer one the same user goes on.
    let ann = login(&mut world, 1, "1700000600:ann");
    assert_eq!(world.refresh(client(1), &ann, None).code(), 0);
    let bob = login(&mut world, 1, "1700000600:bob");
    assert_eq!(world.refresh(client(1), &bob, None).code(), 441, "somebody else");
}

#[test]
fn another_secret_or_no_time_of_day_lets_nobody_in() {
    let mut world = world(config());
    let mut ann = login(&mut world, 1, "1700000060:ann");
    ann.password = timed_password(b"south", &ann.user);
    assert_eq!(allocate(&mut world, 1, &ann), 401);
    let mut world = World::new(config().rest_secret(SECRET));
    let ann = login(&mut world, 1, "1700000060:ann");
    assert_eq!(allocate(&mut world, 1, &ann), 401);
}

/// RFC 8656 §5 (TURN-5-m): the quota is that of the user, however many passwords they got.
#[test]
fn the_quota_counts_the_name_without_the_time() {
    let mut world = world(config().quota(2));
    for (number, user, code) in [
        (1, "1700000060:ann", 0),
        (2, "1700000061:ann", 0),
        (3, "1700000062:ann", 486),
        (4, "1700000062:bob", 0),
        (5, "1700000063", 0),
        (6, "1700000064", 0),
        (7, "1700000065", 486),
    ] {
        let login = login(&mut world, number, user);
        assert_eq!(allocate(&mut world, number, &login), code, "{user}");
    }
}

#[test]
fn users_of_the_configuration_come_in_beside_them() {
    let mut world = world(config());
    world.allocate(client(1));
    // Without any, the secret alone opens the server.
    let secret_only = Config::new([7; 32]).realm("example.org").relay_address(RELAY.parse().unwrap());
    let mut world = self::world(secret_only);
    let ann = login(&mut world, 1, "1700000060:ann");
    assert_eq!(allocate(&mut world, 1, &ann), 0);
}

/// RFC 8489 §9.2: a server that cannot find a user by the hash of the name does not say that it can.
#[test]
fn usernames_are_not_anonymous_where_the_server_does_not_know_them_before() {
    let mut with = world(config());
    let mut without = World::new(config());
    assert!(with.challenge(client(1)).nonce().starts_with("obMatJos2gAAA"));
    assert!(without.challenge(client(1)).nonce().starts_with("obMatJos2wAAA"));
}
