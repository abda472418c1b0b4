-- A single event is appended by scalars: no arrays to put together and take apart, and the head row
-- is locked, moved and read by one statement.
--
-- The law is that of 0001: the row lock is held until commit. Whoever waits for it evaluates the SET
-- again on the row that the other one left, so recorded_at is the clock after the wait.

CREATE FUNCTION qledger.append_one(
    event_id uuid, stream text, stream_version integer, type text,
    occurred_at timestamptz, known_at timestamptz, before bytea, after bytea,
    OUT first_position bigint, OUT recorded_at timestamptz
) LANGUAGE plpgsql AS $$
DECLARE
    envelope bytea;
BEGIN
    UPDATE qledger.head
        SET size = head.size + 1, recorded_at = greatest(clock_timestamp(), head.recorded_at)
        RETURNING head.size, head.recorded_at INTO STRICT first_position, recorded_at;
    envelope := before || convert_to(
        '"position":' || first_position
        || ',"recorded_at":"' || qledger.format_instant(append_one.recorded_at) || '",', 'UTF8'
    ) || after;
    INSERT INTO qledger.event (
        position, recorded_at, occurred_at, known_at, stream_version, witnessed,
        event_id, stream, type, leaf_hash, envelope
    ) VALUES (
        first_position, append_one.recorded_at, append_one.occurred_at,
        coalesce(append_one.known_at, append_one.recorded_at), append_one.stream_version,
        append_one.known_at IS NULL, append_one.event_id, append_one.stream, append_one.type,
        sha256('\x00'::bytea || envelope), envelope
    );
    NOTIFY qledger;
END
$$;
