//! What was seen to go wrong in other implementations, and what their users complain of: for each of it what floe
//! promises instead, and the test that keeps it. Those that need a peer with habits of its own are here, the others
//! where their subject is.
//!
//! | fault of the field | floe's promise |
//! |---|---|
//! | a nomination that arrives during the own check is lost | `a_nomination_during_our_own_check_over_a_nat_selects` |
//! | each inbound check adds another one, without end | `inbound_checks_do_not_add_up` |
//! | the worst valid pair is nominated | `the_best_of_the_valid_pairs_is_nominated` |
//! | all other pairs are dropped at nomination | `other_valid_pairs_outlive_the_nomination` |
//! | the last wait of a check is 8 ms, not 16 RTO | `two_hosts_that_cannot_reach_each_other_fail_after_patience` |
//! | a success is taken from any address | `an_answer_from_another_address_is_not_a_success` |
//! | secrets of a generator that can be guessed | `secrets_come_from_the_seed_alone` |
//! | one end cannot follow a downgrade | `both_ends_follow_a_downgrade` |
//! | two datagrams out for each one in | `inbound_checks_do_not_add_up` |
//! | PRIORITY is that of the local candidate | `checks_carry_the_priority_of_a_peer_reflexive_candidate` |
//! | interfaces that go are not seen | `an_interface_that_goes_takes_the_path_with_it` |
//! | the tiebreaker of the wrong role is compared | `two_agents_of_one_role_end_up_with_different_ones` |
//! | TLS that is none | `nothing_is_sent_where_the_certificate_is_not_good` |
//! | no relay of IPv6 | `one_allocation_gives_a_candidate_of_each_family` |
//! | a controlled peer nominates, and is not answered | `a_controlled_peer_that_nominates_is_answered` |
//! | a check before the signals costs a second | `a_check_before_the_signals_delays_nothing` |
//! | a check before the credentials is fatal | `a_check_before_the_signals_delays_nothing` |
//! | aggressive nomination leaves the ends on different pairs | `an_aggressive_peer_and_floe_use_one_pair` |
//! | peers of RFC 5245 | `a_peer_of_the_old_rfc_connects` |
//! | a peer that nominates again and again | `a_repeated_nomination_changes_nothing` |
//! | attributes that nobody knows | `an_unknown_optional_attribute_is_no_obstacle` |
//! | a peer that drops what it does not know | `a_peer_that_drops_unknown_attributes_connects` |
//! | errors that answer consent | `an_error_is_no_consent` |
//! | candidates that are sent again | `signals_that_come_twice_change_nothing` |
//! | relayed although a direct way exists | `a_symmetric_and_an_address_restricted_nat_need_no_relay` |
//! | a silent peer is given up too early | `a_black_hole_ends_consent_after_30_s_at_both_ends` |
//! | a NAT restarts with other ports | `a_nat_that_restarts_with_other_ports_is_followed` |
//! | waits by timer before a path is accepted | `data_waits_for_no_timer` |
//! | lost probes tear down what works | `checks_that_are_lost_do_not_end_a_path_that_carries_data` |
//! | 50 ms are added to each step | `two_public_hosts_are_usable_one_round_trip_after_signaling` |
//! | the ends settle on different pairs | `two_agents_never_end_on_different_pairs_and_never_hang` |
//! | a signalled twin resets a peer-reflexive candidate | `a_signalled_twin_changes_no_state` |
//! | no restart | `a_restart_leaves_no_gap_in_the_data_whoever_starts_it` |
//! | flaps when an interface goes that nobody uses | `the_loss_of_a_spare_interface_goes_unnoticed` |
//! | packets that panic | `damaged_copies_of_the_peers_packets_change_nothing` |
//! | a dead server stalls gathering | `a_dead_server_holds_nothing_up` |
//! | stuck on a relay | `a_better_pair_that_comes_later_is_nominated_anew_where_both_know_how` |
//! | floods of candidates | `remote_candidates_and_pairs_are_limited` |
//! | the mapping is lost | `consent_keeps_a_mapping_of_30_s_alive` |
//! | replies to strangers amplify | `strangers_get_few_answers_and_short_ones` |
//! | a restart races with gathering | `a_restart_during_gathering_and_checking_connects` |
//! | failing too early | `two_hosts_that_cannot_reach_each_other_fail_after_patience` |
//! | one socket for many agents searches them all | not here: an endpoint of many agents on one socket |
//! | no way out where UDP is blocked | `two_agents_connect_over_tcp_where_udp_is_blocked` |
//! | no TURN over TCP | `the_connection_stays_open_as_long_as_the_relay_is_needed` |
//! | no TURN over TLS | `only_a_valid_certificate_of_the_name_from_a_trusted_root_is_accepted` |
//! | an interface that goes takes the relay along | `a_relay_moves_to_a_socket_that_is_added_soon_and_the_session_goes_on` |
//! | a dead TURN server holds up a living one | `a_server_that_does_not_answer_does_not_hold_up_the_relay_of_another` |
//! | the dead path is left late | `the_loss_of_consent_moves_the_session_to_the_spare_pair` |
//! | a dead path is seen after half a minute | `a_path_that_falls_silent_is_left_within_500_ms_by_both_ends` |
//! | a dead path is the end, and nothing was said before | `a_suspicion_is_told_within_a_second_and_long_before_the_loss` |
//! | a path that comes and goes takes the session along | `a_path_that_comes_and_goes_is_taken_back_more_and_more_slowly` |
//! | relayed for good after an outage | `a_path_that_returns_after_minutes_is_taken_back` |
//! | a direct path is kept however much it loses | `a_direct_path_that_loses_half_gives_way_to_a_relay` |
//! | "ICE failed" and nothing else | `a_wrong_turn_password_between_symmetric_nats` |
//! | ports of a symmetric NAT are never guessed | `random_ports_are_found_in_95_of_100_sessions_with_1200_packets` |
//! | early packets from outside are punished by the NAT | not here: a first packet that does not arrive |
//! | keepalives cost battery | `an_idle_pair_behind_a_nat_of_30_s_asks_for_consent_every_12_s` |
//! | guessed candidates multiply pairs | not here: guessed candidates |
//! | a stale nonce ends requests | `a_stale_nonce_begins_all_open_transactions_anew` |
//! | one refused permission ends all data | `one_forbidden_peer_does_not_spoil_the_others` |
//! | a lock for all, descriptors that spin | not here: the core has neither locks nor sockets |
//! | names that nobody resolves | `a_name_that_nobody_answers_for_delays_nothing` |
//! | a port mapping in the router is not asked for | `a_mapped_port_is_a_reflexive_candidate_with_type_preference_105` |

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use floe::candidate::CandidateType::Relayed;
use floe::credentials::Credentials;
use floe::io::ComponentId;
use floe::signal::{Signal, What};
use floe::sim::{Fate, Gateway, HostId, Interface, Nat, Ports, World};
use floe::stun::Message;
use floe::stun::wire::{Class, attr};
use floe::turn::TurnServer;
use floe::{Config, Event, Role, State};

