//! Policies and packets made up from choices: seeded and so reproducible, aimed where verdicts turn, and shrunk by
//! making simpler choices.

mod address;
mod aim;
mod allowlist;
mod choices;
mod damage;
mod extensions;
mod frame;
mod policy;
mod sequence;
mod shrink;
mod transport;

pub use self::{
    aim::Aim,
    choices::Choices,
    frame::frame,
    policy::WrittenPolicy,
    sequence::{Event, sequence},
    shrink::shrink,
};
