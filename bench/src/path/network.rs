//! Hosts in network namespaces, one for each contestant, and a flood to one of them at a time.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, UdpSocket},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use filter_user::kernel::Bench;
use ipnet::IpNet;
use lab::{Host, Lab, Plan};
use rustix::{
    net::netdevice::name_to_index,
    thread::{CpuSet, sched_setaffinity},
};

use crate::{
    policies,
    statistics::{self, Effort},
};

/// The CPU that makes packets and takes them in.
const CPU: usize = 0;
/// How many packets are made in one go.
const PACKETS: u32 = 1 << 19;

/// The hosts.
pub(crate) struct Network {
    lab: Lab,
    pub(crate) bench: Bench,
    pub(crate) effort: Effort,
}

/// What a flood came to.
pub(crate) struct Flooded {
    /// What taking in one packet cost, in nanoseconds.
    pub(crate) nanoseconds: f64,
    /// How many packets were taken in.
    pub(crate) received: u64,
}

impl Network {
    /// Makes a host for each name.
    pub(crate) fn new(bench: Bench, names: &[&str], effort: Effort) -> Result<Self> {
        pin()?;
        let plan = |(number, name): (u8, &&str)| Plan::new(name, [IpNet::from(IpAddr::from(address(number)))]);
        let plans: Vec<Plan> = (0..).zip(names).map(plan).collect();
        let network = Self { lab: Lab::new(&plans)?, bench, effort };
        for name in names {
            // Without it a veth takes in no packets from a program.
            let mut ethtool = network.host(name)?.command("ethtool");
            lab::run(ethtool.args(["-K", "eth0", "gro", "on"]), "")?;
        }
        Ok(network)
    }

    pub(crate) fn host(&self, name: &str) -> Result<&Host> {
        self.lab.host(name)
    }

    /// Does something with the benchmark's programs on a host.
    pub(crate) fn inside<T: Send>(
        &mut self,
        name: &str,
        action: impl FnOnce(&mut Bench) -> Result<T> + Send,
    ) -> Result<T> {
        let Self { lab, bench, .. } = self;
        lab.host(name)?.enter(|| action(bench))?
    }

    /// Floods a host until it is known what taking in one packet costs.
    pub(crate) fn flood(&mut self, name: &str, port: u16) -> Result<Flooded> {
        let host = self.lab.host(name)?;
        let core = self.lab.core()?;
        let interface = core.enter(|| interface_index(&format!("to-{name}")))??;
        let frame = frame(host, port);
        let before = received(host)?;
        let mut sent = 0;
        let nanoseconds = statistics::quiet(self.effort, || {
            sent += u64::from(PACKETS);
            core.enter(|| self.bench.flood(interface, &frame, PACKETS))?
        })?;
        let received = settled(host)?.saturating_sub(before);
        ensure!(super::nearly(received, sent), "{received} of {sent} packets arrived at `{name}`");
        Ok(Flooded { nanoseconds, received })
    }
}

/// Keeps this thread, and those that it makes, on one CPU: there a packet is taken in where it was made.
fn pin() -> Result<()> {
    let mut cpus = CpuSet::new();
    cpus.set(CPU);
    sched_setaffinity(None, &cpus).context("cannot stay on one CPU")
}

fn interface_index(name: &str) -> Result<u32> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    name_to_index(&socket, name).with_context(|| format!("there is no interface `{name}`"))
}

/// How many packets a host's interface has taken in, whatever became of them.
fn received(host: &Host) -> Result<u64> {
    let text = host.enter(|| fs::read_to_string("/proc/thread-self/net/dev"))??;
    let line = text.lines().find_map(|line| line.trim_start().strip_prefix("eth0:"));
    let packets = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    packets.context("`eth0` has no counter of packets")
}

/// The same once nothing more arrives.
fn settled(host: &Host) -> Result<u64> {
    let mut last = received(host)?;
    for _ in 0..1000 {
        thread::sleep(Duration::from_millis(10));
        let now = received(host)?;
        if now == last {
            break;
        }
        last = now;
    }
    Ok(last)
}

/// The address of a host.
fn address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(198, 51, 100, 10 + number)
}

fn frame(host: &Host, port: u16) -> Vec<u8> {
    let mut frame = policies::datagram(policies::Family::V4, port);
    frame[..6].copy_from_slice(&host.mac());
    frame[6..12].copy_from_slice(&host.gateway_mac());
    // Hosts are numbered from 1.
    frame[30..34].copy_from_slice(&address(host.mac()[4] - 1).octets());
    frame.resize(60, 0);
    frame
}
