//! From the URI of a server to its transport addresses, by the system's resolver.

use std::io;
use std::net::SocketAddr;

use crate::stun::uri::{Host, Uri};

/// The addresses of a server, in the resolver's order, each once. Give an agent one of each family: it asks every server
/// from every base of that family.
///
/// SRV records are not asked for; RFC 8489 §8 lets a client go on with A and AAAA.
///
/// # Errors
/// `NotFound` for a name without an address, and whatever the resolver says.
pub async fn resolve(uri: &Uri) -> io::Result<Vec<SocketAddr>> {
    let port = uri.port_or_default();
    let mut addrs = match &uri.host {
        Host::Ip(ip) => vec![SocketAddr::new(*ip, port)],
        Host::Name(name) => {
            let mut addrs = Vec::new();
            for addr in tokio::net::lookup_host((name.as_str(), port)).await? {
                if !addrs.contains(&addr) {
                    addrs.push(addr);
                }
            }
            addrs
        }
    };
    addrs.truncate(MAX_ADDRESSES);
    if addrs.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, format!("{uri} has no address")));
    }
    Ok(addrs)
}

/// A name with more addresses than this is a name for a farm of servers; the first ones serve.
const MAX_ADDRESSES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_needs_no_resolver() {
        let resolved = resolve(&"turn:[2001:db8::1]".parse().unwrap()).await.unwrap();
        assert_eq!(resolved, ["[2001:db8::1]:3478".parse().unwrap()]);
    }
}
