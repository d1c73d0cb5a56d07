//! The table of what is needed.

use std::path::PathBuf;

use filter_ebpf_build::{Compiler, Places};

use super::unpack::Unpacked;
use crate::workspace;

/// The LLVM of the Debian compiler named below.
const DEBIAN_LLVM: u32 = 22;

/// The release of `bpf-linker` that is installed where there is none.
const BPF_LINKER: &str = "0.13.0";

/// The package that brings axe-core 4.12: its script, and nothing of it that is run here.
const AXE: &str = "axe-playwright-python==0.1.8";

/// What something is needed for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Purpose {
    /// Building.
    Build,
    /// Formatting and lints.
    Lint,
    /// The demo.
    Demo,
    /// The benchmarks.
    Bench,
    /// Everything, tests included.
    Test,
    /// The pictures of the documentation, besides what the tests need.
    Pictures,
}

const BUILDING: &[Purpose] = &[Purpose::Build, Purpose::Lint, Purpose::Demo, Purpose::Bench, Purpose::Test];
const LINTING: &[Purpose] = &[Purpose::Lint, Purpose::Test];
const RUNNING: &[Purpose] = &[Purpose::Demo, Purpose::Bench, Purpose::Test];
const TESTING: &[Purpose] = &[Purpose::Test];
const PICTURING: &[Purpose] = &[Purpose::Pictures];
const BENCHING: &[Purpose] = &[Purpose::Bench];

/// Something that must be installed.
#[derive(Debug)]
pub(super) struct Requirement {
    /// What people call it.
    pub(super) name: String,
    /// What it does here.
    pub(super) why: &'static str,
    pub(super) purposes: &'static [Purpose],
    /// Whether this machine has it.
    pub(super) present: bool,
    pub(super) source: Source,
    /// What to do where it cannot be installed from there.
    pub(super) by_hand: String,
}

