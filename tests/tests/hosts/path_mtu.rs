//! Path MTU discovery: the router has a hop with a small MTU before the carrier, and says so by ICMP.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    ops::Range,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use socket2::{Domain, Protocol, Socket, Type};
use tests::packets::icmp;

use crate::place::{CARRIER, PLAIN, Place, Policy, ROUTER, SBC, SCANNER, bound, shell};

/// What the SBC sends of itself, in packets that are too big.
const LENGTH: usize = 400_000;
/// How long nothing may arrive before a transfer counts as stuck.
const STUCK: Duration = Duration::from_millis(1500);
/// The same for one that must go on.
const PATIENCE: Duration = Duration::from_secs(20);

/// How many messages of a flood are sent at once, and the pause behind them: many times what the limits let through, and less
/// than a queue takes. One that is full loses the router's messages too, whatever the filter does.
const AT_ONCE: usize = 16;
const PAUSE: Duration = Duration::from_millis(2);

/// A destination that the router cannot reach.
const UNREACHABLE: u8 = 3;
/// Where the IP header of a frame begins, and where the source lies in it.
const ETHERNET_HEADER: usize = 14;
const SOURCE: Range<usize> = 12..16;

fn place() -> Place {
    let place = Place::new(&[SBC, CARRIER, SCANNER]);
    shell(place.core(), "ip link set to-carrier mtu 1300");
    place
}

/// How much of what the SBC sends over a connection of the carrier's arrives there.
fn transfer(place: &Place, address: &str, limit: Duration) -> usize {
    let to: SocketAddr = SocketAddr::new(address.parse().expect("an address"), 5061);
    let listener = bound(place.sbc(), || TcpListener::bind(to));
    let connected = place.host(CARRIER).enter(|| TcpStream::connect_timeout(&to, PATIENCE)).expect("a host");
    let mut carrier = connected.expect("the carrier is listed");
    let (mut sbc, _) = listener.accept().expect("a connection");
    carrier.set_read_timeout(Some(limit)).expect("a timeout");
    sbc.set_write_timeout(Some(limit)).expect("a timeout");
    thread::scope(|scope| {
        // Where the carrier gets nothing this ends by its timeout.
        scope.spawn(move || drop(sbc.write_all(&vec![b'x'; LENGTH])));
        let (mut received, mut buffer) = (0, vec![0; 1 << 16]);
        loop {
            match carrier.read(&mut buffer) {
                Ok(0) => return received,
                Ok(length) => received += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return received,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => panic!("the connection breaks: {error}"),
            }
        }
    })
}

#[test]
fn what_is_too_big_for_a_hop_is_made_smaller_and_not_where_the_router_is_denied() {
    let place = place();
    let deny = format!("[[deny]]\nname = \"router\"\nfrom = [\"{}\", \"{}\"]", ROUTER.ipv4, ROUTER.ipv6);
    place.attach(Policy { more: &deny, ..PLAIN });
    for address in [SBC.ipv4, SBC.ipv6] {
        let (arrived, denied) = place.grows("denied", || transfer(&place, address, STUCK));
        assert!(arrived < LENGTH && denied >= 1, "{address}: {arrived} octets, {denied} messages denied");
    }
    place.attach(PLAIN);
    // What got stuck is still sent again, and may be what the router answers.
    let (arrived, told) =
        place.grows("icmp_error", || [SBC.ipv4, SBC.ipv6].map(|address| transfer(&place, address, PATIENCE)));
    assert!(arrived == [LENGTH; 2] && told >= 2, "{arrived:?} octets, {told} messages");
    let route = shell(place.sbc(), &format!("ip route get {}; ip route get {}", CARRIER.ipv4, CARRIER.ipv6));
    assert_eq!(route.matches("mtu 1300").count(), 2, "{route}");
}

/// Sends ICMP errors to the SBC until it is told to stop, each from the address that is drawn for it.
fn flood(place: &Place, draw_source: fn() -> [u8; 4], stop: &AtomicBool) {
    // A raw socket of this protocol is given the IP header too.
    let socket =
        place.host(SCANNER).enter(|| Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(libc::IPPROTO_RAW))));
    let socket = socket.expect("a host").expect("a raw socket");
    let to = SocketAddr::new(SBC.ipv4.parse().expect("an address"), 0).into();
    let mut packet = icmp(SCANNER.ipv4, SBC.ipv4, UNREACHABLE, 64).split_off(ETHERNET_HEADER);
    while !stop.load(Ordering::Relaxed) {
        for _ in 0..AT_ONCE {
            packet[SOURCE].copy_from_slice(&draw_source());
            socket.send_to(&packet, &to).expect("a message leaves");
        }
        thread::sleep(PAUSE);
    }
}

#[test]
fn floods_of_icmp_errors_from_elsewhere_do_not_keep_those_of_a_known_router_out() {
    let place = place();
    place.attach(PLAIN);
    // A router that nobody heard of yet has to come before the flood's new sources, by chance.
    assert_eq!(transfer(&place, SBC.ipv4, PATIENCE), LENGTH);
    shell(place.sbc(), "ip route flush cache");
    let stop = AtomicBool::new(false);
    let (arrived, told) = thread::scope(|scope| {
        scope.spawn(|| flood(&place, || [192, 0, 2, 99], &stop));
        scope.spawn(|| flood(&place, || [10, fastrand::u8(..), fastrand::u8(..), fastrand::u8(..)], &stop));
        place.await_reason("rate_limit_icmp", 5_000);
        let transferred = place.grows("icmp_error", || transfer(&place, SBC.ipv4, PATIENCE));
        stop.store(true, Ordering::Relaxed);
        transferred
    });
    assert!(arrived == LENGTH && told >= 1, "{arrived} octets, {told} messages");
    let route = shell(place.sbc(), &format!("ip route get {}", CARRIER.ipv4));
    assert!(route.contains("mtu 1300"), "{route}");
}
