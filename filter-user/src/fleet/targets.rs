//! The fleet's nodes as Prometheus finds them: its service discovery, by file.

use std::collections::BTreeMap;

use serde::Serialize;

use super::state::NodeState;

/// A target of Prometheus with its labels.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct TargetGroup {
    /// Where its metrics are: one host and port.
    pub targets: [String; 1],
    /// The labels; `__scheme__` is how it is asked.
    pub labels: BTreeMap<&'static str, String>,
}

/// The nodes that serve metrics, and the names of those that do not.
pub fn target_groups<'a>(nodes: impl IntoIterator<Item = &'a NodeState>) -> (Vec<TargetGroup>, Vec<&'a str>) {
    let (mut groups, mut without) = (Vec::new(), Vec::new());
    for node in nodes {
        let place = node.metrics.as_deref().and_then(|metrics| metrics.split_once("://"));
        let Some((scheme @ ("http" | "https"), host)) = place else {
            without.push(node.node.as_str());
            continue;
        };
        let mut labels = BTreeMap::from([("__scheme__", scheme.to_owned()), ("node", node.node.clone())]);
        labels.extend(node.group.clone().map(|group| ("group", group)));
        groups.push(TargetGroup { targets: [host.to_owned()], labels });
    }
    (groups, without)
}
