//! Another XDP program on the same NIC: only one can be there.

use std::{process::Command, time::Duration};

use tests::{
    http,
    service::wait_for,
    sipwall::{Ended, binary},
    unpacked::start,
};

use crate::place::{CARRIER, DAEMONS, PLAIN, Place, SBC, SCANNER, datagrams, shell, text};

/// A program of xdp-tools that lets everything pass.
const OTHER: &str = "usr/lib/x86_64-linux-gnu/bpf/xdpfilt_alw_all.o";
const OTHER_NAME: &str = "xdpfilt_alw_all";

/// A place with what other loaders need: a `/run` of its own, where xdp-loader keeps a lock, and a BPF file system.
fn place() -> Place {
    let place = Place::new(&[SBC, CARRIER, SCANNER]);
    shell(place.sbc(), "mount -t tmpfs tmpfs /run; mount -t bpf bpf /sys/fs/bpf");
    place
}

fn loader(place: &Place, arguments: &[&str]) -> Ended {
    let mut loader = DAEMONS.command(place.sbc(), "usr/sbin/xdp-loader");
    // Where its dispatcher is installed and the kernel takes it, that would be the program on the NIC.
    loader.env("LIBXDP_SKIP_DISPATCHER", "1");
    loader.args(arguments).output().expect("it starts").into()
}

fn ip_link(place: &Place, arguments: &[&str]) -> Ended {
    let mut ip: Command = place.sbc().command("ip");
    ip.args(["link", "set", "dev", "eth0"]).args(arguments).output().expect("it starts").into()
}

fn attach(place: &Place, option: &[&str]) -> Ended {
    let policy = place.policy(PLAIN);
    place.sipwall(&[&["attach", "eth0", "--policy", &policy], option].concat())
}

/// `attach` is refused, and says which program is there.
fn assert_refused(place: &Place, option: &[&str]) {
    let refused = attach(place, option);
    refused.assert_failed(1, &format!("`eth0` already runs an XDP program, `{OTHER_NAME}` with the id "));
    refused.assert_failed(1, "\nhint: ");
}

fn assert_filters(place: &Place) {
    assert_eq!((datagrams(place, CARRIER), datagrams(place, SCANNER)), (3, 0));
}

#[test]
fn where_another_program_is_the_filter_is_refused_until_it_is_gone() {
    let place = place();
    let object = text(DAEMONS.file(OTHER));
    loader(&place, &["load", "eth0", &object, "-n", OTHER_NAME]).assert_done();
    assert_refused(&place, &[]);
    place.sipwall(&["stats", "eth0"]).assert_failed(1, "no filter is attached to `eth0`");
    assert_eq!((datagrams(&place, CARRIER), datagrams(&place, SCANNER)), (3, 3), "the other program runs on");
    loader(&place, &["unload", "eth0", "--all"]).assert_done();
    attach(&place, &[]).assert_done();
    assert_filters(&place);
    place.sipwall(&["detach", "eth0"]).assert_done();
    // Native, and in the stack.
    for (mode, option) in
        [("xdpdrv", &["--allow-generic"][..]), ("xdpgeneric", &[]), ("xdpgeneric", &["--allow-generic"])]
    {
        ip_link(&place, &[mode, "object", &object, "program", OTHER_NAME]).assert_done();
        assert_refused(&place, option);
        ip_link(&place, &[mode, "off"]).assert_done();
    }
    attach(&place, &[]).assert_done();
    assert_filters(&place);
    assert_eq!((place.rule("allow/carrier"), place.reason("source_unlisted")), (3, 3));
}

/// The service once named the other program by nothing between backticks: it has given up what it takes to ask for the name.
#[test]
fn the_service_says_that_another_program_is_there_and_ends() {
    let place = place();
    let object = text(DAEMONS.file(OTHER));
    ip_link(&place, &["xdpdrv", "object", &object, "program", OTHER_NAME]).assert_done();
    let mut service = place.sbc().command(binary());
    service.args(["run", "--policy", &place.policy(PLAIN), "--state", &place.path("state")]);
    service.args(["--runtime", &place.path("run")]).env_remove("NOTIFY_SOCKET").env_remove("JOURNAL_STREAM");
    let ended = start(&mut service, place.path("run.log").as_ref()).wait(Duration::from_mins(1)).expect("a process");
    assert_eq!(ended.and_then(|status| status.code()), Some(1));
    let said = place.said("run.log");
    assert!(said.contains("error: `eth0` already runs an XDP program with the id "), "{said}");
    // A service manager starts it again and again, and so it is there once the other one is gone.
    ip_link(&place, &["xdpdrv", "off"]).assert_done();
    let _service = start(&mut service, place.path("run.log").as_ref());
    wait_for("the service attaches", || (place.sipwall(&["stats", "eth0"]).code == 0).then_some(()));
    assert_filters(&place);
}

