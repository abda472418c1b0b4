-- Beside its balance an opening keeps what moved by day since the opening before, by measure: so that a
-- line of many days reads neither entries nor rectangles. `projections.tables.openings` makes both
-- anew from the entries.

TRUNCATE qledger_a.forecast_opening, qledger_b.forecast_opening;

ALTER TABLE qledger_a.forecast_opening
    ADD COLUMN since timestamptz NOT NULL,  -- where the opening before stands; else the first instant
    ADD COLUMN zone text NOT NULL,          -- the time zone in which days are cut
    ADD COLUMN claimed json NOT NULL,       -- packed: see projections.fold.moves
    ADD COLUMN evidenced json NOT NULL,
    ADD COLUMN weighted json NOT NULL,
    ADD COLUMN closed json NOT NULL;

ALTER TABLE qledger_b.forecast_opening
    ADD COLUMN since timestamptz NOT NULL,
    ADD COLUMN zone text NOT NULL,
    ADD COLUMN claimed json NOT NULL,
    ADD COLUMN evidenced json NOT NULL,
    ADD COLUMN weighted json NOT NULL,
    ADD COLUMN closed json NOT NULL;
