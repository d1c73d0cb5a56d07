//! What is reckoned beforehand for UDP is what the sets of terms come to, and where it is too much they are asked.

use std::net::SocketAddr;

use filter_common::{
    Reason::{Listed, PortClosed, SourceUnlisted},
    Stateless, decide,
    tables::CrossingForm,
};
use filter_user::policy::HostPolicy;
use tests::{
    judge::{Judges, fixture_policy, sbc},
    packets::udp,
};

#[test]
fn what_is_reckoned_beforehand_is_what_the_sets_come_to() {
    let policy = fixture_policy(&[]).expect("a policy");
    let mut asked = policy.clone();
    assert_ne!(policy.tables.settings.crossing, CrossingForm::default(), "it is reckoned");
    asked.tables.cross(0);
    let judges = [&policy, &asked].map(HostPolicy::new);
    let mut listed = 0;
    for (prefix, _) in policy.sources.iter().filter(|(prefix, _)| prefix.addr().is_ipv4()) {
        // Every class of ports has one of these, or begins or ends beside one.
        let edges = || {
            (0..=u16::MAX).filter(|port| port % 509 == 0 || matches!(port, 3470..3490 | 5055..5065 | 10_000 | 20_000))
        };
        for (from, to) in
            edges().flat_map(|from| edges().map(move |to| (from, to))).filter(|(from, to)| from % 7 == to % 7)
        {
            let source = SocketAddr::new(prefix.addr(), from).to_string();
            let frame = udp(&source, &sbc(to));
            let [reckoned, asked] = judges.each_ref().map(|judge| decide(frame.as_slice(), judge, &Stateless));
            assert_eq!(reckoned, asked, "{source} to {to}");
            listed += u32::from(reckoned.is(Listed));
        }
    }
    assert!(listed > 1000, "{listed} are listed");
}

/// A hundred rules, each of a source and a port of its own.
#[test]
fn where_there_are_too_many_answers_the_sets_are_asked() {
    let allow = |number: u8| {
        format!(
            "[[allow]]\nname = \"rule-{number}\"\nfrom = [\"10.1.{number}.0/24\"]\nudp = [{}]\n\n",
            7000 + u16::from(number)
        )
    };
    let allows: String = (0..100).map(allow).chain(["[[deny]]".to_owned()]).collect();
    let changes = [("[[deny]]", allows.as_str())];
    let policy = fixture_policy(&changes).expect("a policy");
    assert_eq!(policy.tables.settings.crossing, CrossingForm::default(), "it is too much");
    let mut judges = Judges::new(&changes).expect("the policy is in force in both worlds");
    for number in (0..100_u16).step_by(9) {
        let (source, rule) = (format!("10.1.{number}.7:6000"), format!("allow/rule-{number}"));
        let port = 7000 + number;
        judges.check(&source, &udp(&source, &sbc(port)), Listed, Some(&rule));
        judges.check(&source, &udp(&source, &sbc(port + 1)), PortClosed, None);
        let beside = format!("10.2.{number}.7:6000");
        judges.check(&beside, &udp(&beside, &sbc(port)), SourceUnlisted, None);
    }
}
