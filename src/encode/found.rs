//! What decisions found, written once for all that found the same.
//!
//! Rules, reasons and names are shared pieces of the rule book, so that two decisions found the same
//! where they point to the same; what only looks alike is written anew.

use crate::domain::outcome::{Decision, Reason, RuleRef};
use std::sync::Arc;

/// Findings that are remembered; another takes the place of one before it. The starter book's
/// everyday has about thirty.
const PLACES: usize = 64;

/// The findings of a decision, and their bytes.
#[derive(Debug, Default)]
struct Finding {
    decision: Option<Decision>,
    bytes: Vec<u8>,
}

/// Findings written so far.
#[derive(Debug, Default)]
pub(super) struct Found {
    findings: Vec<Finding>,
}

impl Found {
    /// Appends what a decision found, from the refused methods to the rules on trial.
    pub(super) fn write(&mut self, out: &mut Vec<u8>, decision: &Decision) {
        if decision.hold.is_some() {
            // A hold has a name of its own, and its reason is made anew each time.
            return super::findings(out, decision);
        }
        self.findings.resize_with(PLACES, Finding::default);
        let Some(finding) = self.findings.get_mut(place(decision)) else {
            return super::findings(out, decision);
        };
        let known = finding.decision.as_ref();
        if known.is_some_and(|known| is_same(known, decision)) {
            return out.extend_from_slice(&finding.bytes);
        }
        let start = out.len();
        super::findings(out, decision);
        finding.bytes.clear();
        finding
            .bytes
            .extend_from_slice(out.get(start..).unwrap_or_default());
        finding.decision = Some(decision.clone());
    }
}

/// Where a finding is remembered: by its first piece of each kind.
fn place(decision: &Decision) -> usize {
    let reason = decision.reasons.first().map(|it| address(&it.text));
    let missing = decision.not_available.first().map(|it| address(&it.0));
    let counts = decision.reasons.len() + 3 * decision.not_available.len() + decision.shadow.len();
    (reason.unwrap_or(0) ^ missing.unwrap_or(0) ^ counts) % PLACES
}

/// Where a piece lies, in words of sixteen bytes.
fn address(piece: &Arc<str>) -> usize {
    Arc::as_ptr(piece).addr() / 16
}

fn is_same(known: &Decision, other: &Decision) -> bool {
    known.methods_refused == other.methods_refused
        && are_same(&known.rules, &other.rules, is_same_rule)
        && are_same(&known.shadow, &other.shadow, is_same_rule)
        && are_same(&known.reasons, &other.reasons, is_same_reason)
        && are_same(&known.not_available, &other.not_available, |a, b| {
            Arc::ptr_eq(&a.0, &b.0) && a.1 == b.1
        })
}

fn are_same<T>(known: &[T], other: &[T], is_same: impl Fn(&T, &T) -> bool) -> bool {
    known.len() == other.len() && known.iter().zip(other).all(|(a, b)| is_same(a, b))
}

fn is_same_rule(a: &RuleRef, b: &RuleRef) -> bool {
    Arc::ptr_eq(&a.id, &b.id) && a.version == b.version
}

fn is_same_reason(a: &Reason, b: &Reason) -> bool {
    Arc::ptr_eq(&a.code, &b.code) && Arc::ptr_eq(&a.text, &b.text)
}
