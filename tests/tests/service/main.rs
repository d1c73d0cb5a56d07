//! `sipwall run`, end to end: what it keeps in force, what it follows, and what stays when it ends.

#![expect(clippy::expect_used, reason = "a test that cannot go on panics")]

mod by_hand;
mod systemd;
mod waiting;

use std::{
    collections::BTreeSet,
    fs,
    net::UdpSocket,
    os::unix::fs::{PermissionsExt as _, chown},
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};
use tests::ports::bound;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tests::{
    json,
    pins::pins,
    scene::{CARRIER, SBC, SCANNER, SILENCE, Scene, packets},
    service::{Service, status, status_text, wait_for},
};

/// Puts a file in the place of another, all at once.
fn replace(path: &str, text: &str) {
    let new = format!("{path}.new");
    fs::write(&new, text).expect("a file");
    fs::rename(&new, path).expect("a file takes its place");
}

fn read(path: &str) -> String {
    fs::read_to_string(path).expect("a file")
}

#[test]
fn starting_puts_the_policy_in_force_and_stopping_leaves_it() {
    let scene = Scene::new();
    let policy = scene.policy("policy.toml", &[]);
    let mut service = Service::start(&scene, &policy);
    assert_eq!((scene.datagrams("carrier", 5060), scene.datagrams("scanner", 5060)), (3, 0));
    let shown =
        service.await_status("the service says how it is", |shown| !shown["service"]["interfaces"]["eth0"].is_null());
    assert_eq!(shown["service"]["liveness"], "running", "{shown}");
    assert_eq!(shown["service"]["process"], service.process(), "{shown}");
    assert_eq!(shown["service"]["interfaces"]["eth0"]["state"], "enforced", "{shown}");
    assert!(status_text(&scene).contains(&format!("service: process {}, keeps", service.process())));
    service.await_told("STATUS=1 of 1 interfaces filtered by");
    service.signal(Signal::TERM);
    service.await_told("STOPPING=1");
    assert!(service.end().success());
    assert_eq!((scene.datagrams("carrier", 5060), scene.datagrams("scanner", 5060)), (3, 0));
    assert_eq!(status(&scene)["service"], Value::Null);
    assert!(status_text(&scene).contains("service: not running"));
    let again = Service::start(&scene, &policy);
    assert_eq!(status(&scene)["generation"], 1, "{:#?}", again.log());
    assert_eq!(packets(&scene.stats(), "rule", "carrier/sip-udp", None), 6);
}

#[test]
fn a_second_service_is_refused() {
    let scene = Scene::new();
    let policy = scene.policy("policy.toml", &[]);
    let _first = Service::start(&scene, &policy);
    let (state, runtime) = (scene.path("state"), scene.path("run"));
    let second = scene.sipwall(&["run", "--policy", &policy, "--state", &state, "--runtime", &runtime]);
    second.assert_failed(1, "another `sipwall run` is at work");
}

#[test]
fn sighup_reads_the_policy_again_and_what_is_in_force_already_stays() {
    let scene = Scene::new();
    let mut service = Service::start(&scene, &scene.policy("policy.toml", &[]));
    service.signal(Signal::HUP);
    service.await_told("RELOADING=1");
    let since: u64 = service.await_told("MONOTONIC_USEC=")["MONOTONIC_USEC=".len()..].parse().expect("a number");
    assert!(since > 0);
    service.await_told("READY=1");
    service.await_log(&["reading the policy", "SIGHUP"]);
    assert_eq!(status(&scene)["generation"], 1);
}

