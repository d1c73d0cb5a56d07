//! Policies from their text to the verdicts that they give.

mod lab;
mod nesting;
mod verdicts;
