//! A TOML text being read: its tables, the values in them, and the faults found so far, each at its place.
//!
//! A table is asked for the keys it may have; what was not asked for is a fault. The line of a key that may hold a
//! secret is never shown beyond its `=`. What the keys mean is deliberately left to `tables.rs`.

use crate::expr::{parse_duration, show_duration};
use crate::problem::{Problem, Problems, closest};
use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};
use std::path::PathBuf;
use std::time::Duration;
use toml_edit::{Document, Item, TableLike, Value};

/// After so many faults of syntax the rest of a file is not worth reading.
const MAX_SYNTAX_FAULTS: usize = 20;
/// Keys that may hold a secret have one of these in their name, unless they end in `_file` or `_env`.
const SECRET_WORDS: [&str; 5] = ["passw", "passphrase", "secret", "token", "credential"];

/// Keys that are known only so that they can be refused with better words.
pub const LITERAL: &str = "password";
/// Another one.
pub const CLIENT_LITERAL: &str = "client_secret";

/// A value and where it stands (bytes).
#[derive(Debug, Clone)]
pub struct Given<T> {
    /// The value.
    pub value: T,
    /// Its bytes in the text.
    pub at: Range<usize>,
}

/// A text and the faults found in it.
pub struct Sheet<'t> {
    file: &'t str,
    text: &'t str,
    problems: Problems,
    /// Which keys each table may have, as far as they were asked for.
    known: BTreeMap<&'static str, Vec<&'static str>>,
    /// Whether some lines were left out for their syntax: what seems to be missing may stand there.
    pub torn: bool,
}

impl<'t> Sheet<'t> {
    /// Reads the text as TOML; a line with a fault of syntax is noted and read as if it were empty.
    ///
    /// `None` where a heading or the limits of a value are at fault, so that nothing can be said of the rest.
    pub fn open(file: &'t str, text: &'t str) -> (Self, Option<Document<String>>) {
        let mut sheet = Self {
            file,
            text,
            problems: Problems::new(),
            known: BTreeMap::new(),
            torn: false,
        };
        let mut rest = text.to_owned();
        for _ in 0..MAX_SYNTAX_FAULTS {
            let error = match Document::parse(rest.clone()) {
                Ok(document) => return (sheet, Some(document)),
                Err(error) => error,
            };
            sheet.torn = true;
            let at = error.span().unwrap_or(text.len()..text.len());
            let message = error.message().lines().collect::<Vec<_>>().join(", ");
            let message = message.trim_end_matches(", expected nothing");
            let line = line_around(&rest, at.start);
            let content = rest.get(line.clone()).unwrap_or_default().trim();
            let is_bare = content
                .split_once('=')
                .is_some_and(|(_, value)| !value.contains(['"', '\'', '[', '{']));
            let help = is_bare.then_some("a text stands in quotes, `\"…\"`, a number in digits");
            sheet.fault(at, format!("this is not TOML: {message}"), help);
            if content.is_empty() || content.starts_with('[') || content.contains("\"\"\"") {
                break;
            }
            rest.replace_range(line.clone(), &" ".repeat(line.len()));
        }
        (sheet, None)
    }

    /// Notes a fault.
    pub fn fault(&mut self, at: Range<usize>, message: impl Into<String>, help: Option<&str>) {
        let mut problem = self.place(at);
        problem.message = message.into();
        problem.help = help.map(str::to_owned);
        self.problems.push(problem);
    }

    /// Notes a fault of the file as a whole.
    pub fn fault_of_file(&mut self, message: &str, help: &str) {
        self.problems
            .push(Problem::whole(self.file, message).with_help(help));
    }

    /// A fault at a place, without words yet; what may be a secret is cut from its line.
    pub fn place(&self, at: Range<usize>) -> Problem {
        let mut problem = Problem::within(self.file, self.text, at, "");
        if let Some(cut) = secret_from(&problem.source) {
            veil(&mut problem, cut);
        }
        problem
    }

