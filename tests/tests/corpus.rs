//! What the fuzzer has collected, judged by the program in the kernel too.

use filter_user::kernel::Sandbox;
use tests::corpus::{Judges, inputs};

#[test]
fn the_fuzzer_s_corpus_has_the_same_verdicts_in_the_kernel() {
    let inputs = inputs().expect("the corpus is checked in");
    let mut kernel = Sandbox::new().expect("the program loads (this needs root)");
    let judged = Judges::new().in_the_kernel(&inputs, &mut kernel).unwrap_or_else(|dissent| panic!("{dissent}"));
    assert!(judged > 500, "the kernel took only {judged} frames of {} inputs", inputs.len());
}
