//! Runs the binary.

use std::process::Command;

/// What a run of `sipwall` gave.
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    /// The standard output as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap()
    }
}

/// Runs `sipwall` with arguments.
pub(crate) fn sipwall(arguments: &[&str]) -> Run {
    let output = Command::new(env!("CARGO_BIN_EXE_sipwall")).args(arguments).output().unwrap();
    Run {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The path of a provider's document; it must exist.
pub(crate) fn document(name: &str) -> String {
    let path = format!("{}/../../shared/provider-docs/{name}", env!("CARGO_MANIFEST_DIR"));
    assert!(std::path::Path::new(&path).exists(), "the provider document `{path}` is missing");
    path
}
