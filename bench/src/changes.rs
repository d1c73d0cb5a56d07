//! What changes cost, and what it takes to hold them.

use std::{
    cell::RefCell,
    fmt, fs,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use filter_user::{
    kernel::{Sandbox, memory_of_maps},
    policy::{CompiledPolicy, Policy},
};
use lab::{Host, Lab, Plan};
use serde::Serialize;

use crate::{
    path::{self, sipwall},
    policies::{self, Family, Layout},
    statistics::{Effort, Rounds},
    table,
};

const ROUNDS: usize = 3;
/// How long a round may take before no more is done in it.
const ROUND: Duration = Duration::from_secs(1);
const HOST: &str = "sbc";
/// How far changes lie apart that wait for none before them.
const APART: Duration = Duration::from_millis(1100);
/// How long the service may take to come up.
const UP: Duration = Duration::from_mins(1);

/// What was measured: a name, a figure, and what it is meant to be at the most.
#[derive(Serialize)]
pub(crate) struct Report {
    rows: Vec<Row>,
}

#[derive(Clone, Serialize)]
struct Row {
    what: String,
    unit: &'static str,
    measured: f64,
    noise: f64,
    aim: f64,
}

/// Measures all of it.
pub(crate) fn measure(quick: bool) -> Result<Report> {
    let mut rows = Vec::new();
    let effort = if quick { Effort::QUICK } else { Effort::FULL };
    let sizes: &[(u32, f64)] = if quick { &[(10_000, 10.0)] } else { &[(10_000, 10.0), (100_000, 150.0)] };
    for (size, aim) in sizes {
        rows.extend(publishing(*size, *aim, effort)?);
        rows.push(applying(*size, effort)?);
    }
    let denied = if quick { 100_000 } else { 1_000_000 };
    rows.push(memory(0, 8.0)?);
    rows.push(memory(denied, 200.0)?);
    rows.extend(commands(denied, effort)?);
    Ok(Report { rows })
}

/// Compiles a policy and puts it in force, in a slot that has none, in place of one that has other prefixes, and of one that
/// has the same.
fn publishing(size: u32, aim: f64, effort: Effort) -> Result<[Row; 4]> {
    let [one, other] = [Layout::Clustered, Layout::Spread].map(|layout| policy(size, layout));
    let policies = [one?, other?];
    // As good as none: a rule has a prefix.
    let none = policy(1, Layout::Spread)?;
    let kernel = RefCell::new(Sandbox::for_policy(&compiled(&policies[1])?)?);
    let publish = |policy: &Policy| kernel.borrow_mut().publish(&compiled(policy)?).map(drop);
    let what = format!("compile and publish {} prefixes", table::whole(size));
    // What a slot has is that of three policies ago.
    let empty = || {
        (0..3).try_for_each(|_| publish(&none))?;
        apart()
    };
    let first = Row::timed(effort, format!("{what}, into an empty slot"), aim, empty, || publish(&policies[1]))?;
    // With two in turns, it is the other one; the first three find none.
    let mut number = 0;
    let mut in_turns = || {
        number += 1;
        publish(&policies[number % 2])
    };
    (0..3).try_for_each(|_| in_turns())?;
    let single = Row::timed(effort, format!("{what}, all of them others"), aim, apart, &mut in_turns)?;
    // The slot of a policy that was in force just now is waited for.
    let hasty =
        Row::timed(effort, format!("{what}, the same at once behind others"), f64::NAN, || Ok(()), &mut in_turns)?;
    (0..3).try_for_each(|_| publish(&policies[0]))?;
    let same = Row::timed(effort, format!("{what}, the same ones"), f64::NAN, apart, || publish(&policies[0]))?;
    Ok([first, single, hasty, same])
}

fn policy(size: u32, layout: Layout) -> Result<Policy> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("policy.toml");
    fs::write(&file, policies::text(&policies::prefixes(Family::V4, layout, size), "", "")?)?;
    Policy::load(&file).context("the policy does not load")
}

fn compiled(policy: &Policy) -> Result<CompiledPolicy> {
    policy.compile().context("the policy does not compile")
}

