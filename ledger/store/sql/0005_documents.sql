-- Trusted documents: GraphQL questions by a short name, for tools that can only follow a link.
--
-- A name means one text for ever: what was kept of an answer under it stays right. A document that is
-- removed is not answered any more; its name is not given to another text.

CREATE TABLE qledger.document (
    id text COLLATE "C" PRIMARY KEY CHECK (id ~ '^[a-z0-9][a-z0-9.-]{0,99}$'),
    text text NOT NULL CHECK (length(text) BETWEEN 1 AND 100000),
    added_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    added_by text NOT NULL,
    removed_at timestamptz
);

CREATE TRIGGER document_stays BEFORE DELETE OR TRUNCATE ON qledger.document
    FOR EACH STATEMENT EXECUTE FUNCTION qledger.refuse_change();

CREATE TRIGGER document_is_what_it_was BEFORE UPDATE ON qledger.document
    FOR EACH ROW WHEN (
        (OLD.id, OLD.text, OLD.added_at, OLD.added_by)
        IS DISTINCT FROM (NEW.id, NEW.text, NEW.added_at, NEW.added_by)
    )
    EXECUTE FUNCTION qledger.refuse_change();
