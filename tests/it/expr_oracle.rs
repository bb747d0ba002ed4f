//! The expressions against the `cel` crate as oracle: the same text over the same values gives the same answer.
//!
//! An unknown value is a variable that the oracle was not given, and its errors are our unknowns. The text differs in
//! two places, where our language goes beyond CEL: a dotted name becomes a flat one, and `has(x)` the answer itself.
//! In one place the crate leaves the specification: it refuses to order NaN, which CEL calls false. There the oracle
//! calls a function of ours instead (see [`ORDERED`]); everything else is compared as it stands.

use std::collections::BTreeMap;

use cel::{Context, Program, Value};
use proptest::prelude::*;
use varsel::expr::{Facts, Field, Scheme, Slot, Type, Unit, compile};

/// The fields, in the order of their slots: two of each type, one of them dotted.
const FIELDS: [(&str, Type); 10] = [
    ("a", Type::Bool),
    ("shop.open", Type::Bool),
    ("i", Type::Int(Unit::Plain)),
    ("shop.total", Type::Int(Unit::Plain)),
    ("x", Type::Float(Unit::Plain)),
    ("shop.share", Type::Float(Unit::Plain)),
    ("s", Type::Text),
    ("shop.name", Type::Text),
    ("p", Type::Duration),
    ("shop.age", Type::Duration),
];

#[derive(Debug, Clone, PartialEq)]
enum Given {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
}

/// Values by slot; what is missing is unknown.
#[derive(Debug, Clone, Default)]
struct Table(BTreeMap<Slot, Given>);

impl Facts for Table {
    fn boolean(&mut self, slot: Slot) -> Option<bool> {
        let Given::Bool(value) = self.0.get(&slot)? else {
            panic!("slot {slot} is no bool")
        };
        Some(*value)
    }

    fn int(&mut self, slot: Slot) -> Option<i64> {
        let Given::Int(value) = self.0.get(&slot)? else {
            panic!("slot {slot} is no integer")
        };
        Some(*value)
    }

    fn float(&mut self, slot: Slot) -> Option<f64> {
        let Given::Float(value) = self.0.get(&slot)? else {
            panic!("slot {slot} is no double")
        };
        Some(*value)
    }

    fn text(&self, slot: Slot) -> Option<&str> {
        let Given::Text(value) = self.0.get(&slot)? else {
            panic!("slot {slot} is no text")
        };
        Some(value)
    }

    fn listed(&mut self, _: u16, _: Slot) -> Option<bool> {
        None
    }
}

fn slot_of(name: &str) -> Slot {
    let at = FIELDS.iter().position(|(field, _)| *field == name).unwrap();
    Slot::try_from(at).unwrap()
}

fn scheme() -> Scheme {
    let mut scheme = Scheme::new();
    // Costs that fall with the slot turn the order of evaluation round, which must not matter.
    for (cost_ns, (name, kind)) in (0..10).rev().zip(FIELDS) {
        scheme
            .add(Field {
                name: name.to_owned(),
                kind,
                cost_ns,
                doc: String::new(),
            })
            .unwrap();
    }
    scheme
}

fn ours(source: &str, table: &Table) -> Option<bool> {
    let program =
        compile(source, &scheme()).unwrap_or_else(|faults| panic!("`{source}`: {faults:#?}"));
    let answer = program.eval(&mut table.clone());
    let blamed = program.blame(&mut table.clone());
    assert!(
        answer.is_none() || blamed.is_empty(),
        "`{source}` is known, and blames {blamed:?}"
    );
    assert!(
        blamed.iter().all(|slot| !table.0.contains_key(slot)),
        "`{source}` blames what is known"
    );
    let lines = program.explain(&mut table.clone());
    let told: Vec<Option<bool>> = lines
        .iter()
        .filter(|line| line.depth == 0)
        .map(|line| line.value)
        .collect();
    let joined = if told.contains(&Some(false)) {
        Some(false)
    } else if told.contains(&None) {
        None
    } else {
        Some(true)
    };
    assert_eq!(joined, answer, "`{source}` is explained as something else");
    answer
}

type Order = fn(f64, f64) -> bool;

/// How an order of doubles is marked in generated text: as an operator for us, as a function for the oracle.
const ORDERED: [(&str, &str, Order); 4] = [
    ("lt", "<", |left, right| left < right),
    ("le", "<=", |left, right| left <= right),
    ("gt", ">", |left, right| left > right),
    ("ge", ">=", |left, right| left >= right),
];

/// Generated text in our language.
fn as_ours(generated: &str) -> String {
    let text = ORDERED
        .iter()
        .fold(generated.to_owned(), |text, (name, operator, _)| {
            text.replace(&format!("«{name}‹"), "(")
                .replace(&format!("›{name}›"), &format!(" {operator} "))
        });
    text.replace('»', ")")
}

