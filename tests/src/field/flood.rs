//! A flood from invented sources, as fast as this machine sends one.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use lab::run;

use super::{
    network::{Field, SBC, text},
    programs,
};

/// Packets that are sent before it is asked again whether to go on.
const ROUND: u64 = 100_000;

/// What was sent.
#[derive(Clone, Copy, Debug)]
pub struct Flood {
    /// Packets that the generator gave to the link.
    pub sent: u64,
    /// Those of them that the link had no room for: they never came to the SBC's NIC.
    pub lost: u64,
    /// How long it took.
    pub time: Duration,
}

impl Flood {
    /// Floods the SBC's SIP port with OPTIONS, and its media with what looks like RTP, as long as something is done.
    pub fn during<T>(field: &Field, action: impl FnOnce() -> T) -> (T, Self) {
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let flood = scope.spawn(|| Self::until(field, &done));
            let result = action();
            done.store(true, Ordering::Relaxed);
            (result, flood.join().expect("the flood ends"))
        })
    }

    /// Packets a second that came to the SBC's NIC.
    pub fn rate(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let arrived = (self.sent - self.lost) as f64;
        arrived / self.time.as_secs_f64()
    }

    fn until(field: &Field, done: &AtomicBool) -> Self {
        let sbc = field.host("sbc");
        let mac = |mac: [u8; 6]| mac.map(|octet| format!("{octet:02x}")).join(":");
        let (to, from) = (mac(sbc.mac()), mac(sbc.gateway_mac()));
        let words = [("SBC", SBC), ("TO", &to), ("FROM", &from)];
        let packets = field.write("flood.cfg", include_str!("flood.cfg"), &words);
        let (begun, lost_before, mut sent) = (Instant::now(), lost(field), 0);
        while !done.load(Ordering::Relaxed) {
            let mut trafgen = programs::command(field.lab.core().expect("a core"), "usr/sbin/trafgen");
            // A ring that holds more than a socket may have in flight makes trafgen give up.
            trafgen.args(["--no-sock-mem", "--ring-size", "64KiB", "-Q", "-C", "-P", "1", "-n", &ROUND.to_string()]);
            trafgen.args(["-o", "to-sbc", "-i", text(&packets)]);
            let said = run(&mut trafgen, "").expect("trafgen runs");
            sent += outgoing(&said).unwrap_or_else(|| panic!("trafgen said {said}"));
        }
        Self { sent, lost: lost(field) - lost_before, time: begun.elapsed() }
    }
}

/// How many packets trafgen says that it sent.
fn outgoing(said: &str) -> Option<u64> {
    said.lines().find_map(|line| line.strip_suffix(" packets outgoing")?.trim().parse().ok())
}

/// Packets for the SBC that the link had no room for.
fn lost(field: &Field) -> u64 {
    let core = field.lab.core().expect("a core");
    let said = run(core.command("cat").arg("/sys/class/net/to-sbc/statistics/tx_dropped"), "").expect("a counter");
    said.trim().parse().expect("a number")
}
