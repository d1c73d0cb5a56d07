//! Packets of listed sources that no row of their allowlist covers.

use std::net::IpAddr;

use anyhow::Result;
use lab::Lab;

use super::Scene;
use crate::demo::{
    flow::{ANY, Fate, Flow, Protocol},
    network::{SBC, ipv4},
    sockets::{knock, spray, udp},
};

/// A host with SIP and media, one with media alone, and one in a range of TURN relays.
const SIGNALLING: IpAddr = ipv4(54, 161, 251, 110);
const MEDIA: IpAddr = ipv4(54, 210, 75, 166);
const RELAY: IpAddr = ipv4(54, 172, 60, 11);

const SSH: u16 = 22;
const RELAY_PORT: u16 = 3478;
const PACKETS: usize = 10;

/// Below the media ports that the allowlist names, 6000-65535.
const UNPUBLISHED_PORT: u16 = 5000;
const MEDIA_PORT: u16 = 17_100;

/// Ports that answers may come to, and opening segments not.
const REPLY_PORTS: std::ops::RangeInclusive<u16> = 20_000..=20_009;

pub(super) fn scene() -> Scene {
    let flow = |title, source: IpAddr, protocol, ports, reason| Flow {
        title,
        source: source.into(),
        protocol,
        source_ports: ANY,
        ports,
        fate: Fate::Dropped(reason),
    };
    Scene {
        flows: vec![
            flow("Kore.ai to SSH", SIGNALLING, Protocol::Tcp, SSH..=SSH, "port_closed"),
            flow(
                "Kore.ai media, unpublished source port",
                MEDIA,
                Protocol::Udp,
                MEDIA_PORT..=MEDIA_PORT,
                "source_port",
            ),
            flow("TURN relay opens a connection", RELAY, Protocol::Tcp, REPLY_PORTS, "opening_segment"),
        ],
        play,
    }
}

fn play(lab: &Lab) -> Result<String> {
    let kore = lab.host("kore")?;
    knock(kore, (SIGNALLING, 0).into(), SBC, [SSH; PACKETS])?;
    spray(&udp(kore, MEDIA, UNPUBLISHED_PORT)?, &[0x80; 172], SBC, [MEDIA_PORT; PACKETS])?;
    knock(kore, (RELAY, RELAY_PORT).into(), SBC, REPLY_PORTS)?;
    Ok("listed hosts tried what their rows do not name".to_owned())
}
