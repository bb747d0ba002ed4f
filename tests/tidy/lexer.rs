//! Just enough of Rust's grammar to see code without its comments and strings, and the paths that it mentions.
//! It deliberately resolves no names: an alias or a macro can hide a path from it, and a reviewer has to see that.

use std::ops::Range;

/// An identifier or a path as it stands in the code, with what `use a::{b, c}` leaves out filled in.
#[derive(Debug, PartialEq)]
pub struct Mention {
    /// The line it ends on, from 1.
    pub line: usize,
    /// `a::b::c`, or one word; keywords count as words.
    pub path: String,
    /// The next character that is not a space, or a space at the end of the file.
    pub next: char,
}

impl Mention {
    /// Whether the words of `path` stand in this one, next to each other.
    pub fn has(&self, path: &str) -> bool {
        let own: Vec<&str> = self.path.split("::").collect();
        let wanted: Vec<&str> = path.split("::").collect();
        own.windows(wanted.len()).any(|window| window == wanted)
    }

    /// The module `m` of a path `crate::m…`, unless it is a macro.
    pub fn crate_module(&self) -> Option<&str> {
        let mut parts = self.path.split("::");
        let from_root = parts.next() == Some("crate");
        parts.next().filter(|_| from_root && self.next != '!')
    }
}

/// The words of an identifier or path in lower case: `OpenCard::key_of` is open, card, key, of.
pub fn parts(path: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    for letter in path.chars() {
        if !letter.is_alphanumeric() || letter.is_uppercase() {
            parts.push(String::new());
        }
        if let Some(last) = parts.last_mut().filter(|_| letter.is_alphanumeric()) {
            last.extend(letter.to_lowercase());
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

/// Every mention in code that has been through [`without_comments_and_strings`], in order.
pub fn mentions(code: &str) -> Vec<Mention> {
    let letters: Vec<char> = code.chars().collect();
    let (mut at, mut line) = (0, 1);
    let mut found = Vec::new();
    let mut path = String::new();
    // What stands before each open brace: a path in `a::{`, nothing elsewhere.
    let mut prefixes: Vec<String> = vec![String::new()];
    while let Some(&letter) = letters.get(at) {
        let prefix = prefixes.last().cloned().unwrap_or_default();
        if is_word(letter) {
            let length = letters[at..].iter().take_while(|c| is_word(**c)).count();
            path.extend(&letters[at..at + length]);
            at += length;
            if letters[at..].starts_with(&[':', ':']) && letters.get(at + 2) != Some(&'<') {
                path.push_str("::");
                at += 2;
                continue;
            }
            let next = letters[at..]
                .iter()
                .copied()
                .find(|c| !c.is_whitespace())
                .unwrap_or(' ');
            found.push(Mention {
                line,
                path: prefix + &std::mem::take(&mut path),
                next,
            });
            continue;
        }
        match letter {
            '{' if path.is_empty() => prefixes.push(String::new()),
            '{' => prefixes.push(prefix + &std::mem::take(&mut path)),
            '}' => drop(prefixes.pop()),
            '*' if path.ends_with("::") => {
                let module = path.trim_end_matches(':').to_owned();
                found.push(Mention {
                    line,
                    path: prefix + &module,
                    next: '*',
                });
                path.clear();
            }
            '\n' => line += 1,
            ' ' => {}
            _ => path.clear(),
        }
        at += 1;
    }
    found
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// The lines of `#[cfg(test)] mod … { … }`, from 1, or all of them where the file itself is the tests.
pub fn test_lines(file: &str, code: &str) -> Range<usize> {
    if file.ends_with("/tests.rs") || file.contains("/tests/") {
        return 0..usize::MAX;
    }
    let lines: Vec<&str> = code.lines().collect();
    let opens = |at: &usize| {
        let after = lines[at + 1..]
            .iter()
            .find(|line| !line.trim_start().starts_with("#["));
        lines[*at].trim() == "#[cfg(test)]"
            && after.is_some_and(|line| line.starts_with("mod ") && line.ends_with('{'))
    };
    let Some(start) = (0..lines.len()).find(opens) else {
        return 0..0;
    };
    let length = lines[start..]
        .iter()
        .take_while(|line| !line.starts_with('}'))
        .count();
    start + 1..start + length + 2
}

/// The code with every comment and the inside of every string and character made blank; line breaks stay.
pub fn without_comments_and_strings(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < letters.len() {
        let end = token_end(&letters, at);
        if end == at {
            code.push(letters[at]);
            at += 1;
        } else {
            code.extend(
                letters[at..end]
                    .iter()
                    .map(|c| if *c == '\n' { '\n' } else { ' ' }),
            );
            at = end;
        }
    }
    code
}

/// Where the comment, string or character literal that begins here ends; `at` itself where none begins.
fn token_end(letters: &[char], at: usize) -> usize {
    let rest = &letters[at..];
    let word_before = at > 0 && is_word(letters[at - 1]);
    let length = match rest {
        ['/', '/', ..] => rest.iter().position(|c| *c == '\n').unwrap_or(rest.len()),
        ['/', '*', ..] => block_comment(rest),
        ['"', ..] => quoted(rest, '"'),
        ['r', '"' | '#', ..] if !word_before => raw_string(rest),
        ['b', 'r', '"' | '#', ..] if !word_before => 1 + raw_string(&rest[1..]),
        ['\'', '\\', ..] => quoted(rest, '\''),
        ['\'', _, '\'', ..] => 3,
        _ => 0,
    };
    at + length
}

fn block_comment(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        match rest[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn quoted(rest: &[char], quote: char) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

/// The length of `r"…"` or `r#"…"#`; 0 for a raw identifier.
fn raw_string(rest: &[char]) -> usize {
    let hashes = rest[1..].iter().take_while(|c| **c == '#').count();
    if rest.get(1 + hashes) != Some(&'"') {
        return 0;
    }
    let close: Vec<char> = std::iter::once('"')
        .chain(std::iter::repeat_n('#', hashes))
        .collect();
    let body = 2 + hashes;
    let end = rest[body..]
        .windows(close.len())
        .position(|window| window == close);
    end.map_or(rest.len(), |end| body + end + close.len())
}