/// A service that was ready once seemed to protect every interface, though another program held one of them.
#[test]
fn the_service_says_which_interface_it_cannot_protect_where_it_protects_another() {
    let place = place();
    let object = text(DAEMONS.file(OTHER));
    shell(place.sbc(), "ip link add wan0 type veth peer name wan1; ip link set wan0 up; ip link set wan1 up");
    shell(place.sbc(), &format!("ip link set dev wan0 xdpdrv object {object} program {OTHER_NAME}"));
    let policy = place.policy(PLAIN);
    let mut service = place.sbc().command(binary());
    service.args(["run", "eth0", "wan0", "--policy", &policy, "--state", &place.path("state")]);
    service.args(["--runtime", &place.path("run"), "--listen", "127.0.0.1:9464"]);
    service.env_remove("NOTIFY_SOCKET").env_remove("JOURNAL_STREAM");
    let _service = start(&mut service, place.path("run.log").as_ref());
    let status = || place.sipwall(&["status", "--runtime", &place.path("run")]);
    let shown = wait_for("it says so", || Some(status()).filter(|shown| shown.stdout.contains("wan0 FAILED")));
    assert_eq!(shown.code, 1, "{shown:?}");
    let parts = ["eth0: running", "which is in force on 1 of 2 interfaces", "wan0 FAILED, NOT FILTERED, since"];
    assert!(parts.iter().all(|part| shown.stdout.contains(part)), "{shown:?}");
    assert!(shown.stdout.contains("`wan0` already runs an XDP program with the id"), "{shown:?}");
    let said = place.said("run.log");
    let failed =
        said.lines().find(|line| line.contains("could not be put in force")).unwrap_or_else(|| panic!("{said}"));
    assert!(failed.contains("wan0") && !said.contains("hint"), "{said}");
    for told in [
        "sipwall_attached{interface=\"wan0\"} 0",
        "sipwall_attached{interface=\"eth0\"} 1",
        "sipwall_service_interface_state{interface=\"wan0\",state=\"failed\"} 1",
    ] {
        wait_for(told, || {
            let address = "127.0.0.1:9464".parse().expect("an address");
            let metrics = place.sbc().enter(|| http::get(address, "/metrics")).expect("a host");
            metrics.body.contains(told).then_some(())
        });
    }
    assert_filters(&place);
    // Once the other program is gone the service protects that one too.
    shell(place.sbc(), "ip link set dev wan0 xdpdrv off");
    let shown = wait_for("it is filtered", || Some(status()).filter(|shown| shown.stdout.contains(", keeps ")));
    assert_eq!(shown.code, 0, "{shown:?}");
}

#[test]
fn no_other_program_takes_the_filter_s_place() {
    let place = place();
    let object = text(DAEMONS.file(OTHER));
    attach(&place, &[]).assert_done();
    let refused = loader(&place, &["load", "eth0", &object, "-n", OTHER_NAME]);
    assert_ne!(refused.code, 0, "{refused:?}");
    for arguments in [
        &["xdp", "off"][..],
        &["-force", "xdp", "off"],
        &["xdp", "object", &object, "program", OTHER_NAME],
        &["xdpgeneric", "object", &object, "program", OTHER_NAME],
    ] {
        let refused = ip_link(&place, arguments);
        assert_ne!(refused.code, 0, "{arguments:?}: {refused:?}");
    }
    assert_filters(&place);
    assert!(shell(place.sbc(), "ip link show dev eth0").contains("name sipwall"));
    assert_eq!(place.sipwall(&["status", "eth0", "--json"]).json()["running"], true);
}
