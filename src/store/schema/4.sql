-- Who works on a case, so that an index leads to what one person has and to what nobody has; empty for nobody.
ALTER TABLE cases ADD COLUMN person TEXT NOT NULL DEFAULT '';
UPDATE cases SET person = coalesce((SELECT person FROM claims WHERE claims.alert = cases.alert), '');
CREATE INDEX cases_by_person ON cases (is_open, person, rank, alert);

-- Dispositions of the log whose case has not come yet: topics are not read in step.
CREATE TABLE early (
    id TEXT PRIMARY KEY,
    alert TEXT NOT NULL,
    line TEXT NOT NULL,
    came BIGINT NOT NULL
);
CREATE INDEX early_by_alert ON early (alert, came, id);
CREATE INDEX early_by_age ON early (came, id);
