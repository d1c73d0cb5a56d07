//! What does not fit the tables is refused by the limit's name, and what just fits is not.

use std::{fmt::Write as _, fs, net::Ipv6Addr};

use filter_user::{
    allowlist::{Allowlist, Protocol, Service},
    policy::{Code, Policy},
};

use crate::lab::{allowlist, policy};

fn check(text: &str, allowlists: &[Allowlist], expected: Result<(), Code>) {
    let compiled = policy(text, allowlists).and_then(|policy| policy.compile());
    let codes = compiled.map(drop).map_err(|refusals| refusals.iter().map(|refusal| refusal.code).collect::<Vec<_>>());
    assert_eq!(codes, expected.map_err(|code| vec![code]));
}

fn allow(number: usize, from: &str, ports: &str) -> String {
    format!("[[allow]]\nname = 'a{number}'\nfrom = [{from}]\ntcp = [{ports}]\n")
}

#[test]
fn a_policy_has_256_terms() {
    let text = |terms| (0..terms).map(|number| allow(number, "'192.0.2.1'", "22")).collect::<String>();
    check(&text(256), &[], Ok(()));
    check(&text(257), &[], Err(Code::TooManyTerms));
}

#[test]
fn a_policy_has_64_addresses() {
    let text = |addresses: u8| {
        let list: Vec<_> = (1..=addresses).map(|last| format!("'192.0.2.{last}'")).collect();
        format!("[sbc]\naddresses = [{}]\n", list.join(", "))
    };
    check(&text(64), &[], Ok(()));
    check(&text(65), &[], Err(Code::TooManyAddresses));
}

/// Numbers from 1 to `last` in 13 lists, each number in the lists of its bits: so each has a combination of its own.
fn combinations(last: u16, item: impl Fn(u16) -> String) -> Vec<String> {
    let list = |bit: u32| {
        let items: Vec<_> = (1..=last).filter(|number| number >> bit & 1 == 1).map(&item).collect();
        items.join(", ")
    };
    (0..13).map(list).filter(|list| !list.is_empty()).collect()
}

#[test]
fn sources_have_4096_combinations_of_terms() {
    let text = |last| {
        let lists = combinations(last, |number| format!("'10.0.{}.{}'", number >> 8, number & 255));
        lists.iter().enumerate().map(|(number, from)| allow(number, from, "22")).collect::<String>()
    };
    // One of them is that of a source without terms.
    check(&text(4095), &[], Ok(()));
    check(&text(4096), &[], Err(Code::TooManySourceSets));
}

#[test]
fn ports_have_2048_combinations_of_terms() {
    let text = |last| {
        let lists = combinations(last, |port| port.to_string());
        lists.iter().enumerate().map(|(number, ports)| allow(number, "'192.0.2.1'", ports)).collect::<String>()
    };
    check(&text(2047), &[], Ok(()));
    check(&text(2048), &[], Err(Code::TooManyPortSets));
}

const MEDIA: &str = "
    [sbc.listen]
    media = ['16384-32767']
    [[provider]]
    name = 'acme'
    allowlist = 'acme'
";

fn with_prefixes(prefixes: impl Iterator<Item = String>) -> Allowlist {
    let mut acme = allowlist("acme", &[(Service::Media, Protocol::Udp, &["192.0.2.1"], &["10000-20000"])]);
    acme.entries[0].remote = prefixes.map(|prefix| prefix.parse().unwrap()).collect();
    acme
}

#[test]
fn each_family_has_100_000_prefixes() {
    let v4 = |count: u32| with_prefixes((0..count).map(|n| format!("10.{}.{}.{}/32", n >> 16, n >> 8 & 255, n & 255)));
    let v6 = |count| {
        with_prefixes((0..count).map(|n| format!("{}/64", Ipv6Addr::from((0x2001_0db8_u128 << 96) | (n << 64)))))
    };
    check(MEDIA, &[v4(100_000)], Ok(()));
    check(MEDIA, &[v4(100_001)], Err(Code::TooManyPrefixes));
    check(MEDIA, &[v6(100_000)], Ok(()));
    check(MEDIA, &[v6(100_001)], Err(Code::TooManyPrefixes));
    let mut both = v4(100_000);
    both.entries[0].remote.extend(v6(100_000).entries.remove(0).remote);
    check(MEDIA, &[both], Ok(()));
}

#[test]
fn a_hundred_thousand_nested_prefixes_of_two_providers_compile() {
    let host = |n: u32| format!("10.{}.{}.{}/32", n >> 16, n >> 8 & 255, n & 255);
    let mut hosts = with_prefixes((0..50_000).map(host));
    let blocks = with_prefixes((0..50_000).map(|n| format!("10.{}.{}.{}/31", n >> 15, n >> 7 & 255, (n & 127) * 2)));
    hosts.provider = "hosts".to_owned();
    let text = format!("{MEDIA}[[provider]]\nname = 'hosts'\nallowlist = 'hosts'\n");
    let compiled = policy(&text, &[hosts, blocks]).unwrap().compile().unwrap();
    // Every host has both terms, every block whose hosts are not listed one.
    assert_eq!(compiled.sources.len(), 100_000);
    assert_eq!(compiled.terms.iter().map(|term| term.sources.len()).sum::<usize>(), 100_000);
}

#[test]
fn the_deny_list_has_a_million_prefixes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("policy.toml");
    fs::write(&path, "[[deny]]\nname = 'abuse'\nfile = 'deny.txt'\n").unwrap();
    let mut text = String::new();
    for n in 0..1_000_000 {
        writeln!(text, "10.{}.{}.{}", n >> 16, n >> 8 & 255, n & 255).unwrap();
    }
    fs::write(directory.path().join("deny.txt"), &text).unwrap();
    assert_eq!(Policy::load(&path).unwrap().compile().unwrap().denied.len(), 1_000_000);
    fs::write(directory.path().join("deny.txt"), text + "192.0.2.1\n").unwrap();
    let refused = Policy::load(&path).unwrap().compile().err().unwrap().to_string();
    assert!(refused.contains("needs 1000001 denied prefixes of IPv4, and there is room for 1000000"), "{refused}");
}
