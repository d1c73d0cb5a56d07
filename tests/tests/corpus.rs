//! What the fuzzers have collected: packets, judged by the program in the kernel too, and texts.

use filter_user::kernel::Sandbox;
use tests::{
    corpus::{Judges, inputs},
    texts::Kind,
};

#[test]
fn the_fuzzer_s_corpus_has_the_same_verdicts_in_the_kernel() {
    let inputs = inputs("decide").expect("the corpus is checked in");
    let mut kernel = Sandbox::new().expect("the program loads (this needs root)");
    let judged = Judges::new().in_the_kernel(&inputs, &mut kernel).unwrap_or_else(|dissent| panic!("{dissent}"));
    assert!(judged > 500, "the kernel took only {judged} frames of {} inputs", inputs.len());
}

#[test]
fn what_holds_of_every_text_holds_of_the_fuzzers_corpora() {
    for kind in Kind::ALL {
        let inputs = inputs(kind.target()).expect("the corpus is checked in");
        assert!(inputs.len() > 50, "the corpus of `{}` has only {} inputs", kind.target(), inputs.len());
        for input in &inputs {
            kind.check(input);
        }
    }
}
