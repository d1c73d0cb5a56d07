//! The dashboard for Grafana in `packaging/`, as Grafana asks Prometheus for it.

use std::fs;

use serde_json::Value;

use crate::packaging::packaging;

/// What Grafana puts in the place of its variables where everything is chosen.
const PUT_IN: [(&str, &str); 3] = [("$__rate_interval", "20s"), ("$instance", ".*"), ("$interface", ".*")];

/// A panel.
#[derive(Clone, Debug)]
pub struct Panel {
    /// What stands above it.
    pub title: String,
    /// Its queries, and nothing in them that Grafana would put in.
    pub queries: Vec<String>,
}

/// The panels, in their order.
pub fn panels() -> Vec<Panel> {
    let queries = |panel: &Value| list(&panel["targets"]).iter().map(query).collect();
    let title = |panel: &Value| panel["title"].as_str().expect("a title").to_owned();
    list(&dashboard()["panels"]).iter().map(|panel| Panel { title: title(panel), queries: queries(panel) }).collect()
}

/// The queries of what is marked in charts.
pub fn annotations() -> Vec<String> {
    list(&dashboard()["annotations"]["list"]).iter().map(query).collect()
}

/// All queries, and nothing in them that Grafana would put in.
pub fn queries() -> Vec<String> {
    panels().into_iter().flat_map(|panel| panel.queries).chain(annotations()).collect()
}

fn dashboard() -> Value {
    let text = fs::read_to_string(packaging("grafana/sipwall.json")).expect("the dashboard");
    serde_json::from_str(&text).expect("JSON")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("{value} is no list"))
}

fn query(target: &Value) -> String {
    let expression = target["expr"].as_str().expect("a query").to_owned();
    let query = PUT_IN.iter().fold(expression, |query, (variable, value)| query.replace(variable, value));
    assert!(!query.contains('$'), "{query}");
    query
}
