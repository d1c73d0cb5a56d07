//! Prepares Markdown pages for a Markdown parser: what generators add to the syntax is taken out, line for line.
//!
//! mkdocs tabs and admonitions (`=== "Label"`, `!!! note`) and MDX components (`<TabItem label="…">`) become headings that
//! end where they end; raw HTML tables are read as HTML; includes are passed over with a warning.

use super::{
    super::{
        document::{Heading, Item, SectionEnd},
        model::Finding,
        problem::{Fault, Oddity},
    },
    html,
};

/// The level of the first label; labels inside it go deeper. Headings proper have 1 to 6, bold lines 7.
const LABEL_LEVEL: u8 = 8;

/// How far the content of an mkdocs tab is indented, in columns.
const TAB_INDENT: usize = 4;

/// A page that a Markdown parser can read, with as many lines as before.
#[derive(Default)]
pub(super) struct Prepared {
    pub(super) markdown: String,
    /// What was taken out of it.
    pub(super) items: Vec<Item>,
    pub(super) warnings: Vec<Finding<Oddity>>,
    pub(super) errors: Vec<Finding<Fault>>,
}

/// Takes out of a page what is not Markdown.
pub(super) fn prepare(text: &str) -> Prepared {
    let mut preparation = Preparation::default();
    for (number, line) in (1..).zip(text.lines()) {
        let kept = preparation.take(number, line);
        preparation.prepared.markdown.push_str(&kept);
        preparation.prepared.markdown.push('\n');
    }
    preparation.close_island();
    preparation.prepared
}

#[derive(Default)]
struct Preparation {
    prepared: Prepared,
    fence: Option<String>,
    /// The columns at which the open mkdocs tabs begin.
    tabs: Vec<usize>,
    /// The MDX components that are open, and whether each has a label.
    components: Vec<bool>,
    island: Option<Island>,
    has_heading: bool,
}

/// A table in raw HTML.
struct Island {
    first_line: u32,
    text: String,
    depth: usize,
}

impl Preparation {
    /// What is left of a line for the Markdown parser.
    fn take(&mut self, number: u32, line: &str) -> String {
        if self.island.is_some() {
            self.continue_island(line);
            return String::new();
        }
        let line = self.dedent(number, line);
        let trimmed = line.trim();
        if self.in_fence(trimmed) {
            return line.to_owned();
        }
        self.has_heading |= trimmed.starts_with('#');
        if let Some(label) = mkdocs_label(trimmed) {
            self.open_tab(number, line, label);
        } else if let Some(file) = include(trimmed) {
            self.pass_over_include(number, file);
        } else if begins_table(trimmed) {
            self.open_island(number, line);
        } else if let Some(tag) = lone_tag(trimmed) {
            self.component(number, tag);
        } else if let Some(directive) = trimmed.strip_prefix(":::") {
            self.directive(number, directive);
        } else {
            return line.to_owned();
        }
        String::new()
    }

    /// Takes the indent of the open tabs off a line, and closes those that the line no longer stands in.
    fn dedent<'a>(&mut self, number: u32, line: &'a str) -> &'a str {
        if line.trim().is_empty() {
            return line;
        }
        let indent = line.len() - line.trim_start_matches(' ').len();
        while self.tabs.last().is_some_and(|column| indent < column + TAB_INDENT) {
            self.tabs.pop();
            self.end_label(number, self.tabs.len());
        }
        line.get(self.tabs.last().map_or(0, |column| column + TAB_INDENT)..).unwrap_or(line)
    }

    fn in_fence(&mut self, line: &str) -> bool {
        match &self.fence {
            Some(mark) => {
                if line.starts_with(mark.as_str()) {
                    self.fence = None;
                }
                true
            }
            None => {
                let mark = ["```", "~~~"].into_iter().find(|mark| line.starts_with(mark));
                self.fence = mark.map(str::to_owned);
                mark.is_some()
            }
        }
    }

    fn open_tab(&mut self, number: u32, line: &str, label: &str) {
        let base = self.tabs.last().map_or(0, |column| column + TAB_INDENT);
        self.push_label(number, self.tabs.len(), label);
        self.tabs.push(base + line.len() - line.trim_start().len());
    }

    fn push_label(&mut self, line: u32, depth: usize, label: &str) {
        let text = label.to_owned();
        self.prepared.items.push(Item::Heading(Heading { level: level(depth), text, line }));
    }

    fn end_label(&mut self, line: u32, depth: usize) {
        self.prepared.items.push(Item::SectionEnd(SectionEnd { level: level(depth), line }));
    }

    /// A file that is included above the first heading is page furniture; one further down may hold rules.
    fn pass_over_include(&mut self, line: u32, file: &str) {
        if self.has_heading {
            let message = format!("`{file}` is included here and was not read: import it too if it holds rules");
            self.prepared.warnings.push(Finding::new(line, Oddity::Included.of(message)));
        }
    }

    fn component(&mut self, number: u32, tag: &str) {
        let depth = self.tabs.len() + self.components.len();
        if tag.starts_with("</") {
            if self.components.pop() == Some(true) {
                self.end_label(number, depth - 1);
            }
        } else if !tag.ends_with("/>") && !is_void(tag) {
            let label = attribute(tag, "label").or_else(|| attribute(tag, "title")).filter(|label| !label.is_empty());
            if let Some(label) = label {
                self.push_label(number, depth, label);
            }
            self.components.push(label.is_some());
        }
    }

    /// A directive, `:::note Title` or `:::note[Title]`, and its end, `:::`.
    fn directive(&mut self, number: u32, directive: &str) {
        let directive = directive.trim_matches([':', ' ']);
        if directive.is_empty() {
            return self.component(number, "</:::>");
        }
        let (name, title) = directive.split_once([' ', '[', '{']).unwrap_or((directive, ""));
        let title = title.trim_matches([' ', ']', '"', '}']);
        self.component(number, &format!("<:::{name} title=\"{title}\">"));
    }

    fn open_island(&mut self, first_line: u32, line: &str) {
        self.island = Some(Island { first_line, text: String::new(), depth: 0 });
        self.continue_island(line);
    }

    fn continue_island(&mut self, line: &str) {
        let Some(island) = &mut self.island else {
            return;
        };
        island.text.push_str(line);
        island.text.push('\n');
        let folded = line.to_ascii_lowercase();
        island.depth += folded.matches("<table").count();
        island.depth = island.depth.saturating_sub(folded.matches("</table").count());
        if island.depth == 0 {
            self.close_island();
        }
    }

    fn close_island(&mut self) {
        if let Some(island) = self.island.take() {
            let page = html::read(&island.text, island.first_line);
            self.prepared.items.extend(page.items);
            self.prepared.errors.extend(page.errors);
        }
    }
}

