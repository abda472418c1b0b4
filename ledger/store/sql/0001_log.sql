-- The log: one head row, one table of events that only grows, one function that appends.
--
-- Law: positions are 1, 2, 3, ... in commit order without a gap, for whoever appends locks the head
-- row and keeps the lock until commit; a rollback takes the head back with it. recorded_at is the
-- clock under that lock and never decreases. The envelope is the event; a column repeats a part.

CREATE TABLE qledger.head (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    size bigint NOT NULL CHECK (size >= 0),
    recorded_at timestamptz
) WITH (fillfactor = 10);  -- room on the page, so that each append updates the row in place

INSERT INTO qledger.head (size) VALUES (0);

CREATE TABLE qledger.event (
    position bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    occurred_at timestamptz NOT NULL,
    known_at timestamptz NOT NULL,
    stream_version integer NOT NULL,
    witnessed boolean NOT NULL,
    event_id uuid NOT NULL,
    stream text COLLATE "C" NOT NULL,
    type text COLLATE "C" NOT NULL,
    leaf_hash bytea NOT NULL,
    envelope bytea NOT NULL,
    CONSTRAINT event_position PRIMARY KEY (position),
    CONSTRAINT event_event_id UNIQUE (event_id),
    CONSTRAINT event_stream_version UNIQUE (stream, stream_version)
);

ALTER TABLE qledger.event ALTER COLUMN envelope SET STORAGE EXTERNAL;  -- never compressed

CREATE FUNCTION qledger.refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    RAISE EXCEPTION 'qledger.% only grows: % is refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE TRIGGER event_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON qledger.event
    FOR EACH STATEMENT EXECUTE FUNCTION qledger.refuse_change();

CREATE TRIGGER head_stays BEFORE INSERT OR DELETE OR TRUNCATE ON qledger.head
    FOR EACH STATEMENT EXECUTE FUNCTION qledger.refuse_change();

CREATE TRIGGER head_only_grows BEFORE UPDATE ON qledger.head
    FOR EACH ROW WHEN (NEW.size < OLD.size OR NEW.recorded_at < OLD.recorded_at)
    EXECUTE FUNCTION qledger.refuse_change();

-- How an instant is spelled in an envelope: 2026-03-31T23:59:59.999999Z.
CREATE FUNCTION qledger.format_instant(instant timestamptz) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT to_char(instant AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
$$;

-- Append prepared events: their bytes before and after position and recorded_at.
-- A known_at of null means that this ledger witnessed the event.
-- Returns the position of the first; the others follow it. Raises unique_violation on
-- event_event_id or event_stream_version, and then has appended nothing.
CREATE FUNCTION qledger.append(
    event_ids uuid[], streams text[], stream_versions integer[], types text[],
    occurred_ats timestamptz[], known_ats timestamptz[], befores bytea[], afters bytea[],
    OUT first_position bigint, OUT recorded_at timestamptz
) LANGUAGE plpgsql AS $$
DECLARE
    size_before bigint;
    written text;
BEGIN
    SELECT head.size, head.recorded_at INTO STRICT size_before, recorded_at
        FROM qledger.head FOR UPDATE;
    recorded_at := greatest(clock_timestamp(), recorded_at);  -- under the lock, not before it
    written := ',"recorded_at":"' || qledger.format_instant(recorded_at) || '",';
    INSERT INTO qledger.event (
        position, recorded_at, occurred_at, known_at, stream_version, witnessed,
        event_id, stream, type, leaf_hash, envelope
    )
    SELECT size_before + e.n, append.recorded_at, e.occurred_at,
           coalesce(e.known_at, append.recorded_at), e.stream_version, e.known_at IS NULL,
           e.event_id, e.stream, e.type, sha256('\x00'::bytea || e.envelope), e.envelope
    FROM (
        SELECT d.*, d.before
            || convert_to('"position":' || size_before + d.n || written, 'UTF8')
            || d.after AS envelope
        FROM unnest(event_ids, streams, stream_versions, types, occurred_ats, known_ats,
                    befores, afters)
             WITH ORDINALITY
             AS d (event_id, stream, stream_version, type, occurred_at, known_at,
                   before, after, n)
        OFFSET 0  -- a fence: the envelope is put together once
    ) AS e;
    UPDATE qledger.head
        SET size = size_before + cardinality(event_ids), recorded_at = append.recorded_at;
    first_position := size_before + 1;
    NOTIFY qledger;  -- a hint to who waits for events; nobody may rely on it
END
$$;
