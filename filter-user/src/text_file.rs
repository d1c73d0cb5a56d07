//! Text files, of which no more is read than they may have: a device or a pipe never ends by itself.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

/// Why a text file could not be read; the name of the file is left to the caller.
#[derive(Debug, thiserror::Error)]
pub enum TextFileError {
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The file is larger than any of its kind need be.
    #[error("it has more than the {0} bytes that such a file may have")]
    TooLarge(u64),
    /// The file holds no text; the first byte that is none has this offset, from 0.
    #[error("it is not UTF-8 text: byte {0} begins no character")]
    NotText(usize),
}

/// What some editors begin a file with to say that it is UTF-8.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// The text of a file of at most `most` bytes, without a byte order mark.
///
/// # Errors
/// If the file cannot be read, is larger, or is not UTF-8.
pub(crate) fn read(path: &Path, most: u64) -> Result<String, TextFileError> {
    let mut content = Vec::new();
    let bytes = File::open(path)?.take(most + 1).read_to_end(&mut content)?;
    if u64::try_from(bytes).is_ok_and(|bytes| bytes > most) {
        return Err(TextFileError::TooLarge(most));
    }
    let text = String::from_utf8(content).map_err(|error| TextFileError::NotText(error.utf8_error().valid_up_to()))?;
    Ok(text.strip_prefix(BYTE_ORDER_MARK).map(str::to_owned).unwrap_or(text))
}
