//! Which addresses make candidates, and in which order (RFC 8445 §5.1.1.1, RFC 8421, RFC 6724).

use std::net::SocketAddr;

/// Whether a base may check a remote address.
pub fn can_pair(local: SocketAddr, remote: SocketAddr) -> bool {
    local.is_ipv4() == remote.is_ipv4()
}
