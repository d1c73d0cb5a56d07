//! Sees the frames that are meant for a host's NIC, before it or behind it.
//!
//! A packet socket gets a received frame after the XDP program of the NIC has let it in, and a sent
//! frame as it leaves. So a tap at the core sees what is sent to a host, and a tap at the host what
//! arrives there; neither asks the filter.

use std::{
    io,
    ops::Range,
    os::fd::OwnedFd,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow};
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

/// Octets of frames that may wait for the tap.
const BUFFER: usize = 64 << 20;

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

/// A tap that is open.
#[derive(Debug)]
pub struct Tap {
    stop: Arc<AtomicBool>,
    frames: JoinHandle<io::Result<Vec<Frame>>>,
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
    /// If the packet socket failed.
    pub fn close(self) -> Result<Vec<Frame>> {
        self.stop.store(true, Ordering::Relaxed);
        let frames = self.frames.join().map_err(|_| anyhow!("the tap panicked"))?;
        frames.context("the packet socket failed")
    }
}

fn packet_socket() -> io::Result<OwnedFd> {
    let socket = socket_with(AddressFamily::PACKET, SocketType::RAW, SocketFlags::CLOEXEC, Some(eth::ALL))?;
    set_socket_recv_buffer_size_force(&socket, BUFFER)?;
    set_socket_timeout(&socket, Timeout::Recv, Some(SILENCE))?;
    Ok(socket)
}

fn collect(socket: &OwnedFd, sender: [u8; 6], stopped: &AtomicBool) -> io::Result<Vec<Frame>> {
    let mut frames = Vec::new();
    let mut buffer = [0; KEPT];
    loop {
        match recv(socket, &mut buffer, RecvFlags::TRUNC) {
            Ok((kept, length)) if buffer[SOURCE] == sender => {
                frames.push(Frame { start: buffer[..kept].to_vec(), length });
            }
            Err(Errno::AGAIN) if stopped.load(Ordering::Relaxed) => return Ok(frames),
            Ok(_) | Err(Errno::AGAIN | Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
