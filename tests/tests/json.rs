//! Every command that prints JSON, held to `docs/json.md`: `sipwall_on` and `sipwall` do so with all that they run.

#![expect(clippy::expect_used, reason = "a test that cannot go on panics")]

use std::{collections::BTreeSet, fs};

use serde_json::{Value, json};
use tests::{
    scene::{CARRIER, SCANNER, Scene, fixture},
    service::wait_for,
    sipwall::{Ended, sipwall},
};

/// The commands that are run here, by the names of their manual pages, in an order that makes something to show. `DIR` is a
/// directory with what they read.
const COMMANDS: &[(&str, &[&str], i32)] = &[
    ("check", &["check", "DIR/policy.toml"], 0),
    ("explain", &["explain", "--policy", "DIR/policy.toml", "udp", "203.0.113.17:5060", "198.51.100.10:5060"], 0),
    ("import", &["import", "DIR/carrier.md"], 0),
    ("allowlists", &["allowlists"], 0),
    ("allowlists-list", &["allowlists", "list"], 0),
    ("allowlists-show", &["allowlists", "show", "twilio-interconnect"], 0),
    ("allowlists-diff", &["allowlists", "diff", "twilio-interconnect", "DIR/carrier.md"], 1),
    ("status", &["status"], 0),
    ("attach", &["attach", "--policy", "DIR/policy.toml"], 0),
    ("deny-load", &["deny", "load", "DIR/bad.txt", "--for", "1h"], 0),
    ("deny-list", &["deny", "list"], 0),
    ("deny-list", &["deny", "list", "--lists"], 0),
    ("allow-list", &["allow", "list"], 0),
    ("explain", &["explain", "--live", "eth0", "udp", "192.0.2.99:5060", "198.51.100.10:5060"], 0),
    ("stats", &["stats"], 0),
    ("stats", &["stats", "--interval", "1s"], 0),
    ("events", &["events", "--octets"], 0),
    ("events", &["events", "--top"], 0),
    ("replay", &["replay", "DIR/drops.pcap", "--policy", "DIR/policy.toml"], 0),
    ("diff", &["diff", "DIR/other.toml"], 1),
    ("apply", &["apply", "DIR/other.toml", "--confirm", "1h"], 0),
    ("status", &["status", "eth0"], 0),
    ("status", &["status"], 0),
    ("refresh", &["refresh", "--policy", "DIR/source.toml", "--state", "DIR/state"], 0),
    ("refresh", &["refresh", "--policy", "DIR/source.toml", "--state", "DIR/state"], 0),
];

/// Those that ask a broker; the tests of the fleet run them.
const OF_A_FLEET: [&str; 8] = [
    "fleet-apply",
    "fleet-deny-list",
    "fleet-diff",
    "fleet-events",
    "fleet-explain",
    "fleet-history",
    "fleet-rollback",
    "fleet-status",
];

const CARRIER_PAGE: &str = "# Carrier\n\n| Component | Protocol | IP address | Port |\n|---|---|---|---|\n\
                            | SBC | UDP | 203.0.113.16/30 | 5060 |\n";

/// A scene with files to read, a filter's drops and a capture of them come as the commands go on.
fn scene() -> Scene {
    let scene = Scene::new();
    scene.policy("policy.toml", &[]);
    scene.policy("other.toml", &[("[sbc]\n", "[sbc]\nmode = \"monitor\"\n")]);
    scene.policy("source.toml", &[("allowlist = \"carrier.toml\"", "source = \"carrier.md\"")]);
    for (name, text) in [("carrier.md", CARRIER_PAGE), ("bad.txt", "198.18.0.0/15\n")] {
        fs::write(scene.path(name), text).expect("a file");
    }
    scene
}

/// Drops, an allow and a denied prefix, for the commands that come then.
fn make_something_to_show(scene: &Scene) {
    assert_eq!((scene.datagrams("carrier", 5060), scene.datagrams("scanner", 5060)), (3, 0));
    scene.sipwall(&["deny", "add", SCANNER, "--for", "1h", "--comment", "a \"scanner\""]).assert_done();
    scene.sipwall(&["allow", "add", "192.0.2.7", "--tcp", "22", "--name", "guest"]).assert_done();
    wait_for("drops are sampled", || {
        let ended = scene.sipwall(&["events", "--pcap", &scene.path("drops.pcap"), "--json"]);
        (ended.stdout.lines().count() == 3).then_some(())
    });
}

#[test]
fn every_command_that_prints_json_prints_it_as_the_page_says() {
    let scene = scene();
    let mut run = BTreeSet::new();
    for (name, arguments, code) in COMMANDS {
        let arguments: Vec<_> = arguments.iter().map(|each| each.replace("DIR/", &scene.path(""))).collect();
        let arguments: Vec<_> = arguments.iter().map(String::as_str).chain(["--json"]).collect();
        let ended = scene.sipwall(&arguments);
        assert_eq!(ended.code, *code, "{arguments:?}: {ended:?}");
        assert!(!ended.stdout.is_empty() || *name == "allow-list", "{arguments:?} prints nothing: {ended:?}");
        run.insert((*name).to_owned());
        if *name == "attach" {
            make_something_to_show(&scene);
        }
    }
    run.extend(OF_A_FLEET.map(str::to_owned));
    assert_eq!(run, with_json(&scene), "those that are run here, and those that have `--json`");
}

/// The commands whose manual page has `--json`.
fn with_json(scene: &Scene) -> BTreeSet<String> {
    let directory = scene.path("man");
    fs::create_dir(&directory).expect("a directory");
    sipwall(&["man", &directory]).assert_done();
    let pages = fs::read_dir(&directory).expect("a directory").map(|page| page.expect("an entry").path());
    let with = pages.filter(|page| fs::read_to_string(page).expect("a page").contains("\\-\\-json"));
    let name = |page: std::path::PathBuf| page.file_stem().expect("a name").to_string_lossy().into_owned();
    with.map(name).map(|name| name.strip_prefix("sipwall-").expect("a command").to_owned()).collect()
}

#[test]
fn a_host_without_a_filter_has_a_status_too() {
    let scene = Scene::new();
    let status = |arguments: &[&str]| -> Ended { scene.sipwall(&[&["status", "--json"], arguments].concat()) };
    let runtime = scene.path("run");
    assert_eq!(
        status(&["--runtime", &runtime]).json(),
        json!({ "filters": [], "other_versions": [], "service": Value::Null })
    );
    scene.attach(fixture("policy.toml").to_str().expect("a plain path"));
    let host = status(&["--runtime", &runtime]).json();
    let one = status(&["eth0", "--runtime", &runtime]).json();
    assert_eq!(host["filters"].as_array().map(Vec::len), Some(1), "{host}");
    for (key, value) in host["filters"][0].as_object().expect("an object") {
        assert_eq!(&one[key], value, "{key}");
    }
    assert_eq!((&one["attach_mode"], &one["interface"]), (&"native".into(), &"eth0".into()));
    assert_eq!(scene.datagrams("carrier", 5060), 3, "{CARRIER}");
}
