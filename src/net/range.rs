//! A free port of a range, for firewalls that open one.

use std::io;
use std::net::SocketAddr;
use std::ops::RangeInclusive;

use super::seed::below;

/// Binds to `local`, where its port is 0 to a free port of the range.
///
/// # Errors
/// Why the last port could not be bound to, and to which address; `InvalidInput` if the range is empty.
pub(super) fn bind<T>(
    ports: Option<&RangeInclusive<u16>>,
    local: SocketAddr,
    open: impl Fn(SocketAddr) -> io::Result<T>,
) -> io::Result<T> {
    // The error of the system alone does not say which address it is about.
    let open = |local: SocketAddr| {
        open(local).map_err(|error| io::Error::new(error.kind(), format!("cannot bind to {local}: {error}")))
    };
    let (Some(ports), 0) = (ports, local.port()) else { return open(local) };
    if ports.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("no port is in {ports:?}")));
    }
    // A random start: the next free port is found at once, mostly.
    let count = u32::from(ports.end() - ports.start()) + 1;
    let first = below(count);
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for step in 0..count {
        let port = *ports.start() + ((first + step) % count) as u16;
        let mut local = local;
        local.set_port(port);
        match open(local) {
            Ok(socket) => return Ok(socket),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}