#[test]
fn a_change_of_the_policy_or_of_a_file_that_it_names_is_put_in_force() {
    let scene = Scene::new();
    fs::write(scene.path("deny.txt"), "").expect("a file");
    let by_file = [("from = [\"192.0.2.33\", \"2001:db8:2:bad::/64\"]", "file = \"deny.txt\"")];
    let policy = scene.policy("policy.toml", &by_file);
    let service = Service::start(&scene, &policy);
    // Written in place.
    scene.policy("policy.toml", &[by_file[0], ("[sbc]\n", "[sbc]\nmode = \"monitor\"\n")]);
    assert_eq!(service.await_generation(2)["mode"], "monitor");
    service.await_log(&["policy in force", "mode: enforce → monitor"]);
    assert_eq!(scene.datagrams("scanner", 5060), 3);
    // Renamed into its place.
    replace(&policy, &read(&policy).replace("mode = \"monitor\"\n", ""));
    assert_eq!(service.await_generation(3)["mode"], "enforce");
    assert_eq!(scene.datagrams("scanner", 5060), 0);
    // An allowlist.
    let allowlist = scene.path("carrier.toml");
    replace(&allowlist, &read(&allowlist).replace("\"203.0.113.16/30\"", "\"203.0.113.16/30\", \"192.0.2.99/32\""));
    service.await_generation(4);
    service.await_log(&["policy in force", "carrier/sip-udp +1 -0 prefixes"]);
    assert_eq!(scene.datagrams("scanner", 5060), 3);
    // A deny list.
    replace(&scene.path("deny.txt"), "192.0.2.99\n");
    assert_eq!(service.await_generation(5)["denied_count"], 1);
    assert_eq!((scene.datagrams("scanner", 5060), scene.datagrams("carrier", 5060)), (0, 3));
}

#[test]
fn a_policy_that_is_refused_leaves_the_old_one_and_is_shown_until_it_is_mended() {
    let scene = Scene::new();
    let policy = scene.policy("policy.toml", &[]);
    let good = read(&policy);
    let service = Service::start(&scene, &policy);
    replace(&policy, &good.replace("[sbc]\n", "[sbc]\nmoad = \"enforce\"\n"));
    let shown = service.await_status("the refusal is shown", |shown| !shown["service"]["refused"].is_null());
    let message = shown["service"]["refused"]["message"].as_str().expect("a text");
    assert!(message.contains("policy.toml:3"), "{shown}");
    assert!(json::instant(&shown["service"]["refused"]["since"]) > 0, "{shown}");
    assert_eq!(shown["generation"], 1);
    service.await_log(&["ERROR", "the policy is refused, what is in force stays", "policy.toml:3"]);
    assert!(status_text(&scene).contains("POLICY REFUSED since"));
    assert_eq!((scene.datagrams("carrier", 5060), scene.datagrams("scanner", 5060)), (3, 0));
    // A service that starts meanwhile keeps what is in force, too.
    assert!(service.end_by(Signal::TERM).success());
    let service = Service::start(&scene, &policy);
    service.await_status("the refusal is shown again", |shown| !shown["service"]["refused"].is_null());
    assert_eq!(scene.datagrams("scanner", 5060), 0);
    replace(&policy, &good);
    service.await_status("it is mended", |shown| shown["service"]["refused"].is_null());
    assert_eq!(status(&scene)["generation"], 1);
}

#[test]
fn without_a_filter_a_policy_that_is_refused_ends_the_start() {
    let scene = Scene::new();
    let policy = scene.policy("policy.toml", &[("[sbc]\n", "[sbc]\nmoad = \"enforce\"\n")]);
    let (state, runtime) = (scene.path("state"), scene.path("run"));
    let ended = scene.sipwall(&["run", "--policy", &policy, "--state", &state, "--runtime", &runtime]);
    ended.assert_failed(2, "policy.toml:3");
    let missing = scene.policy("missing.toml", &[("\"eth0\"", "")]);
    let ended = scene.sipwall(&["run", "--policy", &missing, "--state", &state, "--runtime", &runtime]);
    ended.assert_failed(2, "no interface is named");
    let run = |policy: &str| scene.sipwall(&["run", "--policy", policy, "--state", &state, "--runtime", &runtime]);
    run(&scene.path("nowhere.toml")).assert_failed(2, "nowhere.toml");
    fs::create_dir(scene.path("directory.toml")).expect("a directory");
    run(&scene.path("directory.toml")).assert_failed(2, "directory.toml");
    // The service has given up the right to read what is another user's.
    let foreign = scene.policy("foreign.toml", &[]);
    chown(&foreign, Some(65534), None).expect("root may give files away");
    fs::set_permissions(&foreign, fs::Permissions::from_mode(0o600)).expect("a mode");
    run(&foreign).assert_failed(2, "foreign.toml");
    run(&foreign).assert_failed(2, "Permission denied");
}

