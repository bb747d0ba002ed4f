//! What else is known of a person, told again from all events: home, phone, app, last payment in
//! person, cards and their aliases.
//!
//! Bound as documented in `engine/cards.rs`: sixteen cards and aliases.

use super::{Lived, seconds};
use varsel::domain::codes::{Action, Channel, EnrolmentChannel, ResponseGroup};
use varsel::domain::country::Country;
use varsel::domain::event::{Body, CardChange, Event};

#[derive(Clone, Debug, Default)]
pub struct Phone {
    pub at_s: i64,
    pub channel: EnrolmentChannel,
    pub country: u8,
    pub replaced: bool,
}

#[derive(Clone, Debug, Default)]
pub struct Card {
    tokens: Vec<String>,
    pub blocked: bool,
    pub pin_locked: bool,
    pub internet_closed: bool,
    pub mastercard: bool,
    pub issued_s: Option<i64>,
    pub bypass_until_s: i64,
    pub opened_s: Option<i64>,
}

/// A person after all these events.
#[derive(Clone, Debug, Default)]
pub struct Known {
    pub home: u8,
    pub phone: Option<Phone>,
    /// A phone was deleted at some time.
    phone_deleted: bool,
    /// When the app was last activated, and whether from an accustomed country.
    pub app: Option<(i64, Option<bool>)>,
    pub eid_blocked: bool,
    /// The last approved payment in person: when, and in which country.
    pub present: Option<(i64, u8)>,
    cards: Vec<Card>,
}

impl Known {
    pub fn recall(lives: &[Lived]) -> Self {
        let mut known = Self::default();
        for lived in lives {
            known.live(lived);
        }
        known
    }

    /// The card of a token.
    pub fn card(&self, token: &str) -> Option<&Card> {
        self.cards
            .iter()
            .find(|card| card.tokens.iter().any(|known| known == token))
    }

    /// Whether two tokens are one card's.
    pub fn same_card(&self, a: &str, b: &str) -> bool {
        a == b
            || self
                .card(a)
                .is_some_and(|card| card.tokens.iter().any(|known| known == b))
    }

    fn live(&mut self, lived: &Lived) {
        let event = &lived.event;
        let at_s = seconds(event.at.ms);
        match &event.body {
            Body::Authorization(payment) => {
                let in_person = matches!(payment.channel, Channel::Pos | Channel::Atm);
                let country = lived.purchase.map_or(0, |bought| bought.country);
                let approved = lived.response == ResponseGroup::Approved && !payment.is_undoing();
                let newer = self.present.is_none_or(|(then, _)| at_s >= then);
                if in_person && approved && country != 0 && newer {
                    self.present = Some((at_s, country));
                }
            }
            Body::Eid(eid) => {
                let activated = matches!(eid.action, Action::AppActivated | Action::AppReactivated);
                if activated && self.app.is_none_or(|(then, _)| at_s >= then) {
                    self.app = Some((at_s, lived.country_accustomed));
                }
                self.eid_blocked |= eid.action == Action::Blocked;
                self.eid_blocked &= eid.action != Action::Unblocked;
            }
            Body::Enrolment(step) if step.action == Action::CardEnrolled => {
                let card = self.card_of(event.card());
                if let Some(card) = card {
                    card.issued_s = card.issued_s.or(Some(at_s));
                }
            }
            Body::Enrolment(step) => {
                if self.phone.as_ref().is_some_and(|phone| at_s < phone.at_s) {
                    return;
                }
                let changed = step.action == Action::PhoneChanged;
                self.phone_deleted |= step.action == Action::PhoneDeleted;
                self.phone = (step.action != Action::PhoneDeleted).then(|| Phone {
                    at_s,
                    channel: step.channel,
                    country: step.phone_country.map_or(0, Country::index),
                    replaced: changed || self.phone.is_some() || self.phone_deleted,
                });
            }
            Body::Card(change) => self.change(event, change, at_s),
            Body::Threeds(_) | Body::Otp(_) | Body::Disposition(_) | Body::Hold(_) => {}
        }
    }

    /// The card of a token, made where there is none and room for it.
    fn card_of(&mut self, token: &str) -> Option<&mut Card> {
        if self.card(token).is_none() {
            if self.tokens() == 16 {
                return None;
            }
            let tokens = vec![token.to_owned()];
            self.cards.push(Card {
                tokens,
                ..Card::default()
            });
        }
        self.cards
            .iter_mut()
            .find(|card| card.tokens.iter().any(|known| known == token))
    }

    fn tokens(&self) -> usize {
        self.cards.iter().map(|card| card.tokens.len()).sum()
    }

    fn change(&mut self, event: &Event, change: &CardChange, at_s: i64) {
        if let Some(home) = change.home_country {
            self.home = home.index();
        }
        let scheme = event.str(change.scheme);
        let Some(card) = self.card_of(event.card()) else {
            return;
        };
        card.act(change, at_s);
        if !scheme.is_empty() {
            card.mastercard = scheme.contains("mastercard") || scheme.contains("maestro");
        }
        for alias in &change.aliases {
            let alias = event.str(*alias);
            if self.card(alias).is_none()
                && self.tokens() < 16
                && let Some(card) = self.card_of(event.card())
            {
                card.tokens.push(alias.to_owned());
            }
        }
    }
}

impl Card {
    fn act(&mut self, change: &CardChange, at_s: i64) {
        let action = change.action;
        self.blocked |= action == Action::Blocked;
        self.blocked &= action != Action::Unblocked;
        self.pin_locked |= action == Action::PinLocked;
        self.pin_locked &= action != Action::PinUnlocked;
        self.internet_closed |= action == Action::InternetClosed;
        self.internet_closed &= action != Action::InternetOpened;
        if matches!(
            action,
            Action::Unblocked | Action::PinUnlocked | Action::InternetOpened
        ) {
            self.opened_s = Some(at_s);
        }
        if action == Action::Issued {
            self.issued_s = Some(at_s);
        }
        if action == Action::BypassGranted {
            self.bypass_until_s = change.until_ms.map_or(at_s + 86_400, seconds);
        } else if action == Action::BypassEnded {
            self.bypass_until_s = 0;
        }
    }
}
