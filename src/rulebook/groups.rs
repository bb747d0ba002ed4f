//! `groups.yaml`: which merchant category codes belong together, and according to whom.
//!
//! Published lists disagree on what a money transfer is, so that the groups are configuration and
//! each names its source. `other`, for all codes that stand in none, is added last.

use crate::engine::book::MccGroups;
use crate::expr::Symbols;
use crate::rulebook::page::{self, Fields, Page};
use crate::rulebook::yaml::Node;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// The fields of a group.
pub const FIELDS: &[&str] = &["name", "source", "mccs"];
/// The most groups besides `other`: their code has four bits in history.
pub const MAX_GROUPS: usize = 14;
/// The name of the group of all codes that stand in no other.
pub const OTHER: &str = "other";

/// Reads `groups.yaml`; faulty entries are left out.
pub fn groups(root: &Node, page: &mut Page) -> Option<MccGroups> {
    let fields = Fields::of(root, "the groups", &["groups"], page)?;
    let list = fields.want("groups", page)?;
    let items = page::items(list, "groups", page)?;
    if let Some(first_too_many) = items.get(MAX_GROUPS) {
        let message = format!("more than {MAX_GROUPS} groups");
        page.fault(first_too_many.head(), message);
    }
    let mut names: Vec<String> = Vec::new();
    let mut of: Vec<u8> = vec![0; 10_000];
    for item in items.iter().take(MAX_GROUPS) {
        let Some(group) = Fields::of(item, "a group", FIELDS, page) else {
            continue;
        };
        let name = group.want("name", page).and_then(|n| name(n, &names, page));
        if let Some(node) = group.want("source", page) {
            page::text(node, "source", page);
        }
        let mccs = group
            .want("mccs", page)
            .and_then(|n| page::items(n, "mccs", page));
        let (Some(name), Some(mccs)) = (name, mccs) else {
            continue;
        };
        names.push(name);
        let code = u8::try_from(names.len()).unwrap_or(u8::MAX);
        for node in mccs {
            if let Some(range) = mcc_range(node, page) {
                place(&mut of, range, code, &names, node, page);
            }
        }
    }
    names.push(OTHER.to_owned());
    let other = u8::try_from(names.len()).unwrap_or(u8::MAX);
    of.iter_mut()
        .filter(|code| **code == 0)
        .for_each(|code| *code = other);
    let symbols = Arc::new(Symbols {
        name: "mcc_group".to_owned(),
        words: names,
    });
    Some(MccGroups {
        symbols,
        of: of.into_boxed_slice(),
    })
}

/// The groups of a book without a readable `groups.yaml`: everything is `other`.
pub fn none() -> MccGroups {
    let words = vec![OTHER.to_owned()];
    let symbols = Arc::new(Symbols {
        name: "mcc_group".to_owned(),
        words,
    });
    MccGroups {
        symbols,
        of: vec![1; 10_000].into_boxed_slice(),
    }
}

fn name(node: &Node, names: &[String], page: &mut Page) -> Option<String> {
    let name = page::text(node, "name", page)?;
    if !page::is_name(name, '_') {
        let help = "snake_case, such as `quasi_cash`";
        page.fault_help(node.head(), format!("`{name}` is no name of a group"), help);
        return None;
    }
    if name == OTHER {
        let help = "leave it out: every code in no group is `other`";
        page.fault_help(node.head(), "the group `other` is implied", help);
        return None;
    }
    if names.iter().any(|known| known == name) {
        page.fault(node.head(), format!("the group `{name}` is there twice"));
        return None;
    }
    Some(name.to_owned())
}

fn mcc_range(node: &Node, page: &mut Page) -> Option<RangeInclusive<u16>> {
    let given = page::text(node, "mccs", page)?;
    let (first, last) = given.split_once('-').unwrap_or((given, given));
    let range = mcc(first)
        .zip(mcc(last))
        .filter(|(first, last)| first <= last);
    if range.is_none() {
        let message = format!("`{given}` is no merchant category code");
        page.fault_help(
            node.head(),
            message,
            "four digits, or a range: `4829`, `6536-6538`",
        );
    }
    range.map(|(first, last)| first..=last)
}

fn mcc(given: &str) -> Option<u16> {
    let four = given.len() == 4 && given.bytes().all(|b| b.is_ascii_digit());
    four.then(|| given.parse().ok()).flatten()
}

fn place(
    of: &mut [u8],
    range: RangeInclusive<u16>,
    code: u8,
    names: &[String],
    node: &Node,
    page: &mut Page,
) {
    for mcc in range {
        let Some(slot) = of.get_mut(usize::from(mcc)) else {
            continue;
        };
        let before = usize::from(*slot).checked_sub(1).and_then(|i| names.get(i));
        match before {
            Some(before) => {
                let message = format!("{mcc:04} is already in the group `{before}`");
                page.fault_help(node.head(), message, "a code belongs to one group");
                return;
            }
            None => *slot = code,
        }
    }
}