/// Puts a policy in force by the command, which reads it too, compares it with what runs and looks for what it would cut.
fn applying(size: u32, effort: Effort) -> Result<Row> {
    let lab = Lab::new(&[Plan::new(HOST, ["198.51.100.10/32".parse()?])])?;
    let host = lab.host(HOST)?;
    let directory = tempfile::tempdir()?;
    let nets = policies::prefixes(Family::V4, Layout::Clustered, size);
    path::attach(host, &nets, false, 0)?;
    let file = directory.path().join("policy.toml");
    let mut number = 0;
    let another = || {
        number += 1;
        apart()?;
        let nets: Vec<_> = nets.iter().skip(number).copied().collect();
        Ok(fs::write(&file, policies::text(&nets, "", "")?)?)
    };
    let what = format!("`apply` of {} prefixes, the whole command", table::whole(size));
    Row::timed(effort, what, f64::NAN, another, || sipwall(host, &["apply", "--allow-lockout"], Some(&file)).map(drop))
}

/// What the commands take on a host, with the service running in the end.
fn commands(denied: u32, effort: Effort) -> Result<Vec<Row>> {
    let lab = Lab::new(&[Plan::new(HOST, ["198.51.100.10/32".parse()?])])?;
    let host = lab.host(HOST)?;
    let directory = tempfile::tempdir()?;
    let nets = policies::prefixes(Family::V4, Layout::Clustered, 1000);
    path::attach(host, &nets, false, 0)?;
    let policy = directory.path().join("policy.toml");
    fs::write(&policy, policies::text(&nets, "", "")?)?;
    let mut rows = host.inhabit(|| timed_commands(directory.path(), denied, effort))??;
    rows.push(resident(host, &policy, &table::whole(denied))?);
    Ok(rows)
}

/// The commands, where this thread is: what it takes to enter a host is not theirs.
fn timed_commands(directory: &Path, denied: u32, effort: Effort) -> Result<Vec<Row>> {
    let binary = path::binary()?;
    let command =
        |arguments: &[&str], file: Option<&Path>| lab::run(Command::new(&binary).args(arguments).args(file), "");
    let run = |arguments: &[&str], file: Option<&Path>| command(arguments, file).map(drop);
    let at_once = || Ok(());
    let nothing = Row::timed(effort, "start `true`, which does nothing".into(), f64::NAN, at_once, || {
        lab::run(&mut Command::new("true"), "").map(drop)
    })?;
    let start =
        Row::timed(effort, "start `sipwall --version`".into(), f64::NAN, at_once, || run(&["--version"], None))?;
    let mut number = 0;
    let allow = Row::timed(effort, "one `allow add`, the whole command".into(), 5.0, apart, || {
        number += 1;
        run(&["allow", "add", &format!("203.0.113.{number}"), "--udp", "5060"], None)
    })?;
    let own = Row {
        what: "one `allow add`, less the start".into(),
        measured: allow.measured - start.measured,
        aim: f64::NAN,
        ..allow.clone()
    };
    let mut rows = vec![nothing, start, allow, own];
    let list = directory.join("denied");
    fs::write(&list, policies::denied(denied))?;
    let many = table::whole(denied);
    let load = || run(&["deny", "load"], Some(&list));
    let empty = || {
        let loaded = !command(&["deny", "list", "--lists", "--json"], None)?.is_empty();
        if loaded { run(&["deny", "unload", "denied"], None) } else { Ok(()) }
    };
    rows.push(Row::timed(effort, format!("load {many} denied prefixes, the whole command"), 5000.0, empty, load)?);
    // There is room for no others beside a million.
    let all = policies::denied(denied);
    let mut parts = all.lines().collect::<Vec<_>>().chunks(1000).map(<[_]>::to_vec).collect::<Vec<_>>().into_iter();
    let add = || run(&[vec!["deny", "add"], parts.next().context("no more are denied")?].concat(), None);
    rows.push(Row::timed(effort, format!("deny 1,000 of {many} by hand too, the whole command"), 20.0, at_once, add)?);
    Ok(rows)
}

