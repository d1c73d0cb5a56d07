//! The archive for every other Linux.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use super::{VERSION, tree::Tree};
use crate::workspace;

/// Makes the archive in `output`.
pub(super) fn archive(binary: &Path, bill: &str, work: &Path, output: &Path) -> Result<PathBuf> {
    let name = format!("sipwall-{VERSION}-x86_64-linux");
    let tree = Tree::new(work.join(&name))?;
    tree.copy_program(binary, "sipwall")?;
    tree.manual(binary, "man/man8")?;
    for shell in ["bash", "zsh", "fish"] {
        tree.completions(binary, shell, &format!("completions/sipwall.{shell}"))?;
    }
    for file in ["packaging/policy.toml", "packaging/sipwall.service", "README.md", "CHANGELOG.md"] {
        tree.copy(file, file.rsplit('/').next().unwrap_or(file))?;
    }
    tree.copy_all("docs", "docs")?;
    tree.copy("packaging/prometheus/sipwall.rules.yml", "monitoring/sipwall.rules.yml")?;
    tree.copy("packaging/grafana/sipwall.json", "monitoring/grafana.json")?;
    tree.copy("packaging/systemd/fleet.conf", "fleet.conf")?;
    tree.copy("packaging/kubernetes/sipwall.yaml", "kubernetes/sipwall.yaml")?;
    for file in ["LICENSE-MIT", "LICENSE-APACHE"] {
        tree.copy(file, file)?;
    }
    tree.copy("filter-ebpf/LICENSE-GPL2", "LICENSE-GPL2")?;
    tree.write("sbom.cyclonedx.json", bill)?;
    let archive = output.join(format!("{name}.tar.gz"));
    let mut tar = Command::new("tar");
    tar.args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mtime=@0", "-czf"]).arg(&archive);
    workspace::run(tar.arg("-C").arg(work).arg(&name))?;
    Ok(archive)
}
