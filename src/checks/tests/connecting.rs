//! Pairs over TCP (RFC 6544 §6.2).

use std::net::SocketAddr;

use super::{at, set};
use crate::candidate::{BaseId, Candidate, CandidateType, Foundation, TcpType};
use crate::checks::connect::link;
use crate::checks::form::Permission;
use crate::checks::{ChecklistSet, Link, Role};

fn candidate(addr: &str, direction: Option<TcpType>) -> Candidate {
    let addr: SocketAddr = addr.parse().unwrap();
    let foundation = Foundation::from_number(1);
    let candidate = Candidate::udp(foundation, 1, 1 << 24, addr, CandidateType::Host, None);
    direction.map_or(candidate.clone(), |direction| candidate.over_tcp(direction))
}

const DIRECTIONS: [Option<TcpType>; 4] =
    [None, Some(TcpType::Active), Some(TcpType::Passive), Some(TcpType::SimultaneousOpen)];

/// RFC 6544 §6.2. This agent opens nothing simultaneously.
#[test]
fn udp_pairs_with_udp_and_who_opens_with_who_accepts() {
    for near in DIRECTIONS {
        for far in DIRECTIONS {
            let pairs = match (near, far) {
                (None, None) => Some(Link::Datagrams),
                (Some(TcpType::Active), Some(TcpType::Passive)) => Some(Link::Closed),
                (Some(TcpType::Passive), Some(TcpType::Active)) => Some(Link::Open),
                _ => None,
            };
            let link = link(&candidate("10.0.0.1:1", near), &candidate("10.0.0.2:2", far));
            assert_eq!(link, pairs, "{near:?} {far:?}");
        }
    }
}

/// RFC 6544 §6.2: in whatever order candidates come.
#[test]
fn no_pair_is_formed_with_a_passive_local_candidate() {
    for remote_first in [false, true] {
        let mut set = set(Role::Controlling, &[1]);
        let add_remotes = |set: &mut ChecklistSet| {
            for (port, far) in (1..).zip(DIRECTIONS) {
                let addr = SocketAddr::from(([10, 0, 0, 2], port));
                let candidate = candidate(&addr.to_string(), far);
                set.add_remote(at(0, 1), addr, candidate, |_| Permission::Granted).unwrap();
            }
        };
        if remote_first {
            add_remotes(&mut set);
        }
        for (id, direction) in (0..).zip([TcpType::Active, TcpType::Passive]) {
            let candidate = candidate("10.0.0.1:9", Some(direction));
            set.add_base(BaseId(id), at(0, 1), candidate, Permission::Granted);
        }
        if !remote_first {
            add_remotes(&mut set);
        }
        let pairs: Vec<_> = set.pairs().map(|(_, pair)| (pair.base, pair.destination.port())).collect();
        assert_eq!(pairs, [(BaseId(0), 3)]);
    }
}
