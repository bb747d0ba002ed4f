//! The tree of syntax: what was written, with its place, before names and types are known.
//!
//! It holds faulty parts too, as [`Node::Bad`], so that the rest can still be checked.

use std::ops::Range;

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compare {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

/// An operation on numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arith {
    Add,
    Sub,
    Mul,
    Div,
    Rem,
}

/// A node of syntax with its place; parentheses belong to the span of what they enclose.
#[derive(Debug, Clone)]
pub struct Ast {
    pub span: Range<usize>,
    pub node: Node,
    /// How many nodes stand above each other here, at most.
    pub height: usize,
}

#[derive(Debug, Clone)]
pub enum Node {
    /// Something with a fault, already reported.
    Bad,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(String),
    Name(String),
    Not(Box<Ast>),
    Neg(Box<Ast>),
    Compare(Compare, Box<[Ast; 2]>),
    Arith(Arith, Box<[Ast; 2]>),
    And(Vec<Ast>),
    Or(Vec<Ast>),
    If(Box<[Ast; 3]>),
    In(Box<Ast>, Vec<Ast>),
    /// A function of the language, or a method where there is a receiver (then the first of the arguments).
    Call {
        name: String,
        name_span: Range<usize>,
        method: bool,
        args: Vec<Ast>,
    },
}
