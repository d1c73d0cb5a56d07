//! The program in the kernel without an interface: `BPF_PROG_TEST_RUN`.

use std::thread;

use anyhow::{Context as _, Result, anyhow, bail};
use aya::{
    Ebpf, TestRun, TestRunAttrs, TestRunOptions, TestRunResult,
    maps::{Array, HashMap, PerCpuArray, PerCpuValues},
    programs::{ProgramInfo, Xdp},
    util::nr_cpus,
};
use filter_common::{Action, BucketSet, Datagram, Flow, Verdict};

use super::{
    counters::Stats,
    mapped::Mapped,
    maps::{Maps, Value},
    program,
    publish::Published,
    room,
    samples::Recorded,
};
use crate::policy::{CompiledPolicy, IndexRoom, LiveAllow};

/// A loaded program with maps of its own, attached to nothing.
pub struct Sandbox {
    ebpf: Ebpf,
    maps: Maps,
    /// The counter of each rule of the policy in force.
    counters: Vec<u16>,
}

/// How many live frames the kernel runs the program on before it lets others have the CPU.
const BATCH: u32 = 64;

/// `XDP_DROP` in the kernel's `include/uapi/linux/bpf.h`.
const XDP_DROP: u32 = 1;
/// `XDP_PASS` in the kernel's `include/uapi/linux/bpf.h`.
const XDP_PASS: u32 = 2;

impl Sandbox {
    /// How much room the index has in each slot, where the maps are not made for a policy: beyond it the tries are asked.
    pub const INDEX_ROOM: IndexRoom = room::MOST.index;

    /// Loads the program.
    ///
    /// # Errors
    /// If the kernel refuses it, which it does to all but root.
    pub fn new() -> Result<Self> {
        Self::with_room(None)
    }

    /// Loads the program with maps that have room for a policy, as those of an interface have.
    ///
    /// # Errors
    /// If the kernel refuses it, which it does to all but root.
    pub fn for_policy(policy: &CompiledPolicy) -> Result<Self> {
        Self::with_room(Some(policy))
    }

    fn with_room(policy: Option<&CompiledPolicy>) -> Result<Self> {
        let mut ebpf = program::load(None, policy)?;
        program::verdict(&mut ebpf)?.load().context("the kernel refuses the BPF program")?;
        program::egress(&mut ebpf)?.load().context("the kernel refuses the egress program")?;
        let maps = Maps::of(&mut ebpf)?;
        Ok(Self { ebpf, maps, counters: Vec::new() })
    }

    /// Puts a policy in force and returns its generation.
    ///
    /// # Errors
    /// If the maps cannot be written.
    pub fn publish(&mut self, policy: &CompiledPolicy) -> Result<u64> {
        let Published { generation, counters } = publish(&mut self.maps, policy)?;
        self.counters = counters;
        Ok(generation)
    }

    /// Lets in what these allows let in, beside the policy, and nothing else any more. In verdicts their rules follow
    /// those of the policy that was published last.
    ///
    /// # Errors
    /// If there is no room for them, or the maps cannot be written.
    pub fn allow(&mut self, allows: &[LiveAllow]) -> Result<()> {
        let counters = self.maps.write_live(allows)?;
        self.counters.extend(counters);
        Ok(())
    }

    /// Runs the program on so many live copies of a frame, and meanwhile puts the policies in force in turns; says
    /// how often. The policy in force afterwards is one of them.
    ///
    /// A live frame goes where the verdict sends it: what passes goes to the stack of the network namespace of this
    /// thread, as if it had come in by the loopback interface.
    ///
    /// # Errors
    /// If the kernel refuses a frame or a policy.
    pub fn switch_under_traffic(&mut self, frame: &[u8], packets: u32, policies: &[&CompiledPolicy]) -> Result<u32> {
        let Self { ebpf, maps, counters } = self;
        let filter: &Xdp = program::filter(ebpf)?;
        thread::scope(|scope| {
            let traffic = scope.spawn(|| live_run(filter, frame, packets));
            let mut switches = 0;
            for policy in policies.iter().cycle() {
                if traffic.is_finished() {
                    break;
                }
                *counters = publish(maps, policy)?.counters;
                switches += 1;
            }
            traffic.join().map_err(|_| anyhow!("the test run panicked"))??;
            Ok(switches)
        })
    }

    /// Runs the program on a frame of at least 14 octets, as a NIC would, and says what it did with it.
    ///
    /// # Errors
    /// If the kernel refuses the frame, or the program ends in an action that it should not know.
    pub fn run(&mut self, frame: &[u8]) -> Result<Action> {
        match test_run(program::filter(&mut self.ebpf)?, frame)? {
            XDP_DROP => Ok(Action::Drop),
            XDP_PASS => Ok(Action::Pass),
            other => bail!("the program ended in the XDP action {other}"),
        }
    }

