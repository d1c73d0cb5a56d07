//! What nodes drop, seen by one consumer.

use std::{
    collections::BTreeSet,
    fs,
    net::UdpSocket,
    process::Stdio,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use lab::Process;
use serde_json::Value;
use tests::{ports::bound, service::wait_for, sipwall::sipwall_on};

use crate::world::{Broker, Node, SCANNER, World, node_address};

/// What the fleet's events are as JSON.
fn events(world: &World, more: &[&str]) -> Vec<Value> {
    let shown = world.operate(&[&["events", "--json"], more].concat());
    shown.assert_done();
    shown.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn of<'a>(events: &'a [Value], node: &str, key: &str, value: &str) -> Option<&'a Value> {
    events.iter().find(|event| event["node"] == node && event[key] == value)
}

fn fields(event: &Value) -> BTreeSet<&str> {
    event.as_object().expect("an object").keys().map(String::as_str).collect()
}

/// What a node says of its own events.
fn counts(node: &Node<'_>) -> [u64; 2] {
    let events = &node.status()["service"]["fleet"]["events"];
    ["published", "unpublished"].map(|name| events[name].as_u64().unwrap_or_default())
}

#[test]
fn one_consumer_sees_what_a_fleet_drops_and_what_changes() {
    let world = World::new(1, 2);
    for number in [1, 2] {
        world.configure_more(number, "events = 50\n");
    }
    let (_brokers, nodes) = world.start();
    world.apply(&world.path("policy.toml"), &["--canary", "0"]).assert_done();
    for number in [1, 2] {
        assert_eq!(world.datagrams("scanner", number), 0);
    }
    let told = wait_for("both nodes told what they dropped, and that they follow", || {
        let told = events(&world, &[]);
        let is_told =
            |node| of(&told, node, "source", SCANNER).is_some() && of(&told, node, "state", "follows").is_some();
        (is_told("sbc1") && is_told("sbc2")).then_some(told)
    });
    let follows = of(&told, "sbc1", "state", "follows").expect("it was there");
    assert_eq!((&follows["running_revision"], &follows["target"]), (&1.into(), &"group.edge".into()), "{follows}");
    // As the node itself shows them, with its name in front.
    let drop = of(&told, "sbc1", "source", SCANNER).expect("it was there");
    assert_eq!(
        (&drop["group"], &drop["reason"], &drop["action"]),
        (&"edge".into(), &"source_unlisted".into(), &"drop".into())
    );
    let own = sipwall_on(world.host("sbc1"), &["events", "--json", "--source", SCANNER]);
    let own: Value = serde_json::from_str(own.stdout.lines().next().expect("an event")).expect("JSON");
    let expected: BTreeSet<_> = fields(&own).into_iter().chain(["node", "group"]).collect();
    assert_eq!(fields(drop), expected);
    let own = sipwall_on(world.host("sbc1"), &["events", "--source", SCANNER]);
    let shown = world.operate(&["events", "--node", "sbc1", "--source", SCANNER, "--since", "10m"]);
    let lines: Vec<_> = own.stdout.lines().map(|line| format!("sbc1 {line}")).collect();
    assert_eq!(shown.stdout.lines().collect::<Vec<_>>(), lines);
    // Who looks needs no key.
    let keyless = fs::read_to_string(world.path("ops.toml")).expect("a file");
    let keyless: Vec<_> = keyless.lines().filter(|line| !line.starts_with("sign_with")).collect();
    world.write("ops.toml", &keyless.join("\n"));
    assert!(events(&world, &["--node", "sbc2"]).iter().all(|event| event["node"] == "sbc2"));
    assert!(!events(&world, &["--group", "edge"]).is_empty());
    for nothing in [["--group", "core"], ["--reason", "port_closed"], ["--source", "198.51.100.0/24"]] {
        assert_eq!(events(&world, &nothing), [Value::Null; 0], "{nothing:?}");
    }
    // As it comes.
    let file = fs::File::create(world.path("followed")).expect("a file");
    let mut follow = world.operation(&["events", "--follow", "--json", "--since", "1s", "--reason", "port_closed"]);
    let _follow = Process::start(follow.stdin(Stdio::null()).stdout(file).stderr(Stdio::null())).expect("it starts");
    let knock = bound(world.host("carrier"), || UdpSocket::bind((crate::world::CARRIER, 0)));
    wait_for("what comes is shown", || {
        knock.send_to(b"?", (node_address(2).as_str(), 80)).expect("a datagram leaves");
        let shown = fs::read_to_string(world.path("followed")).expect("a file");
        let events: Vec<Value> = shown.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        of(&events, "sbc2", "reason", "port_closed").is_some().then_some(())
    });
    assert!(nodes[0].status_text().contains("samples published, "), "{}", nodes[0].status_text());
}