fn level(depth: usize) -> u8 {
    u8::try_from(depth).map_or(u8::MAX, |depth| LABEL_LEVEL.saturating_add(depth))
}

/// The label of an mkdocs tab or admonition: `=== "US"`, `!!! note "Desktop"`.
fn mkdocs_label(line: &str) -> Option<&str> {
    let rest = ["=== ", "===+ ", "!!! ", "??? ", "???+ "].into_iter().find_map(|mark| line.strip_prefix(mark))?;
    Some(rest.split('"').nth(1).unwrap_or_default())
}

/// The file that a line includes.
fn include(line: &str) -> Option<&str> {
    let rest =
        ["--8<--", "{% include", "{{< include", "!include"].into_iter().find_map(|mark| line.strip_prefix(mark))?;
    Some(rest.trim_matches([' ', '"', '\'', '%', '}', '>', '{']))
}

/// Whether a line begins with a table, perhaps inside other tags: `<figure><table>`.
fn begins_table(line: &str) -> bool {
    let mut rest = line;
    while let Some(tag) = rest.strip_prefix('<') {
        if tag.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("table")) {
            return true;
        }
        rest = tag.split_once('>').map_or("", |(_, after)| after.trim_start());
    }
    false
}

/// A line that is one tag and nothing else.
fn lone_tag(line: &str) -> Option<&str> {
    let inner = line.strip_prefix('<')?.strip_suffix('>')?;
    let name = inner.trim_start_matches('/');
    let is_tag = name.starts_with(|first: char| first.is_ascii_alphabetic()) && !inner.contains(['<', '>']);
    (is_tag && !name.contains("://") && !name.contains('@')).then_some(line)
}

fn is_void(tag: &str) -> bool {
    ["<br", "<hr", "<img", "<input", "<meta", "<link", "<a "].iter().any(|void| tag.starts_with(void))
}

fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let (_, value) = tag.split_once(&format!(" {name}="))?;
    let quote = value.chars().next().filter(|quote| "\"'".contains(*quote))?;
    value[1..].split(quote).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn markdown(text: &str) -> String {
        prepare(text).markdown
    }

    #[test]
    fn the_content_of_tabs_is_dedented_line_for_line() {
        assert_eq!(markdown("=== \"US\"\n\n    | a |\n    |---|\nafter\n"), "\n\n| a |\n|---|\nafter\n");
        assert_eq!(markdown("=== \"US\"\n    === \"SIP\"\n        | a |\n"), "\n\n| a |\n");
        assert_eq!(markdown("```\n=== \"US\"\n    x\n```\n"), "```\n=== \"US\"\n    x\n```\n");
    }

    #[test]
    fn labels_are_headings_that_end() {
        let items = prepare("<TabItem value=\"us\" label=\"US\">\n\ntext\n\n</TabItem>\n").items;
        let shown: Vec<_> = items.iter().map(|item| (item.line(), matches!(item, Item::Heading(_)))).collect();
        assert_eq!(shown, [(1, true), (5, false)]);
    }

    #[test]
    fn tables_in_html_are_read_with_their_lines() {
        let prepared = prepare("# SIP\n\n<table>\n\n<tr><td>192.0.2.1</td></tr>\n</table>\nafter\n");
        assert_eq!(prepared.markdown, "# SIP\n\n\n\n\n\nafter\n");
        assert_eq!(prepared.items.iter().map(Item::line).collect::<Vec<_>>(), [5]);
    }

    #[test]
    fn an_include_below_a_heading_is_warned_of() {
        assert!(prepare("--8<-- \"back-link.md\"\n# Rules\n").warnings.is_empty());
        let warnings = prepare("# Rules\n--8<-- \"sip.md\"\n").warnings;
        assert_eq!(warnings[0].message, "`sip.md` is included here and was not read: import it too if it holds rules");
    }
}
