//! The lab itself: hosts reach each other, and nothing is left when it is gone.

use std::{
    env, fs,
    net::{SocketAddr, UdpSocket},
    process::Command,
    thread,
    time::Duration,
};

use anyhow::Result;
use lab::{Frame, Identity, Lab, Plan, Tap, remove, run};

fn two_hosts() -> Result<Lab> {
    let sbc = ["198.51.100.10/32".parse()?, "2001:db8::10/128".parse()?];
    let kore = ["168.86.128.0/18".parse()?, "2001:db8:1::/64".parse()?];
    Lab::new(&[Plan::new("sbc", sbc), Plan::new("kore", kore)])
}

fn udp(lab: &Lab, host: &str, address: &str) -> Result<UdpSocket> {
    let address = SocketAddr::new(address.parse()?, 5060);
    let socket = lab.host(host)?.enter(|| UdpSocket::bind(address))??;
    socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    Ok(socket)
}

#[test]
fn hosts_reach_each_other_from_any_of_their_addresses() -> Result<()> {
    let lab = two_hosts()?;
    for (from, to) in [("168.86.130.7", "198.51.100.10"), ("2001:db8:1::7", "2001:db8::10")] {
        let (sender, receiver) = (udp(&lab, "kore", from)?, udp(&lab, "sbc", to)?);
        sender.send_to(b"hello", receiver.local_addr()?)?;
        let mut buffer = [0; 16];
        let (length, source) = receiver.recv_from(&mut buffer)?;
        assert_eq!((&buffer[..length], source), (&b"hello"[..], sender.local_addr()?));
    }
    Ok(())
}

#[test]
fn taps_before_and_behind_a_nic_see_the_same_frames() -> Result<()> {
    let lab = two_hosts()?;
    let (core, sbc) = (lab.core()?, lab.host("sbc")?);
    let (before, behind) = (Tap::open(core, sbc)?, Tap::open(sbc, sbc)?);
    let sender = udp(&lab, "kore", "168.86.130.7")?;
    for octet in 0..100 {
        sender.send_to(&[octet; 64], "198.51.100.10:5060")?;
    }
    // Address resolution and IPv6 upkeep come on top.
    let datagrams = |tap: Tap| -> Result<Vec<Frame>> {
        Ok(tap.close()?.into_iter().filter(|frame| frame.length == 14 + 20 + 8 + 64).collect())
    };
    let (before, behind) = (datagrams(before)?, datagrams(behind)?);
    assert_eq!(before.len(), 100);
    assert_eq!(before, behind);
    Ok(())
}

#[test]
fn a_mount_in_a_host_is_there_for_the_next_command_and_not_outside() -> Result<()> {
    let lab = two_hosts()?;
    let sbc = lab.host("sbc")?;
    run(sbc.command("mount").args(["-t", "tmpfs", "tmpfs", "/mnt"]), "")?;
    run(sbc.command("mkdir").args(["/mnt/lab-test", "/sys/fs/bpf/lab-test"]), "")?;
    let other = lab.host("kore")?;
    for directory in ["/mnt/lab-test", "/sys/fs/bpf/lab-test"] {
        run(sbc.command("test").args(["-d", directory]), "")?;
        assert!(!fs::exists(directory)?);
        assert!(run(other.command("test").args(["-d", directory]), "").is_err());
    }
    assert_eq!(run(other.command("ls").arg("/sys/class/net"), "")?, "eth0\nlo\n");
    Ok(())
}

#[test]
fn commands_run_in_the_current_directory() -> Result<()> {
    let lab = two_hosts()?;
    let printed = run(&mut lab.host("sbc")?.command("pwd"), "")?;
    assert_eq!(printed.trim(), env::current_dir()?.display().to_string());
    Ok(())
}

/// How many mounts there are that bear the name of this lab.
fn traces(identity: Identity) -> Result<usize> {
    Ok(fs::read_to_string("/proc/self/mounts")?.matches(&identity.to_string()).count())
}

#[test]
fn nothing_is_left_of_a_lab_that_was_dropped() -> Result<()> {
    let lab = two_hosts()?;
    let identity = lab.identity();
    let mut sleep = lab.host("sbc")?.command("sleep").arg("600").spawn()?;
    assert_ne!(traces(identity)?, 0);
    drop(lab);
    assert_eq!(traces(identity)?, 0);
    assert!(!sleep.wait()?.success(), "what ran in the lab is killed");
    Ok(())
}

#[test]
fn a_kept_lab_stands_until_it_is_removed() -> Result<()> {
    let lab = two_hosts()?;
    let identity = lab.identity();
    lab.keep()?;
    // Another lab cleans up first, but not what was kept.
    drop(two_hosts()?);
    assert_ne!(traces(identity)?, 0);
    remove(identity)?;
    assert_eq!(traces(identity)?, 0);
    Ok(())
}

#[test]
fn what_a_killed_run_left_is_removed_before_the_next_lab() -> Result<()> {
    // No process has this number.
    let namespace = "sipwall-4294967295-0-sbc";
    run(Command::new("ip").args(["netns", "add", namespace]), "")?;
    drop(two_hosts()?);
    assert!(!run(Command::new("ip").args(["netns", "list"]), "")?.contains(namespace));
    Ok(())
}

#[test]
fn several_runs_may_clean_up_after_a_third_at_once() -> Result<()> {
    let lab = two_hosts()?;
    let identity = lab.identity();
    lab.keep()?;
    thread::scope(|scope| {
        let removals = [(); 4].map(|()| scope.spawn(move || remove(identity)));
        removals.into_iter().try_for_each(|removal| removal.join().expect("it ends"))
    })?;
    assert_eq!(traces(identity)?, 0);
    Ok(())
}