    /// The faults, with those of keys that no table asked for.
    pub fn close(mut self, document: Option<&Document<String>>) -> Problems {
        if let Some(document) = document {
            for (name, item) in document.iter() {
                match self.known.keys().find(|known| **known == name) {
                    None => self.unknown(document.as_table(), None, name),
                    Some(&known) => self.strange(known, item),
                }
            }
        }
        self.problems
    }

    /// Faults of the keys of a table or of each in a list, and of the tables in it, that nobody asked for.
    fn strange(&mut self, known: &'static str, item: &Item) {
        // Where nothing was asked for, the table itself was at fault.
        let tables = if self.known[known].is_empty() {
            Vec::new()
        } else {
            tables_of(item)
        };
        for (table, _) in tables {
            for (key, item) in table.iter() {
                let inner = format!("{known}.{key}");
                if !self.known[known].contains(&key) {
                    self.unknown(table, Some(known), key);
                } else if let Some((&inner, _)) = self.known.get_key_value(&*inner) {
                    self.strange(inner, item);
                }
            }
        }
    }

    fn unknown(&mut self, table: &dyn TableLike, home: Option<&'static str>, key: &str) {
        let here: Vec<&'static str> = match home {
            Some(home) => self.known[home].clone(),
            None => self.known.keys().copied().collect(),
        };
        let elsewhere = self.known.iter().find(|(_, keys)| keys.contains(&key));
        let help = match (closest(key, here.iter().copied()), elsewhere) {
            (Some(near), _) => format!("did you mean `{near}`?"),
            (None, Some((other, _))) => format!("`{key}` stands in the table `[{other}]`"),
            (None, None) => format!("known here: {}", listed(&here)),
        };
        let what = match home {
            None => format!("unknown table or key `{key}`"),
            Some(home) => format!("unknown key `{key}` in `[{home}]`"),
        };
        let at = table
            .key(key)
            .and_then(toml_edit::Key::span)
            .unwrap_or_default();
        let mut problem = Problem::within(self.file, self.text, at, what).with_help(help);
        // What an unknown key holds may be a secret by any name.
        let after_key = problem.column + problem.width;
        let tail = byte_of(&problem.source, after_key);
        if let Some(equals) = problem.source.get(tail..).and_then(|rest| rest.find('=')) {
            veil(&mut problem, tail + equals + 1);
        } else if let Some(cut) = secret_from(&problem.source) {
            veil(&mut problem, cut);
        }
        self.problems.push(problem);
    }
}

/// One table of a sheet; a table that is not there has no keys.
pub struct Part<'s, 't, 'd> {
    /// The sheet, for faults.
    pub sheet: &'s mut Sheet<'t>,
    name: &'static str,
    table: Option<&'d dyn TableLike>,
    /// Where the table's name stands, if it does.
    pub head: Option<Range<usize>>,
}

impl<'s, 't, 'd> Part<'s, 't, 'd> {
    /// The table of that name.
    pub fn open(
        sheet: &'s mut Sheet<'t>,
        document: &'d Document<String>,
        name: &'static str,
    ) -> Self {
        Self::of(sheet, Some(document.as_table()), name, name)
    }

