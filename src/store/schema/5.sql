-- Log-in by way of an OpenID Connect provider. Times are milliseconds since 1970 UTC, wall time.

-- Who vouches for somebody: the provider's issuer, and what it calls them (`sub`); empty for who has a password here.
ALTER TABLE people ADD COLUMN issuer TEXT NOT NULL DEFAULT '';
ALTER TABLE people ADD COLUMN subject TEXT NOT NULL DEFAULT '';
CREATE UNIQUE INDEX people_by_subject ON people (issuer, subject) WHERE issuer <> '';

-- Log-ins that are on their way at the provider: of the token that the browser shows only a hash.
CREATE TABLE trips (
    id TEXT PRIMARY KEY,
    begun BIGINT NOT NULL,
    -- The page that it leads to.
    back TEXT NOT NULL,
    -- The session that the browser had, which the new one stands in for; empty for none.
    session TEXT NOT NULL
);
CREATE INDEX trips_by_begin ON trips (begun, id);
