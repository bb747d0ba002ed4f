//! Text into tokens with their spans in bytes; literals are decoded here.
//!
//! It judges no order of tokens: a bad character or literal is a fault, and what follows is read on.

use std::ops::Range;

use super::Faults;

/// One token.
#[derive(Debug, Clone, PartialEq)]
pub enum Token {
    /// A whole number's magnitude, up to 2^63: a minus before it is a token of its own.
    Int(u64),
    /// A double.
    Double(f64),
    /// A text, its escapes decoded.
    Text(String),
    /// A name, dots included, or a word such as `true` or `in`.
    Name(String),
    /// An operator or bracket.
    Mark(&'static str),
    /// A literal with a fault in it, already reported.
    Bad,
}

/// A token and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Spanned {
    pub token: Token,
    pub span: Range<usize>,
}

/// Longest first, so that `<=` is not read as `<` and `=`.
const MARKS: [&str; 23] = [
    "||", "&&", "==", "!=", "<=", ">=", "<", ">", "!", "+", "-", "*", "/", "%", "?", ":", "(", ")",
    "[", "]", ",", ".", "=",
];

/// All tokens of a source; comments and white space are dropped.
pub fn lex(source: &str, faults: &mut Faults) -> Vec<Spanned> {
    let mut lexer = Lexer {
        source,
        at: 0,
        faults,
    };
    let mut tokens = Vec::new();
    while let Some(spanned) = lexer.next() {
        tokens.push(spanned);
    }
    tokens
}

struct Lexer<'s, 'f> {
    source: &'s str,
    at: usize,
    faults: &'f mut Faults,
}

