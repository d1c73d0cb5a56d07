//! The manifest: the schema knows everything in it, and a node runs with exactly the rights and mounts that it gives.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use k8s_openapi::api::{
    apps::v1::DaemonSet,
    core::v1::{ConfigMap, Container, Namespace, PodSpec, Volume},
};
use lab::Process;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tests::{packaging::packaging, scene::Scene, service::wait_for, sipwall::Ended};

use super::{made, run};

fn manifest() -> String {
    fs::read_to_string(packaging("kubernetes/sipwall.yaml")).expect("the manifest")
}

/// The objects of a manifest.
fn objects(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).expect("YAML")
}

/// What the schema does not know of an object: a type that is generated from it leaves that out.
fn unknown(object: &Value) -> BTreeSet<String> {
    fn read<T: DeserializeOwned + Serialize>(object: &Value) -> BTreeSet<String> {
        match serde_json::from_value::<T>(object.clone()) {
            Ok(known) => difference("", object, &serde_json::to_value(known).expect("JSON")),
            Err(error) => BTreeSet::from([error.to_string()]),
        }
    }
    match object["kind"].as_str() {
        Some("Namespace") => read::<Namespace>(object),
        Some("ConfigMap") => read::<ConfigMap>(object),
        Some("DaemonSet") => read::<DaemonSet>(object),
        kind => BTreeSet::from([format!("an object of the kind {kind:?}")]),
    }
}

fn difference(place: &str, written: &Value, known: &Value) -> BTreeSet<String> {
    match (written, known) {
        (Value::Object(written), Value::Object(known)) => written
            .iter()
            .flat_map(|(key, value)| match known.get(key) {
                Some(known) => difference(&format!("{place}/{key}"), value, known),
                None => BTreeSet::from([format!("{place}/{key}")]),
            })
            .collect(),
        (Value::Array(written), Value::Array(known)) if written.len() == known.len() => {
            written.iter().zip(known).flat_map(|(written, known)| difference(place, written, known)).collect()
        }
        _ if written == known => BTreeSet::new(),
        _ => BTreeSet::from([place.to_owned()]),
    }
}

fn pod() -> PodSpec {
    let daemons = objects(&manifest()).into_iter().find(|object| object["kind"] == "DaemonSet").expect("a DaemonSet");
    let daemons: DaemonSet = serde_json::from_value(daemons).expect("it is one");
    daemons.spec.and_then(|spec| spec.template.spec).expect("a pod")
}

#[test]
fn the_schema_knows_everything_in_the_manifest() {
    let text = manifest();
    let kinds: Vec<_> = objects(&text).iter().map(|object| object["kind"].as_str().map(str::to_owned)).collect();
    assert_eq!(kinds, ["Namespace", "ConfigMap", "DaemonSet"].map(|kind| Some(kind.to_owned())));
    for object in objects(&text) {
        assert_eq!(unknown(&object), BTreeSet::new(), "{}", object["kind"]);
    }
    // A mistake would be found.
    for (right, wrong, place) in [
        ("hostNetwork:", "hostNetwrok:", "hostNetwrok"),
        ("readOnlyRootFilesystem:", "readonlyRootFilesystem:", "readonlyRootFilesystem"),
        ("mountPropagation:", "mountPropogation:", "mountPropogation"),
        ("failureThreshold: 60", "failureThreshold: many", "expected i32"),
        ("maxUnavailable:", "maxUnavailible:", "maxUnavailible"),
    ] {
        let broken = text.replacen(right, wrong, 1);
        assert_ne!(broken, text, "{right}");
        let found: BTreeSet<_> = objects(&broken).iter().flat_map(unknown).collect();
        assert!(found.len() == 1 && found.iter().all(|found| found.contains(place)), "{wrong}: {found:?}");
    }
    // What one object names another has.
    let pod = pod();
    let volumes: BTreeSet<_> = pod.volumes.iter().flatten().map(|volume| volume.name.clone()).collect();
    let mounts: BTreeSet<_> = container(&pod).volume_mounts.iter().flatten().map(|mount| mount.name.clone()).collect();
    assert_eq!(volumes, mounts);
    assert!(text.contains(&format!("image: sipwall:{}", env!("CARGO_PKG_VERSION"))));
}

