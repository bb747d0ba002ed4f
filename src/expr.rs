//! Rule expressions: a typed, three-valued subset of CEL, checked when loaded and evaluated over slots. It reads no files
//! and knows no field by name (the [`Scheme`] does); there are no macros, maps, timestamps or functions of the user's own.
//! The subset: `|| && ! == != < <= > >= + - * / % ?:`, `in [literals]`, parentheses, `//` comments, integers, doubles, texts,
//! `true`, `false`, `duration("24h")`, `double(x)`, `int(x)`, `x.startsWith("…")`, `.endsWith`, `.contains`, `.size()`.
//! Beyond CEL: dotted names (`merchant.country` is one name), the duration unit `d`, `has` of a plain name, and
//! `in_list(x, "list-name")`. An unknown value behaves as CEL's errors do: `false && unknown` is false, `true || unknown`
//! is true, all else is unknown; so are integer overflow and integer division by zero. Doubles follow IEEE 754, as in CEL.

mod check;
mod classes;
mod duration;
mod eval;
mod explain;
mod lex;
mod outlook;
mod parse;
mod scheme;
mod syntax;
mod tree;

#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Range;

pub use duration::{parse_duration, show_duration};
pub use explain::Explained;
pub use outlook::{Glance, Halves, Outlook, Told};
pub use scheme::{CodeKind, Facts, Field, MAX_WORDS, Refusal, Scheme, Slot, Symbols, Type, Unit};

use tree::Truth;

/// Longest source text, in bytes: a condition that needs more is several rules.
pub const MAX_SOURCE_BYTES: usize = 4096;
/// Deepest nesting of parentheses, operators and branches, which bounds every recursion over a tree.
pub const MAX_DEPTH: usize = 32;
/// Most parts (names, literals, operators) of one expression, which bounds the time of one evaluation.
pub const MAX_NODES: usize = 512;
/// Most faults reported for one expression; beyond this they repeat each other.
pub const MAX_FAULTS: usize = 32;
/// Most conjunctions that [`Program::class_sets`] gives.
pub const MAX_CLASS_SETS: usize = 16;

/// A fault in an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where, in bytes of the source.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}..{}: {}",
            self.span.start, self.span.end, self.message
        )?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

/// A checked expression, ready to be evaluated any number of times; it answers true, false or unknown.
#[derive(Debug, Clone)]
pub struct Program {
    source: String,
    root: Truth,
    slots: Vec<Slot>,
    fields: Vec<(Slot, Field)>,
    outline: Vec<explain::Line>,
    cost_ns: u32,
}

/// Parses and checks an expression against a scheme.
///
/// # Errors
/// All faults of name and type at once; of syntax the first, and those after it that still make sense.
pub fn compile(source: &str, scheme: &Scheme) -> Result<Program, Vec<Fault>> {
    let mut faults = Faults::default();
    let Some(ast) = parse::parse(source, &mut faults) else {
        return Err(faults.sorted());
    };
    let root = check::Checker::new(source, scheme, &mut faults).condition(&ast);
    let (Some(plain), true) = (root, faults.is_empty()) else {
        return Err(faults.sorted());
    };
    let outline = explain::outline(&ast, source, scheme);
    let root = plain.optimised(scheme);
    let slots = root.slots();
    let cost_ns = root.cost_ns(scheme);
    let mut named: Vec<Slot> = outline.iter().flat_map(|line| line.slots.clone()).collect();
    named.extend(&slots);
    named.sort_unstable();
    named.dedup();
    let fields = named
        .into_iter()
        .filter_map(|slot| Some((slot, scheme.field(slot)?.clone())))
        .collect();
    Ok(Program {
        source: source.to_owned(),
        root,
        slots,
        fields,
        outline,
        cost_ns,
    })
}

impl Program {
    /// Whether the condition holds; `None` where too little is known to say.
    ///
    /// Allocates nothing; reads no fact that the answer does not need.
    pub fn eval<F: Facts>(&self, facts: &mut F) -> Option<bool> {
        self.root.eval(facts)
    }

