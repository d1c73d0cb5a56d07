//! A broker that means harm: it can withhold, and no more.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    thread,
};
use tests::ports::bound;

use filter_user::fleet::{Bucket, Content, Document, Head, POLICY_BUCKET, PolicyDocument, Signer, Target, Terms};
use tests::service::wait_for;

use crate::world::{Node, World, broker_address, wipe};

/// How large a value is that nobody should read.
const HUGE: usize = 100 * 1024 * 1024;

/// A policy that lets everybody in, with a signature of whoever has the key.
fn open_policy(revision: u64, key: &Path) -> Vec<u8> {
    let signer = Signer::read(key).expect("a key");
    let document = PolicyDocument {
        head: Head { target: Target::Group("edge".to_owned()), revision, created: 0, author: "nobody".to_owned() },
        content: Content {
            name: "policy.toml".to_owned(),
            text: "[sbc]\nmode = \"monitor\"\n".to_owned(),
            files: [].into(),
        },
        terms: Terms { confirm: 30, observe: 1, may_lose: Vec::new() },
        canaries: Vec::new(),
    };
    Document::Policy(document).seal(&signer).expect("a small document")
}

/// Puts octets under a key, whoever may.
fn put(world: &World, key: &str, octets: &[u8]) {
    world.at_broker(async |broker| {
        let bucket = Bucket::open(broker, POLICY_BUCKET).await.expect("an answer").expect("a bucket");
        bucket.write(key, octets.to_vec()).await.expect("it is taken");
    });
}

fn get(world: &World, key: &str) -> Vec<u8> {
    world.at_broker(async |broker| {
        let bucket = Bucket::open(broker, POLICY_BUCKET).await.expect("an answer").expect("a bucket");
        bucket.read(key).await.expect("an answer").expect("a value").value
    })
}

#[test]
fn what_no_trusted_key_signed_and_what_is_older_is_refused_and_told() {
    let world = World::new(1, 1);
    let (mut brokers, mut nodes) = world.start();
    world.apply(&world.path("policy.toml"), &["--canary", "0"]).assert_done();
    let old = get(&world, "group.edge");
    world.apply(&world.policy("b", "# Another\n", &[]), &["--canary", "0"]).assert_done();
    nodes[0].await_revision(2);
    let good = get(&world, "group.edge");
    let foreign = Path::new(&world.path("foreign.key")).to_owned();
    Signer::generate(&foreign).expect("a key");
    let holds = |words: &str, node: &Node<'_>| {
        let status = node.await_problem(words);
        assert_eq!(
            (&status["mode"], &status["service"]["fleet"]["running_revision"]),
            (&"enforce".into(), &2.into()),
            "{status}"
        );
        assert_eq!((world.datagrams("carrier", 1), world.datagrams("scanner", 1)), (3, 0));
    };
    put(&world, "group.edge", &open_policy(9, &foreign));
    holds("no key that is trusted here signed it", &nodes[0]);
    world.await_state(1, "the operator sees it", |state| {
        state["problem"].as_str().is_some_and(|problem| problem.contains("no key that is trusted"))
    });
    // For a narrower target it is refused as well, and what is for the group stays.
    put(&world, "group.edge", &good);
    put(&world, "node.sbc1", b"rubbish");
    holds("`node.sbc1` is refused: it is not signed", &nodes[0]);
    // Signed for a group, and put where it does not belong.
    put(&world, "node.sbc1", &good);
    holds("`node.sbc1` holds a document that is not meant for there", &nodes[0]);
    put(&world, "group.edge", &old);
    holds("has revision 1, and 2 was taken here before", &nodes[0]);
    // After a restart, at a broker that has nothing else.
    nodes.clear();
    brokers.clear();
    wipe(&world, 1);
    let _broker = crate::world::Broker::start(&world, 1);
    world.init();
    put(&world, "group.edge", &old);
    let node = Node::start(&world, 1);
    holds("has revision 1, and 2 was taken here before", &node);
    // The operator's key is the same still: what is really new is taken.
    put(&world, "group.edge", &open_policy(3, Path::new(&world.path("fleet.key"))));
    assert_eq!(node.await_revision(3)["mode"], "monitor");
}

/// Answers whatever it is asked with something huge; ends when the listener is dropped.
fn answer_hugely(stream: TcpStream) -> std::io::Result<()> {
    let mut writer = stream.try_clone()?;
    let info = "{\"server_id\":\"x\",\"version\":\"2.9.10\",\"max_payload\":1048576,\"proto\":1,\"headers\":true,\"jetstream\":true}";
    write!(writer, "INFO {info}\r\n")?;
    let (mut reader, mut line, mut inbox) = (BufReader::new(stream), String::new(), None);
    while reader.read_line(&mut line)? > 0 {
        let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        match words.first().map(String::as_str) {
            Some("PING") => writer.write_all(b"PONG\r\n")?,
            Some("SUB") if words[1].starts_with("_INBOX") => inbox = words.last().cloned(),
            Some("PUB" | "HPUB") if words.len() > 3 => {
                let mut payload = vec![0; words.last().and_then(|length| length.parse().ok()).unwrap_or(0) + 2];
                std::io::Read::read_exact(&mut reader, &mut payload)?;
                if let Some(inbox) = &inbox {
                    write!(writer, "MSG {} {inbox} {HUGE}\r\n", words[2])?;
                    writer.write_all(&vec![b'x'; HUGE])?;
                    writer.write_all(b"\r\n")?;
                }
            }
            _ => {}
        }
        line.clear();
    }
    Ok(())
}

#[test]
fn a_broker_that_answers_with_a_hundred_megabytes_changes_nothing() {
    let world = World::new(1, 1);
    let address = format!("{}:4222", broker_address(1));
    let listener = bound(world.host("nats1"), || TcpListener::bind(&address));
    let server = thread::spawn(move || {
        // One client after the other, of which the node is the only one; it may go and come back.
        for stream in listener.incoming().take(2) {
            // It may hang up in the middle.
            let _ = answer_hugely(stream.expect("a client"));
        }
    });
    let node = Node::start(&world, 1);
    let status = node.await_problem("the broker does not say whether it has `sipwall-policy`");
    assert_eq!((&status["running"], &status["generation"]), (&true.into(), &1.into()), "{status}");
    assert_eq!(world.datagrams("scanner", 1), 0);
    let process = node.process();
    let peak = wait_for("its memory is known", || {
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().to_owned();
        line.split(' ').next()?.parse::<u64>().ok()
    });
    assert!(peak < 1024 * 1024, "{peak} kB");
    drop(node);
    // The listener ends with the test's process.
    drop(server);
}
