//! What a source holds: a provider's document, or an allowlist file.

use crate::allowlist::{
    Allowlist, file,
    import::{Options, Source, import},
};

/// Reads a document as `import` does, and an allowlist file as what it is.
pub(super) fn read(source: &Source) -> Allowlist {
    if let Ok(allowlist) = file::parse(&source.name, &source.text) {
        return allowlist;
    }
    import(source, &Options::default()).allowlist
}
