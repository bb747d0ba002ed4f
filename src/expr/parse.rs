//! Tokens into a tree of syntax, by precedence climbing after CEL's grammar; spans are kept.
//!
//! It knows no names and no types. After a fault it goes on at the next `&&` or `||`, so that later faults are seen too.

use std::ops::Range;

use super::lex::{Spanned, Token, lex};
use super::syntax::{Arith, Ast, Compare, Node};
use super::{Faults, MAX_DEPTH, MAX_NODES, MAX_SOURCE_BYTES};

/// The tree of a source; `None` where it could not be read at all.
pub fn parse(source: &str, faults: &mut Faults) -> Option<Ast> {
    if source.len() > MAX_SOURCE_BYTES {
        let message = format!("a condition of {} bytes is too long", source.len());
        faults.add(
            0..source.len(),
            message,
            Some(format!(
                "at most {MAX_SOURCE_BYTES} bytes: split it into several rules"
            )),
        );
        return None;
    }
    let tokens = lex(source, faults);
    if tokens.is_empty() {
        if faults.is_empty() {
            faults.add(0..source.len(), "the condition is empty", None);
        }
        return None;
    }
    let mut parser = Parser {
        tokens,
        at: 0,
        end: source.len(),
        depth: 0,
        nodes: 0,
        stopped: false,
        faults,
    };
    let mut ast = parser.expression();
    while let Some(extra) = parser.peek().cloned() {
        parser.fault(
            extra.span,
            format!("unexpected {}", written(&extra.token)),
            None,
        );
        parser.at += 1;
        parser.skip_to_logic();
        if parser.take_logic() {
            ast = parser.bad_after(ast);
        }
    }
    Some(ast)
}

