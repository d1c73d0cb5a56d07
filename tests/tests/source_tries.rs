//! Sources that are not found beside the roots of the index, judged in both worlds: in other blocks, and in the tries.

use filter_common::{
    Reason::{Listed, PortClosed, SourceUnlisted},
    source_index::NEAR_BLOCKS,
};
use filter_user::{
    kernel::Sandbox,
    policy::{HostIndex, IndexRoom},
};
use tests::{
    judge::{Judges, fixture_policy, sbc, sbc_v6},
    packets::udp,
};

/// Prefixes of more /16s, and of more /48s, than the index has nodes and runs for: of the others the tries are asked, of either half, for
/// what lies in a prefix and for what only a wider one covers.
#[test]
fn what_the_index_has_no_room_for_is_asked_of_the_tries() {
    const EACH: u16 = 1500;
    let IndexRoom { nodes, runs, .. } = Sandbox::INDEX_ROOM;
    assert!(2 * (nodes + runs) < usize::from(EACH), "the index has room for {nodes} nodes and {runs} runs");
    let v4 = |number: u16, last: u8| format!("{}.{}.{last}", 20 + number / 256, number % 256);
    let v6 = |number: u16, last: u8| format!("2a00:1:{number:x}:{last:x}");
    let inner = (0..EACH).flat_map(|number| [format!("{}.0/24", v4(number, 9)), format!("{}::/64", v6(number, 9))]);
    let inner: Vec<_> = inner.map(|prefix| format!("{prefix:?}")).collect();
    let allows = format!(
        "[[allow]]\nname = \"inner\"\nfrom = [{}]\nudp = [7000]\n\n[[allow]]\nname = \"wide\"\nfrom = [\"25.0.0.0/8\", \
         \"2a00:1:100::/40\"]\nudp = [7001]\n\n[[deny]]",
        inner.join(", ")
    );
    let mut judges = Judges::new(&[("[[deny]]", &allows)]).expect("the policy is in force in both worlds");
    for number in (0..EACH).step_by(7) {
        let wide_v4 = number / 256 == 5;
        let wide_v6 = (0x100..0x200).contains(&number);
        for (inside, beside, wide, to) in [
            (format!("{}.7", v4(number, 9)), format!("{}.7", v4(number, 10)), wide_v4, (sbc(7000), sbc(7001))),
            (
                format!("[{}::7]", v6(number, 9)),
                format!("[{}::7]", v6(number, 10)),
                wide_v6,
                (sbc_v6(7000), sbc_v6(7001)),
            ),
        ] {
            let unlisted = if wide { PortClosed } else { SourceUnlisted };
            let (inside, beside) = (format!("{inside}:7000"), format!("{beside}:7000"));
            judges.check(&inside, &udp(&inside, &to.0), Listed, Some("allow/inner"));
            judges.check(&beside, &udp(&beside, &to.0), unlisted, None);
            if wide {
                judges.check(&inside, &udp(&inside, &to.1), Listed, Some("allow/wide"));
                judges.check(&beside, &udp(&beside, &to.1), Listed, Some("allow/wide"));
            }
        }
    }
}

/// More /16s than there are blocks beside the roots, each with more prefixes than a node takes.
#[test]
fn what_lies_in_blocks_that_do_not_stand_beside_the_roots_is_found_there() {
    let others = Sandbox::INDEX_ROOM.blocks;
    assert!(others > 0);
    let all = u16::try_from(NEAR_BLOCKS + others).expect("fewer than there are /16s");
    let net = |number: u16, third: u8| format!("{}.{}.{third}", 20 + number / 256, number % 256);
    let prefixes =
        (0..all).flat_map(|number| (0..9).map(move |place| format!("{:?}", net(number, 4 * place) + ".0/24")));
    let allow = format!(
        "[[allow]]\nname = \"dense\"\nfrom = [{}]\nudp = [7000]\n\n[[deny]]",
        prefixes.collect::<Vec<_>>().join(", ")
    );
    let mut judges = Judges::new(&[("[[deny]]", &allow)]).expect("the policy is in force in both worlds");
    for number in (0..all).step_by(9).chain(all - u16::try_from(others).expect("few")..all) {
        for third in [0, 32] {
            let (inside, beside) = (net(number, third) + ".7:7000", net(number, third + 1) + ".7:7000");
            judges.check(&inside, &udp(&inside, &sbc(7000)), Listed, Some("allow/dense"));
            judges.check(&beside, &udp(&beside, &sbc(7000)), SourceUnlisted, None);
        }
    }
}

/// So many prefixes that the filter in front of the index has blocks.
#[test]
fn what_is_listed_passes_the_filter_of_many_sources() {
    const EACH: u32 = 20_000;
    let v4 = |number: u32| format!("{}.{}.{}", 20 + number / 65_536, number / 256 % 256, number % 256);
    let v6 = |number: u32| format!("2a00:{:x}:{:x}:", number / 100, number % 100);
    let prefixes = (0..EACH).flat_map(|number| [v4(2 * number) + ".0/24", v6(2 * number) + ":/48"]);
    let prefixes: Vec<_> = prefixes.map(|prefix| format!("{prefix:?}")).collect();
    let allow = format!("[[allow]]\nname = \"many\"\nfrom = [{}]\nudp = [7000]\n\n[[deny]]", prefixes.join(", "));
    let policy = fixture_policy(&[("[[deny]]", &allow)]).expect("a policy");
    let index = HostIndex::new(&policy.sources, IndexRoom::MOST);
    assert!(index.form.blocks.is_some());
    let mut kernel = Sandbox::for_policy(&policy).expect("the program loads (this needs root)");
    kernel.publish(&policy).expect("the policy is in force");
    for number in (0..2 * EACH).step_by(3) {
        let reason = if number % 2 == 0 { Listed } else { SourceUnlisted };
        for (source, to) in [(v4(number) + ".7:7000", sbc(7000)), (format!("[{}:7]:7000", v6(number)), sbc_v6(7000))] {
            let verdict = kernel.judge(&udp(&source, &to)).expect("the program judges");
            assert_eq!(verdict.reason(), reason, "{source}");
        }
    }
}
