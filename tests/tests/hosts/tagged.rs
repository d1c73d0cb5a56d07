//! VLAN tags that are on the frame, and such as the NIC has taken off.

use socket2::{Domain, SockAddr, SockAddrStorage, Socket, Type};
use tests::{
    packets::{patch, tagged, udp},
    service::wait_for,
};

use crate::place::{CARRIER, MATE, PLAIN, Party, Place, SBC, SCANNER, shell};

const DOT1Q: u16 = 0x8100;
const DOT1AD: u16 = 0x88a8;

/// A datagram to the SBC's SIP port in a frame for its NIC, with these tags.
fn frame(from: Party, tags: &[u16]) -> Vec<u8> {
    let datagram = udp(&format!("{}:5060", from.ipv4), &format!("{}:5060", SBC.ipv4));
    tagged(patch(datagram, 0, &[2, 0, 0, 0, 1, 2, 2, 0, 0, 0, 2, 2]), tags)
}

/// Sends a frame from the mate's NIC as it is.
fn send(place: &Place, frame: &[u8]) {
    let host = place.host(MATE);
    let interface = shell(host, "cat /sys/class/net/eth0/ifindex").trim().parse().expect("a number");
    let socket = host.enter(|| Socket::new(Domain::PACKET, Type::RAW, None)).expect("a host").expect("a packet socket");
    socket.send_to(frame, &to_interface(interface)).expect("a frame leaves");
}

fn to_interface(index: i32) -> SockAddr {
    let mut storage = SockAddrStorage::zeroed();
    // SAFETY: every value of its octets is an address of this kind.
    let link = unsafe { storage.view_as::<libc::sockaddr_ll>() };
    link.sll_family = libc::sa_family_t::try_from(libc::AF_PACKET).expect("a small number");
    link.sll_ifindex = index;
    let length = libc::socklen_t::try_from(size_of::<libc::sockaddr_ll>()).expect("a small number");
    // SAFETY: the storage has the address that its family says, and the length is that of one.
    unsafe { SockAddr::new(storage, length) }
}

/// Who sends, with which tags, and the counter that grows: of a rule or a reason.
type Case<'a> = (Party, &'a [u16], &'a str);

fn assert_counted(place: &Place, cases: &[Case<'_>]) {
    let count = |name: &str| if name.contains('/') { place.rule(name) } else { place.reason(name) };
    for (from, tags, counter) in cases {
        let before = count(counter);
        send(place, &frame(*from, tags));
        wait_for(&format!("{tags:x?} from the {} is counted as `{counter}`", from.name), || {
            (count(counter) == before + 1).then_some(())
        });
    }
}

/// The mate and the SBC on one bridge, which takes the outer tag off a frame and puts it on again, or leaves that to the NIC.
fn bridged(tags_stay_off: bool) -> Place {
    let place = Place::new(&[SBC, MATE]);
    let offload = if tags_stay_off { "on" } else { "off" };
    shell(
        place.core(),
        &format!(
            "ip link add br0 type bridge; ip link set to-sbc master br0; ip link set to-mate master br0
             ip link set br0 up; ethtool -K to-sbc txvlan {offload} tx-vlan-stag-hw-insert {offload}"
        ),
    );
    place.attach(PLAIN);
    place
}

#[test]
fn up_to_two_tags_on_a_frame_are_looked_through() {
    assert_counted(
        &bridged(false),
        &[
            (CARRIER, &[], "allow/carrier"),
            (CARRIER, &[DOT1Q], "allow/carrier"),
            (SCANNER, &[DOT1Q], "source_unlisted"),
            (CARRIER, &[DOT1AD, DOT1Q], "allow/carrier"),
            (SCANNER, &[DOT1AD, DOT1Q], "source_unlisted"),
            (CARRIER, &[DOT1AD, DOT1Q, DOT1Q], "vlan_depth"),
        ],
    );
}

#[test]
fn a_tag_that_the_nic_has_taken_off_is_not_there_for_the_filter() {
    assert_counted(
        &bridged(true),
        &[
            (CARRIER, &[DOT1Q], "allow/carrier"),
            (SCANNER, &[DOT1Q], "source_unlisted"),
            // The third tag, were it there, would be one too many.
            (CARRIER, &[DOT1AD, DOT1Q, DOT1Q], "allow/carrier"),
            (SCANNER, &[DOT1AD, DOT1Q, DOT1Q], "source_unlisted"),
            (CARRIER, &[DOT1AD, DOT1Q, DOT1Q, DOT1Q], "vlan_depth"),
        ],
    );
}