/// Where it is installed from.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Source {
    /// Packages of Debian.
    Debian(Vec<String>),
    /// Components of the active Rust toolchain.
    Rustup(Vec<&'static str>),
    /// A program from the crate registry.
    Cargo { arguments: Vec<String>, llvm: PathBuf },
    /// A package of Debian, unpacked under the build results.
    Unpacked(Unpacked),
    /// A package of the Python registry, unpacked into this directory, where it is not run from.
    Wheel { package: &'static str, directory: PathBuf },
}

/// All that is needed, in the order in which it can be installed.
pub(super) fn requirements(places: &Places) -> Vec<Requirement> {
    let unpacked = [emulator(places), older_kernel(), peers(), daemons(), prometheus(places), broker(places)];
    let tools = TOOLS
        .iter()
        .map(|(purposes, program, package, why)| Requirement { purposes, ..tool(places, program, package, why) });
    toolchain(places).into_iter().chain(tools).chain(unpacked).chain([axe()]).collect()
}

/// Programs of Debian: what for, the program, its package, and why.
const TOOLS: &[(&[Purpose], &str, &str, &str)] = &[
    (RUNNING, "ip", "iproute2", "makes network namespaces"),
    (RUNNING, "nsenter", "util-linux", "enters network namespaces"),
    (RUNNING, "sipp", "sip-tester", "makes calls"),
    (TESTING, "tcpdump", "tcpdump", "takes and reads captures"),
    (TESTING, "tshark", "tshark", "decodes what was dropped"),
    (TESTING, "strace", "strace", "shows what the service asks of the kernel"),
    (TESTING, "dpkg-deb", "dpkg", "makes the Debian package"),
    (TESTING, "systemd-analyze", "systemd", "rates the unit of the service"),
    (TESTING, "busybox", "busybox-static", "is what the older kernel starts"),
    (TESTING, "cpio", "cpio", "packs what the older kernel finds"),
    (TESTING, "faketime", "faketime", "lets the wall clock jump"),
    (TESTING, "chromium", "chromium", "shows the dashboard"),
    (TESTING, "chromedriver", "chromium-driver", "drives the browser"),
    (TESTING, "pip3", "python3-pip", "fetches what checks that the dashboard is usable by all"),
    (TESTING, "tmux", "tmux", "is the terminal of `sipwall top`"),
    (&[Purpose::Bench, Purpose::Test], "ethtool", "ethtool", "sets what a NIC takes off"),
    (BENCHING, "xdp-filter", "xdp-tools", "is compared with the filter"),
    (BENCHING, "nft", "nftables", "is compared with the filter"),
    (BENCHING, "iptables", "iptables", "is compared with the filter"),
    (BENCHING, "ipset", "ipset", "is compared with the filter"),
    (PICTURING, "aha", "aha", "makes pages of terminals"),
    (PICTURING, "pngquant", "pngquant", "makes pictures small"),
];

/// What builds the XDP program and checks the sources.
fn toolchain(places: &Places) -> Vec<Requirement> {
    let compiler = Compiler::find(places).ok();
    let llvm_major = compiler.as_ref().and_then(Compiler::llvm_major).unwrap_or(DEBIAN_LLVM);
    let llvm = PathBuf::from(format!("/usr/lib/llvm-{llvm_major}"));
    let has_linker = places.program("bpf-linker").is_some();
    vec![
        components(places),
        Requirement {
            name: "a compiler with its library sources".into(),
            why: "builds the XDP program",
            purposes: BUILDING,
            present: compiler.is_some(),
            source: debian(&["rustc-web", "rust-web-src"]),
            by_hand: "run `rustup toolchain install nightly --component rust-src`".into(),
        },
        Requirement {
            name: format!("LLVM {llvm_major}"),
            why: "`bpf-linker` is built on it",
            purposes: BUILDING,
            present: has_linker || llvm.join("lib/libLLVM.so").exists(),
            source: Source::Debian(vec![format!("llvm-{llvm_major}-dev")]),
            by_hand: format!("install LLVM {llvm_major}, or `bpf-linker` as its own documentation says"),
        },
        Requirement {
            name: "`bpf-linker`".into(),
            why: "links the XDP program",
            purposes: BUILDING,
            present: has_linker,
            source: bpf_linker(llvm_major, llvm),
            by_hand: "install `bpf-linker` as its own documentation says".into(),
        },
    ]
}

/// What `cargo fmt` and `cargo clippy` need: a minimal Rust comes without.
fn components(places: &Places) -> Requirement {
    Requirement {
        name: "`rustfmt` and `clippy`".into(),
        why: "check the sources",
        purposes: LINTING,
        present: has_subcommand(places, "cargo-fmt") && has_subcommand(places, "cargo-clippy"),
        source: Source::Rustup(vec!["rustfmt", "clippy"]),
        by_hand: "install `cargo fmt` and `cargo clippy`".into(),
    }
}

/// Whether the subcommand lies beside cargo. On `PATH` there may be a proxy that has nothing to start.
fn has_subcommand(places: &Places, program: &str) -> bool {
    match places.cargo.parent() {
        Some(directory) if places.cargo.is_absolute() => directory.join(program).exists(),
        _ => places.program(program).is_some(),
    }
}

fn bpf_linker(llvm_major: u32, llvm: PathBuf) -> Source {
    let feature = format!("llvm-{llvm_major}");
    let arguments =
        ["bpf-linker", "--version", BPF_LINKER, "--locked", "--no-default-features", "--features", &feature];
    Source::Cargo { arguments: arguments.map(str::to_owned).into(), llvm }
}

fn tool(places: &Places, program: &str, package: &str, why: &'static str) -> Requirement {
    Requirement {
        name: format!("`{program}`"),
        why,
        purposes: RUNNING,
        present: places.program(program).is_some(),
        source: debian(&[package]),
        by_hand: format!("install the package that has `{program}` (`{package}` in Debian)"),
    }
}

fn for_tests(requirement: Requirement) -> Requirement {
    Requirement { purposes: TESTING, ..requirement }
}

/// An emulator that is installed will do.
fn emulator(places: &Places) -> Requirement {
    let (program, package) = ("qemu-system-x86_64", Unpacked::Emulator.packages()[0]);
    Requirement {
        present: places.program(program).is_some() || Unpacked::Emulator.is_present(),
        source: Source::Unpacked(Unpacked::Emulator),
        ..for_tests(tool(places, program, package, "runs an older kernel"))
    }
}

/// One that is installed will do.
fn prometheus(places: &Places) -> Requirement {
    let package = Unpacked::Prometheus.packages()[0];
    let installed = ["prometheus", "promtool"].iter().all(|program| places.program(program).is_some());
    Requirement {
        present: installed || Unpacked::Prometheus.is_present(),
        source: Source::Unpacked(Unpacked::Prometheus),
        ..for_tests(tool(places, "prometheus", package, "scrapes the metrics, and checks the alerts"))
    }
}

/// One that is installed will do.
fn broker(places: &Places) -> Requirement {
    let (program, package) = ("nats-server", Unpacked::Broker.packages()[0]);
    Requirement {
        present: places.program(program).is_some() || Unpacked::Broker.is_present(),
        source: Source::Unpacked(Unpacked::Broker),
        ..for_tests(tool(places, program, package, "hands on what a fleet runs"))
    }
}

/// Its licence, the MPL, is not this project's, so it is fetched and not kept here.
fn axe() -> Requirement {
    let directory = workspace::target().join("axe");
    Requirement {
        name: "axe-core".into(),
        why: "finds what keeps people from using the dashboard",
        purposes: TESTING,
        present: directory.join("axe_playwright_python/axe.min.js").exists(),
        by_hand: format!("run `pip3 install --no-deps --target {} {AXE}`", directory.display()),
        source: Source::Wheel { package: AXE, directory },
    }
}

fn older_kernel() -> Requirement {
    let (package, directory) = (Unpacked::Kernel.packages()[0], Unpacked::Kernel.directory());
    Requirement {
        name: "the kernel of Debian 12".into(),
        why: "shows that the program loads on it too",
        purposes: TESTING,
        present: Unpacked::Kernel.is_present(),
        source: Source::Unpacked(Unpacked::Kernel),
        by_hand: format!("unpack the kernel that Debian 12's `{package}` stands for into `{}`", directory.display()),
    }
}

fn peers() -> Requirement {
    let (packages, directory) = (Unpacked::Peers.packages().join("`, `"), Unpacked::Peers.directory());
    Requirement {
        name: "Kamailio, rtpengine, coturn, attackers, iptables and fail2ban".into(),
        why: "are what stands behind the filter and before it",
        purposes: TESTING,
        present: Unpacked::Peers.is_present(),
        source: Source::Unpacked(Unpacked::Peers),
        by_hand: format!("unpack Debian 12's `{packages}` and their libraries into `{}`", directory.display()),
    }
}

fn daemons() -> Requirement {
    let (packages, directory) = (Unpacked::Daemons.packages().join("`, `"), Unpacked::Daemons.directory());
    Requirement {
        name: "bird, chrony, dig, dhclient, dnsmasq, keepalived, nft, unbound and xdp-loader".into(),
        why: "are what else a host runs",
        purposes: TESTING,
        present: Unpacked::Daemons.is_present(),
        source: Source::Unpacked(Unpacked::Daemons),
        by_hand: format!("unpack Debian 12's `{packages}` and their libraries into `{}`", directory.display()),
    }
}

fn debian(packages: &[&str]) -> Source {
    Source::Debian(packages.iter().map(|package| (*package).to_owned()).collect())
}

#[cfg(test)]
mod tests;