#[test]
fn what_a_node_does_not_publish_is_counted_and_holds_up_nothing() {
    let world = World::new(1, 1);
    world.configure_more(1, "events = 5\n");
    let (mut brokers, nodes) = world.start();
    let node = &nodes[0];
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let scanner = bound(world.host("scanner"), || UdpSocket::bind((SCANNER, 0)));
            for port in (1..=u16::MAX).cycle() {
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
                // The kernel may have no room for it.
                let _ = scanner.send_to(b"REGISTER", (node_address(1).as_str(), port));
                if port % 20 == 0 {
                    thread::sleep(Duration::from_millis(10));
                }
            }
        });
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait_for("more is dropped than is published", || {
                let [published, unpublished] = counts(node);
                (published > 10 && unpublished > published).then_some(())
            });
            wait_for("the consumer is told how much it does not see", || {
                let told = events(&world, &[]);
                told.iter().any(|event| event["unpublished"].as_u64() > Some(0)).then_some(())
            });
            // A second has five of them at the most.
            let told = events(&world, &[]);
            let drops = told.iter().filter(|event| event["reason"] == "source_unlisted").count();
            let unpublished = told.iter().filter_map(|event| event["unpublished"].as_u64()).sum::<u64>();
            assert!(drops > 0 && unpublished > 0, "{told:?}");
            // Without a broker they are counted and let go.
            brokers.clear();
            node.await_status("the broker is lost", |status| status["service"]["fleet"]["connected"] == false);
            let [published, before] = counts(node);
            wait_for("what is dropped meanwhile is counted", || (counts(node)[1] > before + 100).then_some(()));
            assert_eq!(counts(node)[0], published, "nobody took them");
        }));
        is_over.store(true, Ordering::Relaxed);
        outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    // It follows as ever when the broker is back, and tells on.
    let _broker = Broker::start(&world, 1);
    world.apply(&world.path("policy.toml"), &["--canary", "0"]).assert_done();
    node.await_revision(1);
    wait_for("it tells that it follows", || of(&events(&world, &[]), "sbc1", "state", "follows").map(drop));
}

#[test]
fn a_stream_that_is_missing_is_told_of_and_none_is_published_unasked() {
    let world = World::new(1, 2);
    world.configure_more(1, "events = 5\n");
    let (_brokers, nodes) = world.start();
    world.at_broker(async |broker| {
        let context = async_nats::jetstream::new(broker.client().clone());
        context.delete_stream("sipwall-events").await.expect("it was made");
    });
    wait_for("what is not taken is told of", || {
        assert_eq!(world.datagrams("scanner", 1), 0);
        let why = nodes[0].status()["service"]["fleet"]["events"]["why"].as_str().map(str::to_owned);
        why.filter(|why| why.contains("`sipwall fleet init` makes the stream"))
    });
    world.operate(&["events"]).assert_failed(1, "the broker has no stream `sipwall-events`");
    let made = world.operate(&["init"]);
    assert!(made.code == 0 && made.stderr.contains("made the stream `sipwall-events`"), "{made:?}");
    wait_for("it is published again", || {
        assert_eq!((world.datagrams("scanner", 1), world.datagrams("scanner", 2)), (0, 0));
        (counts(&nodes[0])[0] > 0).then_some(())
    });
    assert!(events(&world, &["--node", "sbc2"]).is_empty(), "nobody asked it to");
    assert!(nodes[1].status()["service"]["fleet"]["events"].is_null());
}