use super::peer::{Habits, Play};
use super::{ROLES, ms, secs, seed, selections};

const BOTH: [Role; 2] = [Role::Controlling, Role::Controlled];

fn places() -> [Gateway; 2] {
    [Nat::none(), Nat::port_restricted().into()]
}

/// Each role of floe, in public and behind a NAT.
fn each(habits: &Habits, mut then: impl FnMut(Role, Play)) {
    for role in BOTH {
        for place in places() {
            then(role, Play::new(role, place, habits.clone()));
        }
    }
}

/// One agent did not know the nominated pair as long as its own check was under way, and never selected.
#[test]
fn a_nomination_during_our_own_check_over_a_nat_selects() {
    for late in [100, 300, 1000] {
        let habits = Habits { nominates_always: true, answers_late: ms(late), ..Habits::default() };
        let mut play = Play::new(Role::Controlled, Nat::port_restricted().into(), habits);
        play.completes_within(ms(500 + late));
        play.carries_data();
    }
}

/// Two agents queue a check for each one that arrives; one of them sends two datagrams for each one that it gets.
#[test]
fn inbound_checks_do_not_add_up() {
    let habits = Habits { nominates_again: true, nominates_always: true, ..Habits::default() };
    each(&habits, |_, mut play| {
        play.run(secs(20));
        // 400 checks, one answer each; of our own a handful, and consent.
        assert!(play.successes > 300 && play.checks < 15, "{} {}", play.successes, play.checks);
    });
}

