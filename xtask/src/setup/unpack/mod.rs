//! What the tests need of Debian's packages without their being installed: unpacked under the build results.
//!
//! This machine's own kernels, boot loader and emulators are left alone.

mod kernel;
mod programs;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;
use programs::Programs;

use crate::workspace;

/// What can be unpacked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Unpacked {
    /// An older kernel, to be booted by the tests.
    Kernel,
    /// Daemons that hosts run, and what else shares a NIC with the filter: installed, some of them would run by themselves.
    Daemons,
    /// The emulator that boots it. Its package conflicts with the tools of another version of it.
    Emulator,
    /// An SBC, a relay, attackers, and other ways to keep those out: installed, some of them would run by themselves.
    Peers,
    /// Prometheus. Its package, installed, would start one on this machine.
    Prometheus,
    /// The broker of fleets. Its package, installed, would start one on this machine.
    Broker,
}

const DAEMONS: Programs = Programs {
    packages: &[
        "bind9-dnsutils",
        "bird2",
        "chrony",
        "dnsmasq-base",
        "isc-dhcp-client",
        "keepalived",
        "libxdp1",
        "nftables",
        "unbound",
        "xdp-tools",
    ],
    // Libraries of theirs that are installed others need; this one is another keeper of the time, which chrony conflicts with.
    sources: &["systemd-timesyncd"],
    files: &[
        "sbin/dhclient",
        "usr/bin/chronyc",
        "usr/bin/dig",
        "usr/lib/x86_64-linux-gnu/bpf/xdpfilt_alw_all.o",
        "usr/sbin/bird",
        "usr/sbin/birdc",
        "usr/sbin/chronyd",
        "usr/sbin/dnsmasq",
        "usr/sbin/keepalived",
        "usr/sbin/nft",
        "usr/sbin/unbound",
        "usr/sbin/xdp-loader",
    ],
};

const EMULATOR: Programs =
    Programs { packages: &["qemu-system-x86"], sources: &["qemu"], files: &["usr/bin/qemu-system-x86_64"] };

const PEERS: Programs = Programs {
    packages: &[
        "kamailio",
        "kamailio-tls-modules",
        "rtpengine-daemon",
        "coturn",
        "sipvicious",
        "nmap",
        "hping3",
        "netsniff-ng",
        "iptables",
        "ipset",
        "fail2ban",
    ],
    // Not iptables': one of its libraries is `ip`'s too.
    sources: &["kamailio", "rtpengine", "coturn", "sipvicious", "nmap", "hping3", "netsniff-ng", "ipset", "fail2ban"],
    files: &[
        "usr/sbin/kamailio",
        "usr/lib/x86_64-linux-gnu/kamailio/modules/tls.so",
        "usr/bin/rtpengine",
        "usr/bin/turnserver",
        "usr/bin/svmap",
        "usr/bin/nmap",
        "usr/sbin/hping3",
        "usr/sbin/trafgen",
        "usr/sbin/iptables-nft",
        "usr/sbin/ipset",
        "usr/bin/fail2ban-server",
    ],
};

const PROMETHEUS: Programs = Programs {
    packages: &["prometheus"],
    sources: &["prometheus"],
    files: &["usr/bin/prometheus", "usr/bin/promtool"],
};

const BROKER: Programs =
    Programs { packages: &["nats-server"], sources: &["nats-server"], files: &["usr/sbin/nats-server"] };

impl Unpacked {
    /// The packages that are unpacked, or stand for those that are.
    pub(super) fn packages(self) -> &'static [&'static str] {
        match self {
            Self::Kernel => &[kernel::PACKAGE],
            Self::Daemons => DAEMONS.packages,
            Self::Emulator => EMULATOR.packages,
            Self::Peers => PEERS.packages,
            Self::Prometheus => PROMETHEUS.packages,
            Self::Broker => BROKER.packages,
        }
    }

    /// Where it is unpacked.
    pub(super) fn directory(self) -> PathBuf {
        workspace::target().join(match self {
            Self::Kernel => "old-kernel",
            Self::Daemons => "daemons",
            Self::Emulator => "emulator",
            Self::Peers => "peers",
            Self::Prometheus => "prometheus",
            Self::Broker => "broker",
        })
    }

    /// Whether it lies there.
    pub(super) fn is_present(self) -> bool {
        match self {
            Self::Kernel => kernel::is_in(&self.directory()),
            Self::Daemons => DAEMONS.are_in(&self.directory()),
            Self::Emulator => EMULATOR.are_in(&self.directory()),
            Self::Peers => PEERS.are_in(&self.directory()),
            Self::Prometheus => PROMETHEUS.are_in(&self.directory()),
            Self::Broker => BROKER.are_in(&self.directory()),
        }
    }

    /// Downloads and unpacks it.
    pub(super) fn unpack(self, apt_get: &Path) -> Result<()> {
        // Without lists of packages nothing is found.
        if let Err(error) = workspace::run(Command::new(apt_get).args(["-o", "DPkg::Lock::Timeout=120", "update"])) {
            eprintln!("warning: {error}");
        }
        let directory = self.directory();
        let downloads = directory.join("packages");
        fs::create_dir_all(&downloads)?;
        match self {
            Self::Kernel => kernel::download(apt_get, &downloads)?,
            Self::Daemons => DAEMONS.download(apt_get, &downloads)?,
            Self::Emulator => EMULATOR.download(apt_get, &downloads)?,
            Self::Peers => PEERS.download(apt_get, &downloads)?,
            Self::Prometheus => PROMETHEUS.download(apt_get, &downloads)?,
            Self::Broker => BROKER.download(apt_get, &downloads)?,
        }
        for file in fs::read_dir(&downloads)? {
            let archive = file?.path();
            if archive.extension().is_some_and(|extension| extension == "deb") {
                workspace::run(Command::new("dpkg").arg("-x").arg(archive).arg(&directory))?;
            }
        }
        Ok(fs::remove_dir_all(&downloads)?)
    }
}

/// `apt-get` as root: its own user may not be let into the directory.
fn as_root(apt_get: &Path) -> Command {
    let mut command = Command::new(apt_get);
    command.args(["-o", "APT::Sandbox::User=root"]);
    command
}
