//! From what is due to messages in the outbox: silences, grouping, one row for each receiver.
//!
//! When something is due, and whether it is grouped, is decided in `pace.rs`; the words of a mail are `mail`'s.

use crate::config::{Notify, Route};
use crate::domain::codes::Severity;
use crate::domain::ids::EffectId;
use crate::mail::Press;
use crate::mail::press::{Case, Pile};
use crate::notify::hook;
use crate::notify::pace::{self, Flush};
use crate::notify::record;
use crate::store::alerts::{self, Story};
use crate::store::outbox::{self, Channel, Message};
use crate::store::waiting::{self, Due, Why};
use crate::store::{StoreError, Tx, silences};

/// Episodes that one mail lists; the rest are counted.
const LISTED: usize = 50;
/// Episodes in one call of a webhook.
const CALLED: usize = 50;
/// Episodes that one flush reads whole, at most; what webhooks are then still to be told goes with the next.
const MOST: i64 = 2_000;

/// Puts into the outbox what is due by now; how many messages.
///
/// # Errors
/// Where the store does not answer.
pub fn plan(
    tx: &mut Tx<'_>,
    notify: &Notify,
    press: &Press,
    now_ms: i64,
) -> Result<u64, StoreError> {
    for silence in silences::in_force(tx, now_ms)? {
        silences::put_off(tx, &silence, now_ms)?;
    }
    let mut turns: Vec<(i64, i64, &Route)> = Vec::new();
    for route in &notify.routes {
        let (due, since_ms) = waiting::count_due(tx, &route.name, now_ms)?;
        if due > 0 {
            turns.push((since_ms, due, route));
        }
    }
    // A receiver of several routes gets few messages in a flood: the route that waits for longest goes first.
    turns.sort_by_key(|(since_ms, ..)| *since_ms);
    let mut queued = 0;
    for (_, due, route) in turns {
        let mut spent_ms = 0;
        for receiver in receivers(route) {
            spent_ms = spent_ms.max(waiting::spent(tx, &receiver)?);
        }
        let flush = pace::flush(route, now_ms, due, spent_ms);
        let mut desk = Desk {
            notify,
            press,
            route,
            now_ms,
            queued: 0,
        };
        let messages = match flush {
            Flush::NotBefore(_) => continue,
            Flush::Apart => desk.apart(tx)?,
            Flush::Together => desk.together(tx)?,
        };
        queued += desk.queued;
        for receiver in receivers(route) {
            let spent_ms = waiting::spent(tx, &receiver)?;
            let spent_ms = pace::spent(route, now_ms, spent_ms, messages);
            waiting::spend(tx, &receiver, spent_ms)?;
        }
        let repeat_ms = i64::try_from(route.repeat_interval.as_millis()).unwrap_or(0);
        if repeat_ms > 0 {
            let times = 1 + i64::from(route.updates);
            waiting::remind(tx, &route.name, now_ms, times, now_ms + repeat_ms)?;
        }
    }
    Ok(queued)
}

/// To whom a route's messages go, as their number is kept; a name of a webhook has no `@`.
fn receivers(route: &Route) -> impl Iterator<Item = String> {
    let addresses = route
        .mail
        .iter()
        .map(|address| address.to_string().to_lowercase());
    addresses.chain(route.webhooks.iter().cloned())
}

/// One route at one time.
struct Desk<'d> {
    notify: &'d Notify,
    press: &'d Press,
    route: &'d Route,
    now_ms: i64,
    queued: u64,
}

