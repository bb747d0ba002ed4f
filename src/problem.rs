//! Faults in files that a person wrote: place, source line, carets, message and help, all reported in one run.
//!
//! Also [`closest`], the "did you mean". Deliberately reads no file and knows no file format: whoever loads a file
//! says where its faults are.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;

/// A fault at a place in a file; `line` 0 says that it concerns the file as a whole.
///
/// The order of the fields is the order of reporting: by file, line, column.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Problem {
    /// The file as the user named it.
    pub file: String,
    /// Line, from 1; 0 for the whole file.
    pub line: usize,
    /// Column of the first caret, from 1, in characters.
    pub column: usize,
    /// How many characters the carets cover; at least one is drawn.
    pub width: usize,
    /// The text of the line, without its line break.
    pub source: String,
    /// What is wrong: lower case, no full stop, the user's text in backticks.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
}

impl Problem {
    /// A fault of a file as a whole, such as one that is missing.
    pub fn whole(file: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            line: 0,
            column: 0,
            width: 0,
            source: String::new(),
            message: message.into(),
            help: None,
        }
    }

    /// A fault at `span` (bytes) of a file's whole `text`; a span over several lines is cut at the end of its first.
    pub fn within(
        file: impl Into<String>,
        text: &str,
        span: Range<usize>,
        message: impl Into<String>,
    ) -> Self {
        let start = floor_boundary(text, span.start);
        let end = floor_boundary(text, span.end).max(start);
        let before = text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let rest = text.get(line_start..).unwrap_or_default();
        let source = rest.lines().next().unwrap_or_default();
        let prefix = text.get(line_start..start).unwrap_or_default();
        let visible_end = end.min(line_start + source.len()).max(start);
        let covered = text.get(start..visible_end).unwrap_or_default();
        Self {
            line: before.matches('\n').count() + 1,
            column: prefix.chars().count() + 1,
            width: covered.chars().count().max(1),
            source: source.to_owned(),
            ..Self::whole(file, message)
        }
    }

    /// The same fault with a line of help.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "error: {}", self.message)?;
        // Two places keep the gutter steady for most files; a longer number widens it.
        let gutter = self.line.to_string().len().max(2);
        if self.line == 0 {
            write!(f, "{:gutter$}--> {}", "", self.file)?;
        } else {
            writeln!(
                f,
                "{:gutter$}--> {}:{}:{}",
                "", self.file, self.line, self.column
            )?;
            writeln!(f, "{:gutter$} |", "")?;
            writeln!(f, "{:>gutter$} | {}", self.line, drawn(&self.source))?;
            let (padding, carets) = underline(&self.source, self.column, self.width);
            write!(f, "{:gutter$} | {padding}{carets}", "")?;
        }
        if let Some(help) = &self.help {
            write!(f, "\n{:gutter$} = help: {help}", "")?;
        }
        writeln!(f)
    }
}

/// Every fault found in one run, in order of place, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems {
    all: BTreeSet<Problem>,
}

impl Problems {
    /// No faults yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes a fault; the same fault twice is noted once.
    pub fn push(&mut self, problem: Problem) {
        self.all.insert(problem);
    }

    /// How many different faults were noted.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether all is well.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The faults, by file, line and column.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.all.iter()
    }
}

impl Extend<Problem> for Problems {
    fn extend<I: IntoIterator<Item = Problem>>(&mut self, problems: I) {
        self.all.extend(problems);
    }
}

impl IntoIterator for Problems {
    type Item = Problem;
    type IntoIter = std::collections::btree_set::IntoIter<Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.all.into_iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return Ok(());
        }
        for problem in &self.all {
            writeln!(f, "{problem}")?;
        }
        let files = self
            .all
            .iter()
            .map(|problem| &problem.file)
            .collect::<BTreeSet<_>>();
        writeln!(
            f,
            "{} in {}",
            counted(self.len(), "fault"),
            counted(files.len(), "file")
        )
    }
}

