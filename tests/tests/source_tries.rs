//! Sources that the index in front of the source tries does not know, judged in both worlds.

use filter_common::Reason::{Listed, PortClosed, SourceUnlisted};
use tests::{judge::Judges, packets::udp};

/// One of the SBC's own addresses in the policy with a port.
fn sbc(port: u16) -> String {
    format!("198.51.100.10:{port}")
}

/// The same in IPv6.
fn sbc_v6(port: u16) -> String {
    format!("[2001:db8:ffff::10]:{port}")
}

/// Prefixes of more /16s, and of more /48s, than the index has nodes for: of the others the tries are asked, of either half, for
/// what lies in a prefix and for what only a wider one covers.
#[test]
fn what_the_index_has_no_room_for_is_asked_of_the_tries() {
    const EACH: u16 = 1500;
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
