//! Network interfaces, as rtnetlink tells of them.

use std::fmt;

use anyhow::{Context as _, Result};
use futures_util::TryStreamExt as _;
use rtnetlink::packet_route::link::{LinkAttribute, LinkMessage, LinkXdp, XdpAttached};
use serde::{Serialize, Serializer};

/// What an interface is and what XDP program it runs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Interface {
    pub(super) index: u32,
    /// In octets.
    pub(super) mtu: u32,
    pub(super) xdp: Option<XdpProgram>,
}

/// The XDP program that an interface runs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct XdpProgram {
    pub(super) id: u32,
    pub(super) mode: XdpMode,
}

/// Where on the way of a packet an XDP program runs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum XdpMode {
    /// In the driver.
    Native,
    /// In the stack, after the driver has made a socket buffer: slow.
    Generic,
    /// On the NIC.
    Offloaded,
}

/// Looks up an interface of this network namespace by its name.
///
/// # Errors
/// If there is none of that name, or netlink cannot be used.
pub(super) fn interface(name: &str) -> Result<Interface> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let message = runtime.block_on(link(name)).with_context(|| {
        format!("cannot find the interface `{name}`\nhint: `ip link` lists the interfaces of this network namespace")
    })?;
    Ok(read(&message))
}

async fn link(name: &str) -> Result<LinkMessage> {
    let (connection, handle, _) = rtnetlink::new_connection().context("cannot open a netlink socket")?;
    tokio::spawn(connection);
    let mut links = handle.link().get().match_name(name.to_owned()).execute();
    links.try_next().await?.context("the kernel knows no such interface")
}

/// The interface of this network namespace that runs a program, by name.
pub(super) fn running(program: u32) -> Result<Option<String>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let (connection, handle, _) = rtnetlink::new_connection().context("cannot open a netlink socket")?;
        tokio::spawn(connection);
        let mut links = handle.link().get().execute();
        while let Some(message) = links.try_next().await? {
            if read(&message).xdp.is_some_and(|xdp| xdp.id == program) {
                return Ok(name(&message));
            }
        }
        Ok(None)
    })
}

fn name(message: &LinkMessage) -> Option<String> {
    message.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::IfName(name) => Some(name.clone()),
        _ => None,
    })
}

fn read(message: &LinkMessage) -> Interface {
    let mut interface = Interface { index: message.header.index, mtu: 0, xdp: None };
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::Mtu(mtu) => interface.mtu = *mtu,
            LinkAttribute::Xdp(attributes) => interface.xdp = xdp(attributes),
            _ => {}
        }
    }
    interface
}

fn xdp(attributes: &[LinkXdp]) -> Option<XdpProgram> {
    let mode = attributes.iter().find_map(|attribute| match attribute {
        LinkXdp::Attached(XdpAttached::Driver) => Some(XdpMode::Native),
        LinkXdp::Attached(XdpAttached::SocketBuffer) => Some(XdpMode::Generic),
        LinkXdp::Attached(XdpAttached::Hardware) => Some(XdpMode::Offloaded),
        _ => None,
    })?;
    let id = attributes.iter().find_map(|attribute| match attribute {
        LinkXdp::ProgId(id) => Some(*id),
        _ => None,
    })?;
    Some(XdpProgram { id, mode })
}

impl XdpMode {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Native, Self::Generic, Self::Offloaded];

    /// Its name in all that is printed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Generic => "generic",
            Self::Offloaded => "offloaded",
        }
    }
}

impl fmt::Display for XdpMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for XdpMode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
