//! `sipwall attach`

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use filter_user::kernel::{self, AttachMode, Attached, ProgramChange, XdpMode};

use super::{
    change::{self, Trial},
    output,
    refresh::StateDirectory,
    target::Target,
};

/// Put a policy in force on interfaces
///
/// Attaches the filter where there is none yet; where there is one, its policy is replaced, all at once.
#[derive(clap::Args)]
#[command(after_long_help = "Examples:
  sipwall attach policy.toml                         # on the policy's own interfaces
  sipwall attach eth0 policy.toml --allow-generic    # even where the driver has no native XDP
  sipwall attach --interface eth0 --policy policy.toml")]
pub(crate) struct Attach {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    trial: Trial,
    #[command(flatten)]
    state: StateDirectory,
    /// Attach in the network stack where the driver has no native XDP: several times slower
    #[arg(long)]
    allow_generic: bool,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

impl Attach {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let prepared = self.trial.load(&self.target.policy, &self.state);
        let (loaded, interfaces) = match prepared
            .and_then(|loaded| loaded.interfaces(&self.target.interfaces).map(|interfaces| (loaded, interfaces)))
        {
            Ok(prepared) => prepared,
            Err(code) => return Ok(code),
        };
        if !loaded.may_go_on(interfaces.iter().map(String::as_str))? {
            return Ok(ExitCode::FAILURE);
        }
        let mode = if self.allow_generic { AttachMode::AllowGeneric } else { AttachMode::Native };
        for interface in &interfaces {
            let attached = kernel::attach(interface, mode, &loaded.change());
            self.report(&attached.with_context(|| others(interface, &interfaces))?)?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn report(&self, attached: &Attached) -> Result<()> {
        let Attached { interface, attach_mode, generation, replaced: _, nic, program, anew, confirmation } = attached;
        let done = match program {
            ProgramChange::Attached => "attached",
            ProgramChange::Kept => "policy replaced",
            ProgramChange::Swapped => "program swapped for this version's, policy replaced",
        };
        eprintln!("`{interface}`: {done}, {attach_mode} XDP, generation {generation}");
        if !anew.is_empty() {
            eprintln!("`{interface}`: not carried over, as this version has it in another form: {}", anew.join(", "));
        }
        let driver = nic.driver.as_deref().unwrap_or("unknown");
        eprintln!("`{interface}`: driver {driver}, MTU {}{}", nic.mtu, buffers(nic.multi_buffer));
        for caveat in caveats(attached) {
            eprintln!("`{interface}`: {caveat}");
        }
        change::remind(interface, *confirmation);
        if self.json { output::json(attached) } else { Ok(()) }
    }
}

/// What the kernel says of frames that take more than one buffer, in words.
const fn buffers(several: Option<bool>) -> &'static str {
    match several {
        Some(true) => ", frames of several buffers",
        Some(false) => ", no frames of several buffers: an MTU beyond a page does not go with native XDP",
        None => "",
    }
}

/// What an operator should know of a NIC that a program runs on.
fn caveats(attached: &Attached) -> Vec<String> {
    let Attached { interface, attach_mode, nic, .. } = attached;
    let mut caveats = Vec::new();
    if *attach_mode == XdpMode::Generic {
        caveats.push("the program runs in the stack, which is several times slower than in the driver".to_owned());
    }
    if nic.lro {
        caveats.push(format!(
            "the NIC joins segments (LRO), which XDP does not go with: `ethtool -K {interface} lro off`"
        ));
    }
    if nic.vlan_offload {
        caveats.push(format!(
            "the NIC may take VLAN tags off before the program sees them: packets of every VLAN are judged alike; \
             `ethtool -K {interface} rxvlan off` leaves them on"
        ));
    }
    if !nic.bond_members.is_empty() {
        caveats.push(format!("a bond of {}: the program runs on each of them", nic.bond_members.join(", ")));
    }
    if let Some(upper) = &nic.member_of {
        caveats.push(format!("it belongs to `{upper}`: what arrives by its other members does not meet this program"));
    }
    caveats
}

/// What has become of the interfaces before and behind one that fails.
fn others(failed: &str, all: &[String]) -> String {
    let quoted = |names: &[String]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let place = all.iter().position(|name| name == failed).unwrap_or_default();
    let (before, behind) = (all.get(..place).unwrap_or_default(), all.get(place + 1..).unwrap_or_default());
    let [before, behind] = [(before, "stays attached"), (behind, "was not tried")]
        .map(|(names, fate)| if names.is_empty() { String::new() } else { format!(" ({} {fate})", quoted(names)) });
    format!("`{failed}` is not attached{before}{behind}")
}
