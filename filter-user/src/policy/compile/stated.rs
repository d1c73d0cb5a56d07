//! Sources that the policy file itself states.

use super::draft::SourcePrefix;
use crate::policy::{Document, Origin, file::Located};

/// The prefixes with the lines of `policy` on which they stand.
pub(super) fn stated(prefixes: &[Located<ipnet::IpNet>], policy: &Document) -> Vec<SourcePrefix> {
    let source = |Located { value, line }: &Located<_>| SourcePrefix {
        prefix: *value,
        origin: Origin { document: policy.clone(), line: *line },
    };
    prefixes.iter().map(source).collect()
}
