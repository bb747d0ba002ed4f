//! What happened in a case, from its events: the sentence at its top, the plot, and the table behind it.
//!
//! It tells what the records say and draws no conclusion of its own.

use super::countries;
use super::lines::{Decision, Hold, Missing, Raised};
use super::look::Look;
use super::plot::{Bar, Lane, Mark, Scene, Shape};
use crate::domain::time::{DAY_MS, HOUR_MS};
use crate::store::cases::Kept;
use crate::store::happening::Happening;
use std::collections::{BTreeMap, BTreeSet};

/// A row of the table of events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line {
    /// Event time.
    pub at_ms: i64,
    /// Its id.
    pub id: String,
    /// Whether it fed the case.
    pub is_named: bool,
    /// What happened.
    pub what: String,
    /// Amount, where it has one.
    pub amount: String,
    /// Merchant, country, method.
    pub detail: String,
    /// How it ended.
    pub outcome: String,
    /// `approved`, `declined` or nothing.
    pub class: &'static str,
    /// What the ACS or host was told.
    pub told: String,
}

/// The events of a case.
#[derive(Debug)]
pub struct Story<'s> {
    look: &'s Look,
    kept: &'s [Kept],
    named: BTreeSet<&'s str>,
    /// Challenges that events of the case belong to.
    challenges: BTreeSet<&'s str>,
}

impl<'s> Story<'s> {
    /// Of the events around an episode.
    pub fn of(look: &'s Look, kept: &'s [Kept], raised: &'s Raised) -> Self {
        let named: BTreeSet<&str> = raised.events.iter().map(String::as_str).collect();
        let happened = kept
            .iter()
            .filter(|event| named.contains(event.id.as_str()));
        let challenges = happened
            .filter_map(|event| event.happening.as_ref()?.acs_trans_id.as_deref())
            .collect();
        Self {
            look,
            kept,
            named,
            challenges,
        }
    }

    /// The span of event time that a case shows: from a day before it began until an hour after its newest event.
    pub fn span(first_at_ms: i64, at_ms: i64) -> (i64, i64) {
        (first_at_ms - DAY_MS, at_ms + HOUR_MS)
    }

    fn happenings(&self) -> impl Iterator<Item = (&'s Kept, &'s Happening)> {
        self.kept
            .iter()
            .filter_map(|event| Some((event, event.happening.as_ref()?)))
    }

    /// Whether an event belongs to the case: it fed it, or is of a challenge that did.
    fn belongs(&self, event: &Kept, happening: &Happening) -> bool {
        let challenge = happening.acs_trans_id.as_deref();
        self.named.contains(event.id.as_str())
            || challenge.is_some_and(|challenge| self.challenges.contains(challenge))
    }

    /// Payments of the case, and those declined around it.
    fn payments(&self) -> impl Iterator<Item = (&'s Kept, &'s Happening)> {
        self.happenings().filter(|(event, happening)| {
            happening.is_payment() && (self.belongs(event, happening) || !happening.is_approved())
        })
    }

    /// The largest payment asked for.
    pub fn largest(&self) -> Option<(i64, String)> {
        let amounts = self.happenings().filter_map(|(event, happening)| {
            let is_of_it = self.belongs(event, happening)
                || (happening.is_payment() && !happening.is_approved());
            let amount = (happening.amount_minor?, happening.currency.clone()?);
            is_of_it.then_some(amount)
        });
        amounts.max_by_key(|(minor, _)| *minor)
    }

    /// Countries of the eID steps of the case.
    pub fn eid_countries(&self) -> BTreeSet<String> {
        let steps = self
            .happenings()
            .filter(|(_, happening)| happening.kind == "eid");
        steps
            .filter_map(|(event, _)| event.country.clone())
            .collect()
    }

    /// What happened, in a few sentences.
    pub fn sentence(&self, pattern: &str) -> String {
        let words = self.look.words();
        let mut said = Vec::new();
        said.extend(self.declines());
        let ssl = self
            .payments()
            .any(|(_, h)| !h.is_approved() && h.security.as_deref() == Some("ssl"));
        let threeds = self
            .payments()
            .any(|(_, h)| h.security.as_deref() == Some("3ds"));
        if ssl && threeds {
            said.push(words.tell_ssl.to_owned());
        }
        said.extend(self.eid_steps());
        for (event, happening) in self
            .payments()
            .filter(|(_, happening)| happening.is_approved())
        {
            let text = words
                .tell_approved
                .replace("{amount}", &self.amount(happening));
            let text = text.replace("{merchant}", &merchant(happening, words.unknown));
            said.push(text.replace("{time}", &self.look.time(event.at_ms)));
        }
        if said.is_empty() {
            said.extend(self.asked());
        }
        if said.is_empty() {
            said.push(
                words
                    .tell_nothing
                    .replace("{pattern}", &self.look.plain(pattern)),
            );
        }
        said.join(" ")
    }

