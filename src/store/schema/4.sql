-- Who works on a case, so that an index leads to what one person has and to what nobody has; empty for nobody.
ALTER TABLE cases ADD COLUMN person TEXT NOT NULL DEFAULT '';
UPDATE cases SET person = coalesce((SELECT person FROM claims WHERE claims.alert = cases.alert), '');
CREATE INDEX cases_by_person ON cases (is_open, person, rank, alert);