/// Waits until a change waits for none before it.
#[expect(clippy::unnecessary_wraps, reason = "what is done before a measurement may fail")]
fn apart() -> Result<()> {
    thread::sleep(APART);
    Ok(())
}

/// How much memory of its own the service takes up.
fn resident(host: &Host, policy: &Path, denied: &str) -> Result<Row> {
    let [state, runtime] = ["state", "run"].map(|name| policy.with_file_name(name));
    let mut command = host.command(path::binary()?);
    command.args(["run", "--policy"]).arg(policy).arg("--state").arg(state).arg("--runtime").arg(runtime);
    let service = lab::Process::start(command.stdout(Stdio::null()).stderr(Stdio::null()))?;
    let status = procfs::process::Process::new(service.id().try_into()?)?;
    let begun = Instant::now();
    // It has settled when its memory no longer grows.
    let (mut last, mut same) = (0, 0);
    while same < 20 {
        ensure!(begun.elapsed() < UP, "the service does not come up");
        thread::sleep(Duration::from_millis(100));
        let now = status.status()?.vmrss.context("the service has ended")?;
        same = if now == last { same + 1 } else { 0 };
        last = now;
    }
    #[expect(clippy::cast_precision_loss, reason = "there is less memory than a float has bits for")]
    let measured = last as f64 / 1024.0;
    let what = format!("resident memory of the service, {denied} prefixes denied");
    Ok(Row { what, unit: "MB", measured, noise: 0.0, aim: 24.0 })
}

/// How much memory the maps take up with so many prefixes denied. No other maps may be held meanwhile.
fn memory(denied: u32, aim: f64) -> Result<Row> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("policy.toml");
    fs::write(directory.path().join("denied"), policies::denied(denied))?;
    let deny = if denied == 0 { "" } else { "[[deny]]\nname = \"many\"\nfile = \"denied\"\n" };
    fs::write(&file, policies::text(&policies::prefixes(Family::V4, Layout::Clustered, 1000), "", deny)?)?;
    let policy = Policy::load(&file).context("the policy does not load")?;
    let compiled = policy.compile().context("the policy does not compile")?;
    let mut kernel = Sandbox::for_policy(&compiled)?;
    kernel.publish(&compiled)?;
    #[expect(clippy::cast_precision_loss, reason = "there is less memory than a float has bits for")]
    let measured = memory_of_maps()? as f64 / f64::from(1 << 20);
    let what = format!("maps, 1,000 prefixes, {} denied", table::whole(denied));
    Ok(Row { what, unit: "MB", measured, noise: 0.0, aim })
}

impl Row {
    /// What something takes, in milliseconds: the shortest run of a round, for what else goes on only adds to it; of several
    /// rounds the median. `before`: what is done before each run, and not timed.
    fn timed(
        effort: Effort,
        what: String,
        aim: f64,
        mut before: impl FnMut() -> Result<()>,
        mut action: impl FnMut() -> Result<()>,
    ) -> Result<Self> {
        let mut rounds = Rounds::NONE;
        for _ in 0..ROUNDS {
            let (mut shortest, mut all) = (Duration::MAX, Duration::ZERO);
            for _ in 0..effort.runs {
                before()?;
                let begun = Instant::now();
                action()?;
                let took = begun.elapsed();
                (shortest, all) = (shortest.min(took), all + took);
                if all > ROUND {
                    break;
                }
            }
            rounds.add(shortest.as_secs_f64() * 1e3);
        }
        Ok(Self { what, unit: "ms", measured: rounds.median(), noise: rounds.noise(), aim })
    }

    fn cells(&self) -> [String; 4] {
        let Self { what, unit, measured, noise, aim } = self;
        let aim = if aim.is_finite() { format!("{aim:.0} {unit}") } else { String::new() };
        [what.clone(), format!("{measured:.1} {unit}"), aim, format!("{:.0} %", noise * 100.0)]
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = ["what", "measured", "at the most", "noise"];
        write!(formatter, "{}", table::markdown(header, 1, self.rows.iter().map(Row::cells)))
    }
}