    /// The verdict on a frame of at least 14 octets, whatever the mode, with the rule as its place in
    /// [`CompiledPolicy::rules`]. Nothing is counted.
    ///
    /// # Errors
    /// If the kernel refuses the frame, or the program ends in something that is no verdict.
    pub fn judge(&mut self, frame: &[u8]) -> Result<Verdict> {
        let code = test_run(program::verdict(&mut self.ebpf)?, frame)?;
        let verdict = Verdict::of_code(code).context("the program ended in something else")?;
        let place = |counter| self.counters.iter().position(|known| *known == counter).context("a rule of no policy");
        Ok(match verdict.rule().map(place).transpose()? {
            Some(place) => verdict.by_rule(u16::try_from(place)?),
            None => verdict,
        })
    }

    /// Runs the program on what the host sends on a frame of at least 14 octets.
    ///
    /// # Errors
    /// If the kernel refuses the frame.
    pub fn send(&mut self, frame: &[u8]) -> Result<()> {
        test_run(program::egress(&mut self.ebpf)?, frame).map(drop)
    }

    /// What the kernel knows of each program.
    pub(super) fn program_infos(&self) -> Result<[(&'static str, ProgramInfo); 3]> {
        let info = |name| {
            let program = self.ebpf.program(name).context("the object has no program of that name")?;
            Ok::<_, anyhow::Error>((name, program.info()?))
        };
        Ok([info(program::FILTER)?, info(program::VERDICT)?, info(program::EGRESS)?])
    }

    /// Lets the program forget what it remembers between packets.
    ///
    /// # Errors
    /// If the maps cannot be written.
    pub fn forget(&mut self) -> Result<()> {
        forget::<Datagram, SeenFragment>(&mut self.ebpf, "FRAGMENTS")?;
        forget::<Flow, u64>(&mut self.ebpf, "FLOWS")?;
        let map = self.ebpf.map_mut("BUCKETS").context("the object has no map `BUCKETS`")?;
        let sets: Array<_, Value<BucketSet>> = map.try_into()?;
        Mapped::new(&sets)?.entries().fill(BucketSet::default());
        let map = self.ebpf.map_mut("NEW_ENTRIES_DUE").context("the object has no map `NEW_ENTRIES_DUE`")?;
        let mut due: PerCpuArray<_, u64> = map.try_into()?;
        for guard in 0..due.len() {
            due.set(guard, PerCpuValues::try_from(vec![0; nr_cpus().map_err(|(_, error)| error)?])?, 0)?;
        }
        Ok(())
    }

    /// What the program has counted.
    ///
    /// # Errors
    /// If the maps cannot be read.
    pub fn stats(&self) -> Result<Stats> {
        self.maps.stats("sandbox", None)
    }

    /// The samples of dropped packets that are kept.
    ///
    /// # Errors
    /// If the maps cannot be read.
    pub fn samples(&self) -> Result<Recorded> {
        self.maps.samples.all()
    }
}

/// A first fragment as the program keeps it, with the time when it passed: of no interest here.
type SeenFragment = [u64; 2];

/// Takes every entry out of a map of what is remembered.
fn forget<K: bytemuck::Pod, V: bytemuck::Pod>(ebpf: &mut Ebpf, name: &str) -> Result<()> {
    let map = ebpf.map_mut(name).with_context(|| format!("the object has no map `{name}`"))?;
    let mut map: HashMap<_, Value<K>, Value<V>> = map.try_into()?;
    for key in map.keys().collect::<Result<Vec<_>, _>>()? {
        map.remove(&key)?;
    }
    Ok(())
}

fn publish(maps: &mut Maps, policy: &CompiledPolicy) -> Result<Published> {
    maps.publish(policy, "sandbox", None)
}

fn live_run(filter: &Xdp, frame: &[u8], packets: u32) -> Result<()> {
    let attrs = TestRunAttrs::new().xdp_live_frames(BATCH);
    let options = TestRunOptions { data_in: Some(frame), repeat: packets, attrs, ..TestRunOptions::default() };
    filter.test_run(options).context("the kernel refuses the live frames")?;
    Ok(())
}

fn test_run<P>(program: &P, frame: &[u8]) -> Result<u32>
where
    P: for<'a> TestRun<Opts<'a> = TestRunOptions<'a>, Result = TestRunResult>,
{
    let options = TestRunOptions { data_in: Some(frame), ..TestRunOptions::default() };
    Ok(program.test_run(options).context("the kernel refuses the test run")?.return_value)
}
