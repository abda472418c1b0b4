-- Read models: what the log says of every deal at every basis, kept so that asking is looking.
--
-- Two sides of the same tables, qledger_a and qledger_b: one is live, beside it the other is rebuilt,
-- and one UPDATE of qledger.projection swaps them. All in here can be dropped and made again from the
-- log; nothing in here is evidence of anything.

CREATE TABLE qledger.projection (
    side text PRIMARY KEY CHECK (side IN ('a', 'b')),
    live boolean NOT NULL,
    position bigint NOT NULL CHECK (position >= 0),  -- all events up to it are in the tables
    rules text NOT NULL,                             -- the version of the folding code
    zone text NOT NULL,                              -- the reporting time zone: it says on which day a deal closed
    ready boolean NOT NULL,                          -- indexed and caught up: may be asked, may go live
    halted_at bigint,                                -- the event that could not be projected
    halted_because text,
    projected_at timestamptz,                        -- when the position last moved
    swapped_at timestamptz,                          -- when it last went live or ceased to be
    CONSTRAINT projection_one_live EXCLUDE USING btree (live WITH =) WHERE (live)
        DEFERRABLE INITIALLY IMMEDIATE               -- looked at when the UPDATE that swaps is done
);
INSERT INTO qledger.projection (side, live, position, rules, zone, ready)
    VALUES ('a', true, 0, '', 'UTC', true), ('b', false, 0, '', 'UTC', false);

-- For each thousand positions, the earliest known_at among its events: whether what was recorded after
-- a horizon could have been known at an instant.
CREATE TABLE qledger.known_block (
    block bigint PRIMARY KEY,  -- position / 1000
    known_from timestamptz NOT NULL
);


CREATE SCHEMA qledger_a;

CREATE TABLE qledger_a.deal_state (
    deal text COLLATE "C" NOT NULL,
    valid_from timestamptz NOT NULL,
    valid_to timestamptz NOT NULL,
    known_from timestamptz NOT NULL,
    known_to timestamptz NOT NULL,
    name text,
    account text COLLATE "C",
    owner text COLLATE "C",
    stage text COLLATE "C",
    category text COLLATE "C" NOT NULL,
    outcome text COLLATE "C" NOT NULL,
    amount numeric,
    currency text COLLATE "C",
    close_date date,
    counts_on date,
    dimensions jsonb,
    evidenced text COLLATE "C" NOT NULL,
    gate text COLLATE "C",
    weight_percent smallint NOT NULL,
    CHECK (valid_from < valid_to AND known_from < known_to)
);

CREATE TABLE qledger_a.forecast_entry (
    deal text COLLATE "C" NOT NULL,
    at timestamptz NOT NULL,
    move text COLLATE "C",
    causes bigint[] NOT NULL,
    month_before date,
    owner_before text COLLATE "C",
    currency_before text COLLATE "C",
    amount_before numeric,
    category_before text COLLATE "C",
    evidenced_before text COLLATE "C",
    weight_before smallint,
    outcome_before text COLLATE "C",
    month_after date,
    owner_after text COLLATE "C",
    currency_after text COLLATE "C",
    amount_after numeric,
    category_after text COLLATE "C",
    evidenced_after text COLLATE "C",
    weight_after smallint,
    outcome_after text COLLATE "C"
);

CREATE TABLE qledger_a.forecast_opening (
    month date NOT NULL,
    at timestamptz NOT NULL,
    measure text COLLATE "C" NOT NULL,
    owner text COLLATE "C",
    currency text COLLATE "C",
    category text COLLATE "C" NOT NULL,
    amount numeric NOT NULL,
    deals integer NOT NULL
);


CREATE SCHEMA qledger_b;

CREATE TABLE qledger_b.deal_state (
    deal text COLLATE "C" NOT NULL,
    valid_from timestamptz NOT NULL,
    valid_to timestamptz NOT NULL,
    known_from timestamptz NOT NULL,
    known_to timestamptz NOT NULL,
    name text,
    account text COLLATE "C",
    owner text COLLATE "C",
    stage text COLLATE "C",
    category text COLLATE "C" NOT NULL,
    outcome text COLLATE "C" NOT NULL,
    amount numeric,
    currency text COLLATE "C",
    close_date date,
    counts_on date,
    dimensions jsonb,
    evidenced text COLLATE "C" NOT NULL,
    gate text COLLATE "C",
    weight_percent smallint NOT NULL,
    CHECK (valid_from < valid_to AND known_from < known_to)
);