impl Desk<'_> {
    /// A message for each episode that is due.
    fn apart(&mut self, tx: &mut Tx<'_>) -> Result<i64, StoreError> {
        let due = waiting::due(tx, &self.route.name, self.now_ms, MOST)?;
        let mut messages = 0;
        for due in due {
            waiting::tell_one(tx, &self.route.name, &due.alert, self.now_ms)?;
            let Some(story) = alerts::story(tx, &due.alert)? else {
                continue;
            };
            let case = Case {
                story: &story,
                why: &due.why,
            };
            let text = self.press.case(&case);
            for address in &self.route.mail {
                let address: &str = address.as_ref();
                let first = outbox::first(tx, Channel::Mail, address, &due.alert)?;
                let body = text.to_body(first.as_deref());
                let id = id_of_mail(address, &due, &story);
                let about = (Some(due.alert.clone()), 1);
                self.put(tx, Channel::Mail, address, id, about, body)?;
            }
            let body = hook::case(&case, self.notify, self.route, self.now_ms);
            for name in &self.route.webhooks {
                let id = self.id(Channel::Webhook, name, &due.alert, due.times);
                let about = (Some(due.alert.clone()), 1);
                self.put(tx, Channel::Webhook, name, id, about, body.clone())?;
            }
            messages += 1;
        }
        Ok(messages)
    }

    /// One mail for all episodes that are due; to webhooks, all of them in as few calls as they fit in.
    fn together(&mut self, tx: &mut Tx<'_>) -> Result<i64, StoreError> {
        let route = &self.route.name;
        let mut counts = waiting::severities_due(tx, route, self.now_ms)?;
        let has_webhooks = !self.route.webhooks.is_empty();
        let listed = i64::try_from(LISTED).unwrap_or(50);
        let due = waiting::due(
            tx,
            route,
            self.now_ms,
            if has_webhooks { MOST } else { listed },
        )?;
        let mut stories: Vec<(Story, Due)> = Vec::with_capacity(due.len());
        for due in due {
            if let Some(story) = alerts::story(tx, &due.alert)? {
                stories.push((story, due));
            }
        }
        if has_webhooks {
            // A webhook is told each episode itself, so only those in hand are told.
            for (story, _) in &stories {
                waiting::tell_one(tx, route, &story.id, self.now_ms)?;
            }
            counts = counted(&stories);
        } else {
            waiting::tell_all(tx, route, self.now_ms)?;
        }
        let cases: Vec<Case<'_>> = stories
            .iter()
            .map(|(story, due)| Case {
                story,
                why: &due.why,
            })
            .collect();
        let count: i64 = counts.iter().map(|(_, count)| count).sum();
        let pile = Pile {
            cases: cases.get(..LISTED).unwrap_or(&cases),
            counts: &counts,
            count,
        };
        let cause = format!("{}-{count}", self.now_ms);
        if !self.route.mail.is_empty() {
            let body = self.press.pile(&pile).to_body(None);
            for address in &self.route.mail {
                let id = self.id(Channel::Mail, address.as_ref(), &cause, 0);
                self.put(
                    tx,
                    Channel::Mail,
                    address.as_ref(),
                    id,
                    (None, count),
                    body.clone(),
                )?;
            }
        }
        for (number, cases) in (0_i64..).zip(cases.chunks(CALLED)) {
            let body = hook::pile(cases, self.notify, self.route, self.now_ms);
            for name in &self.route.webhooks {
                let id = self.id(Channel::Webhook, name, &cause, number);
                let told = i64::try_from(cases.len()).unwrap_or(0);
                self.put(tx, Channel::Webhook, name, id, (None, told), body.clone())?;
            }
        }
        Ok(1)
    }

    /// The id of a message, from what it is about and to whom it goes.
    fn id(&self, channel: Channel, target: &str, cause: &str, ordinal: i64) -> String {
        let ordinal = u32::try_from(ordinal).unwrap_or(u32::MAX);
        let whom = format!("{}\n{target}", self.route.name);
        EffectId::derive(&whom, "message", channel.word(), cause, ordinal).to_string()
    }

    fn put(
        &mut self,
        tx: &mut Tx<'_>,
        channel: Channel,
        target: &str,
        id: String,
        (alert, episodes): (Option<String>, i64),
        body: String,
    ) -> Result<(), StoreError> {
        // A template may have been written with a card number in it.
        let body = record::unnumbered(&body);
        let message = Message {
            id,
            route: self.route.name.clone(),
            target: target.to_owned(),
            alert,
            episodes,
            body,
            created_ms: self.now_ms,
            attempt: 0,
            is_doubtful: false,
        };
        self.queued += 1;
        outbox::put(tx, channel, &message)
    }
}

/// The id of a mail about an episode: of the same news it is the same, by whatever route it comes to an address.
fn id_of_mail(address: &str, due: &Due, story: &Story) -> String {
    let news = if due.why == Why::Reminder.word() {
        format!("{} {}", due.why, due.times)
    } else {
        story.line.clone()
    };
    let cause = format!("{}\n{news}", due.alert);
    let whom = address.to_lowercase();
    EffectId::derive(&whom, "message", Channel::Mail.word(), &cause, 0).to_string()
}

/// How many of each severity, the worst first.
fn counted(stories: &[(Story, Due)]) -> Vec<(Severity, i64)> {
    let of = |severity| {
        let same = stories
            .iter()
            .filter(|(story, _)| story.severity == severity);
        i64::try_from(same.count()).unwrap_or(i64::MAX)
    };
    let counts = Severity::ALL
        .iter()
        .rev()
        .map(|severity| (*severity, of(*severity)));
    counts.filter(|(_, count)| *count > 0).collect()
}
