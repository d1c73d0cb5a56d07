//! Sees the frames that are meant for a host's NIC, before it or behind it.
//!
//! A packet socket gets a received frame after the XDP program of the NIC has let it in, and a sent
//! frame as it leaves. So a tap at the core sees what is sent to a host, and a tap at the host what
//! arrives there; neither asks the filter.

use std::{
    io,
    mem::size_of,
    ops::Range,
    os::fd::{AsRawFd as _, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow, ensure};
use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SocketFlags, SocketType, eth, recv, socket_with,
        sockopt::{Timeout, set_socket_recv_buffer_size_force, set_socket_timeout},
    },
};

use crate::Host;

/// Octets of each frame that are kept: all of it, on links with the usual MTU.
const KEPT: usize = 2048;

/// Where the sender's hardware address lies in a frame.
const SOURCE: Range<usize> = 6..12;

/// Octets of frames that may wait for the tap, with what the kernel keeps of each: some hundred thousand frames, for a busy
/// machine may let nobody read for long.
const BUFFER: usize = 512 << 20;

/// How long nothing arrives before a stopping tap believes that nothing is left.
const SILENCE: Duration = Duration::from_millis(100);

/// A frame as it was on the wire, without its VLAN tags, which the kernel takes off.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Frame {
    /// Its first octets, from the Ethernet header on.
    pub start: Vec<u8>,
    /// Its whole length in octets.
    pub length: usize,
}

/// What a tap saw.
#[derive(Debug, Default)]
struct Seen {
    frames: Vec<Frame>,
    /// How many frames its socket had no room for.
    lost: u32,
}

/// A tap that is open.
#[derive(Debug)]
pub struct Tap {
    stop: Arc<AtomicBool>,
    frames: JoinHandle<io::Result<Seen>>,
}

impl Tap {
    /// Opens a tap at `place` for the frames that come to `receiver`'s NIC over its link.
    ///
    /// # Errors
    /// If there is no packet socket to be had.
    pub fn open(place: &Host, receiver: &Host) -> Result<Self> {
        let socket = place.enter(packet_socket)?.context("no packet socket")?;
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, sender) = (Arc::clone(&stop), receiver.gateway_mac());
        let frames = thread::spawn(move || collect(&socket, sender, &stopped));
        Ok(Self { stop, frames })
    }

    /// Closes the tap, and returns what it saw.
    ///
    /// # Errors
    /// If the packet socket failed, or had no room for a frame: a loss of the tap is not to be taken for one of the filter.
    pub fn close(self) -> Result<Vec<Frame>> {
        self.stop.store(true, Ordering::Relaxed);
        let seen = self.frames.join().map_err(|_| anyhow!("the tap panicked"))?;
        let Seen { frames, lost } = seen.context("the packet socket failed")?;
        ensure!(lost == 0, "the tap had no room for {lost} frames beside the {} that it saw", frames.len());
        Ok(frames)
    }
}

fn packet_socket() -> io::Result<OwnedFd> {
    let socket = socket_with(AddressFamily::PACKET, SocketType::RAW, SocketFlags::CLOEXEC, Some(eth::ALL))?;
    set_socket_recv_buffer_size_force(&socket, BUFFER)?;
    set_socket_timeout(&socket, Timeout::Recv, Some(SILENCE))?;
    Ok(socket)
}

fn collect(socket: &OwnedFd, sender: [u8; 6], stopped: &AtomicBool) -> io::Result<Seen> {
    let mut frames = Vec::new();
    let mut buffer = [0; KEPT];
    loop {
        match recv(socket, &mut buffer, RecvFlags::TRUNC) {
            Ok((kept, length)) if buffer[SOURCE] == sender => {
                frames.push(Frame { start: buffer[..kept].to_vec(), length });
            }
            Err(Errno::AGAIN) if stopped.load(Ordering::Relaxed) => return Ok(Seen { frames, lost: lost(socket)? }),
            Ok(_) | Err(Errno::AGAIN | Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// How many frames a packet socket had no room for (`PACKET_STATISTICS` in packet(7)).
fn lost(socket: &OwnedFd) -> io::Result<u32> {
    let mut statistics = libc::tpacket_stats { tp_packets: 0, tp_drops: 0 };
    let mut length = libc::socklen_t::try_from(size_of::<libc::tpacket_stats>()).map_err(io::Error::other)?;
    // SAFETY: the kernel writes as many octets as it is told there is room for, and the socket is open.
    let returned = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            std::ptr::from_mut(&mut statistics).cast(),
            &raw mut length,
        )
    };
    if returned == 0 { Ok(statistics.tp_drops) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use std::{net::UdpSocket, thread::sleep};

    use ipnet::IpNet;

    use super::*;
    use crate::{Lab, Plan};

    #[test]
    fn a_tap_that_has_no_room_says_so() {
        let net = |address: &str| address.parse::<IpNet>().unwrap();
        let plans = [("one", "198.51.100.1/32"), ("two", "198.51.100.2/32")];
        let lab = Lab::new(&plans.map(|(name, address)| Plan::new(name, [net(address)]))).unwrap();
        let host = lab.host("two").unwrap();
        let socket = host.enter(packet_socket).unwrap().unwrap();
        set_socket_recv_buffer_size_force(&socket, 4096).unwrap();
        let send = lab.host("one").unwrap().enter(|| {
            let from = UdpSocket::bind(("198.51.100.1", 5060)).unwrap();
            (0..100).for_each(|_| drop(from.send_to(&[0; 1000], ("198.51.100.2", 5060))));
        });
        send.unwrap();
        // Nobody reads meanwhile.
        while lost(&socket).unwrap() == 0 {
            sleep(Duration::from_millis(10));
        }
    }
}
