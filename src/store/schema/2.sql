-- What people do at the console. Times are milliseconds since 1970 UTC, wall time.

-- Who may log in.
CREATE TABLE people (
    name TEXT PRIMARY KEY,
    -- A scope of the API: analyst, rule_author, admin, auditor, read_only.
    role TEXT NOT NULL,
    -- Argon2id, as a PHC string; of those who log in elsewhere empty.
    password TEXT NOT NULL,
    created BIGINT NOT NULL,
    changed BIGINT NOT NULL,
    -- 1 where they may not log in any more.
    disabled BIGINT NOT NULL
);

-- Who is logged in: of the token that the browser shows only the SHA-256.
CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    person TEXT NOT NULL REFERENCES people (name) ON DELETE CASCADE,
    begun BIGINT NOT NULL,
    seen BIGINT NOT NULL,
    ends BIGINT NOT NULL
);
CREATE INDEX sessions_by_person ON sessions (person, begun);
CREATE INDEX sessions_by_end ON sessions (ends);
CREATE INDEX sessions_by_seen ON sessions (seen);

-- Who works on an episode.
CREATE TABLE claims (
    alert TEXT PRIMARY KEY REFERENCES alerts (id) ON DELETE CASCADE,
    person TEXT NOT NULL,
    since BIGINT NOT NULL
);
CREATE INDEX claims_by_person ON claims (person, since);

-- What people wrote of an episode.
CREATE TABLE notes (
    id TEXT PRIMARY KEY,
    alert TEXT NOT NULL REFERENCES alerts (id) ON DELETE CASCADE,
    person TEXT NOT NULL,
    at BIGINT NOT NULL,
    text TEXT NOT NULL
);
CREATE INDEX notes_by_alert ON notes (alert, at, id);

-- What people found of an episode: `fraud`, `good`, `undetermined`; the newest counts. The id is the event's in the log.
CREATE TABLE dispositions (
    id TEXT PRIMARY KEY,
    alert TEXT NOT NULL REFERENCES alerts (id) ON DELETE CASCADE,
    verdict TEXT NOT NULL,
    person TEXT NOT NULL,
    reason TEXT NOT NULL,
    at BIGINT NOT NULL
);
CREATE INDEX dispositions_by_alert ON dispositions (alert, at, id);
CREATE INDEX dispositions_by_time ON dispositions (at, id);

-- Who has looked at an episode; each single look stands in the audit log.
CREATE TABLE views (
    alert TEXT NOT NULL REFERENCES alerts (id) ON DELETE CASCADE,
    person TEXT NOT NULL,
    first BIGINT NOT NULL,
    last BIGINT NOT NULL,
    times BIGINT NOT NULL,
    PRIMARY KEY (alert, person)
);

-- What came or changed since a moment.
CREATE INDEX alerts_by_change ON alerts (changed, id);