CREATE TABLE qledger_b.forecast_entry (
    deal text COLLATE "C" NOT NULL,
    at timestamptz NOT NULL,
    move text COLLATE "C",
    causes bigint[] NOT NULL,
    month_before date,
    owner_before text COLLATE "C",
    currency_before text COLLATE "C",
    amount_before numeric,
    category_before text COLLATE "C",
    evidenced_before text COLLATE "C",
    weight_before smallint,
    outcome_before text COLLATE "C",
    month_after date,
    owner_after text COLLATE "C",
    currency_after text COLLATE "C",
    amount_after numeric,
    category_after text COLLATE "C",
    evidenced_after text COLLATE "C",
    weight_after smallint,
    outcome_after text COLLATE "C"
);

CREATE TABLE qledger_b.forecast_opening (
    month date NOT NULL,
    at timestamptz NOT NULL,
    measure text COLLATE "C" NOT NULL,
    owner text COLLATE "C",
    currency text COLLATE "C",
    category text COLLATE "C" NOT NULL,
    amount numeric NOT NULL,
    deals integer NOT NULL
);


-- A rebuild that is not finished: the deals in ranges of streams, and which of them are loaded.
CREATE TABLE qledger.rebuild_part (
    side text NOT NULL CHECK (side IN ('a', 'b')),
    number integer NOT NULL,
    first_stream text COLLATE "C" NOT NULL,  -- from it on,
    end_stream text COLLATE "C" NOT NULL,    -- before this one
    done boolean NOT NULL DEFAULT false,
    events bigint NOT NULL DEFAULT 0,        -- how many were folded
    PRIMARY KEY (side, number)
);


-- Indexes of the two sides. A rebuild loads a side without them and makes them afterwards: COPY into
-- indexed tables takes twice as long in all. The role that loads does not own the tables, so two
-- functions of the owner do it; they take no statement from outside, and leave the live side alone.

-- In which class of lengths a span falls: each about twice as long as the one before; 99 is without
-- end. Stabbing spans of one class is a range scan: those that hold an instant began less than the
-- class's bound before it (`projections.tables.stabbing` has the same bounds).
CREATE FUNCTION qledger.span_class(span_from timestamptz, span_to timestamptz) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN span_to = timestamptz '9999-12-31 23:59:59.999999+00' THEN 99
                ELSE width_bucket(span_to - span_from, '{4 hours,12 hours,1 day,2 days,4 days,8 days,
                    16 days,32 days,64 days,128 days,256 days,512 days,1024 days,2048 days,
                    4096 days}'::interval[]) END
$$;

-- The first day of a day's month.
CREATE FUNCTION qledger.month_of(day date) RETURNS date
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT day - (extract(day FROM day)::integer - 1)
$$;

CREATE FUNCTION qledger.schema_of_side(side text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF side IS NULL OR side NOT IN ('a', 'b') THEN
        RAISE EXCEPTION 'there is no side %', side USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN 'qledger_' || side;
END
$$;

CREATE FUNCTION qledger.index_side(side text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET maintenance_work_mem = '1GB' AS $$
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
        -- The deals of an account.
        'INDEX IF NOT EXISTS deal_state_account ON %I.deal_state (account, deal)',
        -- The last opening of a month at an instant.
        'INDEX IF NOT EXISTS forecast_opening_key ON %I.forecast_opening (month, at)'
    ] LOOP
        EXECUTE format('CREATE ' || definition, at_side);
    END LOOP;
    EXECUTE format('ANALYZE %1$I.deal_state, %1$I.forecast_entry, %1$I.forecast_opening', at_side);
END
$$;

CREATE FUNCTION qledger.unindex_side(side text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    at_side text := qledger.schema_of_side(side);
    name text;
BEGIN
    IF EXISTS (SELECT FROM qledger.projection p WHERE p.side = unindex_side.side AND p.live) THEN
        RAISE EXCEPTION 'side % is live: its indexes stay', side
            USING ERRCODE = 'object_in_use';
    END IF;
    FOR name IN
        SELECT indexname FROM pg_indexes WHERE schemaname = at_side
    LOOP
        EXECUTE format('DROP INDEX %I.%I', at_side, name);
    END LOOP;
END
$$;

REVOKE EXECUTE ON FUNCTION qledger.index_side, qledger.unindex_side FROM PUBLIC;

SELECT qledger.index_side('a'), qledger.index_side('b');