    /// A table in this one, by its whole name.
    pub fn inner(&mut self, name: &'static str) -> Part<'_, 't, 'd> {
        let key = name.rsplit_once('.').map_or(name, |(_, key)| key);
        self.key(key);
        Part::of(self.sheet, self.table, name, key)
    }

    fn of(
        sheet: &'s mut Sheet<'t>,
        home: Option<&'d dyn TableLike>,
        name: &'static str,
        key: &str,
    ) -> Self {
        sheet.known.entry(name).or_default();
        let item = home.and_then(|home| home.get(key));
        let head = home.and_then(|home| home.key(key)?.span());
        let table = item.and_then(Item::as_table_like);
        if let (Some(item), None) = (item, table) {
            let at = item.span().or_else(|| head.clone()).unwrap_or_default();
            let message = format!("`{name}` is {}, a table is wanted", kind(item));
            sheet.fault(at, message, Some(&format!("begin it with `[{name}]`")));
        }
        Self {
            sheet,
            name,
            table,
            head,
        }
    }

    /// Reads each table of a list of tables, `[[name]]`.
    pub fn each(
        sheet: &mut Sheet<'t>,
        document: &'d Document<String>,
        name: &'static str,
        mut read: impl FnMut(Part<'_, 't, 'd>),
    ) {
        sheet.known.entry(name).or_default();
        let Some(item) = document.get(name) else {
            return;
        };
        let head = document.as_table().key(name).and_then(toml_edit::Key::span);
        if item.as_array().is_none() && item.as_array_of_tables().is_none() {
            let at = item.span().or(head).unwrap_or_default();
            let message = format!("`{name}` is {}, a list of tables is wanted", kind(item));
            sheet.fault(at, message, Some(&format!("begin each with `[[{name}]]`")));
            return;
        }
        for (table, at) in tables_of(item) {
            read(Part {
                sheet: &mut *sheet,
                name,
                table: Some(table),
                head: at.or_else(|| head.clone()),
            });
        }
    }

    /// Where the table stands, for what is missing in it.
    pub fn place(&self) -> Range<usize> {
        self.head.clone().unwrap_or_default()
    }

    /// Where a key is written, whatever its value.
    pub fn key(&mut self, key: &'static str) -> Option<Range<usize>> {
        let known = self.sheet.known.entry(self.name).or_default();
        if !known.contains(&key) {
            known.push(key);
        }
        self.table?.key(key)?.span()
    }

    /// Says that a key is meant, in a fault at its place.
    pub fn fault(&mut self, at: Range<usize>, message: impl Into<String>, help: &str) {
        self.sheet.fault(at, message, Some(help));
    }

    fn item(&mut self, key: &'static str) -> Option<Given<&'d Item>> {
        let head = self.key(key);
        let value = self.table?.get(key)?;
        let at = value.span().or(head)?;
        Some(Given { value, at })
    }

    fn wrong(&mut self, key: &str, at: Range<usize>, item: &Item, wanted: &str, help: &str) {
        let message = format!("`{key}` is {}, {wanted} is wanted", kind(item));
        self.sheet.fault(at, message, Some(help));
    }

    /// A text that is not empty.
    pub fn text(&mut self, key: &'static str) -> Option<Given<&'d str>> {
        let Given { value: item, at } = self.item(key)?;
        match item.as_str() {
            Some(text) if text.trim().is_empty() => {
                self.sheet.fault(
                    at,
                    format!("`{key}` is empty"),
                    Some("leave the key out for its default"),
                );
                None
            }
            Some(value) => Some(Given { value, at }),
            None => {
                self.wrong(key, at, item, "a text", "put it in quotes: `\"…\"`");
                None
            }
        }
    }

    /// A list of texts, none of them empty.
    pub fn texts(&mut self, key: &'static str) -> Option<Given<Vec<Given<&'d str>>>> {
        let Given { value: item, at } = self.item(key)?;
        let help = "write `[\"…\", \"…\"]`";
        let Some(array) = item.as_array() else {
            self.wrong(key, at, item, "a list of texts", help);
            return None;
        };
        let mut texts = Vec::new();
        for value in array {
            let at = value.span().unwrap_or_else(|| at.clone());
            match value.as_str() {
                Some(text) if !text.trim().is_empty() => texts.push(Given { value: text, at }),
                _ => {
                    let message = format!("`{key}` has {} in it", value_kind(value));
                    self.sheet.fault(at, message, Some(help));
                }
            }
        }
        Some(Given { value: texts, at })
    }

    /// `true` or `false`.
    pub fn flag(&mut self, key: &'static str, default: bool) -> bool {
        let Some(Given { value: item, at }) = self.item(key) else {
            return default;
        };
        item.as_bool().unwrap_or_else(|| {
            let help = "write `true` or `false`, without quotes";
            self.wrong(key, at, item, "`true` or `false`", help);
            default
        })
    }

    /// A whole number within bounds.
    pub fn number(&mut self, key: &'static str, range: RangeInclusive<u32>, default: u32) -> u32 {
        let Some(Given { value: item, at }) = self.item(key) else {
            return default;
        };
        let bounds = format!("{} to {}", range.start(), range.end());
        let Some(number) = item.as_integer() else {
            let help = format!("write a whole number, {bounds}, without quotes");
            self.wrong(key, at, item, "a whole number", &help);
            return default;
        };
        match u32::try_from(number) {
            Ok(number) if range.contains(&number) => number,
            Ok(_) | Err(_) => {
                let message = format!("`{key}` is `{number}`, outside {bounds}");
                self.sheet.fault(at, message, None);
                default
            }
        }
    }

    /// A span of time within bounds (seconds).
    pub fn span(
        &mut self,
        key: &'static str,
        range: RangeInclusive<u64>,
        default: Duration,
    ) -> Duration {
        let Some(Given { value: item, at }) = self.item(key) else {
            return default;
        };
        let shown = |seconds: u64| {
            show_duration(i64::try_from(seconds.saturating_mul(1_000)).unwrap_or(i64::MAX))
        };
        let bounds = format!("{} to {}", shown(*range.start()), shown(*range.end()));
        let help =
            format!("write a number and a unit, `\"30s\"`, `\"10m\"` or `\"14d\"`: {bounds}");
        let Some(text) = item.as_str() else {
            self.wrong(key, at, item, "a span of time as text", &help);
            return default;
        };
        let Some(span) = parse_duration(text.trim()) else {
            let message = format!("`{text}` is not a span of time");
            self.sheet.fault(at, message, Some(&help));
            return default;
        };
        let allowed = Duration::from_secs(*range.start())..=Duration::from_secs(*range.end());
        match u64::try_from(span).map(Duration::from_millis) {
            Ok(span) if allowed.contains(&span) => span,
            Ok(_) | Err(_) => {
                let message = format!("`{key}` is `{text}`, outside {bounds}");
                self.sheet.fault(at, message, None);
                default
            }
        }
    }

    /// One of a few words.
    pub fn word<T: Copy>(
        &mut self,
        key: &'static str,
        words: &[(&'static str, T)],
    ) -> Option<Given<T>> {
        let given = self.text(key)?;
        self.one_of(key, &given, words)
    }

    /// What a word stands for.
    pub fn one_of<T: Copy>(
        &mut self,
        key: &str,
        given: &Given<&str>,
        words: &[(&'static str, T)],
    ) -> Option<Given<T>> {
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == given.value) {
            return Some(Given {
                value: *value,
                at: given.at.clone(),
            });
        }
        let all: Vec<String> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
        let message = format!("`{key}` is `{}`, it can be {}", given.value, all.join(", "));
        let near = closest(given.value, words.iter().map(|(word, _)| *word));
        let help = near.map(|near| format!("did you mean `{near}`?"));
        self.sheet.fault(given.at.clone(), message, help.as_deref());
        None
    }

    /// A file that is there.
    pub fn file(&mut self, key: &'static str) -> Option<Given<PathBuf>> {
        let Given { value, at } = self.text(key)?;
        let path = PathBuf::from(value);
        if !path.is_file() {
            let message = format!("there is no file `{value}`");
            let help = "paths are relative to the working directory";
            self.fault(at, message, help);
            return None;
        }
        Some(Given { value: path, at })
    }
}

/// The tables that stand under a name: one, or those of a list; each with its place.
fn tables_of(item: &Item) -> Vec<(&dyn TableLike, Option<Range<usize>>)> {
    if let Some(tables) = item.as_array_of_tables() {
        let tables = tables.iter();
        return tables
            .map(|table| (table as &dyn TableLike, table.span()))
            .collect();
    }
    if let Some(array) = item.as_array() {
        let tables = array.iter().filter_map(Value::as_inline_table);
        return tables
            .map(|table| (table as &dyn TableLike, table.span()))
            .collect();
    }
    let table = item.as_table_like();
    table.map(|table| (table, None)).into_iter().collect()
}

/// The keys that may be there, without those that are known only to be refused well.
fn listed(keys: &[&str]) -> String {
    let is_offered = |key: &&str| ![LITERAL, CLIENT_LITERAL].contains(key);
    let offered: Vec<&str> = keys.iter().copied().filter(is_offered).collect();
    offered.join(", ")
}

fn kind(item: &Item) -> &'static str {
    match item {
        Item::None => "nothing",
        Item::Value(value) => value_kind(value),
        Item::Table(_) => "a table",
        Item::ArrayOfTables(_) => "a list of tables",
    }
}

fn value_kind(value: &Value) -> &'static str {
    match value {
        Value::String(text) if text.value().trim().is_empty() => "an empty text",
        Value::String(_) => "a text",
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a decimal number",
        Value::Boolean(_) => "`true` or `false`",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list",
        Value::InlineTable(_) => "a table",
    }
}

/// The bytes of the line around a place, without its line break.
fn line_around(text: &str, at: usize) -> Range<usize> {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    let (before, after) = text.split_at(at);
    let start = before.rfind('\n').map_or(0, |found| found + 1);
    let end = after.find('\n').map_or(text.len(), |found| at + found);
    start..end
}

/// From which byte a line may show a secret: behind the `=` of a key whose name says so, or in the authority of a URL.
fn secret_from(line: &str) -> Option<usize> {
    let behind_key = line.match_indices('=').find_map(|(at, _)| {
        let before = line.get(..at)?.trim_end().trim_end_matches(['"', '\'']);
        let in_key = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
        let key = before.rsplit(|c| !in_key(c)).next()?.to_lowercase();
        let is_secret = SECRET_WORDS.iter().any(|word| key.contains(word));
        // A password written where a variable's name belongs does not look like one.
        let is_place = key.ends_with("_file")
            || key.ends_with("_env") && is_variable(quoted(line.get(at + 1..)?));
        (is_secret && !is_place).then_some(at + 1)
    });
    let in_url = line.match_indices("://").find_map(|(at, mark)| {
        let start = at + mark.len();
        let authority = line.get(start..)?.split(['/', '"', '\'']).next()?;
        authority.contains('@').then_some(start)
    });
    behind_key.into_iter().chain(in_url).min()
}

/// What stands between the first quotes of a text; without quotes, the whole.
fn quoted(text: &str) -> &str {
    let text = text.trim();
    let Some(quote) = text.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
        return text;
    };
    text.split(quote).nth(1).unwrap_or(text)
}

/// Whether a text can name a variable of the environment, as they are usually written.
pub fn is_variable(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    !name.is_empty() && name.chars().all(fits) && !name.starts_with(|c: char| c.is_ascii_digit())
}

/// Cuts the line of a fault at a byte, and draws the carets back to what is left.
fn veil(problem: &mut Problem, cut: usize) {
    let kept = problem.source.get(..cut).unwrap_or_default();
    let letters = kept.chars().count();
    problem.source = format!("{kept} …");
    if problem.column > letters {
        problem.column = letters + 2;
        problem.width = 1;
    }
    problem.width = problem.width.min(letters + 3 - problem.column);
}

/// The byte at which a column (from 1, in characters) begins.
fn byte_of(line: &str, column: usize) -> usize {
    line.char_indices()
        .nth(column.saturating_sub(1))
        .map_or(line.len(), |(at, _)| at)
}
