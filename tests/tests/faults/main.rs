//! What is left when something goes wrong.

#![expect(clippy::expect_used, reason = "a test that cannot go on panics")]

mod around;
mod full;
mod killed;

use std::{collections::BTreeMap, net::UdpSocket};
use tests::ports::bound;

use serde_json::Value;
use tests::{
    scene::{CARRIER, SBC, SCANNER, SILENCE, Scene, packets},
    sipwall::{Ended, binary},
};

/// The name of the step at which a command of a debug build dies.
const DIE_AT_STEP: &str = "SIPWALL_DIE_AT_STEP";
/// More steps than any command has.
const MOST_STEPS: u32 = 300;

/// Lets the scanner in and denies the carrier.
const TURNED: [(&str, &str); 2] = [
    ("[[deny]]", "[[allow]]\nname = \"scanner\"\nfrom = [\"192.0.2.99\"]\nudp = [5060]\n\n[[deny]]"),
    ("from = [\"192.0.2.33\"", "from = [\"203.0.113.17\", \"192.0.2.33\""),
];

/// Notes what the host sends, so that the egress program is attached too.
const TRACKED: (&str, &str) = ("[sbc]\n", "[sbc]\nreturn_traffic = \"tracked\"\n");

/// A scene with a policy, and another one that lets in what it drops and drops what it lets in.
struct Stage {
    scene: Scene,
    policy: String,
    turned: String,
}

/// Whom the filter lets in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum InForce {
    Policy,
    Turned,
    Nothing,
}

impl Stage {
    fn new() -> Self {
        let scene = Scene::new();
        let policy = scene.policy("policy.toml", &[]);
        let turned = scene.policy("turned.toml", &[TURNED[0], TURNED[1], TRACKED]);
        Self { scene, policy, turned }
    }

    /// Writes the other policy with a rule and a denied prefix that no step wrote yet: else steps would be missing next time.
    fn turn(&self, step: u32) {
        let [(at, allow), (from, denied)] = TURNED;
        let allow = allow.replace("\"scanner\"", &format!("\"scanner{step}\""));
        let denied = denied.replace("\"203.0.113.17\"", &format!("\"203.0.113.17\", \"203.0.113.{}\"", 200 + step));
        self.scene.policy("turned.toml", &[(at, &allow), (from, &denied), TRACKED]);
    }

    fn attached() -> Self {
        let stage = Self::new();
        stage.scene.attach(&stage.policy);
        stage
    }

    /// Kills the command at its first step that writes, then at its second and so on, until it gets through. After each
    /// death `mend` says what must hold, and brings back what was there before; no counter has gone back by then. Returns how
    /// many steps there were.
    fn kill_at_every_step(&self, arguments: &[&str], mend: impl Fn(u32)) -> u32 {
        for step in 1..MOST_STEPS {
            let before = self.counters();
            let mut command = self.scene.host("sbc").command(binary());
            let ended: Ended =
                command.args(arguments).env(DIE_AT_STEP, step.to_string()).output().expect("it starts").into();
            self.assert_counters_go_on(before.as_ref(), step);
            if ended.code == 0 {
                return step - 1;
            }
            assert_eq!(ended.code, -1, "step {step}: {ended:?}");
            mend(step);
        }
        unreachable!("{arguments:?} never gets through");
    }

    /// Every counter by its name; nothing where no filter of this version is attached.
    fn counters(&self) -> Option<BTreeMap<String, u64>> {
        let shown = self.scene.sipwall(&["stats", "eth0", "--json"]);
        let stats = (shown.code == 0).then(|| shown.json())?;
        let name = |count: &Value| format!("{}{}{}", count["rule"], count["reason"], count["action"]);
        let counts = ["rules", "reasons"].into_iter().flat_map(|kind| stats[kind].as_array().expect("an array"));
        Some(counts.map(|count| (name(count), count["packets"].as_u64().expect("a number"))).collect())
    }

    /// Asserts that no counter is less than it was, unless the filter went with all of them.
    fn assert_counters_go_on(&self, before: Option<&BTreeMap<String, u64>>, step: u32) {
        let (Some(before), Some(after)) = (before, self.counters()) else { return };
        for (name, count) in before {
            assert!(after.get(name) >= Some(count), "step {step}: {name} was {count}, and is {:?}", after.get(name));
        }
    }

    /// A socket for SIP on a host.
    fn socket(&self, name: &str, address: &str) -> UdpSocket {
        bound(self.scene.host(name), || UdpSocket::bind((address, 5060)))
    }

    /// Whom the filter lets in, by packets of both.
    fn in_force(&self) -> InForce {
        let receiver = self.socket("sbc", SBC);
        receiver.set_read_timeout(Some(SILENCE)).expect("a timeout");
        for (name, address) in [("carrier", CARRIER), ("scanner", SCANNER)] {
            self.socket(name, address).send_to(name.as_bytes(), (SBC, 5060)).expect("a datagram leaves");
        }
        let mut buffer = [0; 64];
        let receive = || receiver.recv(&mut buffer).ok().map(|length| buffer[..length].to_vec());
        let mut arrived: Vec<Vec<u8>> = std::iter::from_fn(receive).collect();
        arrived.sort();
        match arrived.iter().map(Vec::as_slice).collect::<Vec<_>>()[..] {
            [b"carrier"] => InForce::Policy,
            [b"scanner"] => InForce::Turned,
            [b"carrier", b"scanner"] => InForce::Nothing,
            _ => unreachable!("neither policy lets in {arrived:?}"),
        }
    }

    /// Asserts that what runs is one of the policies to the last octet, and that it is the one that packets meet.
    fn assert_whole(&self, step: u32) -> InForce {
        let in_force = self.in_force();
        let (same, other) = match in_force {
            InForce::Policy => (&self.policy, &self.turned),
            InForce::Turned => (&self.turned, &self.policy),
            InForce::Nothing => unreachable!("step {step}: everything passes"),
        };
        self.scene.sipwall(&["diff", same]).assert_done();
        assert_eq!(self.scene.sipwall(&["diff", other]).code, 1, "step {step}");
        in_force
    }

    fn carrier_packets(&self) -> u64 {
        packets(&self.scene.stats(), "rule", "carrier/sip-udp", None)
    }

    /// What is pinned, of this version and whatever else.
    fn pins(&self) -> String {
        let listed = self.scene.host("sbc").command("find").args(["/sys/fs/bpf/sipwall", "-mindepth", "2"]).output();
        let listed = String::from_utf8_lossy(&listed.expect("find runs").stdout).into_owned();
        let mut pins: Vec<&str> = listed.lines().collect();
        pins.sort_unstable();
        pins.join("\n")
    }

    fn shell(&self, line: &str) {
        let ended: Ended = self.scene.host("sbc").command("sh").args(["-c", line]).output().expect("sh runs").into();
        ended.assert_done();
    }
}
