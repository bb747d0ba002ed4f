-- Times are milliseconds since 1970 UTC: `at` event time, the others wall time. Severities are 1 (low) to 4 (critical).

-- One row for each episode: its newest line, and when it came first.
CREATE TABLE alerts (
    id TEXT PRIMARY KEY,
    first_at BIGINT NOT NULL,
    at BIGINT NOT NULL,
    seen BIGINT NOT NULL,
    changed BIGINT NOT NULL,
    status TEXT NOT NULL,
    severity BIGINT NOT NULL,
    score BIGINT NOT NULL,
    fed BIGINT NOT NULL,
    pattern TEXT NOT NULL,
    cardholder TEXT NOT NULL,
    card TEXT,
    line TEXT NOT NULL
);
CREATE INDEX alerts_by_urgency ON alerts (status, severity, score, id);
CREATE INDEX alerts_by_cardholder ON alerts (cardholder, at);

-- One row for each hold: its newest line.
CREATE TABLE holds (
    id TEXT PRIMARY KEY,
    alert TEXT NOT NULL,
    at BIGINT NOT NULL,
    state TEXT NOT NULL,
    step BIGINT NOT NULL,
    cardholder TEXT NOT NULL,
    card TEXT,
    line TEXT NOT NULL
);
CREATE INDEX holds_by_alert ON holds (alert);

-- What a route has been told of an episode.
CREATE TABLE told (
    route TEXT NOT NULL,
    alert TEXT NOT NULL REFERENCES alerts (id) ON DELETE CASCADE,
    times BIGINT NOT NULL,
    last BIGINT NOT NULL,
    severity BIGINT NOT NULL,
    PRIMARY KEY (route, alert)
);
CREATE INDEX told_by_last ON told (route, last);

-- What a route is still to be told of an episode.
CREATE TABLE waiting (
    route TEXT NOT NULL,
    alert TEXT NOT NULL REFERENCES alerts (id) ON DELETE CASCADE,
    why TEXT NOT NULL,
    due BIGINT NOT NULL,
    silence TEXT,
    PRIMARY KEY (route, alert)
);
CREATE INDEX waiting_by_route ON waiting (route, due);
CREATE INDEX waiting_by_due ON waiting (due);
CREATE INDEX waiting_by_alert ON waiting (alert);

-- How far the messages to an address or a webhook are spent: see `notify/pace.rs`.
CREATE TABLE paces (receiver TEXT PRIMARY KEY, spent BIGINT NOT NULL);

-- Messages, one row for each receiver.
CREATE TABLE outbox (
    id TEXT PRIMARY KEY,
    route TEXT NOT NULL,
    channel TEXT NOT NULL,
    target TEXT NOT NULL,
    alert TEXT,
    episodes BIGINT NOT NULL,
    body TEXT NOT NULL,
    created BIGINT NOT NULL,
    due BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    state TEXT NOT NULL,
    doubtful BIGINT NOT NULL,
    error TEXT,
    ended BIGINT
);
CREATE INDEX outbox_by_due ON outbox (channel, state, due);
CREATE INDEX outbox_by_end ON outbox (state, ended);
CREATE INDEX outbox_by_alert ON outbox (alert, target);

-- Each attempt at sending one.
CREATE TABLE deliveries (
    message TEXT NOT NULL REFERENCES outbox (id) ON DELETE CASCADE,
    attempt BIGINT NOT NULL,
    at BIGINT NOT NULL,
    result TEXT NOT NULL,
    said TEXT,
    PRIMARY KEY (message, attempt)
);

-- What is not to be told for a while; an empty text matches everything.
CREATE TABLE silences (
    id TEXT PRIMARY KEY,
    pattern TEXT NOT NULL,
    cardholder TEXT NOT NULL,
    card TEXT NOT NULL,
    below BIGINT NOT NULL,
    author TEXT NOT NULL,
    comment TEXT NOT NULL,
    begins BIGINT NOT NULL,
    ends BIGINT NOT NULL
);

-- The next record of each partition, kept with what the records before it caused.
CREATE TABLE offsets (
    topic TEXT NOT NULL,
    part BIGINT NOT NULL,
    next BIGINT NOT NULL,
    PRIMARY KEY (topic, part)
);

-- Who does what only one may do.
CREATE TABLE leases (name TEXT PRIMARY KEY, holder TEXT NOT NULL, until BIGINT NOT NULL);
