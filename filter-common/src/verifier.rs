//! Numbers in a form that the kernel's verifier sees the bounds of.
//!
//! LLVM packs fields together and takes them apart again, leaves out comparisons that follow from others, and knows that a
//! number is bounded still; the verifier of Linux 6.1 does not. What LLVM knows nothing of it leaves as it is.

/// The same number, of which LLVM knows nothing any more.
///
/// Not `black_box`: that goes by way of memory, and LLVM would read all other memory anew behind it.
#[inline(always)]
pub fn opaque(value: u64) -> u64 {
    #[cfg(target_arch = "bpf")]
    {
        let copy: u64;
        // An empty assembly would do, but for the line that it is at: the kernel wants an instruction for each.
        // SAFETY: it copies a register.
        unsafe { core::arch::asm!("{0} = {1}", lateout(reg) copy, in(reg) value, options(pure, nomem, nostack)) };
        copy
    }
    #[cfg(not(target_arch = "bpf"))]
    core::hint::black_box(value)
}

/// What follows happens to few packets, and stays behind the comparison that leads to it: LLVM sets numbers that follow from
/// one for every packet, before it.
#[inline(always)]
pub(crate) fn rarely() {
    // A jump to what follows, which the kernel leaves out.
    #[cfg(target_arch = "bpf")]
    // SAFETY: it does nothing.
    unsafe {
        core::arch::asm!("goto +0", options(nomem, nostack));
    }
}

/// The entry that a field of the packet stands for, in a table of a power of two.
#[inline(always)]
pub fn entry<T, const N: usize>(table: &[T; N], field: impl Into<u64>) -> &T {
    &table[index::<N>(field)]
}

/// The place of that entry.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "it is bounded before")]
pub fn index<const N: usize>(field: impl Into<u64>) -> usize {
    const { assert!(N.is_power_of_two() && N <= 1 << 31) };
    let field = field.into();
    #[cfg(target_arch = "bpf")]
    {
        let mut place = field;
        // SAFETY: it leaves so many bits of a register as the place has.
        unsafe {
            core::arch::asm!("{0} &= {1}", inout(reg) place, const N - 1, options(pure, nomem, nostack));
            core::hint::assert_unchecked(place < N as u64);
        }
        place as usize
    }
    #[cfg(not(target_arch = "bpf"))]
    {
        core::hint::black_box(field) as usize % N
    }
}

/// The furthest that a header begins: behind six extension headers of 2,048 octets.
const LAST_PLACE: usize = 0x3fff;

/// Where a header begins.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "it was a `usize` before")]
pub(crate) fn place(offset: usize) -> usize {
    opaque(offset as u64) as usize & LAST_PLACE
}