fn oracle(generated: &str, table: &Table) -> Option<bool> {
    let mut text = generated.replace('»', ")");
    let mut context = Context::default();
    for (name, _, order) in ORDERED {
        text = text
            .replace(&format!("«{name}‹"), &format!("{name}("))
            .replace(&format!("›{name}›"), ", ");
        context.add_function(name, order).unwrap();
    }
    for (name, kind) in FIELDS {
        let value = table.0.get(&slot_of(name));
        text = text.replace(&format!("has({name})"), &value.is_some().to_string());
        let flat = name.replace('.', "_");
        text = text.replace(name, &flat);
        let Some(value) = value else { continue };
        let value = match (value, kind) {
            (Given::Bool(value), _) => Value::Bool(*value),
            (Given::Int(span_ms), Type::Duration) => {
                Value::Duration(chrono::Duration::milliseconds(*span_ms))
            }
            (Given::Int(value), _) => Value::Int(*value),
            (Given::Float(value), _) => Value::Float(*value),
            (Given::Text(value), _) => Value::String(value.clone().into()),
        };
        context.add_variable_from_value(flat, value);
    }
    let program = Program::compile(&text).unwrap_or_else(|faults| panic!("`{text}`: {faults}"));
    let answer = program.execute(&context).ok()?;
    let Value::Bool(answer) = answer else {
        panic!("`{text}` gave {answer:?}")
    };
    Some(answer)
}

/// Expressions of each type, as text; the next level is built on this one.
#[derive(Clone)]
struct Level {
    truth: BoxedStrategy<String>,
    int: BoxedStrategy<String>,
    float: BoxedStrategy<String>,
    text: BoxedStrategy<String>,
    span: BoxedStrategy<String>,
}

fn word(words: &'static [&'static str]) -> BoxedStrategy<String> {
    prop::sample::select(words).prop_map(str::to_owned).boxed()
}

const INTS: &[&str] = &[
    "0",
    "1",
    "2",
    "3",
    "-1",
    "-7",
    "10",
    "0x10",
    "500",
    "9223372036854775807",
    "-9223372036854775808",
];
const DOUBLES: &[&str] = &[
    "0.0", "1.0", "-1.5", "2.5", ".25", "1e3", "1.5e-3", "-2.0", "1e300",
];
const TEXTS: &[&str] = &[
    "\"\"",
    "'a'",
    "\"ab\"",
    "'b'",
    "\"blå\"",
    "'it\\'s'",
    "\"\\u00e5\"",
    "'\\n\\t\\\\'",
    "\"\\x61\\142\"",
];
const SPANS: &[&str] = &[
    "duration(\"0s\")",
    "duration('10m')",
    "duration(\"1h30m\")",
    "duration('-1.5h')",
    "duration(\"250ms\")",
];

fn leaves() -> Level {
    Level {
        truth: prop_oneof![
            4 => word(&["a", "shop.open"]),
            1 => word(&["true", "false"]),
            1 => prop::sample::select(&FIELDS[..]).prop_map(|(name, _)| format!("has({name})")),
        ]
        .boxed(),
        int: prop_oneof![word(&["i", "shop.total"]), word(INTS)].boxed(),
        float: prop_oneof![word(&["x", "shop.share"]), word(DOUBLES)].boxed(),
        text: prop_oneof![2 => word(&["s", "shop.name"]), 1 => word(TEXTS)].boxed(),
        span: prop_oneof![word(&["p", "shop.age"]), word(SPANS)].boxed(),
    }
}

/// Two operands and an operator; in parentheses or not, so that precedence is tried too.
fn binary(
    side: &BoxedStrategy<String>,
    operators: &'static [&'static str],
) -> BoxedStrategy<String> {
    (
        side.clone(),
        prop::sample::select(operators),
        side.clone(),
        any::<bool>(),
    )
        .prop_map(|(left, operator, right, closed)| {
            if closed {
                format!("({left} {operator} {right})")
            } else {
                format!("{left} {operator} {right}")
            }
        })
        .boxed()
}

/// Comparisons stand in parentheses: next to each other they would compare truth with numbers.
fn compared(
    side: &BoxedStrategy<String>,
    operators: &'static [&'static str],
) -> BoxedStrategy<String> {
    (side.clone(), prop::sample::select(operators), side.clone())
        .prop_map(|(left, operator, right)| format!("({left} {operator} {right})"))
        .boxed()
}

fn ordered(side: &BoxedStrategy<String>) -> BoxedStrategy<String> {
    (
        side.clone(),
        prop::sample::select(&ORDERED[..]),
        side.clone(),
    )
        .prop_map(|(left, (name, ..), right)| format!("«{name}‹{left}›{name}›{right}»"))
        .boxed()
}

fn among(one: &BoxedStrategy<String>, items: &'static [&'static str]) -> BoxedStrategy<String> {
    (
        one.clone(),
        prop::collection::vec(prop::sample::select(items), 0..4),
    )
        .prop_map(|(one, items)| format!("({one} in [{}])", items.join(", ")))
        .boxed()
}

