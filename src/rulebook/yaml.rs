//! YAML text to a tree of nodes that know where they stand in the file.
//!
//! Only what a rule book needs: mappings, sequences and scalars of one document. Anchors, aliases
//! and tags are faults, since a reader must see a rule whole where it stands. Nothing here knows
//! what a field means; every fault is collected, none ends the run.

use granit_parser::{Event, Parser, ScalarStyle, Span};
use std::ops::Range;

/// The largest file of a rule book: a thousand rules are half of it.
pub const MAX_FILE_BYTES: usize = 1024 * 1024;
/// The deepest nesting: a rule's events stand at depth 7, and the reader recurses.
pub const MAX_DEPTH: usize = 32;

/// A value and the bytes of the file that it was read from.
#[derive(Debug)]
pub struct Node {
    /// The bytes of the file.
    pub span: Range<usize>,
    /// What stands there.
    pub value: Value,
}

/// What a node is.
#[derive(Debug)]
pub enum Value {
    /// A text or number; which of them is for its reader to say.
    Scalar(Scalar),
    /// A list.
    Sequence(Vec<Node>),
    /// Fields in the order of the file, each key once.
    Mapping(Vec<Entry>),
}

/// A scalar as written.
#[derive(Debug)]
pub struct Scalar {
    /// Its text after escapes and folding.
    pub text: String,
    /// How it is written.
    pub style: Style,
}

/// How a scalar is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Bare.
    Plain,
    /// In single quotes.
    Single,
    /// In double quotes.
    Double,
    /// A block after `|` or `>`.
    Block,
}

/// A field of a mapping.
#[derive(Debug)]
pub struct Entry {
    /// The field's name.
    pub key: String,
    /// Where the name stands.
    pub key_span: Range<usize>,
    /// Its value.
    pub node: Node,
}

/// A fault of form.
#[derive(Debug)]
pub struct Fault {
    /// Where, in bytes of the file.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub help: Option<&'static str>,
}

/// Reads one document.
///
/// # Errors
/// Every fault of form; after one of syntax the rest of the file cannot be read.
pub fn parse(text: &str) -> Result<Node, Vec<Fault>> {
    let mut reader = Reader {
        events: Box::new(Parser::new_from_str(text)),
        faults: Vec::new(),
        text,
    };
    let root = reader.document();
    match root {
        Some(root) if reader.faults.is_empty() => Ok(root),
        Some(_) | None => Err(reader.faults),
    }
}

type Events<'t> =
    Box<dyn Iterator<Item = Result<(Event<'t>, Span), granit_parser::ScanError>> + 't>;

struct Reader<'t> {
    events: Events<'t>,
    faults: Vec<Fault>,
    text: &'t str,
}

/// The events that make a tree; all others are dropped or faults.
enum Part {
    Scalar(Scalar),
    SequenceStart,
    MappingStart,
    End,
    StreamEnd,
}