fn container(pod: &PodSpec) -> &Container {
    assert_eq!(pod.containers.len(), 1, "{:?}", pod.containers);
    &pod.containers[0]
}

/// The image: the archive's binary, and nothing else. Returns where it is.
fn image(root: &Path) -> PathBuf {
    let unpacked = root.join("unpacked");
    let image = root.join("image");
    for directory in ["usr/sbin", "proc", "sys", "dev", "tools"] {
        fs::create_dir_all(image.join(directory)).expect("a directory");
    }
    fs::create_dir(&unpacked).expect("a directory");
    let mut tar = Command::new("tar");
    tar.arg("-xzf").arg(&made().archive).args(["--strip-components=1", "-C"]).arg(&unpacked);
    run(&mut tar).assert_done();
    fs::copy(unpacked.join("sipwall"), image.join("usr/sbin/sipwall")).expect("a binary");
    image
}

/// A container as the manifest has it, on the SBC.
struct Pod<'a> {
    scene: &'a Scene,
    image: PathBuf,
    spec: PodSpec,
}

impl<'a> Pod<'a> {
    fn new(scene: &'a Scene) -> Self {
        let root = scene.directory().join("pod");
        fs::create_dir(&root).expect("a directory");
        let (image, spec) = (image(&root), pod());
        Self { scene, image, spec }
    }

    /// What a volume is on the host; what Kubernetes would make of objects lies in directories of the scene.
    fn source(&self, volume: &Volume) -> String {
        match &volume.host_path {
            Some(path) if path.type_.as_deref() == Some("Directory") => path.path.clone(),
            _ => {
                let path = self.scene.directory().join(&volume.name);
                fs::create_dir_all(&path).expect("a directory");
                path.display().to_string()
            }
        }
    }

    /// Mounts what the manifest mounts, and makes the root read-only, in a mount namespace of the command that follows.
    fn mounts(&self) -> String {
        let image = self.image.display();
        let mut script = format!(
            "set -e; mount --bind {image} {image}; mount --rbind /proc {image}/proc; mount --bind /usr {image}/tools; \
             mount --bind -o ro /sys {image}/sys; mount --bind /dev {image}/dev; "
        );
        let volumes = self.spec.volumes.as_deref().expect("volumes");
        for mount in container(&self.spec).volume_mounts.iter().flatten() {
            let volume = volumes.iter().find(|volume| volume.name == mount.name).expect("it was compared");
            let to = format!("{image}{}", mount.mount_path);
            if !mount.mount_path.starts_with("/sys/") {
                fs::create_dir_all(&to).expect("a directory");
            }
            let options = if mount.read_only == Some(true) { "-o ro" } else { "" };
            script.extend(["mount --bind ", options, " ", &self.source(volume), " ", &to, "; "]);
        }
        assert_eq!(
            container(&self.spec).security_context.as_ref().and_then(|own| own.read_only_root_filesystem),
            Some(true)
        );
        script + &format!("mount -o remount,bind,ro {image}; ")
    }

    /// A command of the container with these capabilities.
    fn command(&self, capabilities: &BTreeSet<String>, arguments: &[String]) -> Command {
        // The tool that takes rights away is the host's.
        let bounding: Vec<_> = capabilities.iter().map(|name| format!("+{}", name.to_lowercase())).collect();
        let bounding = [vec!["-all".to_owned()], bounding].concat().join(",");
        let tools = "/tools/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 --library-path /tools/lib/x86_64-linux-gnu /tools/bin/setpriv";
        let script = format!(
            "{} exec chroot {} {tools} --no-new-privs --inh-caps=-all --bounding-set={bounding} -- \"$@\"",
            self.mounts(),
            self.image.display()
        );
        let mut command = self.scene.host("sbc").command("unshare");
        command.args(["--mount", "sh", "-c", &script, "sh"]).args(arguments);
        command
    }

