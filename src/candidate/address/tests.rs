use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().expect(text)
}

fn socket(text: &str) -> SocketAddr {
    text.parse().expect(text)
}

#[test]
fn scopes_change_at_the_borders_of_the_prefixes() {
    // RFC 8445 §5.1.1.1
    let cases: [(Scope, &[&str]); 4] = [
        (
            Scope::Unusable,
            &[
                "0.0.0.0",
                "0.1.2.3",
                "224.0.0.1",
                "239.255.255.255",
                "255.255.255.255",
                "::",
                "::1.2.3.4",
                "::2",
                "::ffff:192.0.2.1",
                "fec0::",
                "feff:ffff::1",
                "ff02::1",
            ],
        ),
        (Scope::Loopback, &["127.0.0.1", "127.255.255.255", "::1"]),
        (Scope::LinkLocal, &["169.254.0.0", "169.254.255.255", "fe80::1", "febf:ffff::1"]),
        (
            Scope::Wide,
            &[
                "1.0.0.0",
                "126.255.255.255",
                "169.253.255.255",
                "169.255.0.0",
                "10.0.0.1",
                "223.255.255.255",
                "fe7f::1",
                "fd00::1",
                "2001:db8::1",
                "::1:0:0:0",
                "64:ff9b::192.0.2.1",
            ],
        ),
    ];
    for (expected, addresses) in cases {
        for text in addresses {
            assert_eq!(scope(ip(text)), expected, "{text}");
        }
    }
}

#[test]
fn loopback_is_a_base_only_when_named() {
    for text in ["127.0.0.1", "::1"] {
        assert!(is_unicast(ip(text)) && !is_gatherable(ip(text)), "{text}");
    }
    assert!(!is_unicast(ip("::ffff:10.0.0.1")) && is_gatherable(ip("10.0.0.1")));
}

#[test]
fn a_remote_loopback_candidate_needs_a_loopback_base() {
    let checkable = |text, has_loopback_base| is_checkable_remote(socket(text), has_loopback_base);
    assert!(checkable("127.0.0.1:5", true) && !checkable("127.0.0.1:5", false));
    assert!(checkable("[::1]:5", true) && !checkable("[::1]:5", false));
    assert!(checkable("10.0.0.1:5", false));
    assert!(!checkable("10.0.0.1:0", true) && !checkable("224.0.0.1:5", true));
}

#[test]
fn pairs_stay_in_their_family_and_scope() {
    // RFC 8445 §6.1.2.2
    for (local, remote, expected) in [
        ("10.0.0.1:1", "203.0.113.1:2", true),
        ("10.0.0.1:1", "[2001:db8::1]:2", false),
        ("127.0.0.1:1", "127.0.0.2:2", true),
        ("127.0.0.1:1", "10.0.0.1:2", false),
        ("169.254.1.1:1", "169.254.1.2:2", true),
        ("169.254.1.1:1", "10.0.0.1:2", false),
        ("[::1]:1", "[::1]:2", true),
        ("[::1]:1", "[2001:db8::1]:2", false),
        ("[fe80::1%3]:1", "[fe80::2]:2", true),
        ("[fe80::1%3]:1", "[fe80::2%3]:2", true),
        ("[fe80::1%3]:1", "[fe80::2%4]:2", false),
        ("[fe80::1%3]:1", "[2001:db8::1]:2", false),
        ("[fd00::1]:1", "[2001:db8::1]:2", true),
    ] {
        assert_eq!(can_pair(socket(local), socket(remote)), expected, "{local} {remote}");
    }
}

#[test]
fn an_ipv4_address_follows_four_of_six_ipv6_ones() {
    // RFC 8421 §4: N4 = 2, N6 = 6, Hi = 4
    let addresses = ["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8::4"];
    let addresses =
        addresses.iter().chain(&["2001:db8::5", "2001:db8::6"]).map(|text| (ip(text), Interface::Reliable));
    let preferences = local_preferences(&addresses.collect::<Vec<_>>());
    assert_eq!(preferences, [65531, 65528, 65535, 65534, 65533, 65532, 65530, 65529]);
}

#[test]
fn a_single_address_has_the_highest_preference() {
    // RFC 8445 §5.1.2.1
    for text in ["192.0.2.1", "2001:db8::1"] {
        assert_eq!(local_preferences(&[(ip(text), Interface::Unreliable)]), [65535]);
        assert_eq!(LocalPreference::new().next(ip(text)), 65535);
    }
}

#[test]
fn unreliable_interfaces_and_link_local_addresses_come_last() {
    // RFC 8421 §3, §5
    let preferences = local_preferences(&[
        (ip("2001:db8::9"), Interface::Unreliable),
        (ip("fe80::1"), Interface::Reliable),
        (ip("2001:db8::1"), Interface::Reliable),
        (ip("192.0.2.1"), Interface::Reliable),
    ]);
    assert_eq!(preferences, [65532, 65534, 65535, 65533]);
}

#[test]
fn bases_that_come_late_stand_beside_those_of_the_other_family() {
    // RFC 8421 §4
    let mut preference = LocalPreference::new();
    let given = ["2001:db8::1", "2001:db8::2", "2001:db8::3", "192.0.2.1", "192.0.2.2"];
    let given = given.map(|text| preference.next(ip(text)));
    assert_eq!(given, [65535, 65533, 65531, 65534, 65532]);
}

#[test]
fn every_base_of_a_family_has_its_own_preference_until_they_are_used_up() {
    let mut preference = LocalPreference::new();
    let mut given = BTreeSet::new();
    for _ in 0..32768 {
        assert!(given.insert(preference.next(ip("192.0.2.1"))));
        assert!(given.insert(preference.next(ip("2001:db8::1"))));
    }
    assert_eq!((preference.next(ip("192.0.2.1")), preference.next(ip("2001:db8::1"))), (1, 0));
}

proptest! {
    /// RFC 8445 §5.1.2.1, RFC 8421 §5
    #[test]
    fn preferences_are_distinct_and_without_gaps(addresses in prop::collection::vec((any::<IpAddr>(), any::<bool>()), 0..60)) {
        let hint = |reliable| if reliable { Interface::Reliable } else { Interface::Unreliable };
        let addresses: Vec<_> = addresses.into_iter().map(|(ip, reliable)| (ip, hint(reliable))).collect();
        let mut preferences = local_preferences(&addresses);
        preferences.sort_unstable();
        let lowest = 65536 - addresses.len();
        prop_assert!(preferences.iter().map(|it| usize::from(*it)).eq(lowest..65536));
    }
}

#[test]
fn a_link_local_remote_is_reached_over_the_link_of_the_base() {
    // RFC 4007 §6: the zone of the sender decides, and no signalled candidate has one
    let link =
        |ip: &str, scope| SocketAddr::V6(std::net::SocketAddrV6::new(ip.parse().unwrap(), 5000, 0, scope));
    assert_eq!(on_link_of(link("fe80::1", 3), link("fe80::2", 0)), link("fe80::2", 3));
    assert_eq!(on_link_of(link("2001:db8::1", 3), link("2001:db8::2", 0)), link("2001:db8::2", 0));
    assert_eq!(without_link(link("fe80::2", 3)), link("fe80::2", 0));
    let v4 = socket("192.0.2.1:5000");
    assert_eq!((on_link_of(v4, v4), without_link(v4)), (v4, v4));
}
