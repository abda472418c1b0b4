-- An opening keeps one row of whole numbers for each holder (owner and currency) instead of an exact
-- decimal for each account: rows are added to rows. `projections.tables.openings` makes them anew.

TRUNCATE qledger_a.forecast_opening, qledger_b.forecast_opening;
COMMENT ON COLUMN qledger_a.forecast_opening.size IS 'how many holders have anything in it';
COMMENT ON COLUMN qledger_b.forecast_opening.size IS 'how many holders have anything in it';
