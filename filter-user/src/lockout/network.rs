//! The addresses and default gateways of an interface and of what stands on it, and whose packets arrive by it.

use std::{
    iter,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    pin::pin,
};

use anyhow::Result;
use futures_util::TryStreamExt as _;
use ipnet::IpNet;
use rtnetlink::{
    Handle, RouteMessageBuilder,
    packet_route::{
        address::AddressAttribute,
        route::{RouteAddress, RouteAttribute, RouteMessage},
    },
};
use rustix::net::{AddressFamily, SocketType, netdevice, socket};
use tokio::runtime::Runtime;

use super::Session;
use crate::stacking;

/// What the guard needs to know of an interface.
pub(super) struct Network {
    runtime: Runtime,
    handle: Handle,
    /// Its own index, and those of the interfaces that stand on it: a bridge bears the addresses of its ports. Nothing, where
    /// there is no such interface: what would attach to it says so.
    indexes: Vec<u32>,
    addresses: Vec<IpAddr>,
    gateways: Vec<IpAddr>,
}

impl Network {
    pub(super) fn of(interface: &str) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let handle = runtime.block_on(async {
            let (connection, handle, _) = rtnetlink::new_connection()?;
            tokio::spawn(connection);
            anyhow::Ok(handle)
        })?;
        let any = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
        let names = iter::once(interface.to_owned()).chain(stacking::above(interface));
        let indexes: Vec<_> = names.filter_map(|name| netdevice::name_to_index(&any, &name).ok()).collect();
        let (addresses, gateways) = runtime.block_on(async {
            anyhow::Ok((addresses(&handle, &indexes).await?, gateways(&handle, &indexes).await?))
        })?;
        Ok(Self { runtime, handle, indexes, addresses, gateways })
    }

    /// The interface's addresses.
    pub(super) fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    /// The default gateways, each with an address of the interface that it may ask for.
    pub(super) fn gateways(&self) -> impl Iterator<Item = (IpAddr, IpAddr)> {
        self.gateways.iter().filter_map(|gateway| {
            let own = self.addresses.iter().find(|own| own.is_ipv4() == gateway.is_ipv4())?;
            Some((*gateway, *own))
        })
    }

    /// Whether a session's packets arrive by this interface: its address has them sent here, or the way back leads there.
    pub(super) fn carries(&self, session: &Session) -> Result<bool> {
        if self.addresses.contains(&session.local.ip()) {
            return Ok(true);
        }
        let way = self.runtime.block_on(way_to(&self.handle, session.remote.ip()))?;
        Ok(way.is_some_and(|index| self.indexes.contains(&index)))
    }
}

async fn addresses(handle: &Handle, indexes: &[u32]) -> Result<Vec<IpAddr>> {
    let messages: Vec<_> = handle.address().get().execute().try_collect().await?;
    let ours = messages.into_iter().filter(|message| indexes.contains(&message.header.index));
    let attributes = ours.flat_map(|message| message.attributes);
    Ok(attributes
        .filter_map(|attribute| match attribute {
            AddressAttribute::Address(address) => Some(address),
            _ => None,
        })
        .collect())
}

async fn gateways(handle: &Handle, indexes: &[u32]) -> Result<Vec<IpAddr>> {
    let mut gateways = Vec::new();
    for message in [RouteMessageBuilder::<Ipv4Addr>::new().build(), RouteMessageBuilder::<Ipv6Addr>::new().build()] {
        let routes: Vec<_> = handle.route().get(message).execute().try_collect().await?;
        let defaults = routes.iter().filter(|route| route.header.destination_prefix_length == 0);
        gateways.extend(
            defaults.filter(|route| output(route).is_some_and(|index| indexes.contains(&index))).filter_map(gateway),
        );
    }
    Ok(gateways)
}

/// The interface by which the kernel would send to an address; none if it would not.
async fn way_to(handle: &Handle, to: IpAddr) -> Result<Option<u32>> {
    let Ok(message) = RouteMessageBuilder::<IpAddr>::new().destination_prefix(to, IpNet::from(to).prefix_len()) else {
        return Ok(None);
    };
    let mut routes = pin!(handle.route().get(message.build()).execute());
    match routes.try_next().await {
        Ok(route) => Ok(route.as_ref().and_then(output)),
        Err(rtnetlink::Error::NetlinkError(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn output(route: &RouteMessage) -> Option<u32> {
    route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Oif(index) => Some(*index),
        _ => None,
    })
}

fn gateway(route: &RouteMessage) -> Option<IpAddr> {
    route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Gateway(RouteAddress::Inet(address)) => Some((*address).into()),
        RouteAttribute::Gateway(RouteAddress::Inet6(address)) => Some((*address).into()),
        _ => None,
    })
}