/// Makes the SBC's link anew, as the lab made it.
fn make_link(scene: &Scene) {
    let [sbc, core] = [scene.host("sbc"), scene.lab.core().expect("every lab has one")];
    let ip = |host: &lab::Host, line: &str| {
        let ended = host.command("ip").args(line.split_whitespace()).output().expect("`ip` runs");
        assert!(ended.status.success(), "{line}: {ended:?}");
    };
    let peer = format!("link add dev to-sbc type veth peer name eth0 netns {}", sbc.namespace());
    ip(core, &peer);
    ip(core, "address add 172.31.1.1/30 dev to-sbc");
    ip(core, "link set dev to-sbc gro_max_size 1 up");
    ip(sbc, "address add 172.31.1.2/30 dev eth0");
    ip(sbc, &format!("address add {SBC}/32 dev eth0"));
    ip(sbc, "link set dev eth0 gro_max_size 1 up");
    ip(sbc, &format!("route add default via 172.31.1.1 dev eth0 src {SBC}"));
    ip(core, &format!("route add {SBC} via 172.31.1.2 dev to-sbc"));
}

#[test]
fn an_interface_that_goes_and_comes_back_is_filtered_again_with_its_counters() {
    let scene = Scene::new();
    let policy = scene.policy("policy.toml", &[("[sbc]\n", "[sbc]\nreturn_traffic = \"tracked\"\n")]);
    let service = Service::start(&scene, &policy);
    scene.sipwall(&["deny", "add", CARRIER]).assert_done();
    assert_eq!((scene.datagrams("scanner", 5060), scene.datagrams("carrier", 5060)), (0, 0));
    scene.sipwall(&["deny", "remove", CARRIER]).assert_done();
    let deleted = scene.host("sbc").command("ip").args(["link", "delete", "eth0"]).status().expect("`ip` runs");
    assert!(deleted.success());
    service.await_log(&["WARN", "there is no such interface", "eth0"]);
    let shown =
        service.await_status("it is absent", |shown| shown["service"]["interfaces"]["eth0"]["state"] == "absent");
    assert_eq!(shown["running"], false, "{shown}");
    make_link(&scene);
    service.await_log(&["WARN", "the interface was made anew: attached again", "eth0"]);
    let shown =
        service.await_status("it is filtered", |shown| shown["service"]["interfaces"]["eth0"]["state"] == "enforced");
    assert_eq!((&shown["running"], &shown["generation"]), (&true.into(), &1.into()), "{shown}");
    assert_eq!((scene.datagrams("carrier", 5060), scene.datagrams("scanner", 5060)), (3, 0));
    let stats = scene.stats();
    assert_eq!(packets(&stats, "reason", "source_unlisted", Some("drop")), 6, "{stats}");
    assert_eq!(packets(&stats, "reason", "denied", Some("drop")), 3, "{stats}");
    assert_eq!(packets(&stats, "rule", "carrier/sip-udp", None), 3, "{stats}");
    let links = scene.host("sbc").command("ls").arg(format!("{}/eth0", pins())).output().expect("ls runs");
    assert!(!String::from_utf8_lossy(&links.stdout).contains(":new"), "{links:?}");
}

/// Whether the answer to what the SBC asks comes in, which no rule lets in.
fn is_answered(scene: &Scene) -> bool {
    let socket = bound(scene.host("sbc"), || UdpSocket::bind((SBC, 40000)));
    let server = bound(scene.host("scanner"), || UdpSocket::bind((SCANNER, 53)));
    for socket in [&socket, &server] {
        socket.set_read_timeout(Some(SILENCE)).expect("a timeout");
    }
    socket.send_to(b"query", (SCANNER, 53)).expect("a query leaves");
    let mut buffer = [0; 64];
    let (_, from) = server.recv_from(&mut buffer).expect("the query arrives");
    server.send_to(b"answer", from).expect("an answer leaves");
    socket.recv(&mut buffer).is_ok()
}

