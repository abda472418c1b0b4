-- An opening of the journal is one row: a month at a midnight with all its accounts, packed as JSON.
-- A forecast takes it whole; a row an account cost more to find and to send than the rest of the
-- question. `projections.tables.openings` makes them anew from the entries.

DROP TABLE qledger_a.forecast_opening;
DROP TABLE qledger_b.forecast_opening;

CREATE TABLE qledger_a.forecast_opening (
    month date NOT NULL,
    at timestamptz NOT NULL,
    size integer NOT NULL,   -- how many accounts
    accounts json NOT NULL   -- packed: see projections.tables.accounts
);
CREATE UNIQUE INDEX forecast_opening_key ON qledger_a.forecast_opening (month, at);

CREATE TABLE qledger_b.forecast_opening (
    month date NOT NULL,
    at timestamptz NOT NULL,
    size integer NOT NULL,
    accounts json NOT NULL
);
CREATE UNIQUE INDEX forecast_opening_key ON qledger_b.forecast_opening (month, at);
