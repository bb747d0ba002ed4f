//! Every call of the API in one table: the router, the OpenAPI description and who may call what are
//! made of it.
//!
//! What a call does stands in `pages`.

use crate::api::failure::Code;

/// What a caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The ACS: asks, and tells what became of holds.
    Acs,
    /// The authorization host: asks, and tells what became of holds.
    Host,
    /// An analyst: looks, releases, disposes.
    Analyst,
    /// Whoever writes rules: looks.
    RuleAuthor,
    /// Whoever runs the monitor: everything.
    Admin,
    /// Whoever audits it: looks.
    Auditor,
    /// Looks only.
    ReadOnly,
    /// Another instance, which hands over the calls of others; may ask for nothing itself.
    Peer,
}

impl Scope {
    /// Every scope.
    pub const ALL: &'static [Self] = &[
        Self::Acs,
        Self::Host,
        Self::Analyst,
        Self::RuleAuthor,
        Self::Admin,
        Self::Auditor,
        Self::ReadOnly,
        Self::Peer,
    ];

    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Acs => "acs",
            Self::Host => "host",
            Self::Analyst => "analyst",
            Self::RuleAuthor => "rule_author",
            Self::Admin => "admin",
            Self::Auditor => "auditor",
            Self::ReadOnly => "read_only",
            Self::Peer => "peer",
        }
    }
}

/// One call.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// `GET` or `POST`.
    pub method: &'static str,
    /// Its path; a part in braces is a parameter.
    pub path: &'static str,
    /// What it does, in a sentence.
    pub says: &'static str,
    /// What its query may have: name and meaning.
    pub query: &'static [(&'static str, &'static str)],
    /// The schema of its body.
    pub body: Option<&'static str>,
    /// The schema of its answer.
    pub answer: &'static str,
    /// Whether it judges an attempt, so that a failure states the fallback.
    pub judges: bool,
    /// The failures that are its own.
    pub failures: &'static [Code],
    /// Who may call it; nobody named: anybody.
    pub scopes: &'static [Scope],
}

use Scope::{Acs, Admin, Analyst, Auditor, Host, ReadOnly, RuleAuthor};

const LOOKS: &[Scope] = &[Acs, Host, Analyst, RuleAuthor, Admin, Auditor, ReadOnly];
const PEOPLE: &[Scope] = &[Analyst, RuleAuthor, Admin, Auditor, ReadOnly];
const JUDGES: &[Code] = &[
    Code::BadRequest,
    Code::Refused,
    Code::CardNumber,
    Code::NotAQuestion,
    Code::TooLarge,
    Code::SlowBody,
    Code::Restoring,
    Code::NoOwner,
    Code::OwnerMoved,
    Code::OwnerUnreachable,
    Code::Deadline,
    Code::Overloaded,
    Code::RateLimited,
];
const STEPS: &[Code] = &[
    Code::AuditUnavailable,
    Code::BadRequest,
    Code::CardNumber,
    Code::UnknownHold,
    Code::HoldOver,
    Code::LogUnavailable,
    Code::TooLarge,
    Code::SlowBody,
];
const LISTED: &[(&str, &str)] = &[
    ("cardholder", "only of this cardholder"),
    ("card", "only of this card"),
    ("state", "only in this state"),
    (
        "limit",
        "at most so many, the newest first: 1 to 200, 50 where it is not given",
    ),
];

const fn look(path: &'static str, says: &'static str, answer: &'static str) -> Route {
    Route {
        method: "GET",
        path,
        says,
        query: &[],
        body: None,
        answer,
        judges: false,
        failures: &[],
        scopes: LOOKS,
    }
}

const fn step(path: &'static str, says: &'static str) -> Route {
    Route {
        method: "POST",
        path,
        says,
        query: &[],
        body: Some("Said"),
        answer: "Hold",
        judges: false,
        failures: STEPS,
        scopes: &[Acs, Host, Analyst, Admin],
    }
}