    /// Starts the container with these capabilities; its log is in a file.
    fn start(&self, capabilities: &BTreeSet<String>, log: &str) -> Process {
        let arguments: Vec<_> = ["/usr/sbin/sipwall".to_owned()]
            .into_iter()
            .chain(container(&self.spec).args.clone().expect("arguments"))
            .collect();
        let mut command = self.command(capabilities, &arguments);
        let log = fs::File::create(self.scene.path(log)).expect("a file");
        Process::start(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log)).expect("it starts")
    }

    /// Runs a probe, as it is written, with the container's rights.
    fn probe(&self, command: Option<&Vec<String>>) -> Ended {
        self.command(&self.capabilities(), command.expect("a command")).output().expect("it runs").into()
    }

    fn capabilities(&self) -> BTreeSet<String> {
        let own = container(&self.spec).security_context.clone().expect("a context");
        let capabilities = own.capabilities.expect("capabilities");
        assert_eq!(capabilities.drop.as_deref(), Some(&["ALL".to_owned()][..]));
        capabilities.add.expect("some").into_iter().collect()
    }
}

/// What the manifest's `ConfigMap` and its Secret would be as files; the key is a real one.
fn configure(pod: &Pod<'_>) {
    let scene = pod.scene;
    let objects = objects(&manifest());
    let text = |name: &str| {
        let map = objects.iter().find(|object| object["kind"] == "ConfigMap").expect("a ConfigMap");
        map["data"][name].as_str().expect("a file").to_owned()
    };
    for directory in ["configuration", "secret"] {
        fs::create_dir_all(scene.directory().join(directory)).expect("a directory");
    }
    scene.sipwall(&["fleet", "keygen", &scene.path("secret/fleet.key")]).assert_done();
    fs::write(scene.path("configuration/policy.toml"), text("policy.toml")).expect("a file");
    // There is no broker here: the node goes on without one, and a certificate of none is needed.
    let fleet = text("fleet.toml").replace("tls://", "nats://");
    let fleet: Vec<_> =
        fleet.lines().filter(|line| !["ca ", "credentials "].iter().any(|key| line.starts_with(key))).collect();
    assert!(fleet.iter().all(|line| !line.contains("tls")) && fleet.len() == 5, "{fleet:?}");
    fs::write(scene.path("configuration/fleet.toml"), fleet.join("\n")).expect("a file");
}

#[test]
fn a_node_runs_with_exactly_the_rights_and_mounts_of_the_manifest() {
    let scene = Scene::new();
    let pod = Pod::new(&scene);
    configure(&pod);
    let own = container(&pod.spec).clone();
    let command = |probe: Option<k8s_openapi::api::core::v1::Probe>| probe.and_then(|probe| probe.exec?.command);
    let [startup, liveness, readiness] = [own.startup_probe, own.liveness_probe, own.readiness_probe].map(command);
    pod.probe(startup.as_ref()).assert_failed(1, "no service runs");
    let all = pod.capabilities();
    // Without any one of them it does not start.
    for missing in &all {
        let fewer: BTreeSet<_> = all.iter().filter(|name| *name != missing).cloned().collect();
        let mut process = pod.start(&fewer, "log");
        let log = || fs::read_to_string(scene.path("log")).expect("a file");
        let ended = process.wait(Duration::from_mins(1)).expect("it is a child");
        assert!(ended.is_some_and(|ended| !ended.success()), "without {missing}: {}", log());
        assert!(log().contains("error"), "without {missing}: {}", log());
        assert_ne!(pod.probe(readiness.as_ref()).code, 0, "without {missing}: {}", log());
        assert_eq!(scene.datagrams("scanner", 5060), 3, "nothing is filtered without {missing}");
    }
    let process = pod.start(&all, "log");
    let log = || fs::read_to_string(scene.path("log")).expect("a file");
    wait_for("it is ready", || (pod.probe(readiness.as_ref()).code == 0).then_some(()));
    for probe in [&startup, &liveness] {
        pod.probe(probe.as_ref()).assert_done();
    }
    assert_eq!(scene.datagrams("scanner", 5060), 0, "{}", log());
    let status = scene.status();
    assert_eq!((&status["running"], &status["mode"]), (&true.into(), &"enforce".into()), "{status}");
    // The filter stays when the pod goes, and the node's next pod takes it over.
    drop(process);
    assert_eq!(scene.datagrams("scanner", 5060), 0);
    let gone = pod.probe(readiness.as_ref());
    assert!(gone.code == 1 && gone.stderr.contains("service"), "{gone:?}");
    let _process = pod.start(&all, "log");
    wait_for("it is ready again", || (pod.probe(readiness.as_ref()).code == 0).then_some(()));
    scene.sipwall(&["detach", "eth0"]).assert_done();
}
