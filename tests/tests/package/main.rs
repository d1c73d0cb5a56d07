//! What `cargo xtask package` makes: it installs, runs, and leaves nothing behind.

#![expect(clippy::expect_used, reason = "a test that cannot go on panics")]

mod kubernetes;

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    net::TcpListener,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    thread,
};

use serde_json::Value;
use tempfile::TempDir;
use tests::{
    packaging::packaging,
    scene::Scene,
    sipwall::{Ended, program},
};

/// What was made, and the directory that it is in.
struct Made {
    _directory: TempDir,
    package: PathBuf,
    archive: PathBuf,
}

/// The package and the archive, made once, with a binary that is not optimised.
fn made() -> &'static Made {
    static MADE: OnceLock<Made> = OnceLock::new();
    MADE.get_or_init(|| {
        let directory = tempfile::tempdir().expect("a directory");
        let output = directory.path().to_str().expect("a plain path");
        let ended = run(Command::new(program("xtask")).args(["package", "--debug", "--output", output]));
        ended.assert_done();
        let mut paths = ended.stdout.lines().map(PathBuf::from);
        let (package, archive) = (paths.next().expect("a package"), paths.next().expect("an archive"));
        Made { _directory: directory, package, archive }
    })
}

fn run(command: &mut Command) -> Ended {
    command.output().expect("it starts").into()
}

/// A root with a shell and the directories that `dpkg` wants, and nothing else.
fn scratch_root() -> TempDir {
    let root = tempfile::tempdir().expect("a directory");
    let path = |name: &str| root.path().join(name);
    for directory in ["bin", "etc", "usr/sbin", "var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/dpkg/triggers"] {
        fs::create_dir_all(path(directory)).expect("a directory");
    }
    for file in ["var/lib/dpkg/status", "var/lib/dpkg/available"] {
        fs::write(path(file), "").expect("a file");
    }
    fs::copy(shell(), path("bin/busybox")).expect("`busybox` is static");
    fs::write(path("etc/hostname"), "scratch\n").expect("a file");
    for applet in ["sh", "rm", "kill"] {
        symlink("busybox", path("bin").join(applet)).expect("a link");
    }
    root
}

fn shell() -> PathBuf {
    let places = ["/bin/busybox", "/usr/bin/busybox"].map(PathBuf::from);
    places.into_iter().find(|place| place.exists()).expect("`cargo xtask setup` installs busybox")
}

fn dpkg(root: &Path, arguments: &[&str]) -> Ended {
    let root = format!("--root={}", root.display());
    run(Command::new("dpkg").args([&root, "--log=/dev/null", "--force-not-root"]).args(arguments))
}

/// Every file under a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() && !path.is_symlink() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn the_package_installs_runs_and_is_purged_without_a_trace() {
    let root = scratch_root();
    let before = files(&root.path().join("etc"));
    let package = made().package.to_str().expect("a plain path");
    dpkg(root.path(), &["--install", package]).assert_done();
    let installed = root.path().join("usr/sbin/sipwall");
    let inside = |arguments: &[&str]| run(Command::new("chroot").arg(root.path()).args(arguments));
    let version = inside(&["/usr/sbin/sipwall", "--version"]);
    assert_eq!((version.code, version.stdout.as_str()), (0, concat!("sipwall ", env!("CARGO_PKG_VERSION"), "\n")));
    let checked = inside(&["/usr/sbin/sipwall", "check", "/etc/sipwall/policy.toml"]);
    checked.assert_done();
    assert!(checked.stdout.contains("MONITOR mode"), "{checked:?}");
    for file in [
        "usr/share/man/man8/sipwall.8.gz",
        "usr/share/man/man8/sipwall-run.8.gz",
        "usr/share/bash-completion/completions/sipwall",
        "usr/share/zsh/vendor-completions/_sipwall",
        "usr/share/fish/vendor_completions.d/sipwall.fish",
        "usr/lib/systemd/system/sipwall.service",
        "usr/share/doc/sipwall/copyright",
        "usr/share/doc/sipwall/sbom.cyclonedx.json",
        "usr/share/doc/sipwall/docs/policy.md",
        "usr/share/doc/sipwall/docs/pictures/dashboard-light.png",
    ] {
        assert!(root.path().join(file).metadata().is_ok_and(|file| file.len() > 0), "{file}");
    }
    // It filters, too.
    let scene = Scene::new();
    let policy = scene.policy("policy.toml", &[]);
    let sbc = scene.host("sbc");
    run(sbc.command(&installed).args(["attach", "eth0", "--policy", &policy])).assert_done();
    assert_eq!((scene.datagrams("carrier", 5060), scene.datagrams("scanner", 5060)), (3, 0));
    run(sbc.command(&installed).args(["detach", "--all"])).assert_done();
    // What the operator changed stays until the purge.
    let configuration = root.path().join("etc/sipwall/policy.toml");
    fs::write(&configuration, "# changed\n").expect("a file");
    fs::create_dir_all(root.path().join("var/lib/sipwall")).expect("a directory");
    dpkg(root.path(), &["--remove", "sipwall"]).assert_done();
    assert!(!installed.exists() && configuration.exists());
    dpkg(root.path(), &["--purge", "sipwall"]).assert_done();
    assert_eq!(files(&root.path().join("etc")), before);
    for directory in ["etc/sipwall", "var/lib/sipwall", "usr/share", "usr/lib"] {
        assert!(!root.path().join(directory).exists(), "{directory} is left");
    }
}

