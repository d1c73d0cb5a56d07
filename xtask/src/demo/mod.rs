//! `cargo xtask demo`: an SBC behind the filter, its providers, an unlisted caller and a scanner.
//!
//! What is sent to the SBC's NIC and what arrives behind it is counted by taps that know nothing of
//! the filter, and compared with the filter's own counters.

mod counters;
mod flow;
mod ledger;
pub(crate) mod network;
mod report;
pub(crate) mod scene;
mod sockets;
mod stun;

use std::{fs, path::Path, thread, time::Duration};

use anyhow::{Context as _, Result, bail};
use counters::Counters;
use lab::{Host, Lab, Tap, run as run_command};
use ledger::Ledger;

use crate::{build, privilege, setup};

/// How the demo ends.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Leave the lab up, and say how to look round in it.
    #[arg(long)]
    keep: bool,
    /// Only remove the labs that were kept, and those of runs that were killed.
    #[arg(long, conflicts_with = "keep")]
    down: bool,
}

/// How long links settle before counting starts: what hosts multicast when they come up.
const SETTLING: Duration = Duration::from_secs(1);

/// Plays the demo; an error if a listed packet was lost, an unlisted one arrived, or a counter differs.
pub(crate) fn run(options: &Options) -> Result<()> {
    privilege::check()?;
    if options.down {
        return remove_leftovers();
    }
    setup::ensure(setup::Purpose::Demo)?;
    let sipwall = build::sipwall(true)?;
    let lab = Lab::new(&network::plans()?)?;
    let outcome = play(&lab, &sipwall);
    if options.keep {
        explain(&lab, &sipwall)?;
        lab.keep()?;
    }
    outcome
}

fn play(lab: &Lab, sipwall: &Path) -> Result<()> {
    let sbc = lab.host("sbc")?;
    attach(sbc, sipwall)?;
    thread::sleep(SETTLING);
    let earlier = stats(sbc, sipwall)?;
    // The tap behind the NIC is open for longer, or link upkeep at the edges would look lost.
    let behind = Tap::open(sbc, sbc)?;
    let before = Tap::open(lab.core()?, sbc)?;
    let scenes = scene::all();
    let ended = scene::play(&scenes, lab);
    let (before, behind) = (before.close()?, behind.close()?);
    let counters = stats(sbc, sipwall)?.since(&earlier);
    let flows = scenes.into_iter().flat_map(|scene| scene.flows).chain(flow::errors());
    let ledger = Ledger::new(flows.collect(), &before, &behind);
    println!("{}\n\n{}\n", report::traffic(&ledger), report::counters(&ledger, &counters));
    conclude(ended, &ledger.faults(&counters))
}

/// Says how each scene went and what is wrong.
fn conclude(ended: Vec<Result<String>>, faults: &[String]) -> Result<()> {
    let mut wrong: Vec<_> = faults.to_owned();
    for scene in ended {
        match scene {
            Ok(sentence) => println!("{sentence}"),
            Err(error) => wrong.push(format!("{error:#}")),
        }
    }
    if !wrong.is_empty() {
        bail!("the demo failed\n{}", wrong.join("\n"));
    }
    println!("every listed packet arrived, nothing unlisted did, and the filter counted the same");
    Ok(())
}

fn attach(sbc: &Host, sipwall: &Path) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let policy = directory.path().join("policy.toml");
    fs::write(&policy, network::policy())?;
    let said = run_command(sbc.command(sipwall).args(["attach", "eth0", "--policy"]).arg(&policy), "")?;
    eprint!("{said}");
    Ok(())
}

fn stats(sbc: &Host, sipwall: &Path) -> Result<Counters> {
    let json = run_command(sbc.command(sipwall).args(["stats", "eth0", "--json"]), "");
    Counters::read(&json.context("the filter's counters cannot be read")?)
}

/// Says how to look round in the lab.
fn explain(lab: &Lab, sipwall: &Path) -> Result<()> {
    let entry = |host: &str| -> Result<String> { Ok(lab.host(host)?.entry().join(" ")) };
    let (sbc, scanner, sipwall) = (entry("sbc")?, entry("scanner")?, sipwall.display());
    println!(
        "\nThe lab stays up.\n\
         What the filter counts:   {sbc} {sipwall} stats eth0\n\
         How it is attached:       {sbc} {sipwall} status eth0\n\
         A shell on the SBC:       {sbc} bash\n\
         A shell on the scanner:   {scanner} bash\n\
         All hosts:                ip netns list\n\
         Remove it:                cargo xtask demo --down"
    );
    Ok(())
}

fn remove_leftovers() -> Result<()> {
    for lab in lab::remove_leftovers()? {
        println!("removed the lab {lab}");
    }
    Ok(())
}
