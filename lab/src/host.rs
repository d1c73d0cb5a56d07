//! A host: a network namespace, and a mount namespace with a `/sys` of its own.

use std::{
    env,
    ffi::OsStr,
    fs::{self, File},
    os::fd::AsFd as _,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, ensure};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe};

use crate::{
    command::run,
    identity::{Identity, NAMESPACES},
};

/// How long a link may take to come up.
const LINK_LIMIT: Duration = Duration::from_secs(10);

/// A host of a lab.
///
/// Its mount namespace outlives the commands that run in it, so that what one of them pins in the BPF file system on
/// `/sys/fs/bpf` is there for the next.
#[derive(Debug)]
pub struct Host {
    number: u8,
    name: String,
    namespace: String,
    mounts: PathBuf,
}

impl Host {
    pub(crate) fn new(lab: Identity, number: u8, name: &str) -> Result<Self> {
        let host =
            Self { number, name: name.to_owned(), namespace: lab.namespace(name), mounts: lab.directory().join(name) };
        run(Command::new("ip").args(["netns", "add", &host.namespace]), "")?;
        host.make_mounts()?;
        host.ip("link set dev lo up\n")?;
        // Else no socket could be bound to an address of a network that is borne as a whole.
        host.set("net/ipv6/ip_nonlocal_bind", "1")?;
        // Addresses here are unique: nothing need wait until duplicates are ruled out.
        host.set("net/ipv6/conf/default/accept_dad", "0")?;
        Ok(host)
    }

    /// Its name in the lab's plan.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its number in the lab; the core's is 0.
    pub(crate) fn number(&self) -> u8 {
        self.number
    }

    /// The hardware address of its NIC, a locally administered one.
    pub fn mac(&self) -> [u8; 6] {
        [2, 0, 0, 0, self.number, 2]
    }

    /// The hardware address of the core's end of its link, from which it receives everything.
    pub fn gateway_mac(&self) -> [u8; 6] {
        [2, 0, 0, 0, self.number, 1]
    }

    /// Its network namespace, as `ip netns` names it.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The command line that runs something there, without the command itself.
    pub fn entry(&self) -> [String; 4] {
        [
            "nsenter".to_owned(),
            format!("--net={NAMESPACES}/{}", self.namespace),
            format!("--mount={}", self.mounts.display()),
            "--".to_owned(),
        ]
    }

    /// A command that will run there, in the current directory.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let [nsenter, net, mount, end] = self.entry();
        let mut command = Command::new(nsenter);
        command.args([net, mount]);
        if let Ok(directory) = env::current_dir() {
            command.arg(format!("--wdns={}", directory.display()));
        }
        command.arg(end).arg(program);
        command
    }

    /// Does something there. Sockets opened meanwhile remain the host's.
    ///
    /// # Errors
    /// If the namespace cannot be entered.
    pub fn enter<T: Send>(&self, action: impl FnOnce() -> T + Send) -> Result<T> {
        self.within(|| self.enter_network(), action)
    }

    /// Does something there with its mounts too: its `/sys`, and the BPF file system below it.
    ///
    /// # Errors
    /// If a namespace cannot be entered.
    pub fn inhabit<T: Send>(&self, action: impl FnOnce() -> T + Send) -> Result<T> {
        let enter = || {
            self.enter_network()?;
            // SAFETY: no file descriptor is closed or shared otherwise than before; the thread's root and working directory
            // become its own, without which it may not change its mounts.
            unsafe { unshare_unsafe(UnshareFlags::FS) }.context("cannot have a root of its own")?;
            move_into(&self.mounts, LinkNameSpaceType::Mount)
        };
        self.within(enter, action)
    }

    /// A namespace is entered by one thread, which ends with the action.
    fn within<T: Send>(
        &self,
        enter: impl FnOnce() -> Result<()> + Send,
        action: impl FnOnce() -> T + Send,
    ) -> Result<T> {
        let inside = || -> Result<T> {
            enter()?;
            Ok(action())
        };
        let outcome = thread::scope(|scope| scope.spawn(inside).join());
        outcome.map_err(|_| anyhow!("what ran in `{}` panicked", self.namespace))?
    }

    fn enter_network(&self) -> Result<()> {
        move_into(&Path::new(NAMESPACES).join(&self.namespace), LinkNameSpaceType::Network)
    }

    /// Runs the lines of an `ip -batch` there.
    pub(crate) fn ip(&self, lines: &str) -> Result<()> {
        run(Command::new("ip").args(["-n", &self.namespace, "-batch", "-"]), lines)?;
        Ok(())
    }

    /// Makes a router of it.
    pub(crate) fn forward(&self) -> Result<()> {
        self.set("net/ipv4/ip_forward", "1")?;
        self.set("net/ipv6/conf/all/forwarding", "1")
    }

    /// Waits until its interfaces carry traffic: a link that was just set up drops what is sent at once.
    pub(crate) fn await_links(&self) -> Result<()> {
        let end = Instant::now() + LINK_LIMIT;
        loop {
            let links =
                run(Command::new("ip").args(["-n", &self.namespace, "-brief", "link", "show", "type", "veth"]), "")?;
            if links.lines().all(|link| link.split_whitespace().nth(1) == Some("UP")) {
                return Ok(());
            }
            ensure!(Instant::now() < end, "the links of `{}` do not come up: {links}", self.namespace);
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Changes a kernel setting of the network namespace.
    fn set(&self, setting: &str, value: &str) -> Result<()> {
        let path = Path::new("/proc/sys").join(setting);
        self.enter(|| fs::write(&path, value))?.with_context(|| format!("cannot set `{setting}`"))
    }

    /// A mount namespace, held by a file as `ip netns` does for network namespaces.
    fn make_mounts(&self) -> Result<()> {
        File::create(&self.mounts).with_context(|| format!("cannot make `{}`", self.mounts.display()))?;
        let mut unshare = Command::new("nsenter");
        unshare.arg(format!("--net={NAMESPACES}/{}", self.namespace));
        unshare.arg("unshare").arg(format!("--mount={}", self.mounts.display()));
        // What is unmounted outside must go inside too, or namespaces of other labs would never end.
        unshare.args(["--propagation", "slave"]);
        // A `/sys` mounted inside shows the interfaces of this network namespace, and has no bpffs of its own.
        let mounts = "mount -t sysfs sysfs /sys && mount -t bpf -o mode=0700 bpf /sys/fs/bpf";
        run(unshare.args(["sh", "-c", mounts]), "")?;
        Ok(())
    }
}

/// Moves this thread into the namespace that a file stands for.
fn move_into(namespace: &Path, kind: LinkNameSpaceType) -> Result<()> {
    let file = File::open(namespace).with_context(|| format!("cannot open `{}`", namespace.display()))?;
    move_into_link_name_space(file.as_fd(), Some(kind))
        .with_context(|| format!("cannot enter `{}`", namespace.display()))
}
