//! What is open for a cardholder ([`Cold`]) as bytes and back.
//!
//! Full texts are kept; those that the rule book has too are shared with it again. The place in
//! the queue of deadlines is not kept: it follows from the deadlines.

use crate::domain::codes::{HoldKind, HoldState, Method, Severity, TransStatus};
use crate::domain::ids::EffectId;
use crate::domain::outcome::{Reason, Refusals, RuleRef};
use crate::engine::checkpoint::CheckpointError;
use crate::engine::checkpoint::bytes::{Reader, put_len, put_optional_text, put_text};
use crate::engine::cold::{Absence, Challenge, Cold, Episode, Purchase, Standing};
use crate::engine::prepared::Prepared;
use std::collections::BTreeSet;
use std::sync::Arc;

type Read<T> = Result<T, CheckpointError>;

/// Texts that many records share, each kept once.
#[derive(Debug, Default)]
pub struct Texts {
    known: BTreeSet<Arc<str>>,
}

impl Texts {
    /// The texts of a rule book.
    pub fn of(prepared: &Prepared) -> Self {
        let patterns = prepared.patterns.iter().flatten();
        let ids = prepared.refs.iter().map(|rule| &rule.id);
        let codes = prepared.reasons.iter().map(|reason| &reason.code);
        let sentences = prepared.reasons.iter().map(|reason| &reason.text);
        Self {
            known: patterns
                .chain(ids)
                .chain(codes)
                .chain(sentences)
                .cloned()
                .collect(),
        }
    }

    fn shared(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.known.get(text) {
            return Arc::clone(known);
        }
        let fresh: Arc<str> = Arc::from(text);
        self.known.insert(Arc::clone(&fresh));
        fresh
    }
}

/// Appends what is open, after its length in bytes.
pub fn put(out: &mut Vec<u8>, cold: &Cold) {
    let start = out.len();
    put_len(out, 0);
    put_text(out, &cold.holder);
    put_len(out, cold.challenges.len());
    for challenge in &cold.challenges {
        put_challenge(out, challenge);
    }
    put_len(out, cold.episodes.len());
    for episode in &cold.episodes {
        put_episode(out, episode);
    }
    put_len(out, cold.holds.len());
    for hold in &cold.holds {
        put_hold(out, hold);
    }
    put_len(out, cold.absences.len());
    for absence in &cold.absences {
        put_text(out, &absence.rule);
        put_text(out, &absence.trigger);
        put_optional_text(out, absence.card.as_deref());
        out.extend_from_slice(&absence.deadline_ms.to_le_bytes());
    }
    let len = u32::try_from(out.len() - start - 4).unwrap_or(u32::MAX);
    if let Some(place) = out.get_mut(start..start + 4) {
        place.copy_from_slice(&len.to_le_bytes());
    }
}

/// Reads what is open; its length in bytes was read before and must fit.
pub fn read(from: &mut Reader<'_>, texts: &mut Texts) -> Read<Cold> {
    let cold = Cold {
        holder: Box::from(from.text("a cardholder's name")?),
        challenges: from.list(20, "challenges", read_challenge)?,
        episodes: from.list(20, "episodes", |from| read_episode(from, texts))?,
        holds: from.list(20, "holds", |from| read_hold(from, texts))?,
        absences: from.list(17, "absences", |from| read_absence(from, texts))?,
        due_ms: 0,
        queued_ms: 0,
    };
    if from.is_empty() {
        Ok(cold)
    } else {
        Err(from.damaged("bytes after what is open"))
    }
}

