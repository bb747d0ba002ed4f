//! Learning: what the steps of a shape are made of, from a record that `walk.rs` has read.
//!
//! It decides what is worth remembering and forgets all when that is too much; how a record is
//! compared with it is not its business.

use super::super::field::{Field, Opening, Scope, is_amount};
use super::super::token::{Kind, Token};
use super::super::walk::{ROWS, SETS_ROW, Stranger, Table, row_of};
use super::run::Run;
use super::{MAX_NAMES, MAX_PIECE, MAX_STEPS, Next, Shapes, Step, WAYS, node};

/// A record with more keys of no field is not learned.
const MAX_STRANGERS: usize = 24;

/// A value of a record that is being learned.
#[derive(Debug, Clone, Copy)]
pub(super) struct Value {
    pub(super) slot: usize,
    pub(super) scope: Scope,
    pub(super) token: Token,
    /// What its piece says of it; nothing where it is an object that is read key by key.
    pub(super) next: Option<Next>,
    pub(super) is_amount: bool,
}

impl Shapes {
    /// Remembers the shape of a record that has been read, if it is one of everyday.
    #[cold]
    pub(in crate::decode) fn learn(&mut self, text: &str, table: &Table) {
        if table.strangers.len() > MAX_STRANGERS {
            return;
        }
        let is_full = self.steps.len() >= MAX_STEPS || self.names.len() >= MAX_NAMES;
        if self.steps.is_empty() || is_full {
            self.forget();
        }
        let mut order = std::mem::take(&mut self.order);
        order.clear();
        // A value that no step can stand for would be met, and learned in vain, each time.
        if self.values(text, table, &mut order).is_some() {
            order.sort_unstable_by_key(|value| value.token.start());
            self.learn_in_order(text, &order);
        }
        self.order = order;
    }

    /// The values of a record; nothing where one of them cannot be learned.
    fn values(&mut self, text: &str, table: &Table, order: &mut Vec<Value>) -> Option<()> {
        for field in Field::ALL {
            if table.seen & field.bit() != 0 {
                order.push(Value::of_field(*field, table.token(*field))?);
            }
        }
        for stranger in &table.strangers {
            let name = stranger.key.of(text);
            let slot = self.slot_of(stranger.scope, name)?;
            order.push(Value::of_stranger(stranger, slot, name)?);
        }
        Some(())
    }

    /// The place of a name; nothing where there is no more room.
    fn slot_of(&mut self, scope: Scope, name: &str) -> Option<usize> {
        let known = self.names.iter();
        let mut known = known.map(|(of, known)| *of == scope && **known == *name);
        let place = known.position(|is_it| is_it).or_else(|| {
            let is_free = self.names.len() < MAX_NAMES;
            is_free.then(|| {
                self.names.push((scope, Box::from(name)));
                self.names.len() - 1
            })
        });
        place.map(|place| Field::COUNT + place)
    }

    fn forget(&mut self) {
        self.steps.clear();
        self.ways.clear();
        self.names.clear();
        self.ways.resize(node(ROWS, None), [0; WAYS]);
        let none = Value::none(0, Scope::Record, Next::End);
        self.add_step(Step::new(Opening::new(b"\0"), &none, Next::End, 0, None));
        if let Some(begin) = self.steps.first_mut() {
            begin.node = node(0, None);
        }
    }

    fn add_step(&mut self, mut step: Step) {
        step.alone = Run::alone(self.steps.len(), &step);
        self.steps.push(step);
    }

