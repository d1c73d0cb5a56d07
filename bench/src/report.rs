//! All that was measured, and on what.

use std::{fmt, fs, path::Path};

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::{changes, classifier, path, plot, policies::Family};

/// All that was measured.
#[derive(Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) classifier: Option<classifier::Report>,
    pub(crate) changes: Option<changes::Report>,
    pub(crate) path: Option<path::Report>,
}

/// Where it was measured.
#[derive(Serialize)]
pub(crate) struct Machine {
    kernel: String,
    processor: String,
    processors: usize,
    mitigations: Vec<String>,
    /// How many processes wanted to run on average, in the minute before: this benchmark, and what else there is.
    load: f64,
}

/// The vulnerabilities whose mitigations change what a call costs.
const OF_INTEREST: [&str; 3] = ["spectre_v2", "spec_rstack_overflow", "retbleed"];

impl Machine {
    pub(crate) fn of_this_run() -> Result<Self> {
        let cpus = fs::read_to_string("/proc/cpuinfo")?;
        let models: Vec<&str> = cpus.lines().filter_map(|line| line.strip_prefix("model name\t: ")).collect();
        let mitigation = |name: &&str| {
            let text = fs::read_to_string(format!("/sys/devices/system/cpu/vulnerabilities/{name}"));
            text.map_or_else(|_| format!("{name}: unknown"), |text| format!("{name}: {}", text.trim()))
        };
        Ok(Self {
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            processor: models.first().copied().unwrap_or("unknown").to_owned(),
            processors: models.len(),
            mitigations: OF_INTEREST.iter().map(mitigation).collect(),
            load: fs::read_to_string("/proc/loadavg")?.split(' ').next().unwrap_or_default().parse()?,
        })
    }
}

impl Report {
    /// Leaves the tables, the figures and the pictures in a directory.
    pub(crate) fn write(&self, directory: &Path) -> Result<()> {
        fs::create_dir_all(directory).with_context(|| format!("cannot make `{}`", directory.display()))?;
        let write = |name: &str, text: String| {
            let file = directory.join(name);
            fs::write(&file, text).with_context(|| format!("cannot write `{}`", file.display()))
        };
        write("performance.json", serde_json::to_string_pretty(self)?)?;
        write("performance.md", format!("{self}\n"))?;
        let Some(classifier) = &self.classifier else { return Ok(()) };
        for (family, name) in [(Family::V4, "IPv4"), (Family::V6, "IPv6")] {
            let title = format!("{name}: what the decision on one packet costs");
            write(&format!("growth-{}.svg", name.to_lowercase()), plot::growth(&title, &classifier.growth(family))?)?;
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { machine, classifier, changes, path } = self;
        write!(formatter, "{machine}")?;
        if let Some(classifier) = classifier {
            write!(formatter, "\n\n{classifier}")?;
        }
        if let Some(changes) = changes {
            write!(formatter, "\n\n{changes}")?;
        }
        match path {
            Some(path) => write!(formatter, "\n\n{path}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kernel, processor, processors, mitigations, load } = self;
        let mitigations = mitigations.join("; ");
        write!(formatter, "Linux {kernel}, {processors} CPUs of {processor}, load {load}. {mitigations}.")
    }
}
