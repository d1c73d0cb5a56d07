//! Who asks whether the SBC is there: by OPTIONS, or by opening a connection.

use std::{
    io::ErrorKind,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use socket2::{Domain, Socket, Type};

use super::{
    network::{Field, PATIENCE, Party, SBC, text},
    programs,
    way::Way,
};

/// How long nothing comes back to say that nothing does.
const SILENCE: Duration = Duration::from_secs(2);

/// Whether a party's OPTIONS are answered, as they should be.
pub fn is_pinged(field: &Field, party: Party, way: Way) -> bool {
    ping(field, party, way, PATIENCE)
}

/// Whether a party's OPTIONS are answered though they should not be.
pub fn is_found(field: &Field, party: Party, way: Way) -> bool {
    ping(field, party, way, SILENCE)
}

fn ping(field: &Field, party: Party, way: Way, patience: Duration) -> bool {
    let scenario = field.write("options.xml", include_str!("options.xml"), &[("SBC", SBC)]);
    let opened = way.open(field, party);
    let mut sipp = field.host(party.host).command("sipp");
    programs::quiet(sipp.args([&opened.next, "-sf", text(&scenario), "-t", opened.transport, "-m", "1", "-nostdin"]));
    sipp.args(["-i", party.signalling, "-p", "5060"]);
    sipp.args(["-timeout", &patience.as_secs().to_string(), "-timeout_error"]);
    sipp.status().expect("SIPp starts").success()
}

/// Whether a connection opens from a host's address and port to a port of the SBC.
///
/// # Panics
/// If it neither opens nor times out.
pub fn connects(field: &Field, host: &str, from: (&str, u16), port: u16) -> bool {
    let from = SocketAddr::from((from.0.parse::<IpAddr>().expect("an address"), from.1));
    let to = SocketAddr::from((SBC.parse::<IpAddr>().expect("an address"), port));
    let connect = || {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&from.into())?;
        socket.connect_timeout(&to.into(), SILENCE)
    };
    match field.host(host).enter(connect).expect("a host") {
        Ok(()) => true,
        Err(error) if error.kind() == ErrorKind::TimedOut => false,
        Err(error) => panic!("neither open nor silent: {error}"),
    }
}
