//! Making choices simpler while they still show what they were kept for.

/// How often to try, at most: what takes longer is simple enough.
const ATTEMPTS: usize = 4000;

/// The simplest choices found that `shows` still holds for; it holds for `choices`.
pub fn shrink(choices: Vec<u32>, mut shows: impl FnMut(&[u32]) -> bool) -> Vec<u32> {
    let mut best = choices;
    let mut attempts = 0;
    let mut keep_if = |best: &mut Vec<u32>, simpler: Vec<u32>| {
        attempts += 1;
        let kept = simpler != *best && attempts <= ATTEMPTS && shows(&simpler);
        if kept {
            *best = simpler;
        }
        kept
    };
    loop {
        let before = best.clone();
        for length in [64, 16, 8, 4, 2, 1] {
            without_blocks(&mut best, length, &mut keep_if);
        }
        smaller_numbers(&mut best, &mut keep_if);
        if best == before {
            return best;
        }
    }
}

/// Leaves out, or sets to 0, blocks of this length, last ones first.
fn without_blocks(best: &mut Vec<u32>, length: usize, keep_if: &mut impl FnMut(&mut Vec<u32>, Vec<u32>) -> bool) {
    let mut end = best.len();
    while end > 0 {
        let start = end.saturating_sub(length);
        let shorter = [&best[..start], &best[end..]].concat();
        if !keep_if(best, shorter) {
            let mut zeroed = best.clone();
            zeroed[start..end].fill(0);
            keep_if(best, zeroed);
        }
        end = start.min(best.len());
    }
}

/// Brings each number as near to 0 as it goes, by halves.
fn smaller_numbers(best: &mut Vec<u32>, keep_if: &mut impl FnMut(&mut Vec<u32>, Vec<u32>) -> bool) {
    let mut index = 0;
    while index < best.len() {
        let mut step = best[index];
        while step > 0 && index < best.len() {
            let mut smaller = best.clone();
            smaller[index] = smaller[index].saturating_sub(step);
            if !keep_if(best, smaller) {
                step /= 2;
            }
        }
        index += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_shows_nothing_is_left_out_and_the_rest_is_brought_near_to_0() {
        let noisy = vec![9, 8, 700, 1, 2, 3, 50, 4];
        let shows = |choices: &[u32]| choices.iter().any(|n| *n >= 600) && choices.iter().any(|n| (40..60).contains(n));
        assert_eq!(shrink(noisy, shows), [600, 40]);
    }
}