impl Reader<'_> {
    fn document(&mut self) -> Option<Node> {
        let (part, span) = self.next()?;
        if matches!(part, Part::StreamEnd) {
            self.fault(0..0, "the file says nothing", None);
            return None;
        }
        let root = self.node(part, span, 1)?;
        loop {
            match self.next()? {
                (Part::End, _) => {}
                (Part::StreamEnd, _) => return Some(root),
                (Part::Scalar(_) | Part::SequenceStart | Part::MappingStart, span) => {
                    self.fault(
                        span.start..span.start + 1,
                        "a second document begins here",
                        Some("a file holds one document: leave out the line `---`"),
                    );
                    return None;
                }
            }
        }
    }

    fn fault(
        &mut self,
        span: Range<usize>,
        message: impl Into<String>,
        help: Option<&'static str>,
    ) {
        self.faults.push(Fault {
            span,
            message: message.into(),
            help,
        });
    }

    /// Notes a fault of syntax, in words that say what people usually did.
    fn syntax(&mut self, at: usize, info: &str) {
        if let Some(tab) = leading_tab(self.text) {
            let help = Some("indent with spaces");
            self.fault(tab..tab + 1, "a tab in the indentation", help);
            return;
        }
        let help = if info.contains("':'") {
            "a bracket, brace or quote before it is not closed, or a text with `: ` lacks quotes"
        } else {
            "a text with `: ` or ` #` in it, or with a bracket, quote, `&`, `*`, `!`, `%` or `@` in \
             front, stands in quotes"
        };
        let message = format!("this is not YAML: {}", info.trim_end_matches('.'));
        self.fault(at..at + 1, message, Some(help));
    }

    /// The next event that makes a tree; nothing after a fault of syntax.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the parser's enum is open; comments and document marks carry no data"
    )]
    fn next(&mut self) -> Option<(Part, Range<usize>)> {
        let end = self.text.len();
        loop {
            let (event, span) = match self.events.next()? {
                Ok(next) => next,
                Err(error) => {
                    let at = error.marker().byte_offset().unwrap_or(end);
                    self.syntax(at, &error.info());
                    return None;
                }
            };
            let range = span.byte_range().unwrap_or(end..end);
            let (part, anchor, tagged) = match event {
                Event::Scalar(text, style, anchor, tag) => (
                    Part::Scalar(Scalar {
                        text: text.into_owned(),
                        style: style_of(style),
                    }),
                    anchor,
                    tag.is_some(),
                ),
                Event::SequenceStart(_, anchor, tag) => {
                    (Part::SequenceStart, anchor, tag.is_some())
                }
                Event::MappingStart(_, anchor, tag) => (Part::MappingStart, anchor, tag.is_some()),
                Event::SequenceEnd | Event::MappingEnd => (Part::End, 0, false),
                Event::StreamEnd => (Part::StreamEnd, 0, false),
                Event::Alias(_) => {
                    self.fault(
                        range.clone(),
                        "an alias is not allowed",
                        Some("write the value out: a rule is read where it stands"),
                    );
                    (
                        Part::Scalar(Scalar {
                            text: String::new(),
                            style: Style::Plain,
                        }),
                        0,
                        false,
                    )
                }
                _ => continue,
            };
            if anchor != 0 {
                let help = Some("leave out `&name`; an unquoted text may not begin with `&`");
                let start = self.text.get(..range.start).and_then(|t| t.rfind('&'));
                let place = start.map_or(range.clone(), |start| start..range.start);
                let place = place.start..place.start + name_length(self.text, place.start);
                self.fault(place, "an anchor is not allowed", help);
            }
            if tagged {
                let help =
                    Some("leave out `!tag`; an expression that begins with `!` stands in quotes");
                let place = span.tag_span().and_then(|tag| tag.byte_range());
                self.fault(place.unwrap_or(range.clone()), "a tag is not allowed", help);
            }
            return Some((part, range));
        }
    }

    fn node(&mut self, part: Part, span: Range<usize>, depth: usize) -> Option<Node> {
        if depth > MAX_DEPTH {
            self.fault(
                span,
                format!("nested more than {MAX_DEPTH} levels deep"),
                None,
            );
            return None;
        }
        match part {
            Part::Scalar(scalar) => Some(Node {
                span,
                value: Value::Scalar(scalar),
            }),
            Part::SequenceStart => self.sequence(span, depth),
            Part::MappingStart => self.mapping(span, depth),
            Part::End | Part::StreamEnd => None,
        }
    }

    fn sequence(&mut self, span: Range<usize>, depth: usize) -> Option<Node> {
        let mut items = Vec::new();
        loop {
            let (part, at) = self.next()?;
            if matches!(part, Part::End) {
                let span = whole(span, at.end, items.last().map(|n: &Node| n.span.end));
                return Some(Node {
                    span,
                    value: Value::Sequence(items),
                });
            }
            items.push(self.node(part, at, depth + 1)?);
        }
    }

    fn mapping(&mut self, span: Range<usize>, depth: usize) -> Option<Node> {
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let (part, key_span) = self.next()?;
            let scalar = match part {
                Part::End => {
                    let last = entries.last().map(|e| e.node.span.end);
                    let span = whole(span, key_span.end, last);
                    return Some(Node {
                        span,
                        value: Value::Mapping(entries),
                    });
                }
                Part::Scalar(scalar) => scalar,
                Part::SequenceStart | Part::MappingStart | Part::StreamEnd => {
                    self.fault(key_span, "a field's name must be a text", None);
                    return None;
                }
            };
            let (part, at) = self.next()?;
            let node = self.node(part, at, depth + 1)?;
            if entries.iter().any(|e| e.key == scalar.text) {
                self.fault(
                    key_span,
                    format!("field `{}` is written twice", scalar.text),
                    None,
                );
            } else {
                entries.push(Entry {
                    key: scalar.text,
                    key_span,
                    node,
                });
            }
        }
    }
}