    fn learn_in_order(&mut self, text: &str, order: &[Value]) -> Option<()> {
        let (mut at, mut row, mut opens) = (0, 0, None);
        let (mut after, mut scope) = (node(0, None), Scope::Record);
        for value in order {
            let field = Field::ALL.get(value.slot).copied();
            let Some(next) = value.next else {
                if std::mem::replace(&mut opens, field).is_some() {
                    return None;
                }
                continue;
            };
            let token = value.token;
            let end = match next {
                Next::Text | Next::Number => token.start(),
                Next::Nested => token.start() + 1,
                Next::Word | Next::Literal | Next::Part | Next::End => token.end(),
            };
            let (after_parts, rest) = self.add_parts(after, row, scope, text.get(at..end)?)?;
            if let (Next::Word, Some(field)) = (next, field) {
                row = row_of(field, token.of(text));
            }
            self.add(after_parts, rest, value, row, opens.take())?;
            after = node(row, Some((value.slot, next)));
            (at, scope) = (token.end(), value.scope);
        }
        let (after, rest) = self.add_parts(after, row, scope, text.get(at..)?)?;
        let end = Value::none(0, Scope::Record, Next::End);
        self.add(after, rest, &end, row, opens)
    }

    /// Cuts a long piece: all but its last part become steps of their own.
    fn add_parts<'a>(
        &mut self,
        mut after: usize,
        row: usize,
        scope: Scope,
        mut piece: &'a str,
    ) -> Option<(usize, &'a str)> {
        while piece.len() > MAX_PIECE {
            let (part, rest) = piece.split_at_checked(MAX_PIECE)?;
            let slot = self.slot_of(scope, part)?;
            let value = Value::none(slot, scope, Next::Part);
            self.add(after, part, &value, row, None)?;
            after = node(row, Some((slot, Next::Part)));
            piece = rest;
        }
        Some((after, piece))
    }

    fn add(
        &mut self,
        after: usize,
        piece: &str,
        value: &Value,
        row: usize,
        opens: Option<Field>,
    ) -> Option<()> {
        if piece.is_empty() {
            return None;
        }
        let piece = Opening::new(piece.as_bytes());
        let step = Step::new(piece, value, value.next?, row, opens);
        let ways = self.ways.get_mut(after)?;
        for way in *ways {
            let known = self.steps.get_mut(usize::from(way))?;
            if known.is_as(&step) {
                if known.length != step.length {
                    (known.length, known.same) = (step.length, 0);
                }
                return Some(());
            }
        }
        let free = ways.iter().position(|way| *way == 0);
        let slot = ways.get_mut(free.unwrap_or(self.steps.len() % WAYS))?;
        *slot = u16::try_from(self.steps.len()).ok()?;
        self.add_step(step);
        Some(())
    }
}

impl Value {
    /// The value of a field; nothing where no step can stand for it.
    fn of_field(field: Field, token: Token) -> Option<Self> {
        let next = match token.kind {
            Kind::Text if SETS_ROW & field.bit() != 0 => Some(Next::Word),
            Kind::Text => Some(Next::Text),
            Kind::Integer => Some(Next::Number),
            Kind::Null => Some(Next::Literal),
            Kind::Object if matches!(field, Field::Merchant | Field::Subject) => None,
            Kind::Object | Kind::Array => Some(Next::Nested),
            Kind::Float | Kind::Bool | Kind::Unescaped => return None,
        };
        Some(Self {
            slot: field.index(),
            scope: field.scope(),
            token,
            next,
            is_amount: field.is_amount(),
        })
    }

    /// The value of no field.
    fn of_stranger(stranger: &Stranger, slot: usize, name: &str) -> Option<Self> {
        let next = match stranger.value.kind {
            Kind::Text => Next::Text,
            Kind::Integer | Kind::Float => Next::Number,
            Kind::Null | Kind::Bool => Next::Literal,
            Kind::Object | Kind::Array => Next::Nested,
            Kind::Unescaped => return None,
        };
        Some(Self {
            slot,
            scope: stranger.scope,
            token: stranger.value,
            next: Some(next),
            is_amount: is_amount(name),
        })
    }

    /// No value: the end, or where a long piece is cut.
    fn none(slot: usize, scope: Scope, next: Next) -> Self {
        Self {
            slot,
            scope,
            token: Token::default(),
            next: Some(next),
            is_amount: false,
        }
    }
}
