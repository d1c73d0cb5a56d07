//! A frame as a capture has it, perhaps not all of it.

use std::cell::Cell;

use filter_common::packet::{Frame, Octets};

/// A captured frame.
///
/// Where the capture cut it off, it still has the length that it had on the wire, and it notes whether somebody asked
/// for an octet that is not there: what was decided then, was decided without knowing.
#[derive(Debug)]
pub struct CapturedFrame<'a> {
    octets: &'a [u8],
    length: usize,
    time: u64,
    missed: Cell<bool>,
}

impl<'a> CapturedFrame<'a> {
    /// The first octets of a frame that had `length` of them; it has no fewer than `octets`.
    pub const fn new(octets: &'a [u8], length: usize) -> Self {
        Self { octets, length, time: 0, missed: Cell::new(false) }
    }

    /// The same frame, captured so many nanoseconds after some moment that is the same for all frames of a capture.
    #[must_use]
    pub const fn at(mut self, time: u64) -> Self {
        self.time = time;
        self
    }

    /// When it was captured, in nanoseconds; 0 where the capture does not say.
    pub const fn time(&self) -> u64 {
        self.time
    }

    /// What was captured.
    pub const fn octets(&self) -> &'a [u8] {
        self.octets
    }

    /// How many octets it had on the wire.
    pub const fn length(&self) -> usize {
        self.length
    }

    /// Whether all of it was captured.
    pub const fn is_whole(&self) -> bool {
        self.octets.len() == self.length
    }

    /// Whether an octet that the capture cut off was asked for.
    pub fn has_missed(&self) -> bool {
        self.missed.get()
    }
}

impl Frame for CapturedFrame<'_> {
    type Header<const N: usize> = Octets<N>;

    fn reaches(&self, length: usize) -> bool {
        length <= self.length
    }

    fn read<const N: usize>(&self, offset: usize) -> Option<Octets<N>> {
        let read = self.octets.read(offset);
        let was_there = offset.checked_add(N).is_some_and(|end| end <= self.length);
        if read.is_none() && was_there {
            self.missed.set(true);
        }
        read
    }

    fn read_ahead<const N: usize>(&self, offset: usize) -> Option<Octets<N>> {
        self.octets.read(offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(captured: usize, offset: usize, expected: Option<[u8; 2]>, missed: bool) {
        let frame = CapturedFrame::new(&[1, 2, 3, 4, 5, 6][..captured], 6);
        assert_eq!(
            (frame.read(offset).map(|Octets(octets)| octets), frame.has_missed()),
            (expected, missed),
            "{captured} octets, at {offset}"
        );
        assert_eq!(frame.length(), 6);
    }

    #[test]
    fn only_octets_that_were_on_the_wire_are_missed() {
        check(6, 4, Some([5, 6]), false);
        check(6, 5, None, false);
        check(6, usize::MAX, None, false);
        check(4, 2, Some([3, 4]), false);
        check(4, 3, None, true);
        check(4, 4, None, true);
        check(4, 5, None, false);
        check(0, 0, None, true);
    }
}
