//! Ports of hosts.

use std::io::{self, ErrorKind};

use lab::Host;

use crate::service::wait_for;

/// What `bind` makes on a host, once the port is free: a program that is just starting may hold what was closed before it.
pub fn bound<T: Send>(host: &Host, bind: impl Fn() -> io::Result<T> + Sync) -> T {
    wait_for("the port is free", || match host.enter(&bind).expect("a host") {
        Ok(bound) => Some(bound),
        Err(error) if error.kind() == ErrorKind::AddrInUse => None,
        Err(error) => panic!("cannot bind: {error}"),
    })
}
