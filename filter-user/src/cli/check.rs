//! `sipwall check`

use std::{path::Path, process::ExitCode};

use filter_user::policy::{CompiledPolicy, Policy};

use super::WRONG_INPUT;

/// Loads and compiles a policy; what it is refused for is printed, and the exit code returned.
pub(crate) fn load(path: &Path) -> Result<(Policy, CompiledPolicy), ExitCode> {
    let loaded = Policy::load(path).and_then(|policy| policy.compile().map(|compiled| (policy, compiled)));
    loaded.map_err(|refusals| {
        eprintln!("error: the policy is refused\n{refusals}");
        ExitCode::from(WRONG_INPUT)
    })
}
