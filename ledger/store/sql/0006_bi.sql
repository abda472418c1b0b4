-- The schema bi: the read models for tools that speak only SQL (Metabase, Superset, psql).
--
-- Law: nothing here writes, and whoever is a bi_reader sees this schema and nothing behind it. Views and
-- functions read the live side of the read models, in one statement each, so what one of them says
-- belongs together. They answer at the projected position: every row says it as basis_position, and
-- bi.projection says how far behind the log it is. An older horizon, what only this ledger witnessed, or
-- another playbook version is asked over GraphQL, which folds the log where the read models cannot tell.

CREATE SCHEMA bi;

-- The position that answers are made at. It refuses to answer while the read models are being made.
CREATE FUNCTION bi.basis_position() RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found qledger.projection;
BEGIN
    SELECT * INTO found FROM qledger.projection WHERE live;
    IF found.ready IS NOT TRUE OR found.rules = '' THEN
        RAISE EXCEPTION 'the read models are not made yet'
            USING ERRCODE = 'object_not_in_prerequisite_state',
                HINT = 'run qledger rebuild, or serve, which keeps them up to date';
    END IF;
    RETURN found.position;
END
$$;

CREATE VIEW bi.projection AS
    SELECT p.position AS basis_position, head.size AS head_position,
        head.size - p.position AS lag_events, p.projected_at, p.rules AS basis_rules,
        p.zone AS time_zone, p.ready, p.halted_at AS halted_at_position
    FROM qledger.projection AS p, qledger.head WHERE p.live;

-- The states of deals of the side that is live.
CREATE VIEW bi.deal_history AS
    SELECT s.*, p.position AS basis_position
    FROM qledger.projection AS p
    JOIN qledger_a.deal_state AS s ON p.side = 'a'
    WHERE p.live
    UNION ALL
    SELECT s.*, p.position
    FROM qledger.projection AS p
    JOIN qledger_b.deal_state AS s ON p.side = 'b'
    WHERE p.live;

-- Deals as of an instant: as known at it, or at another one.
CREATE FUNCTION bi.deal_state(as_of timestamptz, known_at timestamptz DEFAULT NULL)
RETURNS TABLE (
    deal text, deal_name text, account text, owner text, stage text, category text, outcome text,
    amount numeric, currency text, close_date date, counts_on date, dimensions jsonb,
    evidenced text, stands_at text, weight_percent integer, weighted_amount numeric,
    as_of_instant timestamptz, basis_known_at timestamptz, basis_position bigint
)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC' SET jit = off ROWS 10000 AS $$
DECLARE
    at_known timestamptz := coalesce(deal_state.known_at, deal_state.as_of);
    at_position bigint := bi.basis_position();
    at_side text := (SELECT 'qledger_' || p.side FROM qledger.projection AS p WHERE p.live);
BEGIN
    IF as_of IS NULL THEN
        RAISE EXCEPTION 'as_of is null' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    RETURN QUERY EXECUTE format(
        'SELECT s.deal, s.name, s.account, s.owner, s.stage, s.category, s.outcome, s.amount,
            s.currency, s.close_date, s.counts_on, s.dimensions, s.evidenced, s.gate,
            s.weight_percent::integer, s.amount * s.weight_percent * 0.01, $1, $2, $3
        FROM %I.deal_state AS s
        WHERE s.valid_from <= $1 AND s.valid_to > $1 AND s.known_from <= $2 AND s.known_to > $2',
        at_side
    ) USING as_of, at_known, at_position;
END
$$;

-- The forecast as of an instant of the deals that count from a day to another, both included: one row
-- for each month, owner, currency, measure (claimed, evidenced, weighted, closed) and category.
CREATE FUNCTION bi.forecast(
    as_of timestamptz, first_day date, last_day date, known_at timestamptz DEFAULT NULL
)
RETURNS TABLE (
    month date, owner text, currency text, measure text, category text, amount numeric,
    deals bigint, as_of_instant timestamptz, basis_known_at timestamptz, basis_position bigint
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp ROWS 1000 AS $$
    SELECT qledger.month_of(s.counts_on), s.owner, s.currency, m.measure, m.category,
        sum(m.amount), count(*), s.as_of_instant, s.basis_known_at, s.basis_position
    FROM bi.deal_state(forecast.as_of, forecast.known_at) AS s
    CROSS JOIN LATERAL (VALUES
        ('claimed', s.category, s.amount), ('evidenced', s.evidenced, s.amount),
        ('weighted', s.evidenced, s.weighted_amount), ('closed', 'closed', s.amount)
    ) AS m (measure, category, amount)
    WHERE s.counts_on BETWEEN forecast.first_day AND forecast.last_day
    AND (m.measure <> 'closed' OR s.outcome = 'won')
    GROUP BY 1, 2, 3, 4, 5, 8, 9, 10
$$;

-- Deals now: at the instant of the statement, as known then.
CREATE VIEW bi.deal AS SELECT * FROM bi.deal_state(now());

-- Every change of what a deal adds to the forecast, as known then: from one account to another.
CREATE VIEW bi.forecast_entry AS
    SELECT e.*, p.position AS basis_position
    FROM qledger.projection AS p
    JOIN qledger_a.forecast_entry AS e ON p.side = 'a'
    WHERE p.live
    UNION ALL
    SELECT e.*, p.position
    FROM qledger.projection AS p
    JOIN qledger_b.forecast_entry AS e ON p.side = 'b'
    WHERE p.live;

COMMENT ON SCHEMA bi IS 'The qualification ledger for tools that speak only SQL. Read-only.';
COMMENT ON VIEW bi.projection IS 'The position that bi answers at, and how far behind the log it is.';
COMMENT ON VIEW bi.deal IS 'Deals now: what is claimed of each, and what its evidence supports.';
COMMENT ON VIEW bi.deal_history IS 'All states of deals: each holds for a span of valid time and a span of knowledge.';
COMMENT ON VIEW bi.forecast_entry IS 'Every change of what a deal adds to the forecast, as known then, with the positions of its causes.';
COMMENT ON FUNCTION bi.deal_state IS 'Deals as of an instant, as known then, or as known at another instant.';
COMMENT ON FUNCTION bi.forecast IS 'The forecast as of an instant of deals that count between two days, by month, owner, currency, measure and category.';
