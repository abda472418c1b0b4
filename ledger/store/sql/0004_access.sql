-- Who may use the doors, and what was read through them. Beside the log: nothing in here is an event,
-- and no answer depends on it.

-- A token is `ql_<id>_<secret>`: the secret has 256 random bits, is shown once, and only its SHA-256
-- is kept. A token is never deleted, so whose it was can always be told.
CREATE TABLE qledger.token (
    id text COLLATE "C" PRIMARY KEY CHECK (id ~ '^[a-z0-9]{8}$'),
    secret_sha256 bytea NOT NULL CHECK (length(secret_sha256) = 32),
    person text NOT NULL CHECK (length(person) BETWEEN 1 AND 200),
    role text COLLATE "C" NOT NULL,
    made_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    made_by text NOT NULL,
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz,
    last_used date,              -- a day, not an instant: enough to find what nobody uses any more
    CHECK (made_at < expires_at)
);

CREATE TRIGGER token_stays BEFORE DELETE OR TRUNCATE ON qledger.token
    FOR EACH STATEMENT EXECUTE FUNCTION qledger.refuse_change();

CREATE TRIGGER token_ends_once BEFORE UPDATE ON qledger.token
    FOR EACH ROW WHEN (
        (OLD.id, OLD.secret_sha256, OLD.person, OLD.role, OLD.made_at, OLD.made_by, OLD.expires_at)
        IS DISTINCT FROM
        (NEW.id, NEW.secret_sha256, NEW.person, NEW.role, NEW.made_at, NEW.made_by, NEW.expires_at)
        OR OLD.revoked_at IS NOT NULL AND NEW.revoked_at IS DISTINCT FROM OLD.revoked_at
    )
    EXECUTE FUNCTION qledger.refuse_change();

-- What auditors read, and what was exported by whomever: it only grows.
CREATE TABLE qledger.reading (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    person text NOT NULL,
    role text COLLATE "C" NOT NULL,
    how text NOT NULL,           -- by which token, or issuer
    asked text NOT NULL CHECK (length(asked) <= 8000),
    bases jsonb NOT NULL,        -- the bases that the answer states
    answer_sha256 bytea NOT NULL CHECK (length(answer_sha256) = 32),
    answer_bytes bigint NOT NULL CHECK (answer_bytes >= 0)
);

CREATE TRIGGER reading_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON qledger.reading
    FOR EACH STATEMENT EXECUTE FUNCTION qledger.refuse_change();
