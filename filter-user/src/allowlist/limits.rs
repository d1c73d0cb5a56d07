//! Bounds on what is read, far above what any provider publishes: time and memory stay in proportion to the document.

/// The largest document, in bytes; the largest that providers publish have a few million.
pub(crate) const LARGEST_DOCUMENT: u64 = 16 * 1024 * 1024;

/// The most columns of a table; a wider one is refused.
pub(crate) const MOST_COLUMNS: usize = 64;

/// The most prefixes that one cell or list states; more are refused.
pub(crate) const MOST_PREFIXES_OF_A_CELL: usize = 10_000;

/// The most prefixes of one list of lines; more are refused.
pub(crate) const MOST_PREFIXES_OF_A_LIST: usize = 100_000;

/// The most prefixes that the entries of a document hold together; what comes after them is refused.
pub(crate) const MOST_PREFIXES: usize = 500_000;

/// The most port ranges that one cell states; more are refused.
pub(crate) const MOST_PORTS_OF_A_CELL: usize = 1_000;

/// The most text that empty and spanning cells of one table take over from others, in bytes; a table that needs more is
/// refused.
pub(crate) const MOST_REPEATED_TEXT: usize = 32 * 1024 * 1024;

/// The most regions whose names are joined; regions beyond keep the name that their row states.
pub(crate) const MOST_REGIONS: usize = 256;

/// The most headings over addresses that are searched for a region's name.
pub(crate) const MOST_REGION_HEADINGS: usize = 512;
