//! The bill of materials: every crate that is linked in, where it comes from, and under which licence.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;
use serde_json::{Value, json};
use spdx::{Expression, LicenseItem, ParseMode};

use super::VERSION;
use crate::workspace;

/// The licences that go into a binary which is under MIT or Apache-2.0.
const ACCEPTED: [&str; 10] = [
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Zlib",
];

/// The only place that crates come from.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    source: Option<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    /// `dev` or `build`; nothing for what is linked in.
    kind: Option<String>,
}

/// The bill of what `sipwall` is made of, as `CycloneDX`; an error if a licence or a source is not accepted.
pub(super) fn of_materials() -> Result<String> {
    let mut cargo = workspace::cargo();
    cargo.args(["metadata", "--locked", "--format-version", "1", "--filter-platform", "x86_64-unknown-linux-gnu"]);
    let output = cargo.output().context("`cargo metadata` does not start")?;
    ensure!(output.status.success(), "`cargo metadata` failed: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Metadata =
        serde_json::from_slice(&output.stdout).context("`cargo metadata` printed something else")?;
    let linked = linked(&metadata)?;
    let mut packages: Vec<_> =
        metadata.packages.iter().filter(|package| linked.contains(package.id.as_str())).collect();
    packages.sort_by_key(|package| (&package.name, &package.version));
    let components = packages.iter().map(|package| component(package)).collect::<Result<Vec<_>>>()?;
    let bill = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": { "component": { "type": "application", "name": "sipwall", "version": VERSION } },
        "components": components,
    });
    Ok(format!("{bill:#}\n"))
}

/// The crates that `sipwall` is linked with, itself among them.
fn linked(metadata: &Metadata) -> Result<BTreeSet<&str>> {
    let nodes: BTreeMap<_, _> = metadata.resolve.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
    let user = metadata.packages.iter().find(|package| package.name == "filter-user");
    let mut open = vec![user.context("there is no `filter-user`")?.id.as_str()];
    let mut linked = BTreeSet::new();
    while let Some(id) = open.pop() {
        if linked.insert(id) {
            let node = nodes.get(id).with_context(|| format!("`{id}` is not resolved"))?;
            let links = |dependency: &&Dependency| dependency.dep_kinds.iter().any(|kind| kind.kind.is_none());
            open.extend(node.deps.iter().filter(links).map(|dependency| dependency.pkg.as_str()));
        }
    }
    Ok(linked)
}

fn component(package: &Package) -> Result<Value> {
    let Package { name, version, license, source, .. } = package;
    let license = license.as_deref().with_context(|| format!("`{name}` {version} names no licence"))?;
    check_license(name, license)?;
    ensure!(source.is_none() || source.as_deref() == Some(REGISTRY), "`{name}` {version} is not from crates.io");
    let mut component = json!({
        "type": "library",
        "name": name,
        "version": version,
        "licenses": [{ "expression": license.replace(" / ", "/").replace('/', " OR ") }],
    });
    if source.is_some() {
        component["purl"] = json!(format!("pkg:cargo/{name}@{version}"));
    }
    Ok(component)
}

fn check_license(name: &str, license: &str) -> Result<()> {
    let expression = Expression::parse_mode(license, ParseMode::LAX)
        .map_err(|error| anyhow::anyhow!("the licence of `{name}` cannot be read: {error}"))?;
    let is_accepted = |item: &LicenseItem| item.id().is_some_and(|id| ACCEPTED.contains(&id.name));
    if !expression.evaluate(|requirement| is_accepted(&requirement.license)) {
        bail!(
            "the licence of `{name}`, `{license}`, is not accepted\nhint: `xtask/src/package/bill.rs` has those that are"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_linked_in_has_a_licence_and_a_source_that_are_accepted() {
        let bill: Value = serde_json::from_str(&of_materials().unwrap()).unwrap();
        let names: BTreeSet<_> =
            bill["components"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
        assert!(names.contains("aya") && names.contains("filter-common"), "{names:?}");
        assert!(!names.contains("proptest"), "what tests need is not linked in: {names:?}");
    }

    #[test]
    fn a_licence_that_binds_the_binary_is_refused() {
        assert!(check_license("x", "MIT/Apache-2.0").is_ok());
        assert!(check_license("x", "GPL-3.0-only OR MIT").is_ok());
        assert!(check_license("x", "GPL-3.0-only").is_err());
        assert!(check_license("x", "MIT AND GPL-2.0-only").is_err());
    }
}
