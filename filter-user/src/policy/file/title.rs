//! What a policy is called where it runs.

use std::path::Path;

use super::PolicyFile;

/// As many octets as the kernel's maps keep of a name.
const LONGEST: usize = 63;

/// What stands for the beginning of a path that is longer.
const ELLIPSIS: char = '…';

impl PolicyFile {
    /// What the policy is called where it runs: the absolute path of its file, or the end of that where it is too long.
    pub fn title(&self) -> String {
        let path = Path::new(&*self.name);
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        shortened(&path.display().to_string())
    }
}

fn shortened(path: &str) -> String {
    if path.len() <= LONGEST {
        return path.to_owned();
    }
    let fits = |place: usize| path.len() - place <= LONGEST - ELLIPSIS.len_utf8();
    let mut ends = path.char_indices().filter(|(place, _)| fits(*place)).map(|(place, _)| path.split_at(place).1);
    let longest = ends.next().unwrap_or_default();
    // Whole names, where one fits.
    let end = longest.find('/').map_or(longest, |slash| longest.split_at(slash).1);
    format!("{ELLIPSIS}{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_too_long_keeps_its_end() {
        assert_eq!(shortened("/etc/sipwall/policy.toml"), "/etc/sipwall/policy.toml");
        let long = format!("/srv/{}/sipwall/policy.toml", "x".repeat(60));
        assert_eq!(shortened(&long), "…/sipwall/policy.toml");
        let name = format!("/{}.toml", "é".repeat(60));
        let title = shortened(&name);
        assert!(title.starts_with('…') && title.ends_with("é.toml") && (62..=63).contains(&title.len()), "{title}");
    }
}