/// From the first byte of a collection to its end; block collections end with their last member,
/// since the parser sees their end only at the next token.
fn whole(start: Range<usize>, seen: usize, last: Option<usize>) -> Range<usize> {
    let end = if start.is_empty() {
        last.unwrap_or(start.end)
    } else {
        seen.max(start.end)
    };
    start.start..end.max(start.start)
}

/// How many bytes the anchor that begins at `start` takes.
fn name_length(text: &str, start: usize) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    rest.find(char::is_whitespace).unwrap_or(rest.len())
}

/// The first tab in the white space that a line begins with.
fn leading_tab(text: &str) -> Option<usize> {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let indent = line.len() - line.trim_start_matches([' ', '\t']).len();
        let tab = line.get(..indent).and_then(|blank| blank.find('\t'));
        if let Some(tab) = tab.filter(|_| indent < line.trim_end().len()) {
            return Some(start + tab);
        }
        start += line.len();
    }
    None
}

fn style_of(style: ScalarStyle) -> Style {
    match style {
        ScalarStyle::Plain => Style::Plain,
        ScalarStyle::SingleQuoted => Style::Single,
        ScalarStyle::DoubleQuoted => Style::Double,
        ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
    }
}

impl Node {
    /// The scalar that stands here.
    pub fn scalar(&self) -> Option<&Scalar> {
        match &self.value {
            Value::Scalar(scalar) => Some(scalar),
            Value::Sequence(_) | Value::Mapping(_) => None,
        }
    }

    /// True for an empty value, `~` or `null`.
    pub fn is_null(&self) -> bool {
        self.scalar().is_some_and(|s| {
            s.style == Style::Plain && matches!(s.text.as_str(), "" | "~" | "null")
        })
    }

    /// What a reader would point at: the scalar, or the beginning of the collection.
    pub fn head(&self) -> Range<usize> {
        match &self.value {
            Value::Scalar(_) => self.span.clone(),
            Value::Mapping(entries) => entries
                .first()
                .map_or_else(|| self.span.clone(), |e| e.key_span.clone()),
            Value::Sequence(items) => items.first().map_or_else(|| self.span.clone(), Self::head),
        }
    }

    /// Where a range of bytes of the scalar's text stands in the file `source`.
    ///
    /// Follows quotes, simple escapes, folding and the indentation of blocks; where it loses the
    /// thread (an escaped line break) it gives the scalar's own place.
    pub fn locate(&self, source: &str, within: &Range<usize>) -> Range<usize> {
        let Some(scalar) = self.scalar() else {
            return self.head();
        };
        let raw = source.get(self.span.clone()).unwrap_or_default();
        align(&scalar.text, raw, scalar.style, within).map_or(self.head(), |r| {
            self.span.start + r.start..self.span.start + r.end
        })
    }
}

/// Walks the text and its written form side by side.
fn align(text: &str, raw: &str, style: Style, within: &Range<usize>) -> Option<Range<usize>> {
    let mut at = match style {
        Style::Plain => 0,
        Style::Single | Style::Double => 1,
        Style::Block if raw.starts_with(['|', '>']) => raw.find('\n')? + 1,
        Style::Block => 0,
    };
    if style == Style::Block {
        at += blanks(raw.get(at..)?).checked_sub(blanks(text))?;
    }
    let mut begin = None;
    let mut place = 0;
    while place < text.len() {
        if begin.is_none() && place >= within.start {
            begin = Some(at);
        }
        if place >= within.end {
            break;
        }
        let letter = text.get(place..)?.chars().next()?;
        let rest = raw.get(at..)?;
        let gap = blanks(rest);
        if rest.get(..gap)?.contains('\n') {
            place += blanks(text.get(place..)?).max(1);
            at += gap;
            continue;
        }
        at += written(letter, rest, style)?;
        place += letter.len_utf8();
    }
    let begin = begin.unwrap_or(at);
    Some(begin..at.max(begin))
}

