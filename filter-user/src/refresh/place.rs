//! Where a source is, whoever names it and from wherever.

use std::{
    fmt,
    hash::Hasher as _,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher13;

use crate::policy::file::is_url;

/// Where a document is: a URL, or the absolute path of a file.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Place(String);

impl Place {
    /// Where `source` is, a URL or a path relative to `folder`.
    pub fn of(source: &str, folder: &Path) -> Self {
        if is_url(source) {
            return Self(source.to_owned());
        }
        Self(absolute(&folder.join(source)).display().to_string())
    }

    /// A name of sixteen digits, the same in every version and on every machine.
    pub(super) fn digest(&self) -> String {
        let mut hasher = SipHasher13::new();
        hasher.write(self.0.as_bytes());
        format!("{:016x}", hasher.finish())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The absolute path of a file, which need not be there: links to its directory are followed, the file is not.
fn absolute(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or_else(|| Path::new("."));
    let (Ok(folder), Some(name)) = (folder.canonicalize(), path.file_name()) else {
        return std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    };
    folder.join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_where_it_is_whoever_names_it() {
        let directory = tempfile::tempdir().unwrap();
        let [one, other] = ["one", "other"].map(|name| directory.path().join(name));
        std::fs::create_dir(&one).unwrap();
        std::os::unix::fs::symlink(&one, &other).unwrap();
        let place = Place::of("page.md", &one);
        assert_eq!(place.to_string(), one.canonicalize().unwrap().join("page.md").display().to_string());
        assert_eq!(Place::of("page.md", &other), place);
        assert_eq!(Place::of("one/page.md", directory.path()), place);
        assert_ne!(Place::of("page.md", directory.path()), place);
        assert_eq!(Place::of("https://example.net/page.md", &one).to_string(), "https://example.net/page.md");
    }

    #[test]
    fn a_digest_stays_what_it_is() {
        let url = Place("https://example.net/page.md".to_owned());
        assert_eq!(url.digest(), url.clone().digest());
        assert_eq!(Place(String::new()).digest(), "d1fba762150c532c");
    }
}
