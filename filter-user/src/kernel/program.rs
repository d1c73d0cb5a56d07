//! The program that the binary carries, and how it is loaded.

use std::path::Path;

use anyhow::{Context as _, Result};
use aya::{
    Ebpf, EbpfLoader,
    programs::{Program, Xdp},
};

use super::maps;

/// The name of the program in the object.
const NAME: &str = "sipwall";

/// The object as the build made it.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/sipwall"));

/// Loads the program with maps of its own; with `pins`, the maps are pinned into that directory.
pub(super) fn load(pins: Option<&Path>) -> Result<Ebpf> {
    let mut loader = EbpfLoader::new();
    for name in maps::NAMES {
        if let Some(directory) = pins {
            loader.map_pin_path(name, directory.join(name));
        }
    }
    let mut ebpf = loader.load(OBJECT).context("cannot create the BPF maps (this needs root)")?;
    xdp(&mut ebpf)?.load().context("the kernel refuses the BPF program")?;
    Ok(ebpf)
}

/// The XDP program of a loaded object.
pub(super) fn xdp(ebpf: &mut Ebpf) -> Result<&mut Xdp> {
    let program: &mut Program = ebpf.program_mut(NAME).context("the object has no program of that name")?;
    Ok(program.try_into()?)
}