fn two_ways(world: &mut World) -> [HostId; 2] {
    let interfaces = [Interface::v4(Nat::none()), Interface::v4(Nat::none())];
    let a = world.agent(interfaces, Config::new(Role::Controlling, seed(1)));
    let b = world.agent(Nat::none(), Config::new(Role::Controlled, seed(2)));
    world.signal(a, b);
    world.run_until(secs(5), |w| w.completed(a) && w.completed(b));
    world.run_for(secs(2));
    [a, b]
}

/// One agent sorts its valid pairs the wrong way round.
#[test]
fn the_best_of_the_valid_pairs_is_nominated() {
    let mut world = World::new(1);
    let [a, b] = two_ways(&mut world);
    for host in [a, b] {
        let selected = world.agent_ref(host).valid_pairs(ComponentId::FIRST).find(|pair| pair.selected);
        let best = world.agent_ref(host).valid_pairs(ComponentId::FIRST).map(|pair| pair.priority).max();
        assert_eq!(selected.map(|pair| pair.priority), best, "{world}");
    }
}

/// Without them nothing is left to change to.
#[test]
fn other_valid_pairs_outlive_the_nomination() {
    let mut world = World::new(1);
    let turn = world.turn_server();
    let hosts = [0, 1].map(|at: usize| {
        let config = Config::new(BOTH[at], seed(at as u8 + 1)).turn_server(turn.clone());
        world.agent([Interface::v4(Nat::none()), Interface::v6(Nat::none())], config)
    });
    world.signal(hosts[0], hosts[1]);
    world.run_until(secs(5), |w| hosts.iter().all(|host| w.completed(*host)));
    let agent = world.agent_ref(hosts[0]);
    let before = agent.valid_pairs(ComponentId::FIRST).count();
    world.run_for(secs(20));
    let after = world.agent_ref(hosts[0]).valid_pairs(ComponentId::FIRST).count();
    assert!(before >= 1 && after >= before, "{before} {after} {world}");
}

/// RFC 8445 §7.2.5.2.1: one agent takes a success from wherever it comes.
#[test]
fn an_answer_from_another_address_is_not_a_success() {
    let habits = Habits { answers_from_elsewhere: true, ..Habits::default() };
    for role in BOTH {
        let mut play = Play::new(role, Nat::none(), habits.clone());
        play.run(secs(5));
        assert!(play.checks > 0 && !play.is_usable(), "{}", play.world);
    }
}

/// RFC 8445 §5.3: two agents draw them from generators that anybody can predict after a few outputs.
#[test]
fn secrets_come_from_the_seed_alone() {
    let mut seen = BTreeSet::new();
    for byte in 0..100 {
        for again in [false, true] {
            let mut world = World::new(u64::from(byte));
            let host = world.agent(Nat::none(), Config::new(Role::Controlling, seed(byte)));
            let signals = world.signals(host);
            let What::Credentials(own) = &signals[0].what else { panic!("credentials come first") };
            assert!(own.ufrag.as_str().len() >= 4 && own.pwd.as_str().len() >= 22);
            let new = seen.insert(own.ufrag.to_string()) & seen.insert(own.pwd.as_str().to_owned());
            assert_eq!(new, !again);
        }
    }
}

/// One controlled agent keeps the nominated pair of the highest priority, whatever came later.
#[test]
fn both_ends_follow_a_downgrade() {
    let settle = secs(2);
    let mut world = World::new(3);
    let strategy = floe::agent::Nomination::Renominate { settle };
    let hosts = [0, 1].map(|at: usize| {
        let config = Config::new(BOTH[at], seed(at as u8 + 1)).nomination(strategy);
        world.agent([Interface::v4(Nat::none()), Interface::v6(Nat::none())], config)
    });
    let [a, b] = hosts;
    world.signal(a, b);
    world.run_until(secs(5), |w| w.agent_ref(a).valid_pairs(ComponentId::FIRST).count() == 2);
    world.run_until(secs(5), |w| w.completed(a) && w.completed(b));
    let worst = world.agent_ref(a).valid_pairs(ComponentId::FIRST).last().expect("two pairs").id;
    let before = hosts.map(|host| selections(&world, host));
    world.with_agent(a, |agent, now| agent.nominate(now, worst)).expect("a valid pair");
    world.run_for(secs(5));
    // There and, since the strategy is to use the best one, back again: at both ends alike.
    let addresses = hosts.map(|host| {
        let selected = world.events(host).iter().filter_map(|(_, event)| match event {
            Event::Selected { local, remote, .. } => Some((local.address.clone(), remote.address.clone())),
            _ => None,
        });
        selected.collect::<Vec<_>>()
    });
    let mirrored: Vec<_> = addresses[1].iter().cloned().map(|(local, remote)| (remote, local)).collect();
    assert_eq!(addresses[0], mirrored, "{world}");
    assert_eq!(hosts.map(|host| selections(&world, host)), before.map(|count| count + 2), "{world}");
}

