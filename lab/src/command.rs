//! Commands, run to their end or until dropped.

use std::{
    io::{self, Write as _},
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// Runs a command with this standard input, and returns what it printed.
///
/// # Errors
/// If it does not start, or fails: then with what it wrote to standard error.
pub fn run(command: &mut Command, input: &str) -> Result<String> {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = feed(piped, input).with_context(|| format!("`{command:?}` does not run"))?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr);
        bail!("`{command:?}` failed ({}): {}", output.status, message.trim());
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn feed(command: &mut Command, input: &str) -> io::Result<Output> {
    let mut child = command.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes())?;
    }
    child.wait_with_output()
}

/// A running command, which is killed when this is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
}

impl Process {
    /// Starts it.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start(command: &mut Command) -> Result<Self> {
        let child = command.spawn().with_context(|| format!("`{command:?}` does not start"))?;
        Ok(Self { child })
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Interrupts it, as Ctrl-C does.
    ///
    /// # Errors
    /// If it has ended and was waited for.
    pub fn interrupt(&self) -> Result<()> {
        Ok(kill_process(Pid::from_child(&self.child), Signal::INT)?)
    }

    /// Waits for its end; none if it did not end in time.
    ///
    /// # Errors
    /// If it cannot be waited for.
    pub fn wait(&mut self, limit: Duration) -> Result<Option<ExitStatus>> {
        let end = Instant::now() + limit;
        loop {
            match self.child.try_wait()? {
                None if Instant::now() < end => std::thread::sleep(Duration::from_millis(10)),
                status => return Ok(status),
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_command_gets_its_input_and_gives_its_output() {
        assert_eq!(run(&mut Command::new("cat"), "text").unwrap(), "text");
    }

    #[test]
    fn a_failing_command_says_why() {
        let error = run(Command::new("sh").args(["-c", "echo reason >&2; exit 3"]), "").unwrap_err();
        assert!(error.to_string().ends_with("failed (exit status: 3): reason"), "{error}");
    }

    #[test]
    fn a_process_ends_when_it_is_interrupted() {
        let mut sleep = Process::start(Command::new("sleep").arg("600")).unwrap();
        sleep.interrupt().unwrap();
        assert!(sleep.wait(Duration::from_mins(1)).unwrap().is_some());
    }

    #[test]
    fn a_process_is_killed_when_it_is_dropped() {
        let mut sleep = Process::start(Command::new("sleep").arg("600")).unwrap();
        assert_eq!(sleep.wait(Duration::from_millis(20)).unwrap(), None);
        let process = Path::new("/proc").join(sleep.child.id().to_string());
        drop(sleep);
        assert!(!process.exists());
    }
}
