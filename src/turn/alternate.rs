//! ALTERNATE-SERVER (RFC 8489 §10): a server that sends its clients elsewhere.
//!
//! ```text
//!  Allocate ─► server ─► 300, signed ─► Redirects::follow ─► another address, same transport and credentials
//!                                                      └───► tried already, too often, no server's address: why not
//! ```

use std::net::SocketAddr;

use super::problem::Problem;
use super::{ServerTransport, TurnServer};
use crate::candidate::address::is_unicast;
use crate::stun::{Attributes, Family};
use crate::time::{Duration, Instant};

/// For so long no server is asked again that an Allocate was sent to before (RFC 8489 §10).
pub const MEMORY: Duration = Duration::from_secs(300);
/// Servers in a row that send elsewhere: more of them are a mistake, or mean harm.
pub const MAX_REDIRECTS: usize = 4;

/// Where a server wants its client to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alternate {
    /// The address: of the family in which the server was asked.
    pub addr: SocketAddr,
    /// ALTERNATE-DOMAIN: whom the certificate has to name over TLS (RFC 8489 §14.16).
    pub domain: Option<Box<str>>,
}

impl Alternate {
    /// What an authentic 300 says to a client that asked in this family; `None` without an ALTERNATE-SERVER of it. A
    /// server may name one of each family (RFC 8489 §10).
    ///
    /// # Errors
    /// The ALTERNATE-DOMAIN is none, so that nobody knows whom to trust.
    pub(super) fn of(attributes: &Attributes<'_>, family: Family) -> Result<Option<Self>, Problem> {
        let addr = attributes.alternate_servers().flatten().find(|addr| Family::from(addr.ip()) == family);
        let domain = match attributes.alternate_domain() {
            Some(Ok(domain)) => Some(domain.into()),
            Some(Err(_)) => return Err(Problem::Redirected("a name that is none")),
            None => None,
        };
        Ok(addr.map(|addr| Self { addr, domain }))
    }
}

/// The way of one Allocate from server to server.
#[derive(Debug, Clone, Default)]
pub struct Redirects {
    asked: Vec<(SocketAddr, Instant)>,
}

impl Redirects {
    /// The server to ask instead: at another address, over the same transport and with the same credentials
    /// (RFC 8489 §10). Over TLS its certificate has to name the ALTERNATE-DOMAIN, or whom the first one named.
    ///
    /// # Errors
    /// [`Problem::Redirected`]: it was asked within five minutes, there were too many of them, or it is no address of a
    /// server.
    pub fn follow(
        &mut self,
        now: Instant,
        server: &TurnServer,
        to: &Alternate,
    ) -> Result<TurnServer, Problem> {
        self.asked.retain(|(_, at)| now.saturating_duration_since(*at) < MEMORY);
        if self.asked.len() >= MAX_REDIRECTS {
            return Err(Problem::Redirected("one server after the other"));
        }
        self.asked.push((server.addr, now));
        if self.asked.iter().any(|(asked, _)| *asked == to.addr) {
            return Err(Problem::Redirected("one that was asked already"));
        }
        let (from, ip) = (server.addr.ip(), to.addr.ip());
        // A server elsewhere has no business with the services of this host.
        let inward = ip.is_loopback() && !from.is_loopback();
        if from.is_ipv4() != ip.is_ipv4() || !is_unicast(ip) || to.addr.port() == 0 || inward {
            return Err(Problem::Redirected("an address that is no server's"));
        }
        let mut next = server.clone();
        next.addr = to.addr;
        if let (ServerTransport::Tls { server_name }, Some(domain)) = (&mut next.transport, &to.domain) {
            server_name.clone_from(domain);
        }
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(addr: &str) -> TurnServer {
        TurnServer::new(addr.parse().unwrap(), "user", "pass")
    }

    fn to(addr: &str) -> Alternate {
        Alternate { addr: addr.parse().unwrap(), domain: None }
    }

    /// RFC 8489 §10: five minutes.
    #[test]
    fn a_server_that_was_asked_within_five_minutes_is_not_asked_again() {
        let start = crate::time::test_epoch();
        let mut redirects = Redirects::default();
        let (a, b) = (server("203.0.113.1:3478"), to("203.0.113.2:3478"));
        let next = redirects.follow(start, &a, &b).unwrap();
        assert_eq!((next.addr, &next.username, &next.password), (b.addr, &a.username, &a.password));
        let back = to("203.0.113.1:3478");
        let soon = start + Duration::from_secs(299);
        assert_eq!(
            redirects.clone().follow(soon, &next, &back),
            Err(Problem::Redirected("one that was asked already"))
        );
        assert_eq!(redirects.follow(start + MEMORY, &next, &back).map(|server| server.addr), Ok(a.addr));
    }

    #[test]
    fn a_server_that_sends_to_itself_or_one_after_the_other_is_not_followed_for_ever() {
        let now = crate::time::test_epoch();
        let first = server("203.0.113.1:3478");
        assert!(Redirects::default().follow(now, &first, &to("203.0.113.1:3478")).is_err());
        let mut redirects = Redirects::default();
        let mut at = first;
        for n in 2..=MAX_REDIRECTS + 1 {
            at = redirects.follow(now, &at, &to(&format!("203.0.113.{n}:3478"))).unwrap();
        }
        let more = redirects.follow(now, &at, &to("203.0.113.99:3478"));
        assert_eq!(more, Err(Problem::Redirected("one server after the other")));
    }

    #[test]
    fn nobody_is_sent_to_another_family_to_its_own_host_or_to_no_address() {
        let now = crate::time::test_epoch();
        for addr in
            ["[2001:db8::1]:3478", "127.0.0.1:3478", "224.0.0.1:3478", "0.0.0.0:3478", "203.0.113.2:0"]
        {
            let followed = Redirects::default().follow(now, &server("203.0.113.1:3478"), &to(addr));
            assert_eq!(followed, Err(Problem::Redirected("an address that is no server's")), "{addr}");
        }
        assert!(Redirects::default().follow(now, &server("127.0.0.1:3478"), &to("127.0.0.1:3479")).is_ok());
    }

    /// RFC 8489 §10, §14.16.
    #[test]
    fn over_tls_the_alternate_domain_or_the_first_name_has_to_be_in_the_certificate() {
        let now = crate::time::test_epoch();
        let name = |name: &str| ServerTransport::Tls { server_name: name.into() };
        let secure = server("203.0.113.1:5349").over(name("a.example"));
        for (domain, named) in [(Some("b.example"), "b.example"), (None, "a.example")] {
            let alternate = Alternate { domain: domain.map(Into::into), ..to("203.0.113.2:5349") };
            let next = Redirects::default().follow(now, &secure, &alternate).unwrap();
            assert_eq!(next.transport, name(named), "never less than TLS");
        }
        let alternate = Alternate { domain: Some("b.example".into()), ..to("203.0.113.2:5349") };
        let plain = server("203.0.113.1:5349").over(ServerTransport::Tcp);
        assert_eq!(
            Redirects::default().follow(now, &plain, &alternate).unwrap().transport,
            ServerTransport::Tcp
        );
    }
}