/// RFC 8445 §7.1.1: with the local candidate's own priority a path that the peer learns of goes before all others.
#[test]
fn checks_carry_the_priority_of_a_peer_reflexive_candidate() {
    let mut world = World::new(1);
    world.capture();
    two_ways(&mut world);
    let mut checks = 0;
    for packet in world.captured().iter().filter(|it| it.fate == Fate::Sent) {
        let Ok(message) = Message::parse(&packet.payload) else { continue };
        if message.class() == Class::Request {
            let priority = message.plain().attributes().u32(attr::PRIORITY).expect("a PRIORITY");
            assert_eq!(priority >> 24, 110, "the type preference");
            checks += 1;
        }
    }
    assert!(checks > 3);
}

/// RFC 8445 §7.1.2: four of ten agents never answer such a check, or answer 400; it is no nomination, and no error.
#[test]
fn a_controlled_peer_that_nominates_is_answered() {
    let habits = Habits { nominates_always: true, ..Habits::default() };
    for place in places() {
        let mut play = Play::new(Role::Controlling, place, habits.clone());
        play.completes_within(secs(2));
        play.run(secs(60));
        assert_eq!((play.errors.len(), selections(&play.world, play.floe)), (0, 1), "{}", play.world);
        assert!(play.successes > 0 && play.nominations > 0);
        play.carries_data();
    }
}

/// Two agents wait for a second when a check comes before the signals, one fails for good.
#[test]
fn a_check_before_the_signals_delays_nothing() {
    let habits = Habits { signals_late: secs(1), ..Habits::default() };
    each(&habits, |role, mut play| {
        if play.world.gateway(play.floe, play.world.addresses(play.floe)[0]).is_some() {
            // Nothing comes through the NAT before floe has sent something.
            return;
        }
        play.run(ms(900));
        assert!(play.successes > 0, "answered: {}", play.world);
        play.completes_within(ms(700));
        assert_eq!(play.errors.len(), 0, "{role:?}");
        play.carries_data();
    });
}

/// RFC 5245 §8.1.1.2: the pair that both took first may differ; the last and best is used by both.
#[test]
fn an_aggressive_peer_and_floe_use_one_pair() {
    let habits = Habits { nominates_always: true, nominates_again: true, ..Habits::default() };
    for place in places() {
        let mut play = Play::new(Role::Controlled, place, habits.clone());
        play.completes_within(secs(2));
        play.run(secs(10));
        play.carries_data();
        assert!(play.world.completed(play.floe));
    }
}

/// Neither `ice2` nor a value of nomination, and the priority of its host candidate in checks.
#[test]
fn a_peer_of_the_old_rfc_connects() {
    for nominates_always in [false, true] {
        let habits = Habits { rfc5245: true, nominates_always, ..Habits::default() };
        each(&habits, |_, mut play| {
            play.completes_within(secs(2));
            play.carries_data();
            assert_eq!(play.errors.len(), 0);
        });
    }
}

#[test]
fn a_repeated_nomination_changes_nothing() {
    let habits = Habits { nominates_again: true, rfc5245: true, ..Habits::default() };
    each(&habits, |_, mut play| {
        play.completes_within(secs(2));
        play.run(secs(30));
        assert_eq!(selections(&play.world, play.floe), 1, "{}", play.world);
        assert!(play.world.completed(play.floe));
    });
}

/// RFC 8489 §14: above 0x7FFF what is not known is ignored.
#[test]
fn an_unknown_optional_attribute_is_no_obstacle() {
    for kind in [0x8040, 0xC057, 0xC070] {
        let habits = Habits { extra: Some(kind), ..Habits::default() };
        each(&habits, |_, mut play| {
            play.completes_within(secs(2));
            assert_eq!(play.errors.len(), 0);
        });
    }
}

