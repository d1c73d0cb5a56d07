//! What must hold of every text that is imported or read as a file, however broken: fuzz targets and their corpora.

use std::{
    fmt::Debug,
    net::{IpAddr, SocketAddr},
    path::Path,
};

use filter_user::{
    allowlist::{
        Allowlist, Finding, file,
        import::{Imported, Options, Source, import},
        trunk,
    },
    policy::{CompiledPolicy, Explainer, Policy, file::PolicyFile},
};

use crate::{contest::Contest, packets::udp_with};

/// Where the policies stand: beside no other file.
const POLICY: &str = "/nonexistent/policy.toml";

/// From how many sources of a policy a datagram is judged.
const MOST_PROBES: usize = 8;

/// What a text is read as.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// A provider's page in Markdown.
    Markdown,
    /// A provider's page in HTML.
    Html,
    /// A provider's page as plain text, or whatever its beginning shows.
    Text,
    /// A provider's data as JSON.
    Json,
    /// A trunk in Terraform's HCL.
    Hcl,
    /// An allowlist file.
    Allowlist,
    /// A policy file.
    Policy,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 7] =
        [Self::Markdown, Self::Html, Self::Text, Self::Json, Self::Hcl, Self::Allowlist, Self::Policy];

    /// The name of its fuzz target.
    pub const fn target(self) -> &'static str {
        match self {
            Self::Markdown => "markdown",
            Self::Html => "html",
            Self::Text => "text",
            Self::Json => "json",
            Self::Hcl => "hcl",
            Self::Allowlist => "allowlist",
            Self::Policy => "policy",
        }
    }

    /// Reads an input and asserts what must hold of it.
    ///
    /// # Panics
    /// If it does not hold.
    pub fn check(self, input: &[u8]) {
        let text = String::from_utf8_lossy(input).into_owned();
        match self {
            Self::Markdown => check_document("a.md", text),
            Self::Html => check_document("a.html", text),
            Self::Text => check_document("a.txt", text),
            Self::Json => check_document("a.json", text),
            Self::Hcl => check_document("a.tf", text),
            Self::Allowlist => check_allowlist_file(&text),
            Self::Policy => check_policy(&text),
        }
    }
}

fn check_document(name: &str, text: String) {
    let lines = text.replace("\r\n", "\n").split(['\n', '\r']).count();
    let source = Source { name: name.to_owned(), text };
    let imported = import(&source, &Options::default());
    assert_eq!(imported, import(&source, &Options::default()), "the same document gives the same");
    let Imported { allowlist, fates, trunks } = &imported;
    assert_canonical(allowlist);
    for entry in &allowlist.entries {
        assert!(in_document(entry.line, lines) && entry.line > 0, "{entry:?}");
    }
    assert!(allowlist.unenforced.iter().all(|row| in_document(row.line, lines) && row.line > 0), "{allowlist:?}");
    assert!(fates.iter().all(|fate| in_document(fate.line, lines)), "{fates:?}");
    assert_told(&allowlist.warnings, lines);
    assert_told(&allowlist.errors, lines);
    assert!(!allowlist.entries.is_empty() || !allowlist.errors.is_empty(), "nothing is read and nothing is said");
    assert_written_and_read_again(allowlist);
    if allowlist.errors.is_empty() && !trunks.is_empty() {
        let policy = trunk::render(trunks, &allowlist.provider).expect("TOML can express trunks");
        let read = PolicyFile::parse(Path::new("policy.toml"), &policy);
        assert!(read.is_ok(), "{}\n{policy}", read.expect_err("it is refused"));
    }
}

fn assert_told<C: Debug>(findings: &[Finding<C>], lines: usize) {
    for finding in findings {
        assert!(in_document(finding.line, lines) && !finding.message.is_empty(), "{finding:?}");
    }
}

/// Whether a line is one of the document; 0 is the document as a whole.
fn in_document(line: u32, lines: usize) -> bool {
    usize::try_from(line).is_ok_and(|line| line <= lines)
}

