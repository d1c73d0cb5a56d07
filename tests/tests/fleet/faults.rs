//! What goes wrong without anybody meaning harm.

use std::{process::Stdio, thread};

use filter_user::fleet::{Bucket, ChangeError, POLICY_BUCKET};
use lab::Process;
use rustix::process::{Pid, Signal, kill_process};
use tests::{service::wait_for, sipwall::Ended};

use crate::world::{Broker, Node, TIMES, World, wipe};

#[test]
fn without_a_broker_the_filter_stays_and_status_says_so() {
    let world = World::new(1, 1);
    let node = Node::start(&world, 1);
    let shown = node.await_status("it has no broker", |status| status["service"]["fleet"]["connected"] == false);
    assert_eq!(shown["service"]["fleet"]["phase"], "idle", "{shown}");
    assert!(node.status_text().contains("BROKER NOT REACHED since"), "{}", node.status_text());
    assert_eq!(world.datagrams("scanner", 1), 0);
    let broker = Broker::start(&world, 1);
    node.await_problem("the broker has no bucket");
    world.init();
    world.await_state(1, "it speaks", |state| state["phase"] == "idle");
    world.apply(&world.path("policy.toml"), &["--canary", "0"]).assert_done();
    node.await_revision(1);
    drop(broker);
    node.await_status("the broker is lost", |status| status["service"]["fleet"]["connected"] == false);
    assert_eq!((world.datagrams("carrier", 1), world.datagrams("scanner", 1)), (3, 0));
    // A service that starts meanwhile goes on with what the fleet wanted last.
    drop(node);
    let node = Node::start(&world, 1);
    let shown = node.await_revision(1);
    let policy = shown["policy"].as_str().unwrap_or_default();
    assert!(policy.ends_with("/group.edge.1.toml") && shown["generation"] == 2, "{shown}");
    assert_eq!(world.datagrams("carrier", 1), 3);
    let _broker = Broker::start(&world, 1);
    node.await_status("the broker is back", |status| status["service"]["fleet"]["connected"] == true);
    world.await_state(1, "it says so", |state| state["phase"] == "follows" && state["problem"].is_null());
}

#[test]
fn after_the_broker_was_wiped_nodes_keep_their_policy_and_take_only_newer_ones() {
    let world = World::new(1, 1);
    let (mut brokers, nodes) = world.start();
    for _ in 0..2 {
        world.apply(&world.path("policy.toml"), &["--canary", "0"]).assert_done();
    }
    nodes[0].await_revision(2);
    brokers.clear();
    wipe(&world, 1);
    let _broker = Broker::start(&world, 1);
    nodes[0].await_problem("the broker has no bucket");
    world.init();
    nodes[0].await_problem("the broker has nothing under `group.edge` any more: what is in force stays");
    assert_eq!((world.datagrams("carrier", 1), world.datagrams("scanner", 1)), (3, 0));
    world.await_state(1, "it tells what it took", |state| state["accepted"]["group.edge"] == 2);
    world.apply(&world.path("policy.toml"), &["--canary", "0"]).assert_done();
    nodes[0].await_revision(3);
}

#[test]
fn a_canary_that_is_cut_off_in_the_middle_falls_back_and_nobody_else_is_told() {
    let world = World::new(3, 2);
    let (mut brokers, nodes) = world.start();
    world.apply(&world.path("policy.toml"), &["--canary", "0"]).assert_done();
    // One broker of three may be lost: the others go on.
    brokers.remove(0);
    let more = world.policy("more", "[[allow]]\nname = \"web\"\nfrom = [\"192.0.2.77\"]\ntcp = [443]\n", &[]);
    let arguments = ["apply", &more, "--group", "edge", "--observe", "5s", "--confirm", "16s"];
    let mut operation = world.operation(&arguments);
    let operation =
        operation.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let canary = wait_for("a node tries it", || {
        nodes.iter().position(|node| node.status()["service"]["fleet"]["phase"] == "trying")
    });
    world.partition(canary + 1, true);
    let ended: Ended = operation.wait_with_output().expect("it ends").into();
    ended.assert_failed(1, "revision 2 is taken back: in time");
    nodes[canary].await_status("it fell back", |status| {
        status["service"]["fleet"]["running_revision"] == 1 && status["confirmation"]["state"] == "confirmed"
    });
    assert_eq!(world.datagrams("carrier", canary + 1), 3);
    nodes[1 - canary].await_revision(1);
    world.partition(canary + 1, false);
    world.await_state(canary + 1, "it is back", |state| state["running_revision"] == 1 && state["phase"] == "follows");
}