struct Parser<'f> {
    tokens: Vec<Spanned>,
    at: usize,
    end: usize,
    depth: usize,
    nodes: usize,
    /// Set where a bound is passed: everything after is not read, and its faults are not told.
    stopped: bool,
    faults: &'f mut Faults,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Spanned> {
        self.tokens.get(self.at)
    }

    fn peek_mark(&self, mark: &str) -> bool {
        matches!(self.peek(), Some(Spanned { token: Token::Mark(found), .. }) if *found == mark)
    }

    fn peek_word(&self, words: &[&str]) -> bool {
        matches!(self.peek(), Some(Spanned { token: Token::Name(found), .. }) if words.contains(&found.as_str()))
    }

    fn take_mark(&mut self, mark: &str) -> bool {
        let found = self.peek_mark(mark);
        self.at += usize::from(found);
        found
    }

    /// The span of the next token, or the end of the source.
    fn here(&self) -> Range<usize> {
        self.peek()
            .map_or(self.end..self.end, |next| next.span.clone())
    }

    /// Where the last token ended.
    fn done_to(&self) -> usize {
        let last = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        last.map_or(0, |last| last.span.end)
    }

    fn fault(&mut self, span: Range<usize>, message: impl Into<String>, help: Option<&str>) {
        if !self.stopped {
            self.faults.add(span, message, help.map(str::to_owned));
        }
    }

    fn stop(&mut self, span: Range<usize>, message: String, help: &str) {
        self.fault(span, message, Some(help));
        self.stopped = true;
        self.at = self.tokens.len();
    }

    fn make(&mut self, span: Range<usize>, node: Node) -> Ast {
        self.nodes += 1;
        let below = match &node {
            Node::Bad
            | Node::Bool(_)
            | Node::Int(_)
            | Node::Double(_)
            | Node::Text(_)
            | Node::Name(_) => 0,
            Node::Not(one) | Node::Neg(one) | Node::In(one, _) => one.height,
            Node::Compare(_, two) | Node::Arith(_, two) => tallest(two.as_slice()),
            Node::If(three) => tallest(three.as_slice()),
            Node::And(parts) | Node::Or(parts) | Node::Call { args: parts, .. } => tallest(parts),
        };
        if self.nodes > MAX_NODES {
            let message = format!("the condition has more than {MAX_NODES} parts");
            self.stop(span.clone(), message, "split it into several rules");
        } else if below >= MAX_DEPTH {
            self.too_deep(span.clone());
        }
        // Past a bound nothing is worth checking: half a condition only raises more faults.
        let node = if self.stopped { Node::Bad } else { node };
        Ast {
            span,
            node,
            height: below + 1,
        }
    }

    fn too_deep(&mut self, span: Range<usize>) {
        let message = format!("the condition is nested more than {MAX_DEPTH} deep");
        self.stop(
            span,
            message,
            "split it into several rules, or into several conditions joined by `&&`",
        );
    }

    fn bad(&mut self, span: Range<usize>) -> Ast {
        self.make(span, Node::Bad)
    }

    /// Goes on after a stray closing bracket: what follows is still checked.
    fn bad_after(&mut self, before: Ast) -> Ast {
        let after = self.expression();
        let span = before.span.start..after.span.end;
        self.make(span, Node::And(vec![before, after]))
    }

    /// Skips to where a condition can begin or end again.
    fn skip_to_logic(&mut self) {
        let mut open = 0_usize;
        while let Some(next) = self.peek() {
            match &next.token {
                Token::Mark("(" | "[") => open += 1,
                Token::Mark(")" | "]") if open == 0 => return,
                Token::Mark(")" | "]") => open -= 1,
                Token::Mark("&&" | "||") if open == 0 => return,
                Token::Mark(_)
                | Token::Int(_)
                | Token::Double(_)
                | Token::Text(_)
                | Token::Name(_)
                | Token::Bad => {}
            }
            self.at += 1;
        }
    }

    fn take_logic(&mut self) -> bool {
        self.take_mark("&&") || self.take_mark("||")
    }

    fn expression(&mut self) -> Ast {
        if self.depth == MAX_DEPTH {
            let span = self.here();
            self.too_deep(span.clone());
            return self.bad(span);
        }
        self.depth += 1;
        let condition = self.any_of();
        let ast = if self.take_mark("?") {
            let start = condition.span.start;
            let yes = self.any_of();
            self.expect(":", None);
            let no = self.expression();
            self.make(start..no.span.end, Node::If(Box::new([condition, yes, no])))
        } else {
            condition
        };
        self.depth -= 1;
        ast
    }

    /// The next token must be this mark; `opened` is where the bracket that it closes was opened.
    fn expect(&mut self, mark: &str, opened: Option<Range<usize>>) {
        if self.take_mark(mark) {
            return;
        }
        match (self.peek().cloned(), opened) {
            (None, Some(opened)) => self.fault(
                opened,
                format!("this bracket is not closed: `{mark}` is missing"),
                None,
            ),
            (None, None) => self.fault(
                self.here(),
                format!("expected `{mark}`, found the end"),
                None,
            ),
            (Some(next), _) => {
                self.fault(
                    next.span,
                    format!("expected `{mark}`, found {}", written(&next.token)),
                    None,
                );
                self.skip_to_logic();
                self.take_mark(mark);
            }
        }
    }

    fn any_of(&mut self) -> Ast {
        let first = self.all_of();
        let start = first.span.start;
        let mut parts = vec![first];
        while self.logic("||", &["or", "OR"]) {
            parts.push(self.all_of());
        }
        self.joined(start, parts, Node::Or)
    }

    fn all_of(&mut self) -> Ast {
        let first = self.operand_of_logic();
        let start = first.span.start;
        let mut parts = vec![first];
        while self.logic("&&", &["and", "AND"]) {
            parts.push(self.operand_of_logic());
        }
        self.joined(start, parts, Node::And)
    }

    fn joined(&mut self, start: usize, mut parts: Vec<Ast>, join: fn(Vec<Ast>) -> Node) -> Ast {
        if parts.len() == 1
            && let Some(only) = parts.pop()
        {
            return only;
        }
        let end = self.done_to();
        self.make(start..end, join(parts))
    }

    /// Whether the operator comes next; SQL's word for it is a fault, and then taken for what was meant.
    fn logic(&mut self, mark: &str, words: &[&str]) -> bool {
        if self.take_mark(mark) {
            return true;
        }
        let meant = self.peek_word(words);
        if meant {
            let next = self.here();
            self.fault(
                next,
                "conditions are not joined by words",
                Some(&format!("write `{mark}`")),
            );
            self.at += 1;
        }
        meant
    }

    /// One side of `&&` or `||`; what stands between it and the next one is a fault.
    fn operand_of_logic(&mut self) -> Ast {
        let ast = self.binary(1);
        if let Some(next) = self.peek().cloned()
            && !matches!(
                next.token,
                Token::Mark("&&" | "||" | "?" | ":" | ")" | "]" | ",")
            )
            && !self.peek_word(&["and", "AND", "or", "OR"])
        {
            let message = format!("expected an operator, found {}", written(&next.token));
            self.fault(next.span, message, None);
            self.skip_to_logic();
        }
        ast
    }

    /// Everything that binds at least as tightly as `floor`: 1 comparisons, 2 sums, 3 products.
    fn binary(&mut self, floor: u8) -> Ast {
        let mut left = self.unary();
        while let Some(operator) = self.operator(floor) {
            let start = left.span.start;
            left = match operator {
                Operator::In => self.list_after(left),
                Operator::Compare(compare) => {
                    let right = self.binary(2);
                    self.make(
                        start..right.span.end,
                        Node::Compare(compare, Box::new([left, right])),
                    )
                }
                Operator::Arith(arith, tightness) => {
                    let right = self.binary(tightness + 1);
                    self.make(
                        start..right.span.end,
                        Node::Arith(arith, Box::new([left, right])),
                    )
                }
            };
        }
        left
    }

    fn operator(&mut self, floor: u8) -> Option<Operator> {
        let (operator, tightness) = match &self.peek()?.token {
            Token::Mark("==" | "=") => (Operator::Compare(Compare::Eq), 1),
            Token::Mark("!=") => (Operator::Compare(Compare::Ne), 1),
            Token::Mark("<") => (Operator::Compare(Compare::Lt), 1),
            Token::Mark("<=") => (Operator::Compare(Compare::Le), 1),
            Token::Mark(">") => (Operator::Compare(Compare::Gt), 1),
            Token::Mark(">=") => (Operator::Compare(Compare::Ge), 1),
            Token::Name(word) if word == "in" => (Operator::In, 1),
            Token::Mark("+") => (Operator::Arith(Arith::Add, 2), 2),
            Token::Mark("-") => (Operator::Arith(Arith::Sub, 2), 2),
            Token::Mark("*") => (Operator::Arith(Arith::Mul, 3), 3),
            Token::Mark("/") => (Operator::Arith(Arith::Div, 3), 3),
            Token::Mark("%") => (Operator::Arith(Arith::Rem, 3), 3),
            Token::Mark(_)
            | Token::Name(_)
            | Token::Int(_)
            | Token::Double(_)
            | Token::Text(_)
            | Token::Bad => return None,
        };
        if tightness < floor {
            return None;
        }
        if self.peek_mark("=") {
            self.fault(
                self.here(),
                "`=` sets a value, and nothing is set here",
                Some("write `==`"),
            );
        }
        self.at += 1;
        Some(operator)
    }

    fn list_after(&mut self, left: Ast) -> Ast {
        let start = left.span.start;
        let opened = self.here();
        if !self.take_mark("[") {
            self.fault(
                opened.clone(),
                "after `in` comes a list of literals",
                Some("write it as `in [\"a\", \"b\"]`"),
            );
            self.skip_to_logic();
            return self.bad(start..opened.end);
        }
        let mut items = Vec::new();
        while self.peek().is_some() && !self.peek_mark("]") {
            items.push(self.expression());
            if !self.take_mark(",") {
                break;
            }
        }
        self.expect("]", Some(opened));
        self.make(start..self.done_to(), Node::In(Box::new(left), items))
    }

    fn unary(&mut self) -> Ast {
        let start = self.here().start;
        let not = self.peek_word(&["not", "NOT"]);
        if not {
            self.fault(
                self.here(),
                "conditions are not turned round by words",
                Some("write `!`"),
            );
        }
        let minus = self.peek_mark("-");
        if !(not || minus || self.peek_mark("!")) {
            return self.member();
        }
        self.at += 1;
        let negative = self.peek().and_then(|next| negative_literal(&next.token));
        if minus && let Some(literal) = negative {
            self.at += 1;
            return self.make(start..self.done_to(), literal);
        }
        if self.depth == MAX_DEPTH {
            self.too_deep(start..start + 1);
            return self.bad(start..start + 1);
        }
        self.depth += 1;
        let inner = Box::new(self.unary());
        self.depth -= 1;
        let span = start..inner.span.end;
        self.make(
            span,
            if minus {
                Node::Neg(inner)
            } else {
                Node::Not(inner)
            },
        )
    }

    /// A value and the methods called on it.
    fn member(&mut self) -> Ast {
        let mut ast = self.primary();
        while self.take_mark(".") {
            let name_span = self.here();
            let Some(Spanned {
                token: Token::Name(name),
                ..
            }) = self.peek().cloned()
            else {
                self.fault(name_span, "after `.` comes a method", None);
                return self.bad(ast.span);
            };
            self.at += 1;
            ast = self.call(name, name_span, Some(ast));
        }
        ast
    }

    fn call(&mut self, name: String, name_span: Range<usize>, receiver: Option<Ast>) -> Ast {
        let start = receiver
            .as_ref()
            .map_or(name_span.start, |receiver| receiver.span.start);
        let method = receiver.is_some();
        let mut args: Vec<Ast> = receiver.into_iter().collect();
        let opened = self.here();
        if !self.take_mark("(") {
            self.fault(
                opened,
                format!("after `.{name}` its arguments are missing"),
                Some("methods are written `name.size()`"),
            );
            return self.bad(start..name_span.end);
        }
        while self.peek().is_some() && !self.peek_mark(")") {
            args.push(self.expression());
            if !self.take_mark(",") {
                break;
            }
        }
        self.expect(")", Some(opened));
        self.make(
            start..self.done_to(),
            Node::Call {
                name,
                name_span,
                method,
                args,
            },
        )
    }

    fn primary(&mut self) -> Ast {
        let Some(Spanned { token, span }) = self.peek().cloned() else {
            self.fault(self.end..self.end, "expected a value, found the end", None);
            return self.bad(self.end..self.end);
        };
        let node = match token {
            Token::Mark("(") => {
                self.at += 1;
                let mut inner = self.expression();
                self.expect(")", Some(span.clone()));
                inner.span = span.start..self.done_to();
                return inner;
            }
            Token::Name(name) if !["in", "and", "or", "AND", "OR"].contains(&name.as_str()) => {
                self.at += 1;
                return self.named(name, span);
            }
            Token::Int(magnitude) => match i64::try_from(magnitude) {
                Ok(value) => Node::Int(value),
                Err(_) => {
                    let help = format!("integers go from {} to {}", i64::MIN, i64::MAX);
                    self.fault(
                        span.clone(),
                        format!("`{magnitude}` is too large"),
                        Some(&help),
                    );
                    Node::Bad
                }
            },
            Token::Double(value) => Node::Double(value),
            Token::Text(text) => Node::Text(text),
            Token::Bad => Node::Bad,
            Token::Mark(_) | Token::Name(_) => {
                let help = self.peek_mark("[").then_some("a list stands after `in`");
                self.fault(
                    span.clone(),
                    format!("expected a value, found {}", written(&token)),
                    help,
                );
                self.skip_to_logic();
                return self.bad(span);
            }
        };
        self.at += 1;
        self.make(span, node)
    }

    /// A name stands for a field, a literal, a function, or a field and its method.
    fn named(&mut self, name: String, span: Range<usize>) -> Ast {
        if self.peek_mark("(") {
            let Some((receiver, method)) = name.rsplit_once('.') else {
                return self.call(name, span, None);
            };
            let method_span = span.end - method.len()..span.end;
            let receiver = self.make(
                span.start..method_span.start - 1,
                Node::Name(receiver.to_owned()),
            );
            return self.call(method.to_owned(), method_span, Some(receiver));
        }
        let node = match name.as_str() {
            "true" => Node::Bool(true),
            "false" => Node::Bool(false),
            _ => Node::Name(name),
        };
        self.make(span, node)
    }
}

#[derive(Debug, Clone, Copy)]
enum Operator {
    In,
    Compare(Compare),
    Arith(Arith, u8),
}

/// A number with a minus before it is a literal too, so that lists may hold it.
fn negative_literal(token: &Token) -> Option<Node> {
    match token {
        Token::Int(magnitude) => 0_i64.checked_sub_unsigned(*magnitude).map(Node::Int),
        Token::Double(magnitude) => Some(Node::Double(-magnitude)),
        Token::Text(_) | Token::Name(_) | Token::Mark(_) | Token::Bad => None,
    }
}

fn tallest(parts: &[Ast]) -> usize {
    parts
        .iter()
        .map(|part| part.height)
        .max()
        .unwrap_or_default()
}

/// A token as a message names it.
fn written(token: &Token) -> String {
    match token {
        Token::Int(value) => format!("`{value}`"),
        Token::Double(value) => format!("`{value}`"),
        Token::Text(text) => format!("the text {text:?}"),
        Token::Name(name) => format!("`{name}`"),
        Token::Mark(mark) => format!("`{mark}`"),
        Token::Bad => "a faulty literal".to_owned(),
    }
}
