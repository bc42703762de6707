//! From an order to the calls that carry it out.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::description::Service;
use super::http::{self, Reply};
use super::soap::{self, Answer, Call, Rule};
use super::{PAUSE, State, Upnp};
use crate::portmap::address::is_public;
use crate::portmap::event::{Problem, Protocol};
use crate::portmap::order::{Grant, Order, Outcome, Purpose};
use crate::time::{Duration, Instant};

/// Ports that are tried where the gateway does not find a free one.
const MAX_PORTS: u32 = 4;

/// What is being done for a port.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) order: Order,
    /// Which service is asked; the others are tried if this one has no address outside.
    service: usize,
    call: Call,
    outside: Option<Ipv4Addr>,
    ports: u32,
}

impl Upnp {
    /// Takes the next order.
    pub(super) fn begin(&mut self, now: Instant) {
        let Some(order) = self.queue.pop_front() else { return };
        let call = match (order.purpose, order.suggested) {
            (Purpose::Delete, Some(suggested)) => {
                Call::Delete { transport: order.name.transport, external: suggested.port() }
            }
            (Purpose::Delete, None) => {
                self.outcomes.push_back(Outcome::Deleted(order.id));
                return self.begin(now);
            }
            _ => Call::ExternalAddress,
        };
        self.call(now, Task { order, service: 0, call, outside: None, ports: 0 });
    }

    fn services(&self) -> Option<&VecDeque<Service>> {
        match &self.state {
            State::Ready(services) => Some(services),
            _ => None,
        }
    }

    fn call(&mut self, now: Instant, task: Task) {
        let Some(service) = self.services().and_then(|services| services.get(task.service)) else { return };
        let body = task.call.body(service.kind);
        let request = http::call(&service.control, service.kind, task.call.action(), &body);
        let addr = service.control.addr;
        self.task = Some(task);
        self.request(now, addr, request);
    }

    pub(super) fn follow_call(&mut self, now: Instant, reply: &Reply) {
        let Some(task) = self.task.take() else { return };
        match (task.call, task.call.answer(reply)) {
            (_, Err(problem)) => {
                self.task = Some(task);
                self.fail_call(problem);
            }
            (Call::Delete { .. }, Ok(_)) => self.outcomes.push_back(Outcome::Deleted(task.order.id)),
            (Call::ExternalAddress, Ok(Answer::ExternalAddress(Some(ip)))) => self.add(now, task, ip),
            (Call::ExternalAddress, Ok(_)) => self.try_other_service(now, task),
            (call, Ok(Answer::Error { code, text })) => self.follow_error(now, task, call, code, text),
            (Call::Add(rule), Ok(_)) => self.follow_added(&task, rule, rule.external),
            (Call::AddAny(rule), Ok(Answer::Added(port))) => self.follow_added(&task, rule, port),
            (Call::AddAny(_), Ok(_)) => self.refuse(&task, Problem::Malformed("no reserved port")),
        }
    }

    /// A gateway with several connections has one that is up.
    fn try_other_service(&mut self, now: Instant, mut task: Task) {
        task.service += 1;
        if self.services().is_some_and(|services| task.service < services.len()) {
            self.call(now, task);
        } else {
            self.refuse(&task, Problem::NoExternalAddress);
        }
    }

    fn add(&mut self, now: Instant, mut task: Task, outside: Ipv4Addr) {
        let (name, suggested) = (task.order.name, task.order.suggested);
        let rule = Rule {
            transport: name.transport,
            external: suggested.map_or(name.internal, |addr| addr.port()),
            internal: (self.local, name.internal),
            lease: task.order.seconds(),
        };
        let finds_ports = self.services().is_some_and(|all| all[task.service].finds_ports());
        // A renewal is of that port and no other.
        let is_new = task.order.purpose == Purpose::Create;
        task.call = if finds_ports && is_new { Call::AddAny(rule) } else { Call::Add(rule) };
        task.outside = Some(outside);
        self.call(now, task);
    }

    fn follow_error(&mut self, now: Instant, mut task: Task, call: Call, code: u16, text: String) {
        let (Call::Add(rule) | Call::AddAny(rule)) = call else { return };
        let any = matches!(call, Call::AddAny(_));
        let again = match code {
            soap::INVALID_ACTION | soap::NOT_IMPLEMENTED if any => Some(Call::Add(rule)),
            // Some old ones take any lease for a mistake.
            soap::ONLY_PERMANENT | soap::INVALID_ARGS if rule.lease != 0 => {
                let rule = Rule { lease: 0, ..rule };
                Some(if any { Call::AddAny(rule) } else { Call::Add(rule) })
            }
            soap::SAME_PORTS if rule.external != rule.internal.1 => {
                Some(Call::Add(Rule { external: rule.internal.1, ..rule }))
            }
            soap::CONFLICT | soap::OTHER_MECHANISM if task.ports < MAX_PORTS => {
                task.ports += 1;
                let external = self.rng.between(49_152, 65_535) as u16;
                Some(Call::Add(Rule { external, ..rule }))
            }
            _ => None,
        };
        match (again, task.outside) {
            (Some(call), _) => {
                task.call = call;
                self.call(now, task);
            }
            // Some refuse because of that, and do not say so.
            (None, Some(ip)) if !is_public(ip.into()) => {
                self.refuse(&task, Problem::GatewayBehindNat(ip.into()));
            }
            (None, _) => self.refuse(&task, Problem::Refused { code, text }),
        }
    }

    fn follow_added(&mut self, task: &Task, rule: Rule, port: u16) {
        let Some(ip) = task.outside else { return };
        let external = SocketAddr::new(IpAddr::V4(ip), port);
        let lifetime = (rule.lease > 0).then(|| Duration::from_secs(rule.lease.into()));
        let grant = Grant { external, lifetime, protocol: Protocol::Upnp };
        self.outcomes.push_back(Outcome::Granted(task.order.id, grant));
    }

    fn refuse(&mut self, task: &Task, problem: Problem) {
        let (id, protocol) = (task.order.id, Protocol::Upnp);
        self.outcomes.push_back(Outcome::Refused { id, protocol, problem, pause: PAUSE });
    }

    /// The gateway does not speak as it should, or not at all any more: it is searched for before it is asked again.
    pub(super) fn fail_call(&mut self, problem: Problem) {
        self.state = State::Off;
        let Some(task) = self.task.take() else { return };
        if task.order.purpose == Purpose::Delete {
            self.outcomes.push_back(Outcome::Deleted(task.order.id));
        } else {
            self.refuse(&task, problem);
        }
    }
}