    fn declines(&self) -> Option<String> {
        let words = self.look.words();
        let declined: Vec<_> = self.payments().filter(|(_, h)| !h.is_approved()).collect();
        let ((first, one), (last, _)) = (declined.first()?, declined.last()?);
        let merchants: BTreeSet<String> = declined
            .iter()
            .map(|(_, h)| merchant(h, words.unknown))
            .collect();
        let merchants: Vec<String> = merchants.into_iter().take(3).collect();
        let mut reasons: BTreeMap<String, i64> = BTreeMap::new();
        for (_, happening) in &declined {
            *reasons.entry(self.outcome(happening)).or_default() += 1;
        }
        let mut reasons: Vec<(String, i64)> = reasons.into_iter().collect();
        reasons.sort_by_key(|(_, count)| -count);
        let reasons: Vec<String> = reasons
            .iter()
            .map(|(reason, count)| {
                if reasons.len() == 1 {
                    reason.clone()
                } else {
                    format!("{count} × {reason}")
                }
            })
            .collect();
        let text = if declined.len() == 1 {
            words.tell_declined_once
        } else {
            words.tell_declined
        };
        let largest = declined
            .iter()
            .max_by_key(|(_, h)| h.amount_minor)
            .map_or(*one, |(_, h)| *h);
        let smallest = declined
            .iter()
            .min_by_key(|(_, h)| h.amount_minor)
            .map_or(*one, |(_, h)| *h);
        let amounts = if largest.amount_minor == smallest.amount_minor {
            self.amount(largest)
        } else {
            format!("{} – {}", self.amount(smallest), self.amount(largest))
        };
        let (from, to) = (first.at_ms, last.at_ms);
        let until = if self.look.day(from) == self.look.day(to) {
            self.look.minute(to)
        } else {
            self.look.time(to)
        };
        let count = i64::try_from(declined.len()).unwrap_or(i64::MAX);
        Some(
            text.replace("{count}", &self.look.number(count))
                .replace("{amount}", &amounts)
                .replace("{merchant}", &merchants.join(", "))
                .replace("{reasons}", &reasons.join(", "))
                .replace("{day}", &self.look.day(from))
                .replace("{from}", &self.look.minute(from))
                .replace("{until}", &until),
        )
    }

    fn eid_steps(&self) -> Option<String> {
        let words = self.look.words();
        let steps: Vec<_> = self
            .happenings()
            .filter(|(event, happening)| happening.kind == "eid" && self.belongs(event, happening))
            .collect();
        let (first, _) = steps.first()?;
        let places: BTreeSet<String> = steps
            .iter()
            .map(|(event, _)| match &event.country {
                Some(country) => countries::named(self.look.lang, country),
                None => words.unknown_place.to_owned(),
            })
            .collect();
        let is_done = steps
            .iter()
            .any(|(_, happening)| happening.action.as_deref() == Some("authenticated"));
        let text = if is_done {
            words.tell_eid_done
        } else {
            words.tell_eid
        };
        let places: Vec<String> = places.into_iter().collect();
        let text = text.replace("{places}", &places.join(", "));
        Some(text.replace("{time}", &self.look.time(first.at_ms)))
    }

    /// Where nothing came of it yet: what is asked for.
    fn asked(&self) -> Option<String> {
        let words = self.look.words();
        let asked = self.happenings().filter(|(event, happening)| {
            happening.message.as_deref() == Some("AReq") && self.belongs(event, happening)
        });
        let (event, happening) = asked.last()?;
        let text = words
            .tell_asked
            .replace("{amount}", &self.amount(happening));
        let text = text.replace("{merchant}", &merchant(happening, words.unknown));
        Some(text.replace("{time}", &self.look.time(event.at_ms)))
    }

    fn amount(&self, happening: &Happening) -> String {
        match (happening.amount_minor, &happening.currency) {
            (Some(minor), Some(currency)) => self.look.amount(minor, currency),
            _ => self.look.words().unknown.to_owned(),
        }
    }

    /// How a payment ended, in words.
    fn outcome(&self, happening: &Happening) -> String {
        let words = self.look.words();
        let Some(code) = happening.response_code.as_deref() else {
            return words.unknown.to_owned();
        };
        let text = match code {
            "00" => words.code_approved,
            "05" => words.code_refused,
            "51" => words.code_funds,
            "61" => words.code_limit,
            "65" | "1A" => words.code_sca,
            "59" => words.code_suspected,
            "62" => words.code_restricted,
            "54" => words.code_expired,
            "41" | "43" => words.code_stolen,
            "55" | "75" => words.code_pin,
            _ => return words.code_other.replace("{}", code),
        };
        text.to_owned()
    }

