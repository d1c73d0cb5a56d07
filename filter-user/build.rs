//! Builds the BPF program that the binary embeds.

fn main() {}
