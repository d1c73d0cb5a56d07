//! Captures for tests, octet by octet: nothing is shared with the reader under test.

/// In which order a capture has the octets of its numbers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ByteOrder {
    /// Most significant first.
    Big,
    /// Least significant first.
    Little,
}

impl ByteOrder {
    const fn long(self, number: u32) -> [u8; 4] {
        match self {
            Self::Big => number.to_be_bytes(),
            Self::Little => number.to_le_bytes(),
        }
    }

    const fn short(self, number: u16) -> [u8; 2] {
        match self {
            Self::Big => number.to_be_bytes(),
            Self::Little => number.to_le_bytes(),
        }
    }

    fn longs(self, numbers: &[u32]) -> Vec<u8> {
        numbers.iter().flat_map(|number| self.long(*number)).collect()
    }
}

/// The link type of Ethernet.
pub const ETHERNET: u16 = 1;
/// The magic number of pcap with microseconds.
pub const MICROSECONDS: u32 = 0xa1b2_c3d4;
/// The magic number of pcap with nanoseconds.
pub const NANOSECONDS: u32 = 0xa1b2_3c4d;

/// A pcap file.
#[derive(Clone, Debug)]
pub struct Pcap {
    order: ByteOrder,
    seconds: u32,
    octets: Vec<u8>,
}

impl Pcap {
    /// A file without packets, of the kind that most tools write.
    pub fn new() -> Self {
        Self::of(ByteOrder::Little, MICROSECONDS, ETHERNET.into())
    }

    /// A file without packets, with this magic number and this field of the link type.
    pub fn of(order: ByteOrder, magic: u32, link: u32) -> Self {
        let mut octets = order.long(magic).to_vec();
        octets.extend([order.short(2), order.short(4)].concat());
        octets.extend(order.longs(&[0, 0, 65535, link]));
        Self { order, seconds: 1, octets }
    }

    /// From here on frames are captured at this time.
    #[must_use]
    pub const fn at(mut self, seconds: u32) -> Self {
        self.seconds = seconds;
        self
    }

    /// With a frame.
    #[must_use]
    pub fn frame(self, frame: &[u8]) -> Self {
        self.cut(frame, frame.len())
    }

    /// With a frame of which only the first octets were kept.
    #[must_use]
    pub fn cut(mut self, frame: &[u8], kept: usize) -> Self {
        self.octets.extend(self.order.longs(&[self.seconds, 2, long(kept), long(frame.len())]));
        self.octets.extend(&frame[..kept]);
        self
    }

    /// The file.
    pub fn octets(self) -> Vec<u8> {
        self.octets
    }
}

impl Default for Pcap {
    fn default() -> Self {
        Self::new()
    }
}

/// A pcapng file.
#[derive(Clone, Debug)]
pub struct Pcapng {
    order: ByteOrder,
    units: u32,
    octets: Vec<u8>,
}

impl Pcapng {
    /// A file with a section without interfaces.
    pub fn of(order: ByteOrder) -> Self {
        Self { order, units: 1, octets: Vec::new() }.section(order)
    }

    /// From here on frames are captured at this time, in units of their interface.
    #[must_use]
    pub const fn at(mut self, units: u32) -> Self {
        self.units = units;
        self
    }

    /// With another section, perhaps in another byte order.
    #[must_use]
    pub fn section(mut self, order: ByteOrder) -> Self {
        self.order = order;
        let version = [order.short(1), order.short(0)].concat();
        self.block(0x0a0d_0d0a, &[&order.long(0x1a2b_3c4d), version.as_slice(), &[0xff; 8]].concat())
    }

    /// With an interface that keeps this many octets of each frame, 0 for all, and these options.
    #[must_use]
    pub fn interface(self, link_type: u16, snapshot_length: u32, options: &[u8]) -> Self {
        let order = self.order;
        let head = [order.short(link_type), order.short(0)].concat();
        self.block(1, &[head.as_slice(), &order.long(snapshot_length), options].concat())
    }

    /// With a frame that an interface has seen.
    #[must_use]
    pub fn frame(self, interface: u32, frame: &[u8]) -> Self {
        self.cut(interface, frame, frame.len())
    }

    /// With a frame of which only the first octets were kept.
    #[must_use]
    pub fn cut(self, interface: u32, frame: &[u8], kept: usize) -> Self {
        let head = self.order.longs(&[interface, 0, self.units, long(kept), long(frame.len())]);
        self.block(6, &[head.as_slice(), &frame[..kept]].concat())
    }

    /// With a frame in the form that says neither interface nor time.
    #[must_use]
    pub fn simple(self, frame: &[u8], kept: usize) -> Self {
        let head = self.order.long(long(frame.len()));
        self.block(3, &[head.as_slice(), &frame[..kept]].concat())
    }

    /// With a block of any type.
    #[must_use]
    pub fn block(mut self, kind: u32, body: &[u8]) -> Self {
        let padding = vec![0; body.len().next_multiple_of(4) - body.len()];
        let length = self.order.long(long(12 + body.len() + padding.len()));
        for part in [self.order.long(kind).as_slice(), &length, body, &padding, &length] {
            self.octets.extend(part);
        }
        self
    }

    /// The file.
    pub fn octets(self) -> Vec<u8> {
        self.octets
    }
}

fn long(length: usize) -> u32 {
    u32::try_from(length).expect("test captures are short")
}
