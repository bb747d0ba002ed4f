//! What the console reads of the lines of alerts, holds and decisions. What is not there is empty: a page is shown of what
//! there is.

use crate::domain::time::Moment;
use serde::Deserialize;

/// What is read of an alert's line.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Raised {
    /// Its newest event.
    pub at: String,
    /// The events that fed it.
    pub events: Vec<String>,
    /// The rules that it names.
    pub rules: Vec<Rule>,
    /// Their sentences.
    pub reasons: Vec<Reason>,
}

/// A rule, as alerts name it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Rule {
    /// Its id.
    pub id: String,
    /// Its version.
    pub version: i64,
}

/// A reason.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Reason {
    /// The rule's id, or a code of the engine's own.
    pub code: String,
    /// The sentence.
    pub text: String,
}

/// What is read of a hold's line.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Hold {
    /// Its id.
    pub id: String,
    /// `step_up` or `decline`.
    pub kind: String,
    /// Methods that may not satisfy it.
    pub methods_refused: Vec<String>,
    /// Where it is in its life.
    pub state: String,
    /// From when.
    pub from: String,
    /// Until when.
    pub until: String,
    /// The card; nothing where it is for all.
    pub card: Option<String>,
    /// The episode.
    pub alert: String,
}

impl Hold {
    /// Whether it still binds, or is on its way to.
    pub fn stands(&self) -> bool {
        !matches!(self.state.as_str(), "released" | "expired")
    }

    /// Until when, in milliseconds.
    pub fn until_ms(&self) -> i64 {
        ms(&self.until)
    }

    /// From when, in milliseconds.
    pub fn begins_ms(&self) -> i64 {
        ms(&self.from)
    }
}

/// What is read of a decision's line.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Decision {
    /// 0-999.
    pub score: i64,
    /// `allow`, `step_up`, `decline`.
    pub action: String,
    /// Methods that must not be accepted.
    pub methods_refused: Vec<String>,
    /// What a rule asked for and was not there.
    pub not_available: Vec<Missing>,
}

/// Something that a rule asked for and that was not there.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(default)]
pub struct Missing {
    /// What.
    pub what: String,
    /// Why.
    pub why: String,
}

fn ms(text: &str) -> i64 {
    Moment::parse(text).map_or(0, |moment| moment.ms)
}
