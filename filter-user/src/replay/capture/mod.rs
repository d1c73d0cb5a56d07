//! Capture files: pcap and pcapng, in any byte order, read as a stream.

mod error;
mod section;

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use pcap_parser::{PcapError, create_reader, traits::PcapReaderIterator};

pub use self::error::CaptureError;
use self::section::{Section, Taken};
use super::CapturedFrame;

/// A capture that is read from its beginning to its end.
pub struct Capture {
    reader: Box<dyn PcapReaderIterator + Send>,
    section: Section,
    /// The frame that was read last, of which this may be the beginning only.
    octets: Vec<u8>,
    /// How many octets the reader's buffer takes.
    capacity: usize,
    size: Option<u64>,
}

/// What the reader came to.
enum Step {
    /// A record of this many octets, with a frame in it or without one.
    Record(usize, Option<Taken>),
    /// A record that is not in the buffer as a whole.
    Incomplete,
    /// A record that is longer than the buffer.
    TooLong,
    End,
}

impl Capture {
    /// How many octets the reader's buffer takes at first.
    const BUFFER: usize = 1 << 20;
    /// How many octets a record can have. Frames of a NIC have 64 KiB at most, other records of pcapng can be longer.
    const LONGEST_RECORD: usize = 1 << 25;

    /// Opens a capture; `-` is standard input.
    ///
    /// # Errors
    /// If it cannot be read or is not a capture.
    pub fn open(path: &Path) -> Result<Self, CaptureError> {
        if path.as_os_str() == "-" {
            return Self::new(io::stdin(), None);
        }
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        Self::new(file, metadata.is_file().then_some(metadata.len()))
    }

    /// Reads a capture, of which the size may be known.
    ///
    /// # Errors
    /// If it cannot be read or is not a capture.
    pub fn new(mut source: impl Read + Send + 'static, size: Option<u64>) -> Result<Self, CaptureError> {
        // A pipe can give little at a time, but the file header must be seen at once.
        let mut head = Vec::new();
        source.by_ref().take(1 << 16).read_to_end(&mut head)?;
        let reader = create_reader(Self::BUFFER, io::Cursor::new(head).chain(source)).map_err(|error| match error {
            PcapError::Eof => CaptureError::Empty,
            PcapError::Incomplete(_) => CaptureError::CutShort { octet: 0 },
            _ => CaptureError::Format,
        })?;
        Ok(Self { reader, section: Section::default(), octets: Vec::new(), capacity: Self::BUFFER, size })
    }

    /// The size of the file in octets, where it is one.
    pub const fn size(&self) -> Option<u64> {
        self.size
    }

    /// How many octets of the file were read.
    pub fn position(&self) -> u64 {
        u64::try_from(self.reader.consumed()).unwrap_or(u64::MAX)
    }

    /// The next frame; nothing at the end.
    ///
    /// # Errors
    /// If the capture cannot be read further, is broken, or has frames of another link than Ethernet.
    pub fn next_frame(&mut self) -> Result<Option<CapturedFrame<'_>>, CaptureError> {
        loop {
            match self.step()? {
                Step::Record(size, taken) => {
                    self.reader.consume(size);
                    if let Some(Taken { length, time }) = taken {
                        return Ok(Some(CapturedFrame::new(&self.octets, length).at(time)));
                    }
                }
                Step::Incomplete => self.refill()?,
                Step::TooLong => self.grow()?,
                Step::End => return Ok(None),
            }
        }
    }

    fn step(&mut self) -> Result<Step, CaptureError> {
        let octet = self.position();
        match self.reader.next() {
            Ok((size, record)) => Ok(Step::Record(size, self.section.read(record, octet, &mut self.octets)?)),
            Err(PcapError::Eof) => Ok(Step::End),
            Err(PcapError::Incomplete(_)) => Ok(Step::Incomplete),
            Err(PcapError::BufferTooSmall) => Ok(Step::TooLong),
            Err(PcapError::UnexpectedEof) => Err(CaptureError::CutShort { octet }),
            Err(_) => Err(CaptureError::Broken { octet, what: "its length or its contents contradict the format" }),
        }
    }

    fn refill(&mut self) -> Result<(), CaptureError> {
        let octet = self.position();
        let before = self.reader.data().len();
        self.reader.refill().map_err(|_| CaptureError::Unreadable { octet })?;
        if self.reader.data().len() == before && !self.reader.reader_exhausted() {
            return self.grow();
        }
        Ok(())
    }

    fn grow(&mut self) -> Result<(), CaptureError> {
        self.capacity *= 2;
        if self.capacity > Self::LONGEST_RECORD || !self.reader.grow(self.capacity) {
            return Err(CaptureError::Broken { octet: self.position(), what: "it is too long to be one" });
        }
        Ok(())
    }
}
