//! More nodes than there could be network namespaces: that all do as one does.

use serde_json::Value;
use tests::swarm::Swarm;

/// How many.
const NODES: usize = 20;
/// Times that suit a test of many nodes on a busy machine.
const TIMES: [&str; 4] = ["--observe", "2s", "--confirm", "40s"];

fn ended(stdout: &str) -> Value {
    stdout.lines().last().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default()
}

#[test]
fn every_node_takes_a_policy_and_none_but_the_canary_one_that_drops_calls() {
    let mut swarm = Swarm::new();
    swarm.grow(NODES);
    let applied = swarm.apply(true, &TIMES);
    applied.assert_done();
    let done = ended(&applied.stdout);
    assert_eq!((&done["ended"], done["nodes"].as_array().map(Vec::len)), (&"in_force".into(), Some(NODES)), "{done}");
    // Long enough for a node to know what is usual.
    swarm.await_states("calls come in everywhere", |states| {
        states
            .iter()
            .all(|state| state["running_revision"] == 1 && state["interfaces"][0]["passed"].as_u64() > Some(400))
    });
    let refused = swarm.apply(false, &TIMES);
    let back = ended(&refused.stdout);
    assert_eq!((refused.code, &back["ended"], &back["revision"]), (1, &"taken_back".into(), &2.into()), "{refused:?}");
    let why = back["why"].as_str().unwrap_or_default();
    assert!(why.starts_with("canary `sbc") && why.contains("listed sources are dropped for `port_closed`"), "{why}");
    let states = swarm.await_states("all follow the one before", |states| {
        states.iter().all(|state| state["running_revision"] == 1 && state["trying_revision"].is_null())
    });
    let tried: Vec<_> = states.iter().filter(|state| state["failed_revision"] == 2).collect();
    assert!(states.len() == NODES && tried.len() == 1, "one tried it: {states:#?}");
    assert_eq!(tried[0]["interfaces"][0]["generation"], 3, "{}", tried[0]);
    for state in states.iter().filter(|state| state["failed_revision"].is_null()) {
        assert_eq!(state["interfaces"][0]["generation"], 2, "{state}");
    }
}
