-- What the two roles may do. Applied after each migration; repeating it is harmless.
GRANT USAGE ON SCHEMA qledger TO qledger_app, qledger_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA qledger TO qledger_app, qledger_reader;
GRANT INSERT ON qledger.event TO qledger_app;
GRANT UPDATE (size, recorded_at) ON qledger.head TO qledger_app;
REVOKE EXECUTE ON FUNCTION qledger.append, qledger.append_one FROM PUBLIC;
GRANT EXECUTE ON FUNCTION qledger.append, qledger.append_one TO qledger_app;
GRANT USAGE ON SCHEMA qledger_a, qledger_b TO qledger_app, qledger_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA qledger_a, qledger_b TO qledger_app, qledger_reader;
GRANT INSERT, UPDATE, DELETE, TRUNCATE ON ALL TABLES IN SCHEMA qledger_a, qledger_b TO qledger_app;
GRANT INSERT, UPDATE, DELETE, TRUNCATE ON qledger.projection, qledger.known_block TO qledger_app;
GRANT EXECUTE ON FUNCTION qledger.index_side, qledger.index_entries, qledger.index_states,
    qledger.unindex_side TO qledger_app;
GRANT INSERT, UPDATE, DELETE ON qledger.rebuild_part TO qledger_app;
GRANT INSERT ON qledger.token, qledger.reading TO qledger_app;
GRANT UPDATE (revoked_at, last_used) ON qledger.token TO qledger_app;
REVOKE ALL ON qledger.token, qledger.reading FROM qledger_reader;
GRANT INSERT ON qledger.document TO qledger_app;
GRANT UPDATE (removed_at) ON qledger.document TO qledger_app;
