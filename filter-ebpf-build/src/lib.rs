//! Finds a toolchain for the BPF target and builds the XDP program with it.
//!
//! Used by the build script of `filter-user`, which embeds the program, and by `cargo xtask`,
//! which sets the toolchain up.

mod object;
mod places;
mod toolchain;

pub use object::{BuildError, Program};
pub use places::Places;
pub use toolchain::{Compiler, Missing, Rejection, Toolchain};