fn put_challenge(out: &mut Vec<u8>, challenge: &Challenge) {
    let flags = [
        challenge.challenged,
        challenge.otp_sent,
        challenge.otp_delivered,
        challenge.otp_accepted,
        challenge.eid_seen,
        challenge.used,
        challenge.purchase.is_some(),
    ];
    out.extend_from_slice(&challenge.acs.to_le_bytes());
    out.extend_from_slice(&challenge.opened_ms.to_le_bytes());
    out.extend_from_slice(&challenge.touched_ms.to_le_bytes());
    out.extend_from_slice(&challenge.browser_network.to_le_bytes());
    out.extend(flags.map(u8::from));
    out.extend_from_slice(&[
        challenge.status.code(),
        challenge.stated.code(),
        challenge.otp_rejections,
        challenge.eid_method.code(),
        challenge.eid_country,
        perhaps(challenge.eid_country_accustomed),
        perhaps(challenge.eid_network_accustomed),
    ]);
    if let Some(purchase) = &challenge.purchase {
        out.push(u8::from(purchase.amount_minor.is_some()));
        out.extend_from_slice(&purchase.amount_minor.unwrap_or(0).to_le_bytes());
        out.extend_from_slice(&purchase.currency.to_le_bytes());
        out.extend_from_slice(&purchase.mcc.to_le_bytes());
        out.extend_from_slice(&[purchase.mcc_group, purchase.country]);
        out.extend_from_slice(&purchase.merchant.to_le_bytes());
    }
}

fn read_challenge(from: &mut Reader<'_>) -> Read<Challenge> {
    const WHAT: &str = "a challenge";
    let mut challenge = Challenge {
        acs: from.u64(WHAT)?,
        opened_ms: from.i64(WHAT)?,
        touched_ms: from.i64(WHAT)?,
        browser_network: from.u32(WHAT)?,
        challenged: from.flag(WHAT)?,
        otp_sent: from.flag(WHAT)?,
        otp_delivered: from.flag(WHAT)?,
        otp_accepted: from.flag(WHAT)?,
        eid_seen: from.flag(WHAT)?,
        used: from.flag(WHAT)?,
        ..Challenge::default()
    };
    let with_purchase = from.flag(WHAT)?;
    challenge.status = code(from, "a transStatus", |code| {
        Some(TransStatus::from_code(code)).filter(|status| status.code() == code)
    })?;
    challenge.stated = code(from, "a method", method)?;
    challenge.otp_rejections = from.u8(WHAT)?;
    challenge.eid_method = code(from, "a method", method)?;
    challenge.eid_country = from.u8(WHAT)?;
    challenge.eid_country_accustomed = code(from, WHAT, sure)?;
    challenge.eid_network_accustomed = code(from, WHAT, sure)?;
    if with_purchase {
        challenge.purchase = Some(read_purchase(from)?);
    }
    Ok(challenge)
}

fn read_purchase(from: &mut Reader<'_>) -> Read<Purchase> {
    const WHAT: &str = "a purchase";
    let with_amount = from.flag(WHAT)?;
    let amount_minor = from.i64(WHAT)?;
    Ok(Purchase {
        amount_minor: with_amount.then_some(amount_minor),
        currency: from.u32(WHAT)?,
        mcc: from.u16(WHAT)?,
        mcc_group: from.u8(WHAT)?,
        country: from.u8(WHAT)?,
        merchant: from.u32(WHAT)?,
    })
}

fn put_episode(out: &mut Vec<u8>, episode: &Episode) {
    out.extend_from_slice(&episode.id.0.to_le_bytes());
    put_text(out, &episode.pattern);
    put_optional_text(out, episode.card.as_deref());
    out.push(episode.severity.code());
    out.extend_from_slice(&episode.score.to_le_bytes());
    out.extend_from_slice(&episode.count.to_le_bytes());
    put_len(out, episode.events.len());
    for event in &episode.events {
        put_text(out, event);
    }
    put_len(out, episode.rules.len());
    for rule in &episode.rules {
        put_text(out, &rule.id);
        out.extend_from_slice(&rule.version.to_le_bytes());
    }
    put_reasons(out, &episode.reasons);
    out.extend_from_slice(&episode.factors.to_le_bytes());
    out.extend_from_slice(&episode.closes_ms.to_le_bytes());
    out.extend_from_slice(&episode.holds.to_le_bytes());
}

