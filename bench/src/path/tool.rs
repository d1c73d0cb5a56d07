//! The filters of others, as their packages have them.

use std::{fmt::Write as _, net::Ipv4Addr};

use anyhow::{Context as _, Result};
use ipnet::IpNet;
use lab::Host;

use crate::policies::PORTS;

/// Commands that set a filter up, and one that shows how many packets it has dropped.
pub(crate) struct Tool {
    start: Vec<Line>,
    count: &'static [&'static str],
    /// What the number stands behind.
    mark: &'static str,
}

/// A command and its standard input.
struct Line {
    words: Vec<String>,
    input: String,
}

impl Tool {
    pub(crate) fn start(&self, host: &Host) -> Result<()> {
        for Line { words, input } in &self.start {
            run(host, words, input)?;
        }
        Ok(())
    }

    pub(crate) fn dropped(&self, host: &Host) -> Result<u64> {
        let text = run(host, self.count, "")?;
        let behind = text.split(self.mark).nth(1);
        let number =
            behind.and_then(|text| text.split(|letter: char| !letter.is_ascii_digit()).find(|part| !part.is_empty()));
        let number = number.and_then(|number| number.parse().ok());
        number.with_context(|| format!("`{}` shows no number behind `{}`: {text}", self.count.join(" "), self.mark))
    }
}

/// Drops all but so many addresses; it knows no prefixes. They are not those that the flood comes from.
pub(crate) fn xdp_filter(count: u32) -> Tool {
    let mut start = vec![
        line("mount -t bpf bpf /sys/fs/bpf", ""),
        line("xdp-filter load --policy deny --features udp,ipv4 --mode native eth0", ""),
    ];
    // Of a network for benchmarks (RFC 2544, appendix C.2.2), one each.
    let addresses = (0..count).map(|number| Ipv4Addr::from(0xc612_0000 + number));
    start.extend(addresses.map(|address| line(&format!("xdp-filter ip --mode src {address}"), "")));
    Tool { start, count: &["xdp-filter", "status"], mark: "XDP_DROP" }
}

pub(crate) fn nft_drop() -> Tool {
    nft("", "")
}

/// One set of prefixes and ranges of ports together.
pub(crate) fn pipapo(prefixes: &[IpNet]) -> Tool {
    let of = |prefix: &IpNet| PORTS.map(|(first, last)| format!("{prefix} . {first}-{last}")).join(", ");
    let elements: Vec<String> = prefixes.iter().map(of).collect();
    let set = format!(
        "set allowed {{ type ipv4_addr . inet_service; flags interval; elements = {{ {} }}; }}",
        elements.join(", ")
    );
    nft(&set, "ip saddr . udp dport @allowed accept")
}

/// A set of prefixes, and one of ranges of ports.
pub(crate) fn interval(prefixes: &[IpNet]) -> Tool {
    let nets: Vec<String> = prefixes.iter().map(ToString::to_string).collect();
    let ports = PORTS.map(|(first, last)| format!("{first}-{last}")).join(", ");
    let sets = format!(
        "set nets {{ type ipv4_addr; flags interval; elements = {{ {} }}; }}\n\
         set ports {{ type inet_service; flags interval; elements = {{ {ports} }}; }}",
        nets.join(", ")
    );
    nft(&sets, "ip saddr @nets udp dport @ports accept")
}

/// A chain at the ingress of `eth0`.
fn nft(sets: &str, rule: &str) -> Tool {
    let table = format!(
        "table netdev bench {{\n{sets}\nchain ingress {{\ntype filter hook ingress device \"eth0\" priority 0;\n\
         {rule}\ncounter drop\n}}\n}}\n"
    );
    Tool {
        start: vec![line("nft -f -", &table)],
        count: &["nft", "list", "chain", "netdev", "bench", "ingress"],
        mark: "counter packets",
    }
}

pub(crate) fn iptables_drop() -> Tool {
    iptables(Vec::new(), "")
}

/// A set of prefixes, and a match of several ports.
pub(crate) fn ipset(prefixes: &[IpNet]) -> Tool {
    let mut set = "create nets hash:net\n".to_owned();
    for prefix in prefixes {
        let _ = writeln!(set, "add nets {prefix}");
    }
    let ports = PORTS.map(|(first, last)| if first == last { first.to_string() } else { format!("{first}:{last}") });
    let rule = format!(
        "-A PREROUTING -i eth0 -p udp -m set --match-set nets src -m multiport --dports {} -j ACCEPT\n",
        ports.join(",")
    );
    iptables(vec![line("ipset restore", &set)], &rule)
}

/// The raw table, which stands before connection tracking.
fn iptables(mut start: Vec<Line>, rule: &str) -> Tool {
    start.push(line("iptables-restore", &format!("*raw\n{rule}-A PREROUTING -i eth0 -j DROP\nCOMMIT\n")));
    Tool { start, count: &["iptables", "-t", "raw", "-v", "-S", "PREROUTING"], mark: "-i eth0 -c" }
}

fn line(words: &str, input: &str) -> Line {
    Line { words: words.split(' ').map(str::to_owned).collect(), input: input.to_owned() }
}

fn run<S: AsRef<str>>(host: &Host, words: &[S], input: &str) -> Result<String> {
    let (program, arguments) = words.split_first().context("an empty command")?;
    lab::run(host.command(program.as_ref()).args(arguments.iter().map(AsRef::as_ref)), input)
}
