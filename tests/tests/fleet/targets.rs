//! The fleet as Prometheus and Grafana see it.

use std::{fs, os::unix::fs::PermissionsExt as _, process::Stdio};

use lab::Process;
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};
use tests::{grafana::queries, packaging::packaging, prometheus::Prometheus, service::wait_for};

use crate::world::{Broker, Node, World, node_address};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// Lets a node serve its metrics to whoever brings the token, and the operator's host ask; returns the arguments.
fn metrics(world: &World, number: usize) -> Vec<String> {
    let key = KeyPair::generate().expect("a key");
    let certificate = CertificateParams::new(vec![node_address(number)]).expect("a name").self_signed(&key);
    let path = |name: &str| world.path(&format!("sbc{number}.{name}"));
    world.write(&format!("sbc{number}.pem"), &certificate.expect("a certificate").pem());
    world.write(&format!("sbc{number}.key"), &key.serialize_pem());
    world.write("token", TOKEN);
    for file in [path("key"), world.path("token")] {
        fs::set_permissions(file, fs::Permissions::from_mode(0o600)).expect("its mode");
    }
    let own = fs::read_to_string(path("toml")).expect("a file");
    let allow = "[[allow]]\nname = \"prometheus\"\nfrom = [\"192.0.2.20\"]\ntcp = [9464]\n";
    world.write(&format!("sbc{number}.toml"), &format!("{own}\n{allow}"));
    let address = format!("{}:9464", node_address(number));
    let files = [path("pem"), path("key"), world.path("token")];
    ["--listen", &address, "--listen-certificate", &files[0], "--listen-key", &files[1], "--listen-token", &files[2]]
        .map(str::to_owned)
        .to_vec()
}

#[test]
fn prometheus_finds_the_nodes_and_every_query_of_the_fleet_s_row_answers() {
    let world = World::new(1, 2);
    let broker = Broker::start(&world, 1);
    world.init();
    let nodes: Vec<_> = [1, 2]
        .into_iter()
        .map(|number| {
            world.configure_more(number, "events = 5\n");
            let arguments = metrics(&world, number);
            Node::start_with(&world, number, &[], &arguments.iter().map(String::as_str).collect::<Vec<_>>())
        })
        .collect();
    wait_for("the nodes say something", || (world.states().len() == 2).then_some(()));
    let shown = world.operate(&["targets"]);
    let target = |number: usize| {
        json!({
            "targets": [format!("{}:9464", node_address(number))],
            "labels": { "__scheme__": "https", "node": format!("sbc{number}"), "group": "edge" },
        })
    };
    let found: Value = serde_json::from_str(&shown.stdout).expect("JSON");
    assert_eq!(found, json!([target(1), target(2)]), "{shown:?}");
    let other = world.operate(&["targets", "--group", "core"]);
    assert_eq!((other.code, other.stdout.trim()), (0, "[]"), "{other:?}");
    let file = world.path("targets.json");
    let mut follow = world.operation(&["targets", "--output", &file, "--follow"]);
    let _follow = Process::start(follow.stdin(Stdio::null()).stdout(Stdio::null())).expect("it starts");
    wait_for("the file is there", || fs::metadata(&file).ok());
    assert_eq!(fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o644);
    world.apply(&world.path("policy.toml"), &["--canary", "0"]).assert_done();
    let job = format!(
        "file_sd_configs: [{{ files: [\"{file}\"], refresh_interval: 1s }}]\n    tls_config: {{ insecure_skip_verify: true }}\n    \
         authorization: {{ credentials_file: \"{}\" }}",
        world.path("token")
    );
    let rules = packaging("prometheus/sipwall.rules.yml").canonicalize().expect("the rules");
    let ask = || {
        let prometheus = Prometheus::start_with(9090, &job, &rules);
        wait_for("both nodes are scraped, and follow", || {
            let follows = "sipwall_fleet_revision_running{node=~\"sbc.\", group=\"edge\"} == 1";
            (prometheus.query(follows).len() == 2 && prometheus.query("up == 1").len() == 2).then_some(())
        });
        let of_fleet: Vec<_> = queries().into_iter().filter(|query| query.contains("sipwall_fleet_")).collect();
        assert_eq!(of_fleet.len(), 6);
        for query in of_fleet {
            wait_for(&query, || (!prometheus.query(&query).is_empty()).then_some(()));
        }
        for named in ["sipwall_fleet_info{fleet_node=\"sbc2\", fleet_group=\"edge\"}", "sipwall_fleet_connected == 1"] {
            assert!(!prometheus.query(named).is_empty(), "{named}");
        }
        prometheus
    };
    let prometheus = world.host("ops").enter(ask).expect("a host");
    // What nodes went away from stays: an alert is to tell of it.
    drop((broker, nodes));
    let gone = || wait_for("they are missed", || (prometheus.query("up == 0").len() == 2).then_some(()));
    world.host("ops").enter(gone).expect("a host");
    let file: Value = serde_json::from_str(&fs::read_to_string(&file).expect("a file")).expect("JSON");
    assert_eq!(file, json!([target(1), target(2)]));
}

#[test]
fn a_node_whose_metrics_nobody_else_reaches_is_no_target_unless_it_says_where_they_are() {
    let world = World::new(1, 2);
    world.configure_more(2, "metrics = \"http://[2001:db8::2]:9464\"\n");
    let _broker = Broker::start(&world, 1);
    world.init();
    let local = ["--listen", "127.0.0.1:9464"];
    let _nodes = [1, 2].map(|number| Node::start_with(&world, number, &[], &local));
    wait_for("the nodes say something", || (world.states().len() == 2).then_some(()));
    let shown = world.operate(&["targets"]);
    assert!(shown.code == 0 && shown.stderr.contains("sbc1: no metrics that others reach"), "{shown:?}");
    let found: Value = serde_json::from_str(&shown.stdout).expect("JSON");
    assert_eq!(found.as_array().map(Vec::len), Some(1), "{found}");
    assert_eq!(found[0]["targets"], json!(["[2001:db8::2]:9464"]));
}
