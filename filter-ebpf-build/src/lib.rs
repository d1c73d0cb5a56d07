//! Finds a toolchain.
