//! What a scoring thread has counted since it last added it to the metrics: plain numbers, so that
//! the hot loop touches nothing that other threads touch.

/// Counts of a thread, added to the metrics batch by batch.
#[derive(Debug, Default, Clone)]
pub struct Tally {
    /// Records taken from the log.
    pub records: u64,
    /// Events applied.
    pub applied: u64,
    /// Duplicates by id.
    pub duplicates: u64,
    /// Source records that the log had already.
    pub repeats: u64,
    /// Late events.
    pub late: u64,
    /// Unknown codes.
    pub unknown_codes: u64,
    /// Refused records, by reason.
    pub rejects: Vec<&'static str>,
    /// Payments decided.
    pub payments: u64,
    /// Decisions by action: allow, step up, decline.
    pub actions: [u64; 3],
    /// Alert lines by severity.
    pub alerts: Vec<&'static str>,
    /// Hold lines by state.
    pub holds: Vec<&'static str>,
    /// Holds of which somebody said that all was good.
    pub found_good: u64,
    /// Ranges of the log that are lost.
    pub gaps: u64,
    /// Event time of the newest event, in milliseconds.
    pub newest_ms: i64,
}
