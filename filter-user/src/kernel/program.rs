//! The program that the binary carries, and how it is loaded.

use std::path::Path;

use anyhow::{Context as _, Result};
use aya::{
    Ebpf, EbpfLoader,
    programs::{Program, SchedClassifier, Xdp},
};

use super::{maps, pins, room};
use crate::policy::CompiledPolicy;

/// The name of the program that filters.
pub(super) const FILTER: &str = "sipwall";
/// The name of the program that looks at what the host sends.
pub(super) const EGRESS: &str = "egress";
/// The name of the program that says its verdict, for test runs.
pub(super) const VERDICT: &str = "verdict";

/// The object as the build made it.
pub(super) static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/sipwall"));

/// Loads the program with maps of its own, which have room for the policy; with `pins`, the maps are pinned into that
/// directory.
pub(super) fn load(pins: Option<&Path>, policy: Option<&CompiledPolicy>) -> Result<Ebpf> {
    let mut ebpf = match pins {
        Some(directory) => load_maps(directory, policy, &[])?,
        None => create_maps(&mut EbpfLoader::new(), policy)?,
    };
    filter(&mut ebpf)?.load().context("the kernel refuses the BPF program")?;
    Ok(ebpf)
}

/// Loads the program with the maps that are pinned in a directory, but for those of these names: new ones, which have room
/// for the policy, are pinned beside them.
pub(super) fn load_beside(directory: &Path, policy: &CompiledPolicy, anew: &[&str]) -> Result<Ebpf> {
    let mut ebpf = load_maps(directory, Some(policy), anew)?;
    filter(&mut ebpf)?.load().context("the kernel refuses the BPF program")?;
    Ok(ebpf)
}

/// Makes the maps and pins them into a directory, but for those that are pinned there already, which are taken as they are.
/// Those of the names in `anew` are made anew, and pinned beside those that are there.
pub(super) fn load_maps(directory: &Path, policy: Option<&CompiledPolicy>, anew: &[&str]) -> Result<Ebpf> {
    let mut loader = EbpfLoader::new();
    for name in maps::NAMES {
        let path = directory.join(name);
        loader.map_pin_path(name, if anew.contains(&name) { pins::beside(&path) } else { path });
    }
    create_maps(&mut loader, policy)
}

fn create_maps(loader: &mut EbpfLoader<'_>, policy: Option<&CompiledPolicy>) -> Result<Ebpf> {
    room::make(loader, policy);
    loader.load(OBJECT).context("cannot create the BPF maps (this needs root)")
}

/// The program that filters.
pub(super) fn filter(ebpf: &mut Ebpf) -> Result<&mut Xdp> {
    xdp(ebpf, FILTER)
}

/// The program that says its verdict, which [`load`] leaves unloaded.
pub(super) fn verdict(ebpf: &mut Ebpf) -> Result<&mut Xdp> {
    xdp(ebpf, VERDICT)
}

/// The program that looks at what the host sends, which [`load`] leaves unloaded.
pub(super) fn egress(ebpf: &mut Ebpf) -> Result<&mut SchedClassifier> {
    Ok(program(ebpf, EGRESS)?.try_into()?)
}

fn xdp<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut Xdp> {
    Ok(program(ebpf, name)?.try_into()?)
}

fn program<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut Program> {
    ebpf.program_mut(name).context("the object has no program of that name")
}
