//! Numbers in headers, which stand there in network byte order.

/// The octets of a header, wherever they are.
///
/// Fields are read as the numbers that they are: LLVM would make a load of each octet for the kernel, which forbids it
/// loads from odd places on its stack, though not in packets.
pub trait Header: Copy {
    /// The octet in this place.
    fn u8<const PLACE: usize>(self) -> u8;

    /// The two octets from this place on, as they stand there.
    fn u16_in_network_order<const PLACE: usize>(self) -> u16;

    /// The two octets from this place on.
    #[inline(always)]
    fn u16<const PLACE: usize>(self) -> u16 {
        u16::from_be(self.u16_in_network_order::<PLACE>())
    }

    /// The four octets from this place on, as they stand there.
    fn u32_in_network_order<const PLACE: usize>(self) -> u32;

    /// The four octets from this place on.
    #[inline(always)]
    fn u32<const PLACE: usize>(self) -> u32 {
        u32::from_be(self.u32_in_network_order::<PLACE>())
    }

    /// The eight octets from this place on.
    fn u64<const PLACE: usize>(self) -> u64;

    /// The header that begins in this place, within the same octets. There is none within that one.
    fn within<const PLACE: usize>(self) -> impl Header;
}

/// The octets of a header in memory.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Octets<const N: usize>(pub [u8; N]);

impl<const N: usize> Octets<N> {
    fn take<const M: usize>(self, place: usize) -> [u8; M] {
        let mut octets = [0; M];
        octets.copy_from_slice(&self.0[place..place + M]);
        octets
    }
}

impl<const N: usize> Header for Octets<N> {
    fn u8<const PLACE: usize>(self) -> u8 {
        self.0[PLACE]
    }

    fn u16_in_network_order<const PLACE: usize>(self) -> u16 {
        u16::from_ne_bytes(self.take(PLACE))
    }

    fn u32_in_network_order<const PLACE: usize>(self) -> u32 {
        u32::from_ne_bytes(self.take(PLACE))
    }

    fn u64<const PLACE: usize>(self) -> u64 {
        u64::from_be_bytes(self.take(PLACE))
    }

    fn within<const PLACE: usize>(self) -> impl Header {
        let mut octets = [0; N];
        octets[..N - PLACE].copy_from_slice(&self.0[PLACE..]);
        Self(octets)
    }
}