fn read_episode(from: &mut Reader<'_>, texts: &mut Texts) -> Read<Episode> {
    const WHAT: &str = "an episode";
    Ok(Episode {
        id: EffectId(from.u128(WHAT)?),
        pattern: texts.shared(from.text("a pattern")?),
        card: from.optional_text("a card")?.map(str::to_owned),
        severity: code(from, "a severity", Severity::from_code)?,
        score: from.u16(WHAT)?,
        count: from.u32(WHAT)?,
        events: from.list(4, "events", |from| {
            from.text("an event's id").map(str::to_owned)
        })?,
        rules: from.list(8, "rules", |from| {
            Ok(RuleRef {
                id: texts.shared(from.text("a rule's id")?),
                version: from.u32("a rule's version")?,
            })
        })?,
        reasons: read_reasons(from, texts)?,
        factors: from.u32(WHAT)?,
        closes_ms: from.i64(WHAT)?,
        holds: from.u32(WHAT)?,
    })
}

fn put_hold(out: &mut Vec<u8>, hold: &Standing) {
    out.extend_from_slice(&hold.id.0.to_le_bytes());
    put_text(out, &hold.pattern);
    put_optional_text(out, hold.card.as_deref());
    out.extend_from_slice(&[
        hold.kind.code(),
        hold.state.code(),
        hold.methods_refused.0,
        u8::from(hold.awaited_by_ms.is_some()),
    ]);
    out.extend_from_slice(&hold.awaited_by_ms.unwrap_or(0).to_le_bytes());
    out.extend_from_slice(&hold.from_ms.to_le_bytes());
    out.extend_from_slice(&hold.until_ms.to_le_bytes());
    out.extend_from_slice(&hold.alert.0.to_le_bytes());
    put_reasons(out, &hold.reasons);
}

fn read_hold(from: &mut Reader<'_>, texts: &mut Texts) -> Read<Standing> {
    const WHAT: &str = "a hold";
    let id = EffectId(from.u128(WHAT)?);
    let pattern = texts.shared(from.text("a pattern")?);
    let card = from.optional_text("a card")?.map(str::to_owned);
    let kind = code(from, "a hold's kind", HoldKind::from_code)?;
    let state = code(from, "a hold's state", HoldState::from_code)?;
    let methods_refused = Refusals(from.u8(WHAT)?);
    let is_awaited = from.flag(WHAT)?;
    let by_ms = from.i64(WHAT)?;
    Ok(Standing {
        id,
        pattern,
        card,
        kind,
        state,
        methods_refused,
        awaited_by_ms: is_awaited.then_some(by_ms),
        from_ms: from.i64(WHAT)?,
        until_ms: from.i64(WHAT)?,
        alert: EffectId(from.u128(WHAT)?),
        reasons: read_reasons(from, texts)?,
    })
}

fn read_absence(from: &mut Reader<'_>, texts: &mut Texts) -> Read<Absence> {
    Ok(Absence {
        rule: texts.shared(from.text("a rule's id")?),
        trigger: from.text("an event's id")?.to_owned(),
        card: from.optional_text("a card")?.map(str::to_owned),
        deadline_ms: from.i64("an absence")?,
    })
}

fn put_reasons(out: &mut Vec<u8>, reasons: &[Reason]) {
    put_len(out, reasons.len());
    for reason in reasons {
        put_text(out, &reason.code);
        put_text(out, &reason.text);
    }
}

fn read_reasons(from: &mut Reader<'_>, texts: &mut Texts) -> Read<Vec<Reason>> {
    from.list(8, "reasons", |from| {
        Ok(Reason {
            code: texts.shared(from.text("a reason's code")?),
            text: texts.shared(from.text("a reason's text")?),
        })
    })
}

/// A byte that stands for one of few values; a byte that stands for none is damage.
fn code<T>(from: &mut Reader<'_>, what: &'static str, value: impl Fn(u8) -> Option<T>) -> Read<T> {
    let here = *from;
    value(from.u8(what)?).ok_or_else(|| here.damaged(what))
}

fn method(code: u8) -> Option<Method> {
    Some(Method::from_code(code)).filter(|method| method.code() == code)
}

fn perhaps(value: Option<bool>) -> u8 {
    value.map_or(2, u8::from)
}

fn sure(code: u8) -> Option<Option<bool>> {
    match code {
        0 => Some(Some(false)),
        1 => Some(Some(true)),
        2 => Some(None),
        _ => None,
    }
}