fn assert_canonical(allowlist: &Allowlist) {
    for entry in &allowlist.entries {
        assert!(!entry.remote.is_empty(), "{entry:?}");
        assert!(entry.remote.iter().all(|prefix| prefix.trunc() == *prefix), "{entry:?}");
    }
    assert!(allowlist.denied.iter().all(|prefix| prefix.trunc() == *prefix), "{:?}", allowlist.denied);
}

fn assert_written_and_read_again(allowlist: &Allowlist) {
    let toml = file::render(allowlist, "a document").expect("TOML can express an allowlist");
    assert_eq!(file::parse("a.toml", &toml).as_ref(), Ok(allowlist), "{toml}");
    let json = serde_json::to_string(allowlist).expect("JSON can express an allowlist");
    assert_eq!(file::parse("a.json", &json).as_ref(), Ok(allowlist), "{json}");
}

fn check_allowlist_file(text: &str) {
    match file::parse("a.toml", text) {
        Ok(allowlist) => {
            assert_canonical(&allowlist);
            assert_written_and_read_again(&allowlist);
        }
        Err(error) => {
            let lines = text.split('\n').count();
            assert!(error.line.is_none_or(|line| (1..=lines).contains(&line)), "{error}");
            assert!(!error.message.is_empty());
        }
    }
}

/// The allowlists that a policy among the inputs can name beside the built-in ones.
fn allowlist_called(name: &str) -> Result<Allowlist, file::FileError> {
    let entry = |service: &str, remote: &str, line: u32| {
        format!(
            "[[entries]]\nservice = \"{service}\"\nsection = \"\"\nregions = [\"eu\"]\nremote = [{remote}]\n\
             protocol = \"any\"\nline = {line}\n"
        )
    };
    let entries = match name {
        "bare.toml" => entry("unspecified", "\"192.0.2.0/24\"", 1),
        "nested.toml" => {
            entry("media", "\"198.51.100.0/24\", \"2001:db8::/32\"", 1) + &entry("turn", "\"198.51.100.64/26\"", 2)
        }
        _ => return Allowlist::load(name, Path::new("/nonexistent")),
    };
    file::parse(name, &format!("provider = \"a\"\ntitle = \"\"\n{entries}"))
}

fn check_policy(text: &str) {
    let lines = text.split('\n').count();
    let file = PolicyFile::parse(Path::new(POLICY), text);
    let policy = file.and_then(|file| Policy::new(file, allowlist_called));
    match policy.and_then(|policy| Ok((policy.compile()?, policy))) {
        Ok((compiled, policy)) => {
            let advice = policy.lint(&compiled);
            assert!(advice.iter().all(|advice| in_document(advice.line, lines)), "{advice:?}");
            check_verdicts(&policy, &compiled);
        }
        Err(refusals) => {
            assert!(refusals.iter().count() > 0, "it is refused for nothing");
            for refusal in refusals.iter().filter(|refusal| refusal.file == POLICY) {
                assert!(in_document(refusal.line, lines) && !refusal.message.is_empty(), "{refusal}");
            }
        }
    }
}

/// A policy that compiles means the same to the oracle: a datagram from the first of its sources, and from one beside.
fn check_verdicts(policy: &Policy, compiled: &CompiledPolicy) {
    let contest = Contest::new(policy).expect("it compiled before");
    let terms = compiled.terms.iter().flat_map(|term| &term.sources).map(|source| source.prefix);
    let sources = terms.chain(compiled.denied.iter().copied()).take(MOST_PROBES).map(|prefix| prefix.network());
    for source in sources.chain([IpAddr::from([192, 0, 2, 77])]) {
        let to = if source.is_ipv4() { "198.51.100.10:5060" } else { "[2001:db8:ffff::10]:5060" };
        // Inspection takes it for SIP and for media.
        let frame = udp_with(&SocketAddr::new(source, 5060).to_string(), to, b"OPTIONS sip:a SIP/2.0\r\n");
        let agreed = contest.agreed(&frame, None);
        assert!(agreed.is_ok(), "{source}: {}", agreed.expect_err("they differ"));
        Explainer::new(compiled).explain(&frame);
    }
}