#[test]
fn a_service_killed_while_it_attaches_again_is_made_up_for_by_the_next_one() {
    let scene = Scene::new();
    let policy = scene.policy("policy.toml", &[("[sbc]\n", "[sbc]\nreturn_traffic = \"tracked\"\n")]);
    scene.attach(&policy);
    let mut steps = 0;
    loop {
        let deleted = scene.host("sbc").command("ip").args(["link", "delete", "eth0"]).status().expect("`ip` runs");
        assert!(deleted.success());
        make_link(&scene);
        let dying = (steps + 1).to_string();
        if Service::launch(&scene, &policy, &[], &[("SIPWALL_DIE_AT_STEP", &dying)]).gets_ready() {
            break;
        }
        steps += 1;
        let _next = Service::start(&scene, &policy);
        let shown = status(&scene);
        assert_eq!((&shown["running"], &shown["generation"]), (&true.into(), &1.into()), "step {steps}: {shown}");
        assert_eq!((scene.datagrams("carrier", 5060), scene.datagrams("scanner", 5060)), (3, 0), "step {steps}");
        assert!(is_answered(&scene), "step {steps}");
        assert_eq!(packets(&scene.stats(), "rule", "carrier/sip-udp", None), 3 * steps, "step {steps}");
    }
    assert!(steps >= 3, "{steps}");
}

#[test]
fn an_interface_that_comes_late_is_filtered_when_it_comes() {
    let scene = Scene::new();
    let policy = scene.policy("policy.toml", &[("\"eth0\"", "\"eth0\", \"late0\"")]);
    let service = Service::start(&scene, &policy);
    service.await_log(&["there is no such interface", "late0"]);
    let added = ["link", "add", "late0", "type", "veth", "peer", "name", "late1"];
    assert!(scene.host("sbc").command("ip").args(added).status().expect("`ip` runs").success());
    service.await_log(&["attached", "late0"]);
    let runtime = scene.path("run");
    let shown = scene.sipwall(&["status", "late0", "--json", "--runtime", &runtime]).json();
    assert_eq!((&shown["running"], &shown["generation"]), (&true.into(), &1.into()), "{shown}");
}