/// Every call.
pub const ROUTES: &[Route] = &[
    Route {
        method: "POST",
        body: Some("Question"),
        judges: true,
        failures: JUDGES,
        scopes: &[Acs, Host, Analyst, Admin],
        ..look(
            "/v1/assessments",
            "Judges an authorization without its outcome, or an AReq of the contract; changes nothing.",
            "Answer",
        )
    },
    Route {
        method: "POST",
        body: Some("EmvAreq"),
        judges: true,
        failures: &[
            Code::BadRequest,
            Code::Refused,
            Code::NoTokenKey,
            Code::MessageVersion,
            Code::TooLarge,
            Code::SlowBody,
            Code::Restoring,
            Code::NoOwner,
            Code::OwnerMoved,
            Code::OwnerUnreachable,
            Code::Deadline,
            Code::Overloaded,
            Code::RateLimited,
        ],
        scopes: &[Acs, Admin],
        ..look(
            "/v1/acs/areq",
            "Judges an EMV 3-D Secure AReq in the standard's own field names (2.1.0, 2.2.0, 2.3.1).",
            "Answer",
        )
    },
    Route {
        failures: &[
            Code::BadRequest,
            Code::CardNumber,
            Code::Restoring,
            Code::NoOwner,
            Code::OwnerUnreachable,
            Code::Deadline,
        ],
        ..look(
            "/v1/cards/{card}",
            "What is known of a card: holds in force and open alerts.",
            "Card",
        )
    },
    Route {
        query: LISTED,
        failures: &[Code::BadRequest],
        scopes: PEOPLE,
        ..look("/v1/alerts", "Alerts as they stand.", "Alerts")
    },
    Route {
        method: "POST",
        body: Some("Verdict"),
        failures: &[
            Code::AuditUnavailable,
            Code::BadRequest,
            Code::CardNumber,
            Code::UnknownAlert,
            Code::LogUnavailable,
            Code::TooLarge,
            Code::SlowBody,
        ],
        scopes: &[Analyst, Admin],
        ..look(
            "/v1/alerts/{id}/disposition",
            "Records what an analyst says of an alert.",
            "Alert",
        )
    },
    Route {
        query: LISTED,
        failures: &[Code::BadRequest],
        ..look("/v1/holds", "Holds as they stand.", "Holds")
    },
    step(
        "/v1/holds/{id}/acknowledge",
        "Tells that the ACS or host has taken a hold up.",
    ),
    step(
        "/v1/holds/{id}/enforced",
        "Tells that an attempt was stepped up or declined for a hold.",
    ),
    Route {
        body: Some("Release"),
        scopes: &[Analyst, Admin],
        ..step("/v1/holds/{id}/release", "Releases a hold; needs a reason.")
    },
    Route {
        failures: &[Code::Deadline],
        ..look(
            "/v1/enforcement",
            "Whether all enforcement is suspended, by whom and why.",
            "Enforcement",
        )
    },
    Route {
        method: "POST",
        body: Some("Switch"),
        failures: &[
            Code::AuditUnavailable,
            Code::BadRequest,
            Code::CardNumber,
            Code::LogUnavailable,
            Code::TooLarge,
            Code::SlowBody,
        ],
        scopes: &[Admin],
        ..look(
            "/v1/enforcement",
            "Suspends all enforcement at once, or resumes it.",
            "Enforcement",
        )
    },
    look(
        "/v1/problems",
        "Every code of a failure, with its status and what to do.",
        "Problems",
    ),
    Route {
        failures: &[Code::NoOwner],
        ..look(
            "/v1/reasons",
            "Every code of a reason under the rule book in force.",
            "Reasons",
        )
    },
    Route {
        scopes: &[],
        ..look(
            "/v1/proto",
            "The same questions and answers for gRPC, as a `.proto`.",
            "Text",
        )
    },
    Route {
        scopes: &[],
        ..look("/openapi.json", "This description.", "Anything")
    },
];
