//! The names of the topics that scoring reads and writes, as every bench has them at hand.
//!
//! What they are for stands in `topics`.

use crate::config::Config;

/// Names of the topics that a shard writes and reads.
#[derive(Debug)]
pub struct Names {
    /// The log.
    pub log: String,
    /// Decisions.
    pub decisions: String,
    /// Alerts.
    pub alerts: String,
    /// Holds.
    pub holds: String,
    /// Dead letters.
    pub dead_letters: String,
}

impl Names {
    /// As configured.
    pub fn of(config: &Config) -> Self {
        let topics = &config.topics;
        Self {
            log: topics.log.clone(),
            decisions: topics.decisions.clone(),
            alerts: topics.alerts.clone(),
            holds: topics.holds.clone(),
            dead_letters: topics.dead_letters.clone(),
        }
    }
}