impl<'s> Lexer<'s, '_> {
    fn rest(&self) -> &'s str {
        self.source.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn skip_while(&mut self, wanted: impl Fn(char) -> bool) {
        let rest = self.rest();
        self.at += rest.find(|c| !wanted(c)).unwrap_or(rest.len());
    }

    fn next(&mut self) -> Option<Spanned> {
        loop {
            self.skip_while(char::is_whitespace);
            if self.rest().starts_with("//") {
                self.skip_while(|c| c != '\n');
                continue;
            }
            let start = self.at;
            let first = self.peek()?;
            let after = self.rest().chars().nth(1);
            let token = if first.is_ascii_digit()
                || (first == '.' && after.is_some_and(|c| c.is_ascii_digit()))
            {
                self.number()
            } else if first == '"' || first == '\'' {
                self.text(first)
            } else if first.is_alphabetic() || first == '_' {
                self.name()
            } else if let Some(mark) = MARKS.iter().find(|mark| self.rest().starts_with(**mark)) {
                self.at += mark.len();
                Token::Mark(mark)
            } else {
                match self.stray(first) {
                    Some(meant) => meant,
                    None => continue,
                }
            };
            return Some(Spanned {
                token,
                span: start..self.at,
            });
        }
    }

    /// A character that begins nothing; the token that was probably meant, so that no second fault follows from it.
    fn stray(&mut self, first: char) -> Option<Token> {
        let start = self.at;
        self.skip_while(|c| c == first);
        let (meant, help) = match first {
            '&' => (Some(Token::Mark("&&")), Some("write `&&`")),
            '|' => (Some(Token::Mark("||")), Some("write `||`")),
            '“' | '”' | '„' | '‘' | '’' => {
                self.skip_while(|c| !matches!(c, '“' | '”' | '‘' | '’' | '\n'));
                self.skip_while(|c| matches!(c, '“' | '”' | '‘' | '’'));
                (Some(Token::Bad), Some("write texts between `\"` and `\"`"))
            }
            _ => (None, None),
        };
        let message = format!("unexpected character `{}`", first.escape_debug());
        self.faults
            .add(start..self.at, message, help.map(str::to_owned));
        meant
    }

    /// A name takes the dots between its parts: whether the last part is a method is for the parser to see.
    fn name(&mut self) -> Token {
        let start = self.at;
        let of_name = |c: char| c.is_alphanumeric() || c == '_';
        self.skip_while(of_name);
        while let Some(after) = self.rest().strip_prefix('.') {
            if !after.starts_with(|c: char| c.is_alphabetic() || c == '_') {
                break;
            }
            self.at += 1;
            self.skip_while(of_name);
        }
        Token::Name(
            self.source
                .get(start..self.at)
                .unwrap_or_default()
                .to_owned(),
        )
    }

    fn number(&mut self) -> Token {
        let start = self.at;
        let hex = ["0x", "0X"]
            .iter()
            .any(|prefix| self.rest().starts_with(prefix));
        let mut double = false;
        if hex {
            self.at += 2;
            self.skip_while(|c| c.is_ascii_alphanumeric() || c == '_');
        } else {
            self.skip_while(|c| c.is_ascii_digit());
            if self
                .rest()
                .strip_prefix('.')
                .is_some_and(|after| after.starts_with(|c: char| c.is_ascii_digit()))
            {
                double = true;
                self.at += 1;
                self.skip_while(|c| c.is_ascii_digit());
            }
            let exponent = self
                .rest()
                .strip_prefix(['e', 'E'])
                .map(|tail| tail.strip_prefix(['+', '-']).unwrap_or(tail));
            if let Some(tail) = exponent
                && tail.starts_with(|c: char| c.is_ascii_digit())
            {
                double = true;
                self.at = self.source.len() - tail.len();
                self.skip_while(|c| c.is_ascii_digit());
            }
            self.skip_while(|c| c.is_alphanumeric() || c == '_');
        }
        let written = self.source.get(start..self.at).unwrap_or_default();
        self.decoded_number(written, double, hex, start)
    }

    fn decoded_number(&mut self, written: &str, double: bool, hex: bool, start: usize) -> Token {
        let span = start..self.at;
        if double {
            return match written.parse::<f64>() {
                Ok(value) if value.is_finite() => Token::Double(value),
                Ok(_) => self.bad(span, format!("`{written}` is too large for a double"), None),
                Err(_) => self.bad(span, format!("`{written}` is no number"), None),
            };
        }
        let (digits, radix) = if hex {
            (written.get(2..).unwrap_or_default(), 16)
        } else {
            (written, 10)
        };
        if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
            let unit = digits.trim_start_matches(|c: char| c.is_ascii_digit());
            let help = ["d", "h", "m", "s", "ms"]
                .contains(&unit)
                .then(|| format!("write `duration(\"{written}\")` for a span of time"));
            return self.bad(span, format!("`{written}` is no number"), help);
        }
        match u64::from_str_radix(digits, radix) {
            Ok(value) if value <= i64::MIN.unsigned_abs() => Token::Int(value),
            Ok(_) | Err(_) => {
                let range = format!("integers go from {} to {}", i64::MIN, i64::MAX);
                self.bad(span, format!("`{written}` is too large"), Some(range))
            }
        }
    }

    fn bad(&mut self, span: Range<usize>, message: String, help: Option<String>) -> Token {
        self.faults.add(span, message, help);
        Token::Bad
    }

    fn text(&mut self, quote: char) -> Token {
        let start = self.at;
        self.at += 1;
        let mut decoded = String::new();
        let mut sound = true;
        loop {
            let at = self.at;
            match self.peek() {
                None | Some('\n' | '\r') => {
                    return self.bad(
                        start..self.at,
                        "this text is not closed".to_owned(),
                        Some(format!("close it with `{quote}`")),
                    );
                }
                Some(c) if c == quote => {
                    self.at += 1;
                    return if sound {
                        Token::Text(decoded)
                    } else {
                        Token::Bad
                    };
                }
                Some('\\') => {
                    self.at += 1;
                    if let Some(c) = self.escape() {
                        decoded.push(c);
                    } else {
                        sound = false;
                        let written = self.source.get(at..self.at).unwrap_or_default();
                        let help = "a backslash itself is written `\\\\`".to_owned();
                        self.faults.add(
                            at..self.at,
                            format!("unknown escape `{}`", written.escape_debug()),
                            Some(help),
                        );
                    }
                }
                Some(c) => {
                    self.at += c.len_utf8();
                    decoded.push(c);
                }
            }
        }
    }

    /// The character that an escape stands for, as the CEL specification lists them.
    fn escape(&mut self) -> Option<char> {
        let c = self.peek()?;
        if c == '\n' || c == '\r' {
            return None;
        }
        self.at += c.len_utf8();
        match c {
            '\\' | '?' | '"' | '\'' | '`' => Some(c),
            'a' => Some('\u{7}'),
            'b' => Some('\u{8}'),
            'f' => Some('\u{c}'),
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            'v' => Some('\u{b}'),
            'x' | 'X' => self.digits(2, 16, 0),
            'u' => self.digits(4, 16, 0),
            'U' => self.digits(8, 16, 0),
            '0'..='3' => self.digits(2, 8, c.to_digit(8)?),
            _ => None,
        }
    }

    fn digits(&mut self, count: usize, radix: u32, before: u32) -> Option<char> {
        let mut value = before;
        for _ in 0..count {
            let digit = self.peek()?.to_digit(radix)?;
            self.at += 1;
            value = value.checked_mul(radix)?.checked_add(digit)?;
        }
        char::from_u32(value)
    }
}