/// How many bytes of white space a text begins with.
fn blanks(text: &str) -> usize {
    text.len() - text.trim_start_matches([' ', '\t', '\r', '\n']).len()
}

/// How many bytes a character takes as written.
fn written(letter: char, rest: &str, style: Style) -> Option<usize> {
    if style == Style::Double && rest.starts_with('\\') {
        return match rest.as_bytes().get(1)? {
            b'x' => Some(4),
            b'u' => Some(6),
            b'U' => Some(10),
            b'\n' | b'\r' => None,
            _ => Some(2),
        };
    }
    if style == Style::Single && letter == '\'' {
        return rest.starts_with("''").then_some(2);
    }
    rest.starts_with(letter).then_some(letter.len_utf8())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(yaml: &str, key: &str) -> (String, String) {
        let root = parse(yaml).unwrap();
        let Value::Mapping(entries) = &root.value else {
            panic!("no mapping")
        };
        let node = &entries.iter().find(|e| e.key == "when").unwrap().node;
        let text = &node.scalar().unwrap().text;
        let start = text.find(key).unwrap();
        let place = node.locate(yaml, &(start..start + key.len()));
        (
            yaml[place.clone()].to_owned(),
            yaml[..place.start].to_owned(),
        )
    }

    #[test]
    fn a_place_in_an_expression_is_found_in_every_style() {
        for yaml in [
            "id: a\nwhen: a == 'x' && ammount > 3 # yes\nb: 1\n",
            "when: 'a == ''x'' && ammount > 3'\n",
            "when: \"a == \\\"x\\\\\\u00e6\\\" && ammount > 3\"\n",
            "when: |\n    a == 'x'\n      && ammount > 3\nb: 1\n",
            "when: >-\n  a == 'x'\n\n  && ammount\n  > 3\n",
            "when: a == 'æøå'\n   && ammount > 3\n",
            "{when: a && ammount > 3, b: 2}\n",
        ] {
            let (found, before) = at(yaml, "ammount");
            assert_eq!(found, "ammount", "{yaml}");
            assert!(before.ends_with(' '), "{yaml}");
        }
    }

    #[test]
    fn a_scalar_and_a_key_know_their_bytes() {
        let yaml = "rules:\n  - id: \"x y\"\n    why: plain text  # note\n  - id: z\n";
        let root = parse(yaml).unwrap();
        let Value::Mapping(top) = &root.value else {
            panic!()
        };
        assert_eq!(&yaml[top[0].key_span.clone()], "rules");
        let Value::Sequence(rules) = &top[0].node.value else {
            panic!()
        };
        let Value::Mapping(rule) = &rules[0].value else {
            panic!()
        };
        assert_eq!(&yaml[rule[0].node.span.clone()], "\"x y\"");
        assert_eq!(&yaml[rule[1].node.span.clone()], "plain text");
        assert_eq!(rule[1].node.scalar().unwrap().style, Style::Plain);
        assert_eq!(&yaml[rules[1].head()], "id");
    }

    fn faults(yaml: &str) -> Vec<String> {
        parse(yaml)
            .unwrap_err()
            .into_iter()
            .map(|f| f.message)
            .collect()
    }

    #[test]
    fn anchors_aliases_tags_and_twice_written_fields_are_all_told() {
        let told = faults("a: &x 1\nb: *x\nc: !t 2\na: 3\n");
        assert_eq!(
            told,
            [
                "an anchor is not allowed",
                "an alias is not allowed",
                "a tag is not allowed",
                "field `a` is written twice"
            ]
        );
    }

    #[test]
    fn depth_emptiness_and_a_second_document_are_faults() {
        let deep = format!("{}1{}", "[".repeat(40), "]".repeat(40));
        assert_eq!(faults(&deep), ["nested more than 32 levels deep"]);
        assert_eq!(faults("# nothing\n"), ["the file says nothing"]);
        assert_eq!(
            faults("a: 1\n---\nb: 2\n"),
            ["a second document begins here"]
        );
        assert!(faults("a: [1\nb: 2\n")[0].starts_with("this is not YAML: "));
    }
}
