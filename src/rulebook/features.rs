//! `features.yaml`: aggregates over a cardholder's history, declared by the fraud team.
//!
//! Compiles each `where` to a filter over event classes and gives each aggregate its type in the
//! scheme. How the values are kept and computed is the engine's.

use crate::engine::book::{Aggregate, EXACT_SPAN_MS, Filter, MAX_AGGREGATES, MAX_SPAN_MS, Of, Op};
use crate::expr::{Field, Scheme, Type, Unit};
use crate::rulebook::condition;
use crate::rulebook::page::{self, Fields, Page};
use crate::rulebook::yaml::Node;
use std::collections::BTreeMap;

/// The fields of a feature.
pub const FIELDS: &[&str] = &["name", "op", "of", "where", "base", "over", "same", "doc"];

/// Every operation with its word.
pub const OPS: &[(&str, Op)] = &[
    ("count", Op::Count),
    ("sum", Op::Sum),
    ("max", Op::Max),
    ("min", Op::Min),
    ("avg", Op::Avg),
    ("distinct", Op::Distinct),
    ("last", Op::Last),
    ("rate", Op::Rate),
];

/// Everything that an operation may be of, with its word.
pub const OFS: &[(&str, Of)] = &[
    ("event", Of::Event),
    ("amount", Of::Amount),
    ("merchant", Of::Merchant),
    ("mcc_group", Of::MccGroup),
    ("merchant_country", Of::MerchantCountry),
    ("network", Of::Network),
];

/// An aggregate with what people are told of it.
#[derive(Debug)]
pub struct Declared {
    /// What the engine computes.
    pub aggregate: Aggregate,
    /// What it means.
    pub doc: String,
}

/// Reads `features.yaml`. A faulty entry with a readable name still takes its place, so that the
/// rules that name it are not faulty too.
pub fn features(root: &Node, scheme: &Scheme, page: &mut Page) -> Option<Vec<Declared>> {
    let fields = Fields::of(root, "the features", &["features"], page)?;
    let items = page::items(fields.want("features", page)?, "features", page)?;
    let mut declared: Vec<Declared> = Vec::new();
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    for item in items {
        let Some(fields) = Fields::of(item, "a feature", FIELDS, page) else {
            continue;
        };
        let Some(one) = feature(&fields, scheme, page) else {
            continue;
        };
        let at = fields.get("name").map_or(item.span.start, |n| n.span.start);
        let name = &one.aggregate.name;
        if let Some(first) = known.get(name) {
            let help = format!("the other is at {}", page.place(*first));
            let span = fields.get("name").map_or(item.head(), Node::head);
            page.fault_help(span, format!("the feature `{name}` is there twice"), help);
            continue;
        }
        known.insert(name.clone(), at);
        declared.push(one);
    }
    if declared.len() > MAX_AGGREGATES {
        let message = format!("{} features, more than {MAX_AGGREGATES}", declared.len());
        page.fault(root.head(), message);
    }
    Some(declared)
}

fn feature(fields: &Fields, scheme: &Scheme, page: &mut Page) -> Option<Declared> {
    let op = fields
        .want("op", page)
        .and_then(|n| one_of(n, "op", OPS, page));
    let of = of(fields, op, page);
    let over_node = fields.want("over", page);
    let span_ms = over_node.and_then(|n| page::span(n, "over", MAX_SPAN_MS, page));
    let over = over_node
        .and_then(Node::scalar)
        .map_or("", |s| s.text.as_str());
    let name = fields
        .want("name", page)
        .and_then(|n| name(n, over, scheme, page));
    if op == Some(Op::Rate) && fields.get("where").is_none() {
        let help = "the events of which `base` is the whole";
        page.fault_help(fields.node.head(), "missing field `where`", help);
    }
    let filter = match fields.get("where") {
        Some(node) => condition::filter(node, "where", scheme, page),
        None => Some(condition::everything()),
    };
    let base = base(fields, op, scheme, page);
    let same_merchant = same(fields, span_ms, page);
    let doc = fields
        .want("doc", page)
        .and_then(|n| page::text(n, "doc", page));
    Some(Declared {
        aggregate: Aggregate {
            name: name?.to_owned(),
            op: op.unwrap_or(Op::Count),
            of: of.unwrap_or(Of::Event),
            filter: filter.unwrap_or_else(condition::everything),
            base,
            span_ms: span_ms.unwrap_or(1_000),
            same_merchant: same_merchant.unwrap_or(false),
        },
        doc: doc.unwrap_or_default().to_owned(),
    })
}

fn one_of<T: Copy>(node: &Node, name: &str, table: &[(&str, T)], page: &mut Page) -> Option<T> {
    let words: Vec<&str> = table.iter().map(|(word, _)| *word).collect();
    let find = |given: &str| {
        table
            .iter()
            .find(|(word, _)| *word == given)
            .map(|(_, value)| *value)
    };
    page::word(node, name, &words, find, page)
}

