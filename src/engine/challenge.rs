//! Challenges in the making: what each 3-D Secure message, OTP and eID step adds to its challenge.
//!
//! The method that passed a challenge is only ever *known*, never guessed (`Challenge::method`).

use crate::domain::codes::{
    Action, AuthenticationMethod, Authenticator, ChallengeCancel, Message, Method, Purpose,
    TransStatus,
};
use crate::domain::country::Country;
use crate::domain::event::{Body, Eid, Event, Threeds};
use crate::engine::cold::{Challenge, Cold, MAX_CHALLENGES, Purchase};

/// Whether an eID step may belong to a payment: it says so, or says nothing.
pub fn may_pay(eid: &Eid) -> bool {
    matches!(
        eid.purpose,
        None | Some(Purpose::Payment | Purpose::Unknown)
    )
}

/// What an event adds besides itself: the purchase it tells of, and how accustomed its place was.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The event's own purchase, for an AReq.
    pub purchase: Option<Purchase>,
    /// Whether the country of its address was accustomed.
    pub country_accustomed: Option<bool>,
    /// Whether the network of its address was accustomed.
    pub network_accustomed: Option<bool>,
    /// The challenge to which it was taken to belong, by fingerprint; 0 for none.
    pub acs: u64,
}

/// Absorbs a step into its challenge, which is opened where there is none. Returns whether another
/// challenge had to give way.
pub fn absorb(cold: &mut Cold, event: &Event, setting: &Setting, clock_ms: i64) -> bool {
    let acs = if event.acs_fp.0 == 0 {
        setting.acs
    } else {
        event.acs_fp.0
    };
    if acs == 0 {
        return false;
    }
    cold.prune(clock_ms);
    let index = cold.challenges.iter().rposition(|c| c.acs == acs);
    let mut gave_way = false;
    let index = index.unwrap_or_else(|| {
        if cold.challenges.len() >= MAX_CHALLENGES {
            let oldest = (0..cold.challenges.len())
                .min_by_key(|i| cold.challenges.get(*i).map(|c| c.touched_ms));
            cold.challenges.remove(oldest.unwrap_or(0));
            gave_way = true;
        }
        // Most cardholders have one; a vector left to itself would make room for four.
        cold.challenges.reserve_exact(1);
        cold.challenges.push(Challenge {
            acs,
            opened_ms: clock_ms,
            ..Challenge::default()
        });
        cold.challenges.len() - 1
    });
    if let Some(challenge) = cold.challenges.get_mut(index) {
        challenge.touched_ms = challenge.touched_ms.max(clock_ms);
        step(challenge, event, setting);
    }
    gave_way
}

fn step(challenge: &mut Challenge, event: &Event, setting: &Setting) {
    match &event.body {
        Body::Threeds(message) => threeds(challenge, event, message, setting),
        Body::Otp(otp) => one_time_password(challenge, otp.action),
        Body::Eid(eid) => eid_step(challenge, event, eid, setting),
        Body::Authorization(payment) => challenge.used |= !payment.is_undoing(),
        Body::Enrolment(_) | Body::Card(_) | Body::Disposition(_) | Body::Hold(_) => {}
    }
}

fn threeds(challenge: &mut Challenge, event: &Event, message: &Threeds, setting: &Setting) {
    if message.message == Message::AReq {
        challenge.purchase = setting.purchase;
        challenge.browser_network = event.place.network;
    }
    if let Some(status) = message.trans_status {
        challenge.status = status;
        challenge.challenged |= matches!(status, TransStatus::Challenge | TransStatus::Decoupled);
        let frictionless = message.message == Message::ARes && status == TransStatus::Authenticated;
        if frictionless && challenge.stated == Method::Unknown {
            challenge.stated = Method::Frictionless;
        }
    }
    if let Some(method) = message.authentication_method {
        challenge.stated = stated(method);
    }
    if message.challenge_cancel == Some(ChallengeCancel::Cardholder)
        && message.trans_status.is_none()
    {
        challenge.status = TransStatus::NotAuthenticated;
    }
}

/// The method that an ACS states, in our words.
fn stated(method: AuthenticationMethod) -> Method {
    match method {
        AuthenticationMethod::SmsOtp => Method::Otp,
        AuthenticationMethod::ElectronicId => Method::Eid,
        AuthenticationMethod::Unknown => Method::Unknown,
        AuthenticationMethod::StaticPasscode
        | AuthenticationMethod::KeyFobOtp
        | AuthenticationMethod::AppOtp
        | AuthenticationMethod::OtherOtp
        | AuthenticationMethod::Kba
        | AuthenticationMethod::OobBiometrics
        | AuthenticationMethod::OobLogin
        | AuthenticationMethod::OobOther
        | AuthenticationMethod::Other
        | AuthenticationMethod::Push
        | AuthenticationMethod::Decoupled
        | AuthenticationMethod::WebAuthn
        | AuthenticationMethod::Spc
        | AuthenticationMethod::Behavioural => Method::Other,
    }
}

fn one_time_password(challenge: &mut Challenge, action: Action) {
    if action == Action::Sent {
        challenge.otp_sent = true;
    } else if action == Action::Delivered {
        challenge.otp_delivered = true;
    } else if action == Action::Accepted {
        challenge.otp_accepted = true;
    } else if action == Action::Rejected {
        challenge.otp_rejections = challenge.otp_rejections.saturating_add(1);
    }
}

fn eid_step(challenge: &mut Challenge, event: &Event, eid: &Eid, setting: &Setting) {
    challenge.eid_seen = true;
    challenge.eid_country = event.place.country.map_or(0, Country::index);
    challenge.eid_country_accustomed = setting.country_accustomed;
    challenge.eid_network_accustomed = setting.network_accustomed;
    if eid.action == Action::Authenticated {
        challenge.eid_method = match eid.authenticator {
            Some(Authenticator::CodeCard) => Method::EidCodeCard,
            Some(Authenticator::CodeToken) => Method::EidCodeToken,
            Some(Authenticator::App) => Method::EidApp,
            Some(Authenticator::Unknown) | None => Method::Eid,
        };
    }
}
