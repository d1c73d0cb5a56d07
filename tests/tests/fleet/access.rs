//! The way to a broker that asks who comes: TLS with certificates on both sides, and a credentials file of NATS.

use std::fs;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use nkeys::KeyPair as Nkey;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};

use crate::world::{Broker, Node, World, broker_address};

/// A claim, signed: what `nsc` writes.
fn token(issuer: &Nkey, subject: &Nkey, name: &str, claims: &Value) -> String {
    let claims = json!({
        "jti": name, "iat": 1, "iss": issuer.public_key(), "sub": subject.public_key(), "name": name, "nats": claims,
    });
    let parts =
        [json!({ "typ": "JWT", "alg": "ed25519-nkey" }), claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    let signed = parts.join(".");
    let signature = issuer.sign(signed.as_bytes()).expect("a key that signs");
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// Writes what the broker trusts, and a credentials file for who comes; returns the broker's part of the configuration.
fn accounts(world: &World) -> String {
    let [operator, system, account, user] =
        [Nkey::new_operator(), Nkey::new_account(), Nkey::new_account(), Nkey::new_user()];
    let of_operator = token(&operator, &operator, "operator", &json!({ "type": "operator", "version": 2 }));
    let limits = json!({
        "subs": -1, "conn": -1, "leaf": -1, "imports": -1, "exports": -1, "data": -1, "payload": -1, "wildcards": true,
        "mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1,
    });
    let of_account = token(&operator, &account, "fleet", &json!({ "type": "account", "version": 2, "limits": limits }));
    let of_system = token(&operator, &system, "system", &json!({ "type": "account", "version": 2 }));
    let rights = json!({ "type": "user", "version": 2, "pub": {}, "sub": {}, "subs": -1, "data": -1, "payload": -1 });
    let of_user = token(&account, &user, "node", &rights);
    let seed = user.seed().expect("a key of its own");
    let credentials = format!(
        "-----BEGIN NATS USER JWT-----\n{of_user}\n------END NATS USER JWT------\n\n-----BEGIN USER NKEY SEED-----\n{seed}\n\
         ------END USER NKEY SEED------\n"
    );
    world.write("fleet.creds", &credentials);
    world.write("seed", &seed);
    let [account, system] = [account, system].map(|key| key.public_key());
    format!(
        "operator: \"{of_operator}\"\nsystem_account: {system}\nresolver: MEMORY\nresolver_preload: {{ {account}: \
         \"{of_account}\", {system}: \"{of_system}\" }}\n"
    )
}

/// Writes an authority, and the certificates of a broker and of who comes; returns the broker's part of the configuration.
fn certificates(world: &World) -> String {
    let mut authority = CertificateParams::new(Vec::new()).expect("no names");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority =
        CertifiedIssuer::self_signed(authority, KeyPair::generate().expect("a key")).expect("a certificate");
    world.write("ca.pem", &authority.pem());
    for (name, of) in [("broker", broker_address(1)), ("node", "node".to_owned())] {
        let key = KeyPair::generate().expect("a key");
        let certificate = CertificateParams::new(vec![of]).expect("a name").signed_by(&key, &authority);
        world.write(&format!("{name}.pem"), &certificate.expect("a certificate").pem());
        world.write(&format!("{name}.key"), &key.serialize_pem());
    }
    let path = |name: &str| world.path(name);
    format!(
        "tls {{ timeout: 30, cert_file: \"{}\", key_file: \"{}\", ca_file: \"{}\", verify: true }}\n",
        path("broker.pem"),
        path("broker.key"),
        path("ca.pem")
    )
}

#[test]
fn a_node_comes_with_its_certificate_and_its_credentials_and_its_log_has_no_secret() {
    let world = World::new(1, 1);
    let _broker = Broker::start_with(&world, 1, &format!("{}{}", certificates(&world), accounts(&world)));
    let keys = "ca = \"ca.pem\"\ncertificate = \"node.pem\"\nkey = \"node.key\"\n";
    for name in ["ops.toml", "sbc1.fleet.toml"] {
        let text = fs::read_to_string(world.path(name)).expect("a file").replace("nats://", "tls://");
        world.write(name, &format!("{text}{keys}"));
    }
    let refused = world.operate(&["status"]);
    assert!(refused.code == 1 && refused.stderr.contains("cannot reach the broker"), "{refused:?}");
    let node = Node::start(&world, 1);
    node.await_status("it is not let in", |status| status["service"]["fleet"]["why"].is_string());
    drop(node);
    for name in ["ops.toml", "sbc1.fleet.toml"] {
        let text = fs::read_to_string(world.path(name)).expect("a file");
        world.write(name, &format!("{text}credentials = \"fleet.creds\"\n"));
    }
    world.init();
    let node = Node::start(&world, 1);
    world.await_state(1, "it speaks", |state| state["phase"] == "idle");
    world.apply(&world.path("policy.toml"), &["--canary", "0"]).assert_done();
    node.await_revision(1);
    let told = format!("{}{}", node.log(), node.status());
    for secret in ["seed", "node.key", "fleet.creds"].map(|name| fs::read_to_string(world.path(name)).expect("a file"))
    {
        let line = secret.lines().max_by_key(|line| line.len()).expect("a line");
        assert!(!told.contains(line), "{told}");
    }
}
