//! What a NIC does that an XDP program must know of.

use std::{ffi::c_void, fs, os::fd::AsFd, path::Path, ptr};

use anyhow::{Context as _, Result};
use bytemuck::{Pod, Zeroable};
use rustix::{
    ioctl::{self, Opcode, Updater},
    net::{AddressFamily, SocketType, socket},
};
use serde::Serialize;

use super::{interface::Interface, netdev};

/// `SIOCETHTOOL` in the kernel's `include/uapi/linux/sockios.h`.
const SIOCETHTOOL: Opcode = 0x8946;
/// These in the kernel's `include/uapi/linux/ethtool.h`.
const ETHTOOL_GDRVINFO: u32 = 0x03;
const ETHTOOL_GFLAGS: u32 = 0x25;
const ETH_FLAG_RXVLAN: u32 = 1 << 8;
const ETH_FLAG_LRO: u32 = 1 << 15;
/// How long an interface's name is at most, with the NUL that ends it.
const IFNAMSIZ: usize = 16;

/// What a NIC does that an XDP program must know of.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Nic {
    /// The driver; nothing where the kernel does not say.
    pub driver: Option<String>,
    /// The largest packet, in octets, without the Ethernet header.
    pub mtu: u32,
    /// Whether the driver hands over frames that are spread over several buffers, as those of large MTUs are; nothing where
    /// the kernel does not say, as before Linux 6.3.
    pub multi_buffer: Option<bool>,
    /// Whether it joins segments of a connection before the program sees them, which most drivers refuse together with XDP.
    pub lro: bool,
    /// Whether it takes VLAN tags off before the program sees them: then packets of every VLAN are judged as if they had none.
    pub vlan_offload: bool,
    /// The bond, bridge or VRF that it belongs to.
    pub member_of: Option<String>,
    /// The interfaces that a bond consists of, on each of which the program runs.
    pub bond_members: Vec<String>,
}

impl Nic {
    /// What the kernel tells of an interface.
    ///
    /// # Errors
    /// If no socket can be opened to ask it.
    pub(super) fn of(interface: &str, Interface { index, mtu, .. }: &Interface) -> Result<Self> {
        let socket = socket(AddressFamily::INET, SocketType::DGRAM, None).context("cannot open a socket")?;
        let flags = flags(&socket, interface).unwrap_or_default();
        let folder = Path::new("/sys/class/net").join(interface);
        let members = fs::read_to_string(folder.join("bonding/slaves")).unwrap_or_default();
        let master = fs::read_link(folder.join("master")).ok();
        Ok(Self {
            driver: driver(&socket, interface),
            mtu: *mtu,
            multi_buffer: netdev::takes_several_buffers(*index).ok(),
            lro: flags & ETH_FLAG_LRO != 0,
            vlan_offload: flags & ETH_FLAG_RXVLAN != 0,
            member_of: master.and_then(|path| Some(path.file_name()?.to_str()?.to_owned())),
            bond_members: members.split_whitespace().map(str::to_owned).collect(),
        })
    }
}

/// `struct ethtool_drvinfo`
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct DriverInfo {
    command: u32,
    driver: [u8; 32],
    rest: [[u8; 32]; 4],
    reserved: [u8; 12],
    counts: [u32; 5],
}

/// `struct ethtool_value`
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct FlagsValue {
    command: u32,
    data: u32,
}

/// `struct ifreq`, of which the rest is not looked at here.
#[repr(C)]
struct Request {
    name: [u8; IFNAMSIZ],
    data: *mut c_void,
    rest: [u8; 16],
}

fn driver(socket: impl AsFd, interface: &str) -> Option<String> {
    let mut info = DriverInfo { command: ETHTOOL_GDRVINFO, ..DriverInfo::zeroed() };
    ask(socket, interface, &mut info)?;
    let name = info.driver.split(|octet| *octet == 0).next()?;
    String::from_utf8(name.to_vec()).ok().filter(|name| !name.is_empty())
}

fn flags(socket: impl AsFd, interface: &str) -> Option<u32> {
    let mut value = FlagsValue { command: ETHTOOL_GFLAGS, data: 0 };
    ask(socket, interface, &mut value)?;
    Some(value.data)
}

/// Asks the driver for what begins with a command; nothing if it knows none such.
fn ask<T: Pod>(socket: impl AsFd, interface: &str, question: &mut T) -> Option<()> {
    let mut name = [0; IFNAMSIZ];
    name.get_mut(..interface.len())?.copy_from_slice(interface.as_bytes());
    let mut request = Request { name, data: ptr::from_mut(question).cast(), rest: [0; 16] };
    // SAFETY: the kernel takes an `ifreq` for this code, and writes as much behind its pointer as the structure has that
    // belongs to the command which it begins with.
    unsafe { ioctl::ioctl(socket, Updater::<SIOCETHTOOL, Request>::new(&mut request)) }.ok()
}
