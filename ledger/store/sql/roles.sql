-- What the two roles may do. Applied after each migration; repeating it is harmless.
GRANT USAGE ON SCHEMA qledger TO qledger_app, qledger_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA qledger TO qledger_app, qledger_reader;
GRANT INSERT ON qledger.event TO qledger_app;
GRANT UPDATE (size, recorded_at) ON qledger.head TO qledger_app;
REVOKE EXECUTE ON FUNCTION qledger.append, qledger.append_one FROM PUBLIC;
GRANT EXECUTE ON FUNCTION qledger.append, qledger.append_one TO qledger_app;
