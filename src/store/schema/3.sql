-- What the console shows of an episode besides its line: see `notify/chronicle.rs`. Money is in minor units.

-- One row for each episode: what the queue is sorted and searched by.
CREATE TABLE cases (
    alert TEXT PRIMARY KEY REFERENCES alerts (id) ON DELETE CASCADE,
    -- 1 or 0.
    is_open BIGINT NOT NULL,
    -- See `cases::rank`.
    rank BIGINT NOT NULL,
    severity BIGINT NOT NULL,
    pattern TEXT NOT NULL,
    cardholder TEXT NOT NULL,
    -- The largest payment asked for, and where; nothing where none is known.
    at_risk BIGINT,
    currency TEXT,
    merchant TEXT,
    -- The merchant's name in small letters.
    sought TEXT,
    -- The newest disposition.
    verdict TEXT
);
CREATE INDEX cases_by_rank ON cases (is_open, rank, alert);
CREATE INDEX cases_by_severity ON cases (is_open, severity, rank, alert);
CREATE INDEX cases_by_pattern ON cases (is_open, pattern, rank, alert);
CREATE INDEX cases_by_both ON cases (is_open, pattern, severity, rank, alert);
CREATE INDEX cases_by_cardholder ON cases (cardholder, is_open, rank, alert);
CREATE INDEX cases_by_merchant ON cases (sought, is_open, rank, alert);

-- The rules that an episode names.
CREATE TABLE case_rules (
    alert TEXT NOT NULL REFERENCES alerts (id) ON DELETE CASCADE,
    rule TEXT NOT NULL,
    PRIMARY KEY (alert, rule)
);

-- Events of cardholders who have an episode, as the bank sent them, and what was decided on them.
CREATE TABLE events (
    cardholder TEXT NOT NULL,
    id TEXT NOT NULL,
    at BIGINT NOT NULL,
    line TEXT NOT NULL,
    -- Where its address lies.
    country TEXT,
    decision TEXT,
    PRIMARY KEY (cardholder, id)
);
CREATE INDEX events_by_time ON events (cardholder, at);

-- Counts by day (days since 1970, event time; 0 for a count of what stands now).
CREATE TABLE tallies (
    what TEXT NOT NULL,
    day BIGINT NOT NULL,
    key TEXT NOT NULL,
    count BIGINT NOT NULL,
    PRIMARY KEY (what, day, key)
);

-- Samples of records that were refused, masked; the newest few of each reason.
CREATE TABLE samples (
    place TEXT PRIMARY KEY,
    reason TEXT NOT NULL,
    said TEXT NOT NULL,
    at BIGINT NOT NULL,
    record TEXT NOT NULL
);
CREATE INDEX samples_by_reason ON samples (reason, at);

CREATE INDEX holds_by_step ON holds (step);
