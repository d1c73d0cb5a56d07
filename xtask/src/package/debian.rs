//! The Debian package: a staged tree that `dpkg-deb` packs.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use super::{VERSION, tree::Tree};
use crate::workspace;

/// What is shipped under its path and may be changed by the operator.
const CONFIGURATION: &str = "etc/sipwall/policy.toml";

/// Where its documents are.
const DOCUMENTS: &str = "usr/share/doc/sipwall";

/// Makes the package in `output`.
pub(super) fn package(binary: &Path, bill: &str, work: &Path, output: &Path) -> Result<PathBuf> {
    let tree = Tree::new(work.join("deb"))?;
    fill(&tree, binary, bill)?;
    control(&tree)?;
    let package = output.join(format!("sipwall_{VERSION}_amd64.deb"));
    let mut dpkg = Command::new("dpkg-deb");
    dpkg.args(["--root-owner-group", "-Zxz", "--build"]).arg(tree.root()).arg(&package);
    workspace::run(dpkg.stdout(std::process::Stdio::null()))?;
    Ok(package)
}

fn fill(tree: &Tree, binary: &Path, bill: &str) -> Result<()> {
    tree.copy_program(binary, "usr/sbin/sipwall")?;
    tree.copy("packaging/policy.toml", CONFIGURATION)?;
    tree.copy("packaging/sipwall.service", "usr/lib/systemd/system/sipwall.service")?;
    tree.manual(binary, "usr/share/man/man8")?;
    compress(&tree.root().join("usr/share/man/man8"))?;
    tree.completions(binary, "bash", "usr/share/bash-completion/completions/sipwall")?;
    tree.completions(binary, "zsh", "usr/share/zsh/vendor-completions/_sipwall")?;
    tree.completions(binary, "fish", "usr/share/fish/vendor_completions.d/sipwall.fish")?;
    for (file, name) in [
        ("packaging/debian/copyright", "copyright"),
        ("LICENSE-MIT", "LICENSE-MIT"),
        ("LICENSE-APACHE", "LICENSE-APACHE"),
        ("CHANGELOG.md", "changelog"),
        ("examples/policy.toml", "examples/policy.toml"),
        ("packaging/prometheus/sipwall.rules.yml", "examples/sipwall.rules.yml"),
        ("packaging/grafana/sipwall.json", "examples/grafana.json"),
        ("packaging/systemd/fleet.conf", "examples/fleet.conf"),
        ("packaging/kubernetes/sipwall.yaml", "examples/kubernetes.yaml"),
    ] {
        tree.copy(file, &format!("{DOCUMENTS}/{name}"))?;
    }
    tree.copy_all("docs", &format!("{DOCUMENTS}/docs"))?;
    workspace::run(Command::new("gzip").args(["-9n"]).arg(tree.root().join(DOCUMENTS).join("changelog")))?;
    tree.write(&format!("{DOCUMENTS}/sbom.cyclonedx.json"), bill).map(drop)
}

fn compress(directory: &Path) -> Result<()> {
    let pages = fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    workspace::run(Command::new("gzip").args(["-9n"]).args(pages))
}

fn control(tree: &Tree) -> Result<()> {
    // No C library: the binary needs none.
    tree.write(
        "DEBIAN/control",
        format!(
            "Package: sipwall\nVersion: {VERSION}\nArchitecture: amd64\nSection: net\nPriority: optional\n\
             Maintainer: The sipwall developers <sipwall@example.org>\nRecommends: systemd\n\
             Description: XDP ingress filter for SIP and media\n Passes what the providers of a session border \
             controller publish in their\n allowlists and drops everything else on the NIC, under a reason with a \
             name.\n .\n Nothing is attached by the installation: see sipwall(8).\n"
        ),
    )?;
    tree.write("DEBIAN/conffiles", format!("/{CONFIGURATION}\n"))?;
    for script in ["postinst", "prerm", "postrm"] {
        tree.copy_program(&workspace::root().join("packaging/debian").join(script), &format!("DEBIAN/{script}"))?;
    }
    Ok(())
}
