//! Names of hosts (RFC 6762): every host answers for its own to those in the same network behind a NAT. On the Internet
//! nobody hears a question.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::node::HostId;
use super::world::{Parcel, Rank, World};
use crate::agent::{Input, Resolve, ResolveId};
use crate::time::Duration;

/// From the question to the answer, on one link.
const ROUND_TRIP: Duration = Duration::from_millis(2);
/// When a question without an answer is given up, as [`mdns`](crate::mdns) does.
const GIVE_UP: Duration = Duration::from_secs(4);

/// What an agent wants done about names.
#[derive(Debug)]
pub(super) enum Errand {
    Publish(Box<str>, IpAddr),
    Withdraw(Box<str>),
    Resolve(Resolve),
}

/// What a question of an agent ends with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer {
    request: ResolveId,
    address: Option<IpAddr>,
}

/// Who answers for which name.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeMap<Box<str>, (HostId, IpAddr)>);

impl World {
    pub(super) fn run_errand(&mut self, host: HostId, errand: Errand) {
        match errand {
            Errand::Publish(name, ip) => drop(self.names.0.insert(name, (host, ip))),
            Errand::Withdraw(name) => drop(self.names.0.remove(&name)),
            Errand::Resolve(Resolve { request, name }) => {
                let known = self.names.0.get(&name).copied();
                let heard = known.filter(|(owner, ip)| self.topology.share_a_link(host, *owner, *ip));
                let address = heard.map(|(_, ip)| ip);
                let at = self.now + if address.is_some() { ROUND_TRIP } else { GIVE_UP };
                self.schedule(at, Rank::Name, Parcel::Name(host, Answer { request, address }));
            }
        }
    }

    pub(super) fn deliver_answer(&mut self, to: HostId, answer: Answer) {
        let Answer { request, address } = answer;
        if let Some(endpoint) = self.nodes[to.0].endpoint_mut() {
            let _ = endpoint.agent.handle_input(self.now, Input::Resolved { request, address });
        }
        self.drain(to);
    }

    /// The names that are published, each with its address.
    pub fn names(&self) -> impl Iterator<Item = (&str, IpAddr)> {
        self.names.0.iter().map(|(name, (_, ip))| (&**name, *ip))
    }
}
