//! The `sipwall` command.

fn main() {}
