//! Tests of expressions over one small scheme of each type, with values from a table.
//!
//! The oracle for the meaning of CEL is in `tests/it/expr_oracle.rs`.

mod classes;
mod faults;
mod logic;
mod syntax;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;

/// Two capital letters as a number.
static COUNTRY: CodeKind = CodeKind {
    name: "country",
    parse: |text| match text.as_bytes() {
        [a @ b'A'..=b'Z', b @ b'A'..=b'Z'] => Some(u32::from(*a) << 8 | u32::from(*b)),
        _ => None,
    },
    show: |number| {
        [number >> 8, number & 255]
            .iter()
            .filter_map(|letter| char::from_u32(*letter))
            .collect()
    },
    hint: "two capital letters, such as `\"DK\"`",
};

static MCC: CodeKind = CodeKind {
    name: "merchant category code",
    parse: |text| {
        if text.len() == 4 {
            text.parse().ok()
        } else {
            None
        }
    },
    show: |number| format!("{number:04}"),
    hint: "four digits, such as `\"4829\"`",
};

fn symbols(name: &str, words: &[&str]) -> Type {
    Type::Symbol(Arc::new(Symbols {
        name: name.to_owned(),
        words: words.iter().map(|word| (*word).to_owned()).collect(),
    }))
}

fn scheme() -> Scheme {
    let mut scheme = Scheme::new();
    let fields = [
        ("flag", Type::Bool, 1),
        ("on_file", Type::Bool, 1),
        ("amount", Type::Int(Unit::Minor), 1),
        ("balance", Type::Int(Unit::Minor), 1),
        ("declines_24h", Type::Int(Unit::Count), 40),
        ("distance_km", Type::Int(Unit::Km), 400),
        ("n", Type::Int(Unit::Plain), 1),
        ("anomaly.amount", Type::Float(Unit::Score), 60),
        ("ratio", Type::Float(Unit::Ratio), 60),
        ("gap", Type::Duration, 5),
        ("link_age", Type::Duration, 5),
        ("merchant.name", Type::Text, 2),
        ("phone", Type::Text, 2),
        (
            "channel",
            symbols("channel", &["ecommerce", "pos", "atm"]),
            1,
        ),
        (
            "last_channel",
            symbols("channel", &["ecommerce", "pos", "atm"]),
            1,
        ),
        ("security", symbols("security", &["3ds", "ssl"]), 1),
        ("merchant.country", Type::Code(&COUNTRY), 1),
        ("home_country", Type::Code(&COUNTRY), 1),
        ("mcc", Type::Code(&MCC), 1),
    ];
    for (name, kind, cost_ns) in fields {
        scheme
            .add(Field {
                name: name.to_owned(),
                kind,
                cost_ns,
                doc: String::new(),
            })
            .unwrap();
    }
    scheme.add_list("trusted-merchants", 3).unwrap();
    scheme.add_list("risky-countries", 4).unwrap();
    scheme
}

/// A value as a test gives it.
#[derive(Debug, Clone, PartialEq)]
enum Given {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'static str),
}

/// Values by slot; what is not in the table is not known. Counts what it was asked.
#[derive(Debug, Clone, Default)]
struct Table {
    values: BTreeMap<Slot, Given>,
    members: Vec<(u16, Slot)>,
    asked: Vec<Slot>,
}

impl Table {
    fn of(values: &[(&str, Given)]) -> Self {
        let scheme = scheme();
        let values = values
            .iter()
            .map(|(name, value)| (scheme.slot(name).unwrap(), value.clone()))
            .collect();
        Self {
            values,
            ..Self::default()
        }
    }

    fn get(&mut self, slot: Slot) -> Option<Given> {
        self.asked.push(slot);
        self.values.get(&slot).cloned()
    }
}

impl Facts for Table {
    fn boolean(&mut self, slot: Slot) -> Option<bool> {
        let Given::Bool(value) = self.get(slot)? else {
            panic!("slot {slot} read as a bool")
        };
        Some(value)
    }

    fn int(&mut self, slot: Slot) -> Option<i64> {
        let Given::Int(value) = self.get(slot)? else {
            panic!("slot {slot} read as an integer")
        };
        Some(value)
    }

    fn float(&mut self, slot: Slot) -> Option<f64> {
        let Given::Float(value) = self.get(slot)? else {
            panic!("slot {slot} read as a double")
        };
        Some(value)
    }

    fn text(&self, slot: Slot) -> Option<&str> {
        let Given::Text(value) = self.values.get(&slot)? else {
            panic!("slot {slot} read as a text")
        };
        Some(value)
    }

    fn listed(&mut self, list: u16, slot: Slot) -> Option<bool> {
        self.get(slot)?;
        Some(self.members.contains(&(list, slot)))
    }
}

fn program(source: &str) -> Program {
    match compile(source, &scheme()) {
        Ok(program) => program,
        Err(faults) => panic!("`{source}` has faults: {faults:#?}"),
    }
}

fn eval(source: &str, values: &[(&str, Given)]) -> Option<bool> {
    program(source).eval(&mut Table::of(values))
}

/// The answer of an expression without names.
fn holds(source: &str) -> Option<bool> {
    eval(source, &[])
}

fn slot(name: &str) -> Slot {
    scheme().slot(name).unwrap()
}
