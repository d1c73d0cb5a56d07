//! What runs on an interface.

use anyhow::Result;
use filter_common::{
    GenerationInfo, Name,
    live::{DenyEntry, Expiry, lists_that_hold},
    tables::{flags, lists},
};
use serde::Serialize;

use super::{
    build,
    counters::mode_name,
    interface::{XdpMode, XdpProgram, interface},
    live::seconds_left,
    maps::Maps,
    pins::Pins,
    standing::{self, Confirmation},
    trie,
};

/// What runs on an interface.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// The interface.
    pub interface: String,
    /// Whether the interface runs the filter's program now.
    pub running: bool,
    /// Where the program runs; nothing if it does not.
    pub xdp_mode: Option<XdpMode>,
    /// `enforce` or `monitor`; nothing where no policy is in force and everything passes.
    pub mode: Option<&'static str>,
    /// `interface` or `ports`; nothing where no policy is in force.
    pub scope: Option<&'static str>,
    /// The number of the policy in force; 0 where none is.
    pub generation: u64,
    /// Whether the policy that was put in force last stays.
    pub confirmation: Confirmation,
    /// The policy's file name.
    pub policy: Option<String>,
    /// When it was published, in seconds since the epoch.
    pub published_at: u64,
    /// How many rules it has.
    pub rules: u32,
    /// How many IPv4 prefixes it has.
    pub prefixes_v4: u32,
    /// How many IPv6 prefixes it has.
    pub prefixes_v6: u32,
    /// How many prefixes the deny list had when it was published.
    pub denied: u32,
    /// What was let in and denied beside the policy, and holds.
    pub live: Live,
    /// The kernel's number of the program.
    pub program_id: u32,
    /// The version that the program is of, with a fingerprint of its code; nothing where that was not noted.
    pub build: Option<String>,
    /// Whether it is the program that this binary would attach.
    pub is_this_build: bool,
}

/// What holds beside the policy.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Live {
    /// How many allows were added.
    pub allows: usize,
    /// How many denied prefixes were added.
    pub denied: usize,
    /// How many prefixes the loaded lists deny.
    pub listed: usize,
    /// The names of those lists.
    pub lists: Vec<String>,
    /// Seconds until the next of all that ends, rounded up.
    pub next_expiry: Option<u64>,
}

/// What runs on `interface`, from its pins and from the interface itself.
///
/// # Errors
/// If no filter is attached there, or its pins cannot be read.
pub fn status(name: &str) -> Result<Status> {
    let pins = Pins::attached(name)?;
    let program_id = pins.program_id()?;
    let maps = Maps::open(pins.directory())?;
    let (info, confirmation) = (maps.in_force()?, maps.confirmation()?);
    // An interface that is gone runs nothing, but its state is worth showing.
    let xdp = interface(name).ok().and_then(|interface| interface.xdp).filter(|xdp| xdp.id == program_id);
    let build = build::noted(&pins).and_then(|build| build.as_str().map(str::to_owned));
    let is_this_build = build::is_this(&pins);
    Ok(Status {
        live: maps.live()?,
        build,
        is_this_build,
        ..describe(name, info.as_ref(), confirmation, xdp, program_id)
    })
}

impl Maps {
    /// What holds beside the policy.
    fn live(&self) -> Result<Live> {
        let (now, lists) = (standing::now(), self.lists()?);
        let holding = lists_that_hold(&lists, now);
        let lists: Vec<_> = lists.iter().filter(|list| list.name != Name::EMPTY && !list.expiry.is_over(now)).collect();
        let allows = self.live_allows()?;
        let mut ends: Vec<Expiry> = allows.iter().map(|allow| allow.expiry).collect();
        ends.extend(lists.iter().map(|list| list.expiry));
        let mut live = Live {
            allows: allows.len(),
            lists: lists.iter().filter_map(|list| list.name.as_str().map(str::to_owned)).collect(),
            ..Live::default()
        };
        if self.standing()?.switch.lists & lists::DENY != 0 {
            let mut count = |entry: DenyEntry| {
                if entry.holders & DenyEntry::ADDED != 0 && !entry.expiry.is_over(now) {
                    live.denied += 1;
                    ends.push(entry.expiry);
                }
                live.listed += usize::from(entry.holders & holding != 0);
            };
            trie::entries(&self.deny_v4)?.into_iter().for_each(|(_, entry)| count(entry));
            trie::entries(&self.deny_v6)?.into_iter().for_each(|(_, entry)| count(entry));
        }
        live.next_expiry = ends.into_iter().filter_map(|end| seconds_left(end, now)).min();
        Ok(live)
    }
}

fn describe(
    name: &str,
    info: Option<&GenerationInfo>,
    confirmation: Confirmation,
    xdp: Option<XdpProgram>,
    program_id: u32,
) -> Status {
    let count = |count: fn(&GenerationInfo) -> u32| info.map_or(0, count);
    Status {
        interface: name.to_owned(),
        running: xdp.is_some(),
        xdp_mode: xdp.map(|xdp| xdp.mode),
        mode: info.map(|info| mode_name(info.flags)),
        scope: info.map(|info| if info.flags & flags::SCOPE_PORTS == 0 { "interface" } else { "ports" }),
        generation: info.map_or(0, |info| info.generation),
        confirmation,
        policy: info.and_then(|info| info.policy.as_str()).map(str::to_owned),
        published_at: info.map_or(0, |info| info.published_at),
        rules: count(|info| info.rules),
        prefixes_v4: count(|info| info.prefixes_v4),
        prefixes_v6: count(|info| info.prefixes_v6),
        denied: count(|info| info.denied),
        live: Live::default(),
        program_id,
        build: None,
        is_this_build: false,
    }
}
