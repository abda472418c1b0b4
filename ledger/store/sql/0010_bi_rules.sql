-- The schema bi answers by the rules of this release, or it refuses.
--
-- Law: bi never gives numbers of other rules than those by which the API answers. Read models that an
-- earlier release made are folded anew by the API until they are rebuilt; SQL cannot fold, so it says
-- what to do. A release that changes the rules of folding brings a migration that replaces bi.rules.

-- The rules by which this release folds, as `ledger.domain.basis.RULES` has them.
CREATE FUNCTION bi.rules() RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT '2' $$;

-- The position that answers are made at. It refuses to answer while the read models are being made, and
-- while they are those of other rules.
CREATE OR REPLACE FUNCTION bi.basis_position() RETURNS bigint
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
    IF found.rules <> bi.rules() THEN
        RAISE EXCEPTION 'the read models were made by rules %, and this release answers by rules %',
            found.rules, bi.rules()
            USING ERRCODE = 'object_not_in_prerequisite_state',
                HINT = 'run qledger rebuild; until then the API answers by folding the log';
    END IF;
    RETURN found.position;
END
$$;

CREATE OR REPLACE VIEW bi.projection AS
    SELECT p.position AS basis_position, head.size AS head_position,
        head.size - p.position AS lag_events, p.projected_at, p.rules AS basis_rules,
        p.zone AS time_zone, p.ready, p.halted_at AS halted_at_position, bi.rules() AS api_rules
    FROM qledger.projection AS p, qledger.head WHERE p.live;

CREATE OR REPLACE VIEW bi.deal_history AS
    SELECT s.*, p.position AS basis_position
    FROM qledger.projection AS p
    JOIN qledger_a.deal_state AS s ON p.side = 'a'
    WHERE p.live AND p.position = bi.basis_position()
    UNION ALL
    SELECT s.*, p.position
    FROM qledger.projection AS p
    JOIN qledger_b.deal_state AS s ON p.side = 'b'
    WHERE p.live AND p.position = bi.basis_position();

CREATE OR REPLACE VIEW bi.forecast_entry AS
    SELECT e.*, p.position AS basis_position
    FROM qledger.projection AS p
    JOIN qledger_a.forecast_entry AS e ON p.side = 'a'
    WHERE p.live AND p.position = bi.basis_position()
    UNION ALL
    SELECT e.*, p.position
    FROM qledger.projection AS p
    JOIN qledger_b.forecast_entry AS e ON p.side = 'b'
    WHERE p.live AND p.position = bi.basis_position();

COMMENT ON VIEW bi.projection IS 'The position that bi answers at, how far behind the log it is, and by which rules: where basis_rules are not api_rules, bi refuses until qledger rebuild has run.';
COMMENT ON FUNCTION bi.rules IS 'The rules by which the API answers.';