#[test]
fn of_two_operators_one_is_told_of_the_other() {
    let world = World::new(1, 1);
    let (_brokers, nodes) = world.start();
    let policy = world.path("policy.toml");
    let slow = ["apply", &policy, "--group", "edge", "--observe", "6s", "--confirm", "20s", "--canary", "1"];
    let first = Process::start(world.operation(&slow).stdin(Stdio::null()).stderr(Stdio::null())).expect("it starts");
    nodes[0].await_status("the canary tries it", |status| status["service"]["fleet"]["phase"] == "trying");
    world.apply(&policy, &[]).assert_failed(1, "rolls out revision 1 just now");
    nodes[0].await_revision(1);
    drop(first);
    // Both saw the same, and both write.
    let outcomes = world.at_broker(async |broker| {
        let bucket = Bucket::open(broker, POLICY_BUCKET).await.expect("an answer").expect("a bucket");
        let seen = bucket.read("group.edge").await.expect("an answer").expect("a policy");
        let one = bucket.change("group.edge", seen.value.clone(), seen.place).await;
        let other = bucket.change("group.edge", seen.value.clone(), seen.place).await;
        (one.is_ok(), matches!(other, Err(ChangeError::Overtaken(key)) if key == "group.edge"))
    });
    assert_eq!(outcomes, (true, true));
}

#[test]
fn a_node_that_dies_while_it_tries_a_policy_falls_back_and_tries_it_again() {
    let world = World::new(1, 1);
    let (_brokers, mut nodes) = world.start();
    world.apply(&world.path("policy.toml"), &["--canary", "0"]).assert_done();
    let more = world.policy("more", "[[allow]]\nname = \"web\"\nfrom = [\"192.0.2.77\"]\ntcp = [443]\n", &[]);
    let arguments = [
        "apply",
        &more,
        "--group",
        "edge",
        "--observe",
        "4s",
        "--confirm",
        "30s",
        "--canary",
        "0",
        "--max-failures",
        "1",
    ];
    thread::scope(|scope| {
        let operation = scope.spawn(|| world.operate(&arguments));
        let node = nodes.remove(0);
        node.await_status("it tries it", |status| {
            status["service"]["fleet"]["phase"] == "trying" && status["confirmation"]["state"] == "pending"
        });
        let process = Pid::from_raw(i32::try_from(node.process()).expect("a number")).expect("a process");
        kill_process(process, Signal::KILL).expect("it runs");
        assert_eq!(world.datagrams("carrier", 1), 3, "the data plane needs no process");
        drop(node);
        let node = Node::start(&world, 1);
        node.await_revision(2);
        assert!(node.log().contains("the service ended in the middle of the trial"), "{}", node.log());
        operation.join().expect("it ends").assert_done();
    });
    assert_eq!(world.datagrams("carrier", 1), 3);
}

#[test]
fn a_clock_that_is_off_is_told_of_and_changes_nothing() {
    let world = World::new(1, 1);
    let _broker = Broker::start(&world, 1);
    world.init();
    let node = Node::start_by(&world, 1, &["faketime", "-f", "+3h"]);
    world.await_state(1, "it speaks", |state| state["phase"] == "idle");
    world.apply(&world.path("policy.toml"), &TIMES[..0]).assert_done();
    node.await_revision(1);
    let shown = world.operate(&["status"]);
    assert!(shown.code == 1 && shown.stdout.contains("sbc1: its clock is 3h"), "{shown:?}");
    assert!(shown.stdout.contains("ahead of the broker's"), "{shown:?}");
    assert_eq!((world.datagrams("carrier", 1), world.datagrams("scanner", 1)), (3, 0));
}