    /// The table's rows, the newest last.
    pub fn lines(&self) -> Vec<Line> {
        self.kept.iter().map(|event| self.line(event)).collect()
    }

    fn line(&self, event: &Kept) -> Line {
        let words = self.look.words();
        let mut line = Line {
            at_ms: event.at_ms,
            id: event.id.clone(),
            is_named: self.named.contains(event.id.as_str()),
            told: self.told(event),
            ..Line::default()
        };
        let Some(happening) = &event.happening else {
            words.what_unknown.clone_into(&mut line.what);
            return line;
        };
        let action = happening.action.as_deref().unwrap_or_default();
        if happening.amount_minor.is_some() {
            line.amount = self.amount(happening);
        }
        line.detail = self.detail(event, happening);
        line.what = match happening.kind.as_str() {
            "authorization" if happening.is_payment() => words.what_payment.to_owned(),
            "authorization" => words.what_undoing.to_owned(),
            "threeds" => format!(
                "3-D Secure {}",
                happening.message.as_deref().unwrap_or_default()
            ),
            "otp" => words.what_code.to_owned(),
            "eid" => words.what_eid.to_owned(),
            "enrolment" => words.what_enrolment.to_owned(),
            "card" => words.what_card.to_owned(),
            "disposition" => words.what_disposition.to_owned(),
            "hold" => words.what_hold.to_owned(),
            other => other.to_owned(),
        };
        (line.outcome, line.class) = match happening.kind.as_str() {
            "authorization" if happening.is_approved() => (self.outcome(happening), "approved"),
            "authorization" if happening.is_payment() => (self.outcome(happening), "declined"),
            "threeds" => match happening.trans_status.as_deref() {
                Some("Y" | "A") => (words.status_passed.to_owned(), "approved"),
                Some("N" | "R") => (words.status_failed.to_owned(), "declined"),
                Some("C") => (words.status_challenge.to_owned(), ""),
                Some(other) => (other.to_owned(), ""),
                None => (String::new(), ""),
            },
            "disposition" => (
                self.look
                    .verdict(happening.verdict.as_deref().unwrap_or_default())
                    .to_owned(),
                "",
            ),
            _ => (self.done(action), ""),
        };
        line
    }

    /// What was done, in words.
    fn done(&self, action: &str) -> String {
        let words = self.look.words();
        let text = match action {
            "sent" => words.done_sent,
            "delivered" => words.done_delivered,
            "failed" => words.done_failed,
            "accepted" => words.done_accepted,
            "rejected" => words.done_rejected,
            "expired" => words.done_expired,
            "key_issued" => words.done_key_issued,
            "key_accepted" => words.done_key_accepted,
            "key_rejected" => words.done_key_rejected,
            "authenticated" => words.done_authenticated,
            "app_activated" | "app_reactivated" => words.done_activated,
            other => return self.look.plain(other),
        };
        text.to_owned()
    }

    fn detail(&self, event: &Kept, happening: &Happening) -> String {
        let mut parts = Vec::new();
        if let Some(shop) = &happening.merchant {
            parts.push(shop.name.clone());
        }
        let secured = happening
            .security
            .as_deref()
            .map(|security| match security {
                "3ds" => "3-D Secure".to_owned(),
                "ssl" => self.look.words().ssl_only.to_owned(),
                other => self.look.plain(other),
            });
        parts.extend(secured);
        parts.extend(
            happening
                .authenticator
                .as_deref()
                .map(|with| self.look.plain(with)),
        );
        if let Some(country) = &event.country {
            parts.push(countries::named(self.look.lang, country));
        }
        if happening.kind == "disposition" || happening.kind == "hold" {
            parts.extend(happening.by.clone());
            parts.extend(happening.reason.clone());
        }
        parts.join(" · ")
    }

    fn told(&self, event: &Kept) -> String {
        let words = self.look.words();
        let decision: Option<Decision> = event
            .decision
            .as_deref()
            .and_then(|line| serde_json::from_str(line).ok());
        let Some(decision) = decision else {
            return String::new();
        };
        let action = match decision.action.as_str() {
            "allow" => words.action_allow,
            "step_up" => words.action_step_up,
            _ => words.action_decline,
        };
        let mut told = format!("{} · {action}", decision.score);
        if !decision.methods_refused.is_empty() {
            let methods: Vec<String> = decision
                .methods_refused
                .iter()
                .map(|method| self.method(method))
                .collect();
            told.push_str(&words.not_by.replace("{}", &methods.join(", ")));
        }
        told
    }

    /// A method of authentication in words.
    pub fn method(&self, method: &str) -> String {
        let words = self.look.words();
        match method {
            "otp" => words.method_otp.to_owned(),
            "eid" => words.method_eid.to_owned(),
            "eid_code_card" => words.method_code_card.to_owned(),
            "eid_app" => words.method_app.to_owned(),
            "any" => words.method_any.to_owned(),
            other => other.to_owned(),
        }
    }

