//! Builds the XDP program, which the binary embeds.

use std::{env, error::Error, fs, path::PathBuf, process::ExitCode};

use filter_ebpf_build::{Places, Program, Toolchain};

fn main() -> ExitCode {
    let toolchain = match Toolchain::find(&Places::of_this_machine()) {
        Ok(toolchain) => toolchain,
        Err(missing) => {
            println!("cargo::error={missing}");
            return ExitCode::SUCCESS;
        }
    };
    match embed(&toolchain) {
        Ok(()) => ExitCode::SUCCESS,
        // Only where the script fails does cargo show what the compiler said.
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Leaves the object in `OUT_DIR`, as `sipwall`.
fn embed(toolchain: &Toolchain) -> Result<(), Box<dyn Error>> {
    let mut program = Program::of_this_workspace();
    if env::var_os("CARGO_FEATURE_OLDER_ABI").is_some() {
        program = program.of_older_abi();
    }
    for input in program.inputs() {
        println!("cargo::rerun-if-changed={}", input.display());
    }
    let object = fs::read(program.build(toolchain)?)?;
    Ok(fs::write(PathBuf::from(env::var("OUT_DIR")?).join("sipwall"), object)?)
}