/// What floe puts into checks beyond the RFC it puts only where the peer has offered it.
#[test]
fn a_peer_that_drops_unknown_attributes_connects() {
    let habits = Habits { drops_unknown: true, ..Habits::default() };
    each(&habits, |_, mut play| {
        play.completes_within(secs(2));
        play.carries_data();
    });
}

/// RFC 7675 §5.1: an answer that is none does not prolong consent, and does not end it either.
#[test]
fn an_error_is_no_consent() {
    for code in [400, 401] {
        let habits = Habits { refuses_consent: Some((secs(3), code)), ..Habits::default() };
        each(&habits, |role, mut play| {
            play.completes_within(secs(2));
            play.run(secs(20));
            assert!(play.is_usable(), "{role:?} {}", play.world);
            play.run(secs(20));
            assert!(!play.is_usable(), "{role:?} {}", play.world);
        });
    }
}

/// A peer that restarts with its old credentials has not restarted: its candidates come again.
#[test]
fn signals_that_come_twice_change_nothing() {
    each(&Habits::default(), |_, mut play| {
        play.completes_within(secs(2));
        let before = play.world.events(play.floe).len();
        for _ in 0..3 {
            play.signal();
            play.run(secs(2));
        }
        assert_eq!(play.world.events(play.floe).len(), before, "{}", play.world);
        play.carries_data();
    });
}

/// One implementation relayed five of 204 such sessions: the peer-reflexive path lost the race.
#[test]
fn a_symmetric_and_an_address_restricted_nat_need_no_relay() {
    for roles in ROLES {
        for nats in
            [[Nat::symmetric(), Nat::address_restricted()], [Nat::address_restricted(), Nat::symmetric()]]
        {
            let mut world = World::new(1);
            let turn = world.turn_server();
            let [first, second] = nats;
            let hosts = [(first, roles[0], 1), (second, roles[1], 2)].map(|(nat, role, byte)| {
                let config = Config::new(role, seed(byte)).stun_server(turn.addr);
                world.agent(nat, config.turn_server(turn.clone()))
            });
            let [a, b] = hosts;
            world.signal(a, b);
            world.run_until(secs(5), |w| w.completed(a) && w.completed(b));
            world.run_for(secs(5));
            assert!(!world.selected_types(a, b).contains(&Relayed), "{world}");
        }
    }
}

/// Only one of three implementations follows, and only as the controlling agent. Where that one stays in place it
/// hears of a better pair; where it moves it nominates from its new address.
#[test]
fn a_nat_that_restarts_with_other_ports_is_followed() {
    for roles in ROLES {
        let mut world = World::new(1);
        let server = world.stun_server();
        let nat = world.nat(Nat::port_restricted().ports(Ports::Random));
        let a = world.agent(nat, Config::new(roles[0], seed(1)).stun_server(server));
        let b = world.agent(Nat::none(), Config::new(roles[1], seed(2)));
        // Reflexive addresses are known by signaling: what is learnt from a check goes before that.
        world.signal_one_way(a, b, ms(50));
        world.signal_one_way(b, a, secs(1));
        world.run_until(secs(5), |w| w.completed(a) && w.completed(b));
        world.flush(nat);
        world.run_for(secs(60));
        assert!(world.completed(a) && world.completed(b), "{world}");
        let before = world.received(a).len();
        world.send(b, b"data");
        world.run_for(secs(1));
        assert_eq!(world.received(a).len(), before + 1, "{world}");
    }
}

/// A lite agent has no consent of its own to notice it by.
#[test]
fn a_lite_agent_follows_a_nat_that_restarts_with_other_ports() {
    let mut world = World::new(1);
    let nat = world.nat(Nat::port_restricted().ports(Ports::Random));
    let full = world.agent(nat, Config::new(Role::Controlling, seed(1)));
    let lite = world.agent(Nat::none(), Config::new(Role::Controlled, seed(2)).lite());
    world.signal(full, lite);
    world.run_until(secs(5), |w| w.completed(full) && w.completed(lite));
    world.flush(nat);
    world.run_for(secs(10));
    let before = world.received(full).len();
    world.send(lite, b"data");
    world.run_for(secs(1));
    assert_eq!(world.received(full).len(), before + 1, "{world}");
}

