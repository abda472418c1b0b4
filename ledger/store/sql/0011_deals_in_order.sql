-- A page of a book takes as many deals as it has rows, however many there are: states as known then
-- in the order of deals. Some thirty bytes an event, and a hundredth of the time of a rebuild.
--
-- The two large tables of a side can be indexed by themselves: a rebuild makes openings from entries
-- while states are still being indexed. Each takes half of the memory that both took before.

CREATE FUNCTION qledger.index_entries(side text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET maintenance_work_mem = '512MB' AS $$
DECLARE
    at_side text := qledger.schema_of_side(side);
    definition text;
BEGIN
    -- The entries that touch a month since an instant: into it or within it, and out of it. Entries
    -- come deal by deal and are read month by month: in that order a forecast reads few pages.
    IF to_regclass(at_side || '.forecast_entry_into') IS NULL THEN
        EXECUTE format(
            'CREATE INDEX forecast_entry_into ON %I.forecast_entry (month_after, at)', at_side);
        EXECUTE format('CLUSTER %I.forecast_entry USING forecast_entry_into', at_side);
    END IF;
    FOREACH definition IN ARRAY ARRAY[
        'INDEX IF NOT EXISTS forecast_entry_out_of ON %I.forecast_entry (month_before, at)
            WHERE month_before IS DISTINCT FROM month_after',
        -- What the projection replaces by.
        'UNIQUE INDEX IF NOT EXISTS forecast_entry_key ON %I.forecast_entry (deal, at)',
        -- The last opening of a month at an instant.
        'INDEX IF NOT EXISTS forecast_opening_key ON %I.forecast_opening (month, at)'
    ] LOOP
        EXECUTE format('CREATE ' || definition, at_side);
    END LOOP;
    EXECUTE format('ANALYZE %1$I.forecast_entry, %1$I.forecast_opening', at_side);
END
$$;

CREATE FUNCTION qledger.index_states(side text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET maintenance_work_mem = '512MB' AS $$
DECLARE
    at_side text := qledger.schema_of_side(side);
    definition text;
BEGIN
    FOREACH definition IN ARRAY ARRAY[
        -- One row of a deal at any (valid, known): what the projection updates by.
        'UNIQUE INDEX IF NOT EXISTS deal_state_key
            ON %I.deal_state (deal, known_from, valid_from)',
        -- The next four are read by `projections.tables.stabbing`: spans of one axis, by month and
        -- class, each with all that a forecast sums, so that no row is fetched for it.
        -- As known then: a rectangle holds (t, t) where t is in its span on the diagonal.
        'INDEX IF NOT EXISTS deal_state_diagonal ON %I.deal_state
            (qledger.month_of(counts_on), qledger.span_class(greatest(valid_from, known_from),
                least(valid_to, known_to)), greatest(valid_from, known_from))
            INCLUDE (counts_on, valid_from, valid_to, known_from, known_to, owner, currency, amount,
                category, outcome, evidenced, weight_percent)
            WHERE greatest(valid_from, known_from) < least(valid_to, known_to)',
        -- Hindsight, at (V, K) with K > V: known only after V; V is in its span of valid time.
        'INDEX IF NOT EXISTS deal_state_hindsight ON %I.deal_state
            (qledger.month_of(counts_on), qledger.span_class(valid_from,
                least(valid_to, known_from)), valid_from)
            INCLUDE (counts_on, valid_to, known_from, known_to, owner, currency, amount,
                category, outcome, evidenced, weight_percent)
            WHERE valid_from < known_from',
        -- Foresight, at (V, K) with V > K: the same with the axes exchanged.
        'INDEX IF NOT EXISTS deal_state_foresight ON %I.deal_state
            (qledger.month_of(counts_on), qledger.span_class(known_from,
                least(known_to, valid_from)), known_from)
            INCLUDE (counts_on, valid_from, valid_to, known_to, owner, currency, amount,
                category, outcome, evidenced, weight_percent)
            WHERE known_from < valid_from',
        -- The deals that are listed because an amount or a close date is missing.
        'INDEX IF NOT EXISTS deal_state_incomplete ON %I.deal_state
            (qledger.month_of(counts_on), greatest(valid_from, known_from))
            INCLUDE (counts_on, amount, valid_from, valid_to, known_from, known_to, deal)
            WHERE amount IS NULL OR counts_on IS NULL',
        -- As known then, in the order of deals: reading ends with the page.
        'INDEX IF NOT EXISTS deal_state_in_order ON %I.deal_state
            (deal, greatest(valid_from, known_from), least(valid_to, known_to))
            WHERE greatest(valid_from, known_from) < least(valid_to, known_to)',
        -- The deals of an account.
        'INDEX IF NOT EXISTS deal_state_account ON %I.deal_state (account, deal)'
    ] LOOP
        EXECUTE format('CREATE ' || definition, at_side);
    END LOOP;
    EXECUTE format('ANALYZE %I.deal_state', at_side);
END
$$;

CREATE OR REPLACE FUNCTION qledger.index_side(side text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM qledger.index_entries(side), qledger.index_states(side);
END
$$;

REVOKE EXECUTE ON FUNCTION qledger.index_entries, qledger.index_states FROM PUBLIC;

-- A side that is being rebuilt gets its indexes when it is loaded.
SELECT qledger.index_side(side) FROM qledger.projection AS p
WHERE ready OR NOT EXISTS (SELECT FROM qledger.rebuild_part AS part WHERE part.side = p.side);