/// The candidate that `word` was probably meant to be, for a "did you mean".
///
/// Damerau-Levenshtein distance in its optimal-string-alignment form, without regard to ASCII case, at most a third of
/// the longer word's length; ties go to the alphabetically first.
pub fn closest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let wanted: Vec<char> = word.to_ascii_lowercase().chars().collect();
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let letters: Vec<char> = candidate.to_ascii_lowercase().chars().collect();
            let bound = wanted.len().max(letters.len()) / 3;
            // The length difference is a lower bound of the distance, and far cheaper.
            if wanted.len().abs_diff(letters.len()) > bound {
                return None;
            }
            let distance = alignment_distance(&wanted, &letters);
            (distance <= bound).then_some((distance, candidate))
        })
        .min()
        .map(|(_, candidate)| candidate)
}

/// Insertions, deletions, substitutions and swaps of neighbours that turn one word into the other.
fn alignment_distance(left: &[char], right: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in right.iter().enumerate() {
            let mut best = (last[j] + usize::from(a != b))
                .min(last[j + 1] + 1)
                .min(row[j] + 1);
            if i > 0 && j > 0 && left[i - 1] == *b && right[j - 1] == *a {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or_default()
}

fn counted(count: usize, noun: &str) -> String {
    if count == 1 {
        format!("1 {noun}")
    } else {
        format!("{count} {noun}s")
    }
}

fn floor_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// The line as shown: control characters other than tabs must not reach a terminal.
fn drawn(source: &str) -> String {
    source
        .chars()
        .map(|c| {
            if c.is_control() && c != '\t' {
                char::REPLACEMENT_CHARACTER
            } else {
                c
            }
        })
        .collect()
}

/// The padding and the carets under a line: tabs stay tabs, so that both lines advance alike.
fn underline(source: &str, column: usize, width: usize) -> (String, String) {
    let mut letters = source.chars();
    let mut padding = String::new();
    for _ in 1..column {
        match letters.next() {
            Some('\t') => padding.push('\t'),
            Some(c) => (0..cells(c)).for_each(|_| padding.push(' ')),
            None => padding.push(' '),
        }
    }
    let marked: usize = letters.take(width).map(cells).sum();
    (padding, "^".repeat(marked.max(1)))
}

/// How many cells of a terminal a character takes: none for combining marks, two for the wide scripts and emoji.
///
/// After Unicode TR 11, in its coarse blocks: enough for a caret, no more.
fn cells(c: char) -> usize {
    match u32::from(c) {
        0x0300..=0x036f | 0x200b..=0x200f | 0x20d0..=0x20ff | 0xfe00..=0xfe0f => 0,
        0x1100..=0x115f
        | 0x2e80..=0x303e
        | 0x3041..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1f64f
        | 0x1f680..=0x1f9ff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: &str =
        "id: travel\nwhy: far away\n\n\n\n\n    when: ammount > 500 && country != home_country\n";

    fn ammount() -> Problem {
        let start = RULE.find("ammount").unwrap();
        Problem::within(
            "rules/travel.yaml",
            RULE,
            start..start + 7,
            "unknown field `ammount`",
        )
        .with_help("did you mean `amount`?")
    }

    #[test]
    fn a_problem_is_drawn_as_the_house_style_shows() {
        assert_eq!(
            ammount().to_string(),
            "error: unknown field `ammount`
  --> rules/travel.yaml:7:11
   |
 7 |     when: ammount > 500 && country != home_country
   |           ^^^^^^^
   = help: did you mean `amount`?
"
        );
    }

    #[test]
    fn a_long_line_number_widens_the_gutter() {
        let mut problem = ammount();
        problem.line = 1234;
        assert_eq!(
            problem.to_string(),
            "error: unknown field `ammount`
    --> rules/travel.yaml:1234:11
     |
1234 |     when: ammount > 500 && country != home_country
     |           ^^^^^^^
     = help: did you mean `amount`?
"
        );
    }

    #[test]
    fn a_whole_file_problem_has_no_code_block() {
        let problem =
            Problem::whole("rules", "no rule files here").with_help("name a folder with `--rules`");
        assert_eq!(
            problem.to_string(),
            "error: no rule files here\n  --> rules\n   = help: name a folder with `--rules`\n"
        );
    }

    fn marked(text: &str, word: &str) -> (Problem, String) {
        let start = text.find(word).unwrap();
        let problem = Problem::within("f", text, start..start + word.len(), "m");
        let carets = problem.to_string().lines().nth(4).unwrap().to_owned();
        (problem, carets)
    }

    #[test]
    fn tabs_and_letters_beyond_ascii_keep_the_caret_in_its_column() {
        let (problem, carets) = marked("\twhen:\tblåbær > x", "x");
        assert_eq!((problem.line, problem.column, problem.width), (1, 17, 1));
        assert_eq!(carets, "   | \t     \t         ^");

        let (problem, carets) = marked("a == \"日本\" && blåbær", "blåbær");
        assert_eq!((problem.column, problem.width), (14, 6));
        assert_eq!(carets, format!("   | {}^^^^^^", " ".repeat(15)));

        let (_, carets) = marked("x == 日本", "日本");
        assert_eq!(carets, "   |      ^^^^");
    }

    #[test]
    fn a_span_over_lines_or_past_the_end_stays_on_its_first_line() {
        let problem = Problem::within("f", "one\ntwo three\nfour", 8..17, "m");
        assert_eq!(
            (
                problem.line,
                problem.column,
                problem.width,
                problem.source.as_str()
            ),
            (2, 5, 5, "two three")
        );
        let problem = Problem::within("f", "one\r\ntwo", 99..120, "m");
        assert_eq!(
            (
                problem.line,
                problem.column,
                problem.width,
                problem.source.as_str()
            ),
            (2, 4, 1, "two")
        );
        let problem = Problem::within("f", "", 0..0, "m");
        assert_eq!((problem.line, problem.column, problem.width), (1, 1, 1));
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let problem = Problem::within("f", "a \u{1b}[31m b", 0..1, "m");
        assert!(!problem.to_string().contains('\u{1b}'));
    }

    #[test]
    fn problems_are_sorted_told_once_and_counted() {
        let mut problems = Problems::new();
        let text = "aa\nbb\n";
        problems.push(Problem::within("z.yaml", text, 0..1, "last"));
        problems.push(Problem::within("a.yaml", text, 3..4, "third"));
        problems.push(Problem::within("a.yaml", text, 1..2, "second"));
        problems.push(Problem::within("a.yaml", text, 1..2, "second"));
        problems.extend([Problem::whole("a.yaml", "first")]);
        let order: Vec<&str> = problems
            .iter()
            .map(|problem| problem.message.as_str())
            .collect();
        assert_eq!(order, ["first", "second", "third", "last"]);
        assert!(problems.to_string().ends_with("\n\n4 faults in 2 files\n"));
    }

    #[test]
    fn one_fault_is_singular_and_none_is_silent() {
        let mut problems = Problems::new();
        assert_eq!(problems.to_string(), "");
        problems.push(Problem::whole("a", "m"));
        assert!(problems.to_string().ends_with("1 fault in 1 file\n"));
    }

    #[test]
    fn the_closest_word_is_within_a_third_of_the_length() {
        let names = ["amount", "country", "home_country", "mcc"];
        assert_eq!(closest("ammount", names), Some("amount"));
        assert_eq!(
            closest("amuont", names),
            Some("amount"),
            "a swap is one step"
        );
        assert_eq!(closest("AMOUNT", names), Some("amount"));
        assert_eq!(closest("mc", names), Some("mcc"));
        assert_eq!(closest("cuntri", names), Some("country"));
        assert_eq!(closest("velocity", names), None);
        assert_eq!(closest("x", ["y"]), None);
        assert_eq!(closest("", ["", "a"]), Some(""));
        assert_eq!(
            closest("abcx", ["abcz", "abcb", "abcy"]),
            Some("abcb"),
            "ties go alphabetically"
        );
    }
}