/// Fixed waits by type of candidate, 1 s and 2 s, were half of the time of a join.
#[test]
fn data_waits_for_no_timer() {
    for nat in [Nat::port_restricted(), Nat::symmetric()] {
        let mut world = World::new(1);
        let turn = world.turn_server();
        let hosts = BOTH.map(|role| {
            let config = Config::new(role, seed(role as u8 + 1)).stun_server(turn.addr);
            world.agent(nat.clone(), config.turn_server(turn.clone()))
        });
        let [a, b] = hosts;
        world.signal(a, b);
        let took = world.run_until(secs(5), |w| w.usable(a) && w.usable(b));
        assert!(took < ms(900), "{took:?} {world}");
    }
}

/// One agent forgets what it knew of the path, and disconnects.
#[test]
fn a_signalled_twin_changes_no_state() {
    for role in BOTH {
        let habits = Habits { signals_late: secs(5), ..Habits::default() };
        let mut play = Play::new(role, Nat::none(), habits);
        let peer = Credentials::new(
            "peer".parse().expect("a ufrag"),
            "passwordOfThePeer22Chars".parse().expect("a pwd"),
        );
        let only = Signal::new(0, What::Credentials(peer));
        play.world.with_agent(play.floe, |agent, now| agent.handle_signal(now, only)).expect("credentials");
        play.completes_within(secs(4));
        let path = play.world.agent_ref(play.floe).path(ComponentId::FIRST);
        let told = |world: &World, host: HostId| {
            let told = |event: &Event| matches!(event, Event::State(_) | Event::Path { .. });
            world.events(host).iter().filter(|(_, event)| told(event)).count()
        };
        let before = told(&play.world, play.floe);
        play.run(secs(10));
        assert_eq!(play.world.agent_ref(play.floe).path(ComponentId::FIRST), path);
        let after = told(&play.world, play.floe);
        assert_eq!(before, after, "{}", play.world);
    }
}

/// The state follows from the path that is used.
#[test]
fn the_loss_of_a_spare_interface_goes_unnoticed() {
    let mut world = World::new(1);
    let [a, b] = two_ways(&mut world);
    let used = world.selected(a).and_then(|(local, _)| local.address.socket()).expect("a pair").ip();
    let spare = world.addresses(a).into_iter().find(|ip| *ip != used).expect("another");
    let before = [a, b].map(|host| world.events(host).len());
    world.remove_interface(a, spare);
    world.run_for(secs(60));
    assert_eq!([a, b].map(|host| world.events(host).len()), before, "{world}");
}

/// Gathering waits for a server that does not answer; nothing else does.
#[test]
fn a_dead_server_holds_nothing_up() {
    let dead = SocketAddr::new([203, 0, 113, 9].into(), 3478);
    for roles in ROLES {
        let mut world = World::new(1);
        let hosts = [0, 1].map(|at: usize| {
            let config = Config::new(roles[at], seed(at as u8 + 1)).stun_server(dead);
            world.agent(Nat::none(), config.turn_server(TurnServer::new(dead, "user", "password")))
        });
        let [a, b] = hosts;
        world.signal(a, b);
        let took: Duration = world.run_until(secs(5), |w| w.completed(a) && w.completed(b));
        assert!(took < secs(1), "{took:?} {world}");
        assert_eq!(world.state(a), State::Completed);
    }
}

/// Every promise of the table is a test.
#[test]
fn the_table_names_tests_that_exist() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["tests/sim", "tests/turn", "tests/net", "src/turn/tests", "src/net", "src/agent/mapped"];
    let files = folders.iter().flat_map(|folder| std::fs::read_dir(root.join(folder)).expect("the tests"));
    let files = files.map(|file| file.expect("a file").path()).filter(|path| path.is_file());
    let all: String = files.map(|path| std::fs::read_to_string(path).expect("text")).collect();
    let rows = include_str!("faults.rs").lines().filter(|line| line.starts_with("//! |")).skip(2);
    // Unit tests stand in a module.
    let is_test = |name: &str| {
        ["\nfn", "\nasync fn", "\n    fn", "\n    async fn"]
            .iter()
            .any(|what| all.contains(&format!("]{what} {name}()")))
    };
    let mut count = 0;
    for row in rows {
        let promise = row.trim_end_matches(" |").rsplit("| ").next().expect("a cell");
        let name = promise.trim_matches('`');
        assert!(promise.starts_with("not here: ") || is_test(name), "{row}");
        count += 1;
    }
    assert!(count > 35);
}