    /// The unknown slots that make the result unknown, sorted.
    ///
    /// Empty when the result is known, and also when it is unknown by arithmetic alone (an overflow, a division by zero).
    pub fn blame<F: Facts>(&self, facts: &mut F) -> Vec<Slot> {
        let mut blamed = Vec::new();
        self.blame_into(facts, &mut blamed);
        blamed
    }

    /// The same into a vector that is used again.
    pub fn blame_into<F: Facts>(&self, facts: &mut F, blamed: &mut Vec<Slot>) {
        blamed.clear();
        self.root.blame(facts, blamed);
        blamed.sort_unstable();
        blamed.dedup();
    }

    /// Every slot that an evaluation may read, sorted.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// What the expression needs of single classes: for each Symbol or Bool slot that some top-level conjunct tests alone,
    /// the codes that may pass, sorted by slot.
    ///
    /// Bit c stands for code c (a Bool's false is 1 and its true 2); bit 0, an unknown value, is always set. Where a code's
    /// bit is not set, the expression is false.
    pub fn guards(&self) -> Vec<(Slot, u64)> {
        classes::guards(&self.root, &self.fields)
    }

    /// What the expression can still come to after a glance.
    pub fn outlook(&self, glance: Glance<'_>) -> Outlook {
        outlook::outlook(&self.root, glance)
    }

    /// The outlooks of the single tests that read this slot alone, where it is so. What gives the same for all programs
    /// need not be told apart.
    pub fn views(&self, slot: Slot, given: Told) -> Vec<Outlook> {
        outlook::views(&self.root, slot, given)
    }

    /// Which lists are asked for which slots.
    pub fn listings(&self) -> Vec<(u16, Slot)> {
        outlook::listings(&self.root)
    }

    /// The numbers at which some comparison of this slot with a constant may change its answer, sorted.
    pub fn cuts(&self, slot: Slot) -> Vec<i64> {
        outlook::cuts(&self.root, slot)
    }

    /// The expression in two halves both of which must hold: what reads settled slots only, and the rest.
    pub fn halves(&self, is_settled: &dyn Fn(Slot) -> bool) -> Halves {
        Halves::of(&self.root, is_settled)
    }

    /// The expression as a disjunction of conjunctions of tests on Symbol and Bool slots: it is true exactly where every
    /// test of some conjunction holds.
    ///
    /// Codes as in [`Program::guards`], but bit 0 is never set. `None` where the answer hangs on anything else, is true of
    /// an unknown value, or needs more than [`MAX_CLASS_SETS`] conjunctions.
    pub fn class_sets(&self) -> Option<Vec<Vec<(Slot, u64)>>> {
        classes::class_sets(&self.root, &self.fields)
    }

    /// The expression's conditions one by one, in the order of the source, each with its answer and what it read.
    pub fn explain<F: Facts>(&self, facts: &mut F) -> Vec<Explained> {
        self.outline
            .iter()
            .map(|line| line.explain(facts, &self.fields))
            .collect()
    }

    /// About how long one evaluation takes where every slot is computed, in nanoseconds.
    pub fn cost_ns(&self) -> u32 {
        self.cost_ns
    }

    /// The text it was compiled from.
    pub fn source(&self) -> &str {
        &self.source
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

/// The faults found so far, bounded.
#[derive(Debug, Default)]
struct Faults {
    all: Vec<Fault>,
}

impl Faults {
    fn add(&mut self, span: Range<usize>, message: impl Into<String>, help: Option<String>) {
        let fault = Fault {
            span,
            message: message.into(),
            help,
        };
        if self.all.len() < MAX_FAULTS && !self.all.contains(&fault) {
            self.all.push(fault);
        }
    }

    fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    fn sorted(self) -> Vec<Fault> {
        let mut all = self.all;
        all.sort_by_key(|fault| (fault.span.start, fault.span.end));
        all
    }
}