fn chosen(truth: &BoxedStrategy<String>, side: &BoxedStrategy<String>) -> BoxedStrategy<String> {
    (truth.clone(), side.clone(), side.clone())
        .prop_map(|(condition, yes, no)| format!("({condition} ? {yes} : {no})"))
        .boxed()
}

const ORDER: &[&str] = &["==", "!=", "<", "<=", ">", ">="];
const EQUALITY: &[&str] = &["==", "!="];

fn above(level: &Level) -> Level {
    let Level {
        truth,
        int,
        float,
        text,
        span,
    } = level;
    let method = (
        text.clone(),
        word(&["startsWith", "endsWith", "contains"]),
        text.clone(),
    );
    let equal = (truth.clone(), prop::sample::select(EQUALITY), truth.clone());
    Level {
        truth: prop_oneof![
            4 => binary(truth, &["&&", "||"]),
            2 => truth.clone().prop_map(|inner| format!("!({inner})")),
            1 => equal.prop_map(|(left, operator, right)| format!("(({left}) {operator} ({right}))")),
            1 => chosen(truth, truth),
            2 => compared(int, ORDER),
            1 => compared(float, EQUALITY),
            2 => ordered(float),
            2 => compared(span, ORDER),
            2 => compared(text, EQUALITY),
            1 => among(int, INTS),
            1 => among(float, DOUBLES),
            1 => among(text, TEXTS),
            1 => among(span, SPANS),
            1 => method.prop_map(|(text, method, piece)| format!("({text}).{method}({piece})")),
        ]
        .boxed(),
        int: prop_oneof![
            2 => int.clone(),
            3 => binary(int, &["+", "-", "*", "/", "%"]),
            1 => int.clone().prop_map(|inner| format!("-({inner})")),
            1 => chosen(truth, int),
            1 => float.clone().prop_map(|inner| format!("int({inner})")),
            1 => text.clone().prop_map(|inner| format!("({inner}).size()")),
        ]
        .boxed(),
        float: prop_oneof![
            2 => float.clone(),
            3 => binary(float, &["+", "-", "*", "/"]),
            1 => float.clone().prop_map(|inner| format!("-({inner})")),
            1 => chosen(truth, float),
            1 => int.clone().prop_map(|inner| format!("double({inner})")),
        ]
        .boxed(),
        text: prop_oneof![3 => text.clone(), 1 => chosen(truth, text)].boxed(),
        span: prop_oneof![2 => span.clone(), 2 => binary(span, &["+", "-"]), 1 => chosen(truth, span)].boxed(),
    }
}

fn expressions(height: usize) -> BoxedStrategy<String> {
    let top = (0..height).fold(leaves(), |level, _| above(&level));
    top.truth
}

fn tables() -> BoxedStrategy<Table> {
    let values = FIELDS.map(|(name, kind)| {
        let value = match kind {
            Type::Bool => any::<bool>().prop_map(Given::Bool).boxed(),
            Type::Int(_) => prop_oneof![
                8 => (-20..20_i64).boxed(),
                1 => any::<i64>().boxed(),
                1 => prop::sample::select(vec![i64::MIN, i64::MAX]).boxed(),
            ]
            .prop_map(Given::Int)
            .boxed(),
            Type::Float(_) => prop_oneof![
                8 => prop::sample::select(vec![0.0, 1.0, -1.5, 2.5, 0.25, 1000.0]).boxed(),
                2 => any::<f64>().boxed(),
                1 => prop::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0]).boxed(),
            ]
            .prop_map(Given::Float)
            .boxed(),
            Type::Duration => prop::sample::select(vec![0_i64, 250, -5_400_000, 600_000, 86_400_000])
                .prop_map(Given::Int)
                .boxed(),
            Type::Text | Type::Symbol(_) | Type::Code(_) => {
                prop::sample::select(vec!["", "a", "ab", "b", "blå", "å", "it's"])
                    .prop_map(|text| Given::Text(text.to_owned()))
                    .boxed()
            }
        };
        prop::option::weighted(0.8, value).prop_map(move |value| (slot_of(name), value))
    });
    values
        .to_vec()
        .prop_map(|values| {
            let known = values
                .into_iter()
                .filter_map(|(slot, value)| Some((slot, value?)));
            Table(known.collect())
        })
        .boxed()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_expression_answers_as_the_cel_crate_does(source in expressions(3), table in tables()) {
        let ours_text = as_ours(&source);
        prop_assert_eq!(ours(&ours_text, &table), oracle(&source, &table), "{}", ours_text);
    }

    #[test]
    fn a_small_expression_answers_as_the_cel_crate_does(source in expressions(1), table in tables()) {
        let ours_text = as_ours(&source);
        prop_assert_eq!(ours(&ours_text, &table), oracle(&source, &table), "{}", ours_text);
    }
}
