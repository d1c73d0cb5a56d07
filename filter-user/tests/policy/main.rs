//! Policies from their text to the verdicts that they give.

mod documentation;
mod lab;
mod limits;
mod nesting;
mod refusals;
mod verdicts;
