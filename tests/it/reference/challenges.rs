//! Challenges, told again from all their steps.
//!
//! Bounds as documented in `engine/cold.rs`: twelve at once, of which the least recently touched
//! gives way; one untouched for 24 hours is forgotten.

use super::{Bought, Lived};
use varsel::domain::codes::{
    Action, AuthenticationMethod, Authenticator, ChallengeCancel, Message, Method, Purpose,
    Security, TransStatus,
};
use varsel::domain::country::Country;
use varsel::domain::event::{Body, Eid, Event, Threeds};

const FORGOTTEN_MS: i64 = 24 * 3_600_000;

/// One challenge: the steps that belong to it, and what they amount to.
#[derive(Clone, Debug, Default)]
pub struct Challenge {
    pub acs: String,
    pub touched_ms: i64,
    pub purchase: Option<Bought>,
    pub status: TransStatus,
    stated: Option<AuthenticationMethod>,
    frictionless: bool,
    pub otp_delivered: bool,
    pub otp_accepted: bool,
    pub otp_rejections: i64,
    pub eid_seen: bool,
    eid_passed: Option<Option<Authenticator>>,
    pub eid_country: u8,
    pub eid_country_accustomed: Option<bool>,
    pub eid_network_accustomed: Option<bool>,
    pub browser_network: u32,
    pub used: bool,
}

impl Challenge {
    /// The method known to have passed it: stated by the ACS (an eID made precise by its own log),
    /// or the only one whose steps match.
    pub fn method(&self) -> Option<Method> {
        let by_log = self.eid_passed.map(|by| match by {
            Some(Authenticator::CodeCard) => Method::EidCodeCard,
            Some(Authenticator::CodeToken) => Method::EidCodeToken,
            Some(Authenticator::App) => Method::EidApp,
            Some(Authenticator::Unknown) | None => Method::Eid,
        });
        match self.stated.filter(|m| *m != AuthenticationMethod::Unknown) {
            Some(AuthenticationMethod::SmsOtp) => Some(Method::Otp),
            Some(AuthenticationMethod::ElectronicId) => Some(by_log.unwrap_or(Method::Eid)),
            Some(_) => Some(Method::Other),
            None if self.frictionless => Some(Method::Frictionless),
            None => match (self.otp_accepted, by_log) {
                (true, None) => Some(Method::Otp),
                (false, by_log) => by_log,
                (true, Some(_)) => None,
            },
        }
    }

    pub fn passed(&self) -> bool {
        self.status == TransStatus::Authenticated
    }

    fn step(&mut self, lived: &Lived) {
        self.touched_ms = lived.clock_ms;
        match &lived.event.body {
            Body::Threeds(message) => self.message(lived, message),
            Body::Otp(otp) => {
                self.otp_delivered |= otp.action == Action::Delivered;
                self.otp_accepted |= otp.action == Action::Accepted;
                self.otp_rejections += i64::from(otp.action == Action::Rejected);
            }
            Body::Eid(eid) => {
                self.eid_seen = true;
                self.eid_country = lived.event.place.country.map_or(0, Country::index);
                self.eid_country_accustomed = lived.country_accustomed;
                self.eid_network_accustomed = lived.network_accustomed;
                if eid.action == Action::Authenticated {
                    self.eid_passed = Some(eid.authenticator);
                }
            }
            Body::Authorization(payment) => self.used |= !payment.is_undoing(),
            Body::Enrolment(_) | Body::Card(_) | Body::Disposition(_) | Body::Hold(_) => {}
        }
    }

    fn message(&mut self, lived: &Lived, message: &Threeds) {
        if message.message == Message::AReq {
            self.purchase = lived.purchase;
            self.browser_network = lived.event.place.network;
        }
        if let Some(status) = message.trans_status {
            self.status = status;
            let unstated = self
                .stated
                .is_none_or(|m| m == AuthenticationMethod::Unknown);
            let passed = message.message == Message::ARes && status == TransStatus::Authenticated;
            self.frictionless |= passed && unstated;
        } else if message.challenge_cancel == Some(ChallengeCancel::Cardholder) {
            self.status = TransStatus::NotAuthenticated;
        }
        if message.authentication_method.is_some() {
            self.stated = message.authentication_method;
            self.frictionless = false;
        }
    }
}

/// The challenges open at `clock_ms`, in order of opening, after these events.
pub fn recall(lives: &[Lived], clock_ms: i64) -> Vec<Challenge> {
    let mut open: Vec<Challenge> = Vec::new();
    for lived in lives {
        open.retain(|c| lived.clock_ms - c.touched_ms < FORGOTTEN_MS);
        let is_payment = matches!(lived.event.body, Body::Authorization(_));
        let stated = lived.event.str(lived.event.acs);
        let acs = match &lived.challenge {
            Some(acs) => acs.as_str(),
            None if is_payment => "",
            None => stated,
        };
        if acs.is_empty() {
            continue;
        }
        if !open.iter().any(|c| c.acs == acs) {
            if open.len() == 12 {
                let least = open.iter().map(|c| c.touched_ms).min().unwrap();
                let place = open.iter().position(|c| c.touched_ms == least).unwrap();
                open.remove(place);
            }
            open.push(Challenge {
                acs: acs.to_owned(),
                ..Challenge::default()
            });
        }
        open.iter_mut().find(|c| c.acs == acs).unwrap().step(lived);
    }
    open.retain(|c| clock_ms - c.touched_ms < FORGOTTEN_MS);
    open
}

fn may_pay(eid: &Eid) -> bool {
    matches!(
        eid.purpose,
        None | Some(Purpose::Payment | Purpose::Unknown)
    )
}

/// The challenge that an event belongs to: by its `acs_trans_id`; without one an eID step for a
/// payment belongs to the newest unused challenge touched within 15 minutes, and a 3-D Secure
/// payment to the newest unused one of the same merchant and amount within the hour.
pub fn of(
    open: &[Challenge],
    event: &Event,
    own: Option<Bought>,
    clock_ms: i64,
) -> Option<Challenge> {
    let acs = event.str(event.acs);
    let near = |c: &&Challenge, ms: i64| !c.used && clock_ms - c.touched_ms <= ms;
    let found = if !acs.is_empty() {
        open.iter().find(|c| c.acs == acs)
    } else if let Body::Eid(eid) = &event.body {
        open.iter()
            .rev()
            .filter(|_| may_pay(eid))
            .find(|c| near(c, 15 * 60_000))
    } else if let Body::Authorization(payment) = &event.body {
        let by_3ds = payment.security == Security::Threeds && !payment.is_undoing();
        open.iter().rev().filter(|_| by_3ds).find(|c| {
            let alike = |a: Bought, b: Bought| (a.merchant, a.amount) == (b.merchant, b.amount);
            near(c, 3_600_000) && c.purchase.zip(own).is_some_and(|(a, b)| alike(a, b))
        })
    } else {
        None
    };
    found.cloned()
}