    /// What rules asked for and was not there, each thing once.
    pub fn missing(&self) -> Vec<Missing> {
        let decisions = self
            .kept
            .iter()
            .filter(|event| self.named.contains(event.id.as_str()));
        let decisions = decisions.filter_map(|event| {
            let line = event.decision.as_deref()?;
            serde_json::from_str::<Decision>(line).ok()
        });
        let missing: BTreeSet<Missing> = decisions
            .flat_map(|decision| decision.not_available)
            .collect();
        missing.into_iter().collect()
    }

    /// What the plot shows: `alerts` are the times and words of this and the other episodes of the cardholder.
    pub fn scene(&self, alerts: Vec<Mark>, holds: &[Hold], sentence: &str) -> Scene {
        let words = self.look.words();
        let payments: Vec<Mark> = self
            .happenings()
            .filter(|(_, happening)| happening.is_payment())
            .map(|(event, happening)| Mark {
                at_ms: event.at_ms,
                shape: if happening.is_approved() {
                    Shape::Approved
                } else if happening.response_code.is_some() {
                    Shape::Declined
                } else {
                    Shape::Open
                },
                minor: happening.amount_minor,
                label: String::new(),
                title: self.titled(event),
            })
            .collect();
        let currency = self
            .largest()
            .map_or_else(|| "DKK".to_owned(), |(_, currency)| currency);
        let bars = holds.iter().map(|hold| Bar {
            from_ms: hold.begins_ms(),
            until_ms: hold.until_ms(),
            title: format!(
                "{} · {} – {} · {}",
                if hold.kind == "decline" {
                    words.hold_decline
                } else {
                    words.hold_step_up
                },
                self.look.time(hold.begins_ms()),
                self.look.time(hold.until_ms()),
                self.look.plain(&hold.state)
            ),
        });
        let lane = |name: &str, marks| Lane {
            name: name.to_owned(),
            marks,
            bars: Vec::new(),
        };
        let lanes = vec![
            lane("3-D Secure", self.challenge_marks()),
            lane(words.lane_codes, self.marks("otp", Shape::Code)),
            lane("eID", self.marks("eid", Shape::Eid)),
            lane(words.lane_alerts, alerts),
            Lane {
                bars: bars.collect(),
                ..lane(words.lane_holds, Vec::new())
            },
        ];
        Scene {
            title: words.plot_title.to_owned(),
            text: format!("{sentence} {}", words.plot_text),
            payments,
            currency,
            lanes: lanes
                .into_iter()
                .filter(|lane| !lane.marks.is_empty() || !lane.bars.is_empty())
                .collect(),
            amounts: words.amount.to_owned(),
        }
    }

    fn titled(&self, event: &Kept) -> String {
        let line = self.line(event);
        let parts = [
            self.look.time(event.at_ms),
            line.what,
            line.amount,
            line.detail,
            line.outcome,
        ];
        let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        parts.join(" · ")
    }

    fn marks(&self, kind: &str, shape: Shape) -> Vec<Mark> {
        let mut label_before = String::new();
        let of_kind = self
            .happenings()
            .filter(|(_, happening)| happening.kind == kind);
        of_kind
            .map(|(event, _)| {
                // The same country again would only be in the way.
                let country = event.country.clone().unwrap_or_default();
                let label = if country == label_before {
                    String::new()
                } else {
                    country.clone()
                };
                label_before = country;
                Mark {
                    at_ms: event.at_ms,
                    shape,
                    minor: None,
                    label,
                    title: self.titled(event),
                }
            })
            .collect()
    }

    fn challenge_marks(&self) -> Vec<Mark> {
        let messages = self
            .happenings()
            .filter(|(_, happening)| happening.kind == "threeds");
        messages
            .filter_map(|(event, happening)| {
                let shape = match (
                    happening.message.as_deref()?,
                    happening.trans_status.as_deref(),
                ) {
                    ("AReq", _) => Shape::Asked,
                    ("RReq" | "ARes", Some("Y" | "A")) => Shape::Passed,
                    ("RReq" | "ARes", Some("N" | "R")) => Shape::Failed,
                    _ => return None,
                };
                Some(Mark {
                    at_ms: event.at_ms,
                    shape,
                    minor: None,
                    label: String::new(),
                    title: self.titled(event),
                })
            })
            .collect()
    }
}

fn merchant(happening: &Happening, unknown: &str) -> String {
    let name = happening
        .merchant
        .as_ref()
        .map(|merchant| merchant.name.clone());
    name.filter(|name| !name.is_empty())
        .unwrap_or_else(|| unknown.to_owned())
}