/// What may stand in `of` after an operation; the first is meant where `of` is left out, except
/// for `distinct`.
pub fn choices(op: Op) -> &'static [&'static str] {
    match op {
        Op::Count | Op::Last | Op::Rate => &["event"],
        Op::Sum | Op::Max | Op::Min | Op::Avg => &["amount"],
        Op::Distinct => &["merchant", "mcc_group", "merchant_country", "network"],
    }
}

fn of(fields: &Fields, op: Option<Op>, page: &mut Page) -> Option<Of> {
    let Some(node) = fields.get("of") else {
        let op = op?;
        if op == Op::Distinct {
            page.fault(fields.node.head(), "missing field `of`: distinct of what");
            return None;
        }
        let word = choices(op).first()?;
        return OFS
            .iter()
            .find(|(known, _)| known == word)
            .map(|(_, of)| *of);
    };
    let of = one_of(node, "of", OFS, page)?;
    let word = node.scalar().map_or("", |s| s.text.as_str());
    if let Some(op) = op
        && !choices(op).contains(&word)
    {
        let name = OPS
            .iter()
            .find(|(_, known)| *known == op)
            .map_or("", |(name, _)| name);
        let help = format!("`{name}` is of {}", page::listed(choices(op)));
        page.fault_help(
            node.head(),
            format!("`{name}` of `{word}` has no meaning"),
            help,
        );
    }
    Some(of)
}

fn base(fields: &Fields, op: Option<Op>, scheme: &Scheme, page: &mut Page) -> Option<Filter> {
    let rate = op == Some(Op::Rate);
    match fields.entry("base") {
        Some(entry) if op.is_some() && !rate => {
            page.fault(entry.key_span.clone(), "`base` is for `op: rate` only");
            None
        }
        Some(entry) => condition::filter(&entry.node, "base", scheme, page),
        None if rate => {
            let help = "the events of which `where` takes a share, such as `type == \"otp\"`";
            page.fault_help(fields.node.head(), "missing field `base`", help);
            None
        }
        None => None,
    }
}

fn same(fields: &Fields, span_ms: Option<i64>, page: &mut Page) -> Option<bool> {
    let Some(node) = fields.get("same") else {
        return Some(false);
    };
    let same = page::word(node, "scope", &["merchant"], |_| Some(true), page);
    if span_ms.is_some_and(|ms| ms > EXACT_SPAN_MS) {
        let help = "longer spans are counted for all merchants together; let `over` be at most 24h";
        page.fault_help(
            node.head(),
            "`same: merchant` reaches back 24h at most",
            help,
        );
    }
    same
}

fn name<'n>(node: &'n Node, over: &str, scheme: &Scheme, page: &mut Page) -> Option<&'n str> {
    let name = page::text(node, "name", page)?;
    if !page::is_name(name, '_') {
        let help = "snake_case with its span, such as `declined_transfers_24h`";
        page.fault_help(
            node.head(),
            format!("`{name}` is no name of a feature"),
            help,
        );
        return None;
    }
    if scheme.slot(name).is_some() {
        page.fault(
            node.head(),
            format!("`{name}` is a field or a built-in feature already"),
        );
        return None;
    }
    if page::parse_span(over).is_some() {
        let minutes = over.trim_end_matches("in");
        let long = minutes.strip_suffix('m').map(|n| format!("_{n}min"));
        let fits = name.ends_with(&format!("_{minutes}"))
            || long.as_ref().is_some_and(|long| name.ends_with(long));
        if !fits {
            let end = long.unwrap_or_else(|| format!("_{over}"));
            page.fault_help(
                node.head(),
                format!("the name `{name}` does not say the span `{over}`"),
                format!("let it end in `{end}`"),
            );
        }
    }
    Some(name)
}

/// The aggregate as conditions see it.
pub fn field(declared: &Declared) -> Field {
    let aggregate = &declared.aggregate;
    let kind = match aggregate.op {
        Op::Count | Op::Distinct => Type::Int(Unit::Count),
        Op::Sum | Op::Max | Op::Min | Op::Avg => Type::Int(Unit::Minor),
        Op::Last => Type::Duration,
        Op::Rate => Type::Float(Unit::Ratio),
    };
    Field {
        name: aggregate.name.clone(),
        kind,
        cost_ns: cost_ns(aggregate),
        doc: declared.doc.clone(),
    }
}

/// About what one reading costs: a walk over at most 24 entries of history, or over the cells of a
/// counter, each with a filter of so many tests; a distinct set is compared pairwise.
fn cost_ns(aggregate: &Aggregate) -> u32 {
    let tests: usize = aggregate.filter.any.iter().map(|set| 1 + set.len()).sum();
    let per_entry = 1 + u32::try_from(tests).unwrap_or(u32::MAX).min(16) / 2;
    let walk = if aggregate.is_exact() {
        12 * per_entry
    } else {
        30
    };
    match aggregate.op {
        Op::Count | Op::Sum | Op::Max | Op::Min | Op::Avg | Op::Last => walk,
        Op::Distinct | Op::Rate => walk * 2,
    }
}