#[test]
fn a_service_killed_under_load_leaves_the_filter_and_the_next_one_goes_on() {
    let scene = Scene::new();
    let policy = scene.policy("policy.toml", &[]);
    let service = Service::start(&scene, &policy);
    let done = AtomicBool::new(false);
    let flood = |from: &str, address: &str| {
        let socket = bound(scene.host(from), || UdpSocket::bind((address, 5060)));
        while !done.load(Ordering::Relaxed) {
            // Nobody listens at the SBC, and a full queue is not what this is about.
            let _ = socket.send_to(b"OPTIONS", (SBC, 5060));
        }
    };
    let counted = |stats: &Value| {
        ["source_unlisted", "arp"]
            .map(|reason| packets(stats, "reason", reason, None))
            .into_iter()
            .chain([packets(stats, "rule", "carrier/sip-udp", None)])
            .sum::<u64>()
    };
    thread::scope(|scope| {
        scope.spawn(|| flood("scanner", SCANNER));
        scope.spawn(|| flood("carrier", CARRIER));
        let busy = wait_for("the flood arrives", || Some(scene.stats()).filter(|stats| counted(stats) > 1000));
        // While it writes: it is killed in the middle of a change, or before, or after.
        fs::write(&policy, read(&policy).replace("[sbc]\n", "[sbc]\nmode = \"enforce\"\n")).expect("a file");
        service.signal(Signal::HUP);
        assert!(!service.end_by(Signal::KILL).success());
        let shown = status(&scene);
        assert_eq!(shown["service"]["liveness"], "dead", "{shown}");
        assert_eq!(
            (&shown["running"], &shown["mode"], &shown["generation"]),
            (&true.into(), &"enforce".into(), &1.into())
        );
        assert!(status_text(&scene).contains("service: DEAD"));
        let before = scene.stats();
        assert!(counted(&before) >= counted(&busy));
        let next = Service::start(&scene, &policy);
        assert_eq!(status(&scene)["generation"], 1, "{:#?}", next.log());
        let on = wait_for("packets go on to be counted", || {
            Some(scene.stats()).filter(|stats| counted(stats) > counted(&before) + 1000)
        });
        assert!(packets(&on, "reason", "source_unlisted", Some("drop")) > 0, "{on}");
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(scene.datagrams("scanner", 5060), 0);
}

#[test]
fn the_watchdog_hears_of_it_again_and_again() {
    let scene = Scene::new();
    let policy = scene.policy("policy.toml", &[]);
    let mut service = Service::launch(&scene, &policy, &[], &[("WATCHDOG_USEC", "1000000")]);
    service.await_told("READY=1");
    for _ in 0..4 {
        service.await_told("WATCHDOG=1");
    }
}

#[test]
fn after_the_start_only_the_capabilities_are_left_that_it_needs() {
    let scene = Scene::new();
    let policy = scene.policy("policy.toml", &[]);
    let service = Service::start(&scene, &policy);
    // CAP_NET_ADMIN, CAP_PERFMON and CAP_BPF, by their numbers in `capability.h`.
    let needed = (1_u64 << 12) | (1 << 38) | (1 << 39);
    let tasks = fs::read_dir(format!("/proc/{}/task", service.process())).expect("it runs");
    for task in tasks {
        let status = read(task.expect("a thread").path().join("status").to_str().expect("a plain path"));
        let field = |name: &str| {
            let line =
                status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name} in {status}"));
            line.trim().to_owned()
        };
        for set in ["CapPrm:", "CapEff:", "CapBnd:"] {
            assert_eq!(u64::from_str_radix(&field(set), 16), Ok(needed), "{set} in {status}");
        }
        for set in ["CapInh:", "CapAmb:"] {
            assert_eq!(u64::from_str_radix(&field(set), 16), Ok(0), "{set} in {status}");
        }
        assert_eq!(field("NoNewPrivs:"), "1", "{status}");
    }
    // They are enough for a new policy.
    scene.policy("policy.toml", &[("[sbc]\n", "[sbc]\nmode = \"monitor\"\nreturn_traffic = \"tracked\"\n")]);
    assert_eq!(service.await_generation(2)["mode"], "monitor");
}

#[test]
fn the_log_is_for_people_for_programs_or_for_the_journal() {
    let scene = Scene::new();
    let policy = scene.policy("policy.toml", &[]);
    let mut human = Service::launch(&scene, &policy, &[], &[]);
    human.await_told("READY=1");
    let line = human.await_log(&["attached", "interface=\"eth0\"", "generation=1"]);
    assert!(line.contains("Z  INFO attached"), "{line}");
    drop(human);
    let mut json = Service::launch(&scene, &policy, &["--log", "json"], &[]);
    json.await_told("READY=1");
    replace(&policy, &read(&policy).replace("[sbc]\n", "[sbc]\nmode = \"monitor\"\n"));
    let line = json.await_log(&["policy in force"]);
    let event: Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(
        (&event["level"], &event["interface"], &event["generation"]),
        (&"INFO".into(), &"eth0".into(), &2.into())
    );
    assert_eq!(event["changes"], "mode: enforce → monitor", "{line}");
    assert!(json.log().iter().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{:#?}", json.log());
    drop(json);
    let mut journal = Service::launch(&scene, &policy, &[], &[("JOURNAL_STREAM", "8:1")]);
    journal.await_told("READY=1");
    replace(&policy, "[sbc]\nmoad = 1\n");
    let line = journal.await_log(&["the policy is refused"]);
    assert!(line.starts_with("<3>"), "{line}");
    assert!(
        journal.log().iter().all(|line| line.starts_with('<') && line[2..].starts_with('>')),
        "{:#?}",
        journal.log()
    );
    assert!(journal.log()[0].starts_with("<6>starting"), "{:#?}", journal.log());
}

#[test]
fn what_a_source_states_anew_is_put_in_force_and_what_is_refused_is_shown() {
    let scene = Scene::new();
    let publish = |addresses: &[&str]| {
        let rows: Vec<_> = addresses.iter().map(|address| format!("| SBC | UDP | {address} | 5060 |")).collect();
        let head = "# Acme\n\n| Service | Protocol | IP address | Port |\n|---|---|---|---|\n";
        replace(&scene.path("acme.md"), &format!("{head}{}\n", rows.join("\n")));
    };
    publish(&[CARRIER]);
    let policy = scene.path("policy.toml");
    let text = "[sbc]\ninterfaces = [\"eth0\"]\n[sbc.listen]\nsip-udp = [5060]\n[[provider]]\nname = \"acme\"\nsource = \"acme.md\"\n";
    fs::write(&policy, text).expect("a file");
    let service = Service::start(&scene, &policy);
    service.await_log(&["a source states something else, which is accepted", "acme"]);
    wait_for("it is kept", || {
        let mut kept = fs::read_dir(scene.path("state")).ok()?.filter_map(Result::ok);
        kept.any(|file| file.file_name().to_string_lossy().starts_with("acme@")).then_some(())
    });
    assert_eq!((scene.datagrams("carrier", 5060), scene.datagrams("scanner", 5060)), (3, 0));
    publish(&[CARRIER, SCANNER]);
    service.await_generation(2);
    assert_eq!(scene.datagrams("scanner", 5060), 3);
    publish(&[]);
    let shown = service
        .await_status("the refusal is shown", |shown| shown["service"]["sources"]["acme"]["outcome"] == "refused");
    assert!(shown["service"]["sources"]["acme"]["failures"].as_u64() >= Some(1), "{shown}");
    assert_eq!((scene.datagrams("scanner", 5060), &shown["generation"]), (3, &2.into()));
    assert!(status_text(&scene).contains("source of acme refused"), "{}", status_text(&scene));
}

/// The system calls that a set of systemd's names, sets inside it too.
fn system_calls(set: &str) -> BTreeSet<String> {
    let shown = Command::new("systemd-analyze").args(["syscall-filter", set]).output().expect("`systemd-analyze` runs");
    assert!(shown.status.success(), "{shown:?}");
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    let names = text.lines().skip(1).map(str::trim).filter(|line| !line.starts_with('#') && !line.is_empty());
    names
        .flat_map(|name| if name.starts_with('@') { system_calls(name) } else { BTreeSet::from([name.to_owned()]) })
        .collect()
}

/// What the unit's `SystemCallFilter` lets through: each line adds to what is there, or takes away.
fn allowed_system_calls() -> BTreeSet<String> {
    let unit = include_str!("../../../packaging/sipwall.service");
    let mut allowed = system_calls("@default");
    for line in unit.lines().filter_map(|line| line.strip_prefix("SystemCallFilter=")) {
        let (names, takes) = line.strip_prefix('~').map_or((line, false), |names| (names, true));
        for name in names.split(' ') {
            let calls = if name.starts_with('@') { system_calls(name) } else { BTreeSet::from([name.to_owned()]) };
            if takes { allowed.retain(|call| !calls.contains(call)) } else { allowed.extend(calls) }
        }
    }
    allowed
}

#[test]
fn the_unit_s_filter_lets_every_system_call_through_that_the_service_makes() {
    let scene = Scene::new();
    let policy = scene.policy("policy.toml", &[("[sbc]\n", "[sbc]\nreturn_traffic = \"tracked\"\n")]);
    let trace = scene.path("trace");
    // As systemd does it: the unit waits for that.
    let bpffs = ["-t", "bpf", "bpf", "/sys/fs/bpf"];
    assert!(scene.host("sbc").command("mount").args(bpffs).status().expect("`mount` runs").success());
    let service = Service::launch_by(&["strace", "-f", "-o", &trace], &scene, &policy, &[], &[]);
    service.await_log(&["attached"]);
    let deleted = scene.host("sbc").command("ip").args(["link", "delete", "eth0"]).status().expect("`ip` runs");
    assert!(deleted.success());
    service.await_log(&["there is no such interface"]);
    make_link(&scene);
    service.await_log(&["attached again"]);
    scene.policy("policy.toml", &[("[sbc]\n", "[sbc]\nmode = \"monitor\"\n")]);
    service.await_log(&["policy in force", "generation=2"]);
    let shown = service.await_status("the service says its process", |shown| shown["service"]["process"].is_u64());
    let process = shown["service"]["process"].as_i64().and_then(|process| Pid::from_raw(i32::try_from(process).ok()?));
    kill_process(process.expect("a process"), Signal::TERM).expect("it runs");
    assert!(service.end().success());
    let trace = read(&trace);
    let called = trace.lines().filter_map(|line| line.split_whitespace().nth(1)?.split_once('(')).map(|(name, _)| name);
    // What strace could not read has no name.
    let called = called.filter(|name| name.chars().all(|letter| letter.is_alphanumeric() || letter == '_'));
    let (called, allowed): (BTreeSet<_>, _) = (called.collect(), allowed_system_calls());
    assert!(called.contains("bpf") && called.contains("capset"), "{called:?}");
    let refused: Vec<_> = called.into_iter().filter(|call| !allowed.contains(*call)).collect();
    assert!(refused.is_empty(), "the unit refuses {refused:?}");
}
