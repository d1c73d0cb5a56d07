//! What is let in while the filter runs, beside the policy.

#![expect(clippy::expect_used, reason = "a test that cannot go on panics")]

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use tests::{
    scene::{SCANNER, Scene, packets},
    service::Service,
};

fn entries(scene: &Scene) -> Vec<Value> {
    let list = scene.sipwall(&["allow", "list", "--json"]);
    list.assert_done();
    list.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn judged(scene: &Scene, source: &str, port: u16) -> Value {
    let to = format!("198.51.100.10:{port}");
    scene.sipwall(&["explain", "--live", "eth0", "--json", "udp", &format!("{source}:5060"), &to]).json()
}

#[test]
fn what_is_added_is_let_in_counted_and_shown_until_it_is_removed() {
    let scene = Scene::new();
    let policy = scene.policy("policy.toml", &[]);
    scene.attach(&policy);
    assert_eq!(scene.datagrams("scanner", 5070), 0);
    assert_eq!(judged(&scene, SCANNER, 5070)["reason"], "source_unlisted");
    let add = ["allow", "add", SCANNER, "2001:db8:9::/48", "--udp", "5070,6000-6010", "--tcp", "22", "--name", "guest"];
    scene.sipwall(&[&add[..], &["--comment", "a \x1b[31mred\nguest"]].concat()).assert_done();
    assert_eq!(scene.datagrams("scanner", 5070), 3);
    assert!(scene.connects("scanner", 22));
    assert_eq!(scene.datagrams("scanner", 5071), 0);
    let stats = scene.stats();
    assert!(packets(&stats, "rule", "allow/guest", None) >= 6, "{stats}");
    let judgement = judged(&scene, SCANNER, 5070);
    assert_eq!((&judgement["action"], &judgement["rule"]), (&"pass".into(), &"allow/guest".into()), "{judgement}");
    assert_eq!(judgement["live_allow"]["name"], "guest", "{judgement}");
    let entry = &entries(&scene)[0];
    assert_eq!(entry["from"], serde_json::json!(["192.0.2.99/32", "2001:db8:9::/48"]));
    assert_eq!((&entry["udp"], &entry["tcp"]), (&serde_json::json!(["5070", "6000-6010"]), &serde_json::json!(["22"])));
    assert_eq!(entry["comment"], "a \x1b[31mred\nguest");
    let shown = scene.sipwall(&["allow", "list"]).stdout;
    assert!(shown.contains("a \\u{1b}[31mred\\nguest") && !shown.contains('\x1b'), "{shown}");
    // It is no part of the policy, and outlives one.
    scene.sipwall(&["diff", &policy]).assert_done();
    let other = scene.policy("other.toml", &[("name = \"ssh\"", "name = \"shell\"")]);
    scene.sipwall(&["apply", &other]).assert_done();
    assert_eq!(scene.datagrams("scanner", 5070), 3);
    assert_eq!(scene.status()["live"]["allow_count"], 1);
    // The deny list is before it.
    scene.sipwall(&["deny", "add", SCANNER, "--comment", "enough"]).assert_done();
    assert_eq!(scene.datagrams("scanner", 5070), 0);
    let judgement = judged(&scene, SCANNER, 5070);
    assert_eq!((&judgement["reason"], &judgement["denied"]["comment"]), (&"denied".into(), &"enough".into()));
    scene.sipwall(&["deny", "remove", SCANNER]).assert_done();
    scene.sipwall(&["allow", "remove", "guest", "nobody"]).assert_failed(1, "`nobody` was not added on `eth0`");
    assert_eq!(scene.datagrams("scanner", 5070), 0);
    assert!(entries(&scene).is_empty());
    let counted = packets(&scene.stats(), "rule", "allow/guest", None);
    assert!(counted >= 9, "counters do not go back: {counted}");
    // Detaching ends what is live.
    scene.sipwall(&["allow", "add", SCANNER, "--udp", "5070"]).assert_done();
    scene.sipwall(&["detach", "eth0"]).assert_done();
    scene.attach(&policy);
    assert!(entries(&scene).is_empty());
}

#[test]
fn what_is_let_in_for_a_time_ends_by_itself() {
    let scene = Scene::new();
    scene.attach(&scene.policy("policy.toml", &[]));
    let begun = Instant::now();
    scene.sipwall(&["allow", "add", SCANNER, "--udp", "5070", "--for", "8s"]).assert_done();
    assert_eq!(scene.datagrams("scanner", 5070), 3);
    let entry = &entries(&scene)[0];
    assert_eq!(entry["name"], "192-0-2-99");
    assert!((1..=8).contains(&entry["expires_in_seconds"].as_u64().expect("a number")), "{entry}");
    assert!((1..=8).contains(&scene.status()["live"]["next_expires_in_seconds"].as_u64().expect("a number")));
    // No process is alive that could end it.
    thread::sleep(Duration::from_millis(8200).saturating_sub(begun.elapsed()));
    assert_eq!(scene.datagrams("scanner", 5070), 0);
    assert!(entries(&scene).is_empty());
    assert_eq!(judged(&scene, SCANNER, 5070)["reason"], "source_unlisted");
    // What is added again under its name lasts as long as is said then.
    scene.sipwall(&["allow", "add", SCANNER, "--udp", "5070", "--for", "1h", "--comment", "once"]).assert_done();
    scene.sipwall(&["allow", "add", SCANNER, "--udp", "5070"]).assert_done();
    let entry = &entries(&scene)[0];
    assert_eq!((&entry["expires_in_seconds"], &entry["comment"]), (&Value::Null, &"once".into()));
    scene.sipwall(&["allow", "remove", SCANNER]).assert_done();
}

#[test]
fn what_cannot_be_let_in_is_refused_by_name_and_changes_nothing() {
    let scene = Scene::new();
    scene.attach(&scene.policy("policy.toml", &[]));
    scene.sipwall(&["allow", "add", SCANNER, "--udp", "5070", "--name", "guest"]).assert_done();
    let refused = |arguments: &[&str], code, message: &str| {
        scene.sipwall(&[&["allow", "add"], arguments].concat()).assert_failed(code, message);
    };
    refused(&[SCANNER, "--udp", "5071", "--name", "guest"], 1, "`guest` lets in something else on `eth0` already");
    let many: Vec<String> = (1..=64).map(|port| (2 * port).to_string()).collect();
    refused(
        &[SCANNER, "--tcp", &many.join(","), "--name", "many"],
        1,
        "with `many` the live allows would need 65 of 64",
    );
    refused(&[SCANNER], 2, "--tcp <PORTS>");
    refused(&[SCANNER, "--tcp", "0"], 2, "port 0 is outside 1-65535");
    refused(&["192.0.2.99/24", "--tcp", "22"], 2, "it has host bits");
    refused(&[SCANNER, "--protocol", "nonsense"], 2, "neither a number from 0 to 255 nor a known protocol");
    refused(&["2001:db8:1111:2222:3333:4444:5555:6666", "--tcp", "22"], 2, "give one with `--name`");
    refused(&[SCANNER, "--tcp", "22", "--comment", &"x".repeat(128)], 2, "longer than 127 octets");
    assert_eq!(entries(&scene).len(), 1);
    assert_eq!(scene.datagrams("scanner", 5070), 3);
}

#[test]
fn what_is_saved_becomes_part_of_the_policy_which_keeps_its_comments() {
    let scene = Scene::new();
    let path = scene.policy("policy.toml", &[]);
    let link = scene.path("link.toml");
    symlink(&path, &link).expect("a link");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("a mode");
    let before = fs::read_to_string(&path).expect("the policy");
    scene.attach(&path);
    let add = ["allow", "add", SCANNER, "--udp", "5070", "--name", "guest", "--comment", "until Friday", "--save"];
    scene.sipwall(&[&add[..], &["--policy", &link]].concat()).assert_done();
    let saved = fs::read_to_string(&path).expect("the policy");
    let table = "# until Friday\n[[allow]]\nname = \"guest\"\nfrom = [\"192.0.2.99\"]\nudp = [5070]\n";
    assert!(saved.contains(table) && saved.starts_with("# What the packet tables are judged by."), "{saved}");
    assert!(saved.replacen(&format!("\n{table}"), "", 1) == before, "{saved}");
    let metadata = fs::metadata(&path).expect("the policy");
    assert_eq!((metadata.mode() & 0o777, metadata.uid()), (0o640, 0));
    assert!(fs::symlink_metadata(&link).expect("the link").is_symlink());
    // From `apply` on the policy has it: without the live entry it is let in still, and counted for the same rule.
    scene.sipwall(&["apply", &path]).assert_done();
    scene.sipwall(&["allow", "remove", "guest"]).assert_done();
    assert_eq!(scene.datagrams("scanner", 5070), 3);
    scene.sipwall(&["allow", "remove", "guest", "--save", "--policy", &path]).assert_done();
    assert_eq!(fs::read_to_string(&path).expect("the policy"), before);
    // What does not compile, or ends, is not saved and not put in force.
    let long = ["allow", "add", SCANNER, "--tcp", "5070", "--name", "ssh", "--save", "--policy", &path];
    scene.sipwall(&long).assert_failed(2, "the policy has an `[[allow]]` named `ssh` already");
    let timed = ["deny", "add", SCANNER, "--for", "1h", "--save", "--policy", &path];
    scene.sipwall(&timed).assert_failed(2, "cannot be used with");
    let broken = scene.policy("broken.toml", &[("sip-udp = [5060]", "sip-udp = [0]")]);
    scene.sipwall(&["deny", "add", SCANNER, "--save", "--policy", &broken]).assert_failed(2, "the policy is refused");
    assert_eq!(fs::read_to_string(&path).expect("the policy"), before);
    assert!(entries(&scene).is_empty());
    scene.sipwall(&["deny", "add", SCANNER, "--save", "--policy", &path]).assert_done();
    let denied = fs::read_to_string(&path).expect("the policy");
    assert_eq!(denied, format!("{before}\n[[deny]]\nname = \"added\"\nfrom = [\"192.0.2.99\"]\n"));
    scene.sipwall(&["deny", "remove", SCANNER, "--save", "--policy", &path]).assert_done();
    assert_eq!(fs::read_to_string(&path).expect("the policy"), before);
}

#[test]
fn what_runs_is_explained_with_the_line_of_its_policy_file() {
    let scene = Scene::new();
    let policy = scene.policy("policy.toml", &[]);
    scene.attach(&policy);
    let explain = |more: &[&str], source: &str| {
        let arguments = ["explain", "--live", "eth0", "--json", "udp", source, "198.51.100.10:5060"];
        scene.sipwall(&[&arguments[..], more].concat())
    };
    let by_file = scene
        .sipwall(&["explain", "--policy", &policy, "--json", "udp", "203.0.113.17:5060", "198.51.100.10:5060"])
        .json();
    let live = explain(&["--policy", &policy], "203.0.113.17:5060").json();
    assert!(live["origin"]["line"].as_u64() > Some(0), "{live}");
    for key in ["rule", "matched_prefix", "origin"] {
        assert_eq!(live[key], by_file[key], "{key}");
    }
    let denied = explain(&["--policy", &policy], "192.0.2.33:5060").json();
    assert_eq!((&denied["reason"], &denied["matched_prefix"]), (&"denied".into(), &"192.0.2.33/32".into()), "{denied}");
    let shown = scene.sipwall(&[
        "explain",
        "--live",
        "eth0",
        "--policy",
        &policy,
        "udp",
        "203.0.113.17:5060",
        "198.51.100.10:5060",
    ]);
    assert!(shown.stdout.contains("origin   allowlist `carrier.toml`, line "), "{shown:?}");
    // A file that does not run says nothing of what does.
    let other = scene.policy("other.toml", &[("name = \"ssh\"", "name = \"shell\"")]);
    let live = explain(&["--policy", &other], "203.0.113.17:5060");
    assert!(live.stderr.contains("other.toml` is not what runs"), "{live:?}");
    assert_eq!(live.json()["origin"], Value::Null);
    // Without one it is the file that was put in force.
    let live = explain(&[], "203.0.113.17:5060").json();
    assert_eq!(live["origin"], by_file["origin"], "{live}");
    // And the service's, where the filter has only the end of its path.
    let policy = scene.policy(&format!("{}.toml", "long-".repeat(20)), &[("name = \"ssh\"", "name = \"shell\"")]);
    scene.sipwall(&["apply", &policy]).assert_done();
    let live = explain(&["--runtime", &scene.path("run")], "203.0.113.17:5060").json();
    assert_eq!(live["origin"], Value::Null, "{live}");
    let service = Service::start(&scene, &policy);
    let runtime = scene.path("run");
    service.await_status("it says how it is", |status| !status["service"]["interfaces"]["eth0"].is_null());
    let live = explain(&["--runtime", &runtime], "203.0.113.17:5060").json();
    assert_eq!(live["origin"], by_file["origin"], "{live}");
}

#[test]
fn what_lacks_names_every_way_to_give_it() {
    let scene = Scene::new();
    let add = scene.sipwall(&["allow", "add", "192.0.2.7"]);
    add.assert_failed(2, "<--tcp <PORTS>|--udp <PORTS>|--protocol <PROTOCOL>>");
    let explain = scene.sipwall(&["explain", "udp", "192.0.2.7:5060", "198.51.100.10:5060"]);
    explain.assert_failed(2, "<--policy <FILE>|--live <INTERFACE>>");
    let attach = scene.sipwall(&["attach", "eth0"]);
    attach.assert_failed(2, "no policy file is named\nhint: `--policy FILE`, or as a word");
    assert!(!attach.stderr.contains("Usage: sipwall <COMMAND>"), "nothing that helps: {attach:?}");
}
