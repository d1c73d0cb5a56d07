//! Pins whose link holds an interface that is out of sight: of another network namespace, or one with another name by now.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};

use super::{interface, pins::Pins};

/// Where the kernel says what each descriptor of this process is.
const DESCRIPTORS: &str = "/proc/self/fdinfo";

/// Refuses to take the place of a filter that runs, though not on the interface of this name here.
pub(super) fn check(pins: &Pins, name: &str) -> Result<()> {
    if !pins.is_attached() {
        return Ok(());
    }
    let link = Pins::open(&pins.link())?;
    let id = link.info().context("the link cannot be asked what it holds")?.id();
    let holds = held_by(Path::new(DESCRIPTORS), id)?;
    ensure!(
        matches!(holds, None | Some(0)),
        "the pins of `{name}` are those of a filter that runs on another interface, of another network namespace or with \
         another name by now\nhint: where two namespaces share bpffs, their interfaces need names of their own; `sipwall \
         detach {name}` takes that filter off"
    );
    Ok(())
}

/// The name that an interface has by now, where its filter still runs; nothing if it has its own, or is gone.
pub fn renamed(name: &str) -> Option<String> {
    let program = Pins::attached(name).ok()?.program_id().ok()?;
    interface::running(program).ok()?.filter(|now| now != name)
}

/// The number of the interface that a link of this process holds, in its own namespace; 0 where that is gone.
fn held_by(descriptors: &Path, link: u32) -> Result<Option<u32>> {
    let entries = fs::read_dir(descriptors).with_context(|| format!("cannot read `{}`", descriptors.display()))?;
    // A descriptor may be closed by now.
    let texts = entries.filter_map(|entry| fs::read_to_string(entry.ok()?.path()).ok());
    let value = |text: &str, key: &str| {
        text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(":\t")?.trim().parse::<u32>().ok())
    };
    let mut links = texts.filter(|text| value(text, "link_id") == Some(link));
    Ok(links.find_map(|text| value(&text, "ifindex")))
}
