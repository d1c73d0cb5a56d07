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

/// What follows stays behind the comparison that leads there, and is not put together with what stands elsewhere. LLVM sets
/// numbers that follow from a comparison before it, for every packet, and makes one way of two whose parts look alike, at the end
/// of which it asks again which one it was.
#[inline(always)]
pub(crate) fn apart() {
    // A jump to what follows, which the kernel leaves out.
    #[cfg(target_arch = "bpf")]
    // SAFETY: it does nothing.
    unsafe {
        core::arch::asm!("goto +0", options(nomem, nostack));
    }
}

/// A number, shifted right by what the last six bits of another one say: the instruction looks at no more of it (RFC 9669,
/// section 4.1), which LLVM does not know.
#[inline(always)]
pub(crate) fn shifted(number: u64, by: u64) -> u64 {
    #[cfg(target_arch = "bpf")]
    {
        let mut shifted = number;
        // SAFETY: it shifts a register.
        unsafe { core::arch::asm!("{0} >>= {1}", inout(reg) shifted, in(reg) by, options(pure, nomem, nostack)) };
        shifted
    }
    #[cfg(not(target_arch = "bpf"))]
    {
        number >> (by & 63)
    }
}

/// The same to the left.
#[inline(always)]
pub(crate) fn shifted_left(number: u64, by: u64) -> u64 {
    #[cfg(target_arch = "bpf")]
    {
        let mut shifted = number;
        // SAFETY: it shifts a register.
        unsafe { core::arch::asm!("{0} <<= {1}", inout(reg) shifted, in(reg) by, options(pure, nomem, nostack)) };
        shifted
    }
    #[cfg(not(target_arch = "bpf"))]
    {
        number << (by & 63)
    }
}

/// The entry that a field of the packet stands for, in a table of a power of two.
#[inline(always)]
pub fn entry<T, const N: usize>(table: &[T; N], field: impl Into<u64>) -> &T {
    &table[index::<N>(field)]
}

/// The same where the field begins with a bit of a number: shifted once, for the place and the size of an entry.
#[inline(always)]
pub(crate) fn entry_from_bit<const BIT: u32, T: Copy, const N: usize>(table: &[T; N], number: u64) -> T {
    const {
        assert!(size_of::<T>().is_power_of_two() && N.is_power_of_two() && N * size_of::<T>() <= 1 << 31);
        assert!(BIT >= size_of::<T>().trailing_zeros());
    };
    #[cfg(target_arch = "bpf")]
    {
        let mut octets = number >> (BIT - size_of::<T>().trailing_zeros());
        // SAFETY: it leaves so many bits of a register as the table has octets, and where an entry begins.
        unsafe {
            core::arch::asm!("{0} &= {1}", inout(reg) octets, const size_of::<T>() * (N - 1), options(pure, nomem, nostack));
            *core::ptr::from_ref(table).cast::<T>().byte_add(octets as usize)
        }
    }
    #[cfg(not(target_arch = "bpf"))]
    *entry(table, number >> BIT)
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
