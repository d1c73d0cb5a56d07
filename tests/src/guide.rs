//! Guides that are scripts: their commands are run, in order, and print what the guide shows.

use crate::sipwall::Ended;

/// A part of a guide that does something.
#[derive(Debug)]
pub enum Part {
    /// A file that the reader writes.
    File {
        /// Its name.
        name: String,
        /// What stands in it.
        text: String,
    },
    /// Commands, with what each one prints, and what the comment before them says of them.
    Commands {
        /// The commands.
        commands: Vec<Shown>,
        /// The comment.
        mark: String,
    },
}

/// A command and what the guide shows of its output.
#[derive(Debug)]
pub struct Shown {
    /// The command.
    pub command: String,
    /// Its output.
    pub output: Vec<String>,
}

/// The parts of a guide, in order.
///
/// # Panics
/// If a block is neither.
pub fn parts(guide: &str) -> Vec<Part> {
    let (mut parts, mut lines, mut mark) = (Vec::new(), guide.lines(), "");
    while let Some(line) = lines.next() {
        if let Some(comment) = line.strip_prefix("<!-- ") {
            mark = comment.trim_end_matches(" -->");
        } else if let Some(language) = line.strip_prefix("```") {
            let block: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
            match (language, mark.strip_prefix("file: ")) {
                ("console", _) => parts.push(Part::Commands { commands: commands(&block), mark: mark.to_owned() }),
                (_, Some(name)) => parts.push(Part::File { name: name.to_owned(), text: block.join("\n") + "\n" }),
                ("text", _) => {}
                _ => panic!("a block of the guide that nobody runs: {block:?}"),
            }
            mark = "";
        }
    }
    parts
}

fn commands(block: &[&str]) -> Vec<Shown> {
    let mut commands: Vec<Shown> = Vec::new();
    for line in block {
        match (line.strip_prefix("$ "), commands.last_mut()) {
            (Some(command), _) => commands.push(Shown { command: command.to_owned(), output: Vec::new() }),
            (None, Some(last)) => last.output.push((*line).to_owned()),
            (None, None) => panic!("output of no command: {line}"),
        }
    }
    commands
}

/// Whether a line is what the guide shows, where `…` stands for anything.
fn is_like(line: &str, shown: &str) -> bool {
    let parts: Vec<_> = shown.split('…').collect();
    let [first, middle @ .., last] = &parts[..] else { return line == shown };
    let Some(mut rest) = line.strip_prefix(first) else { return false };
    for part in middle {
        match rest.find(part) {
            Some(place) => rest = &rest[place + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// The first of the lines which the guide shows that is not printed in its order. A line with nothing but `…` stands for any
/// number of lines, and lines between two that begin or end with `…` may be left out.
pub fn not_shown<'a>(shown: &'a Shown, ended: &Ended) -> Option<&'a str> {
    let printed = format!("{}{}", ended.stdout, ended.stderr);
    let mut lines = printed.lines();
    let mut expected = shown.output.iter().filter(|line| *line != "…");
    expected.find(|expected| !lines.by_ref().any(|line| is_like(line, expected))).map(String::as_str)
}

/// Asserts that the lines which the guide shows are printed in their order.
///
/// # Panics
/// If they are not.
pub fn assert_shown(shown: &Shown, ended: &Ended) {
    if let Some(expected) = not_shown(shown, ended) {
        let printed = format!("{}{}", ended.stdout, ended.stderr);
        panic!("`{}` does not print `{expected}` in its place, but\n{printed}", shown.command);
    }
}

/// The exit code that the guide says, 0 if it says none.
///
/// # Panics
/// If it says something else.
pub fn exit_code(command: &str) -> i32 {
    let said = command.split("# exit code ").nth(1).and_then(|text| text.split(':').next());
    said.map_or(0, |code| code.parse().expect("a number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_guide_is_like_what_is_printed() {
        for (line, shown) in [("a b c", "a b c"), ("a b c", "a…c"), ("a b c", "…b…"), ("a b c", "a b…"), ("", "…")]
        {
            assert!(is_like(line, shown), "{line} {shown}");
        }
        for (line, shown) in [("a b c", "a b"), ("a b c", "b…"), ("a b c", "…b"), ("a b c", "a…d…c")] {
            assert!(!is_like(line, shown), "{line} {shown}");
        }
    }
}