#[test]
fn the_package_keeps_a_changed_policy_when_it_is_installed_again() {
    let root = scratch_root();
    let package = made().package.to_str().expect("a plain path");
    dpkg(root.path(), &["--install", package]).assert_done();
    let configuration = root.path().join("etc/sipwall/policy.toml");
    fs::write(&configuration, "# changed\n").expect("a file");
    dpkg(root.path(), &["--install", package]).assert_done();
    assert_eq!(fs::read_to_string(&configuration).expect("a file"), "# changed\n");
}

#[test]
fn the_archive_s_binary_needs_no_library() {
    let directory = tempfile::tempdir().expect("a directory");
    run(Command::new("tar").arg("-xzf").arg(&made().archive).arg("-C").arg(directory.path())).assert_done();
    let unpacked =
        fs::read_dir(directory.path()).expect("a directory").next().expect("an entry").expect("an entry").path();
    let binary = unpacked.join("sipwall");
    let libraries = run(Command::new("ldd").arg(&binary));
    assert!(libraries.stdout.contains("statically linked"), "{libraries:?}");
    assert_runs_alone(&binary);
    let bill = fs::read_to_string(unpacked.join("sbom.cyclonedx.json")).expect("a bill of materials");
    let bill: Value = serde_json::from_str(&bill).expect("JSON");
    assert_eq!(bill["bomFormat"], "CycloneDX");
    let components = bill["components"].as_array().expect("components");
    assert!(components.len() > 100 && components.iter().all(|one| !one["licenses"][0]["expression"].is_null()));
}

/// Asserts that the binary fetches a document from a server that it knows by name, in a root where nothing else is.
fn assert_runs_alone(binary: &Path) {
    let root = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        fs::write(path, text).expect("a file");
    };
    fs::copy(binary, root.path().join("sipwall")).expect("a file");
    write("etc/hosts", "127.0.0.1 localhost\n");
    write("etc/resolv.conf", "nameserver 192.0.2.53\n");
    // What a C library would ask first, and find no plug-in for.
    write("etc/nsswitch.conf", "hosts: resolve [!UNAVAIL=return] mymachines\n");
    write("proc/sys/kernel/random/boot_id", "a-boot\n");
    let server = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = server.local_addr().expect("an address").port();
    let source = format!("name = \"acme\"\nsource = \"http://localhost:{port}/acme.md\"\n");
    // Some of what is linked in takes its randomness from there.
    for device in ["random", "urandom"] {
        let mut octets = [0; 4096];
        File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut octets)).expect("random octets");
        fs::create_dir_all(root.path().join("dev")).expect("a directory");
        fs::write(root.path().join("dev").join(device), octets).expect("a file");
    }
    write("policy.toml", &format!("[sbc]\n[sbc.listen]\nsip-udp = [5060]\n[[provider]]\n{source}"));
    let serving = thread::spawn(move || {
        let (mut client, _) = server.accept().expect("a client");
        let mut request = [0; 4096];
        let _ = client.read(&mut request).expect("a request");
        let page =
            "| Service | Protocol | IP address | Port |\n|---|---|---|---|\n| SBC | UDP | 203.0.113.1 | 5060 |\n";
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", page.len());
        client.write_all(format!("{head}{page}").as_bytes()).expect("an answer");
    });
    let refresh = ["/sipwall", "refresh", "--policy", "/policy.toml", "--state", "/state"];
    let refreshed = run(Command::new("chroot").arg(root.path()).args(refresh));
    refreshed.assert_done();
    assert!(refreshed.stdout.contains("acme: updated, 1 added"), "{refreshed:?}");
    serving.join().expect("the server served");
}

#[test]
fn the_unit_is_sound_and_as_hardened_as_the_documentation_says() {
    let unit = packaging("sipwall.service");
    let rated = run(Command::new("systemd-analyze").args(["security", "--offline=true", "--no-pager"]).arg(&unit));
    rated.assert_done();
    let figure = rated.stdout.split("Overall exposure level for sipwall.service: ").nth(1).expect("a figure");
    let figure = figure.split_whitespace().next().expect("a figure");
    let documentation = include_str!("../../../docs/service.md");
    assert!(documentation.contains(&format!("**{figure}**")), "docs/service.md does not say {figure}");
    // In a root where its program is there.
    let root = scratch_root();
    let package = made().package.to_str().expect("a plain path");
    dpkg(root.path(), &["--install", package]).assert_done();
    assert_eq!(verify(root.path()), (0, String::new()));
    // As a node of a fleet too, whose drop-in is the one of the guide.
    let drop_in = root.path().join("usr/share/doc/sipwall/examples/fleet.conf");
    let text = fs::read_to_string(&drop_in).expect("a file");
    assert!(include_str!("../../../docs/fleet.md").contains(&format!("```ini\n{text}```")), "{text}");
    let place = root.path().join("etc/systemd/system/sipwall.service.d");
    fs::create_dir_all(&place).expect("a directory");
    fs::copy(drop_in, place.join("fleet.conf")).expect("a file");
    assert_eq!(verify(root.path()), (0, String::new()));
    // A mistake in it would be found.
    fs::write(place.join("fleet.conf"), text.replace("MemoryMax=", "MemoryMost=")).expect("a file");
    let (_, complaint) = verify(root.path());
    assert!(complaint.contains("'MemoryMost'"), "{complaint}");
}

/// What `systemd-analyze` says of the unit as it is installed below a root.
fn verify(root: &Path) -> (i32, String) {
    let verified = run(Command::new("systemd-analyze")
        .args(["verify", "--man=no", "--recursive-errors=no"])
        .arg(format!("--root={}", root.display()))
        .arg("sipwall.service"));
    (verified.code, verified.stderr)
}
