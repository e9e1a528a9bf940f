-- Roles for a ClickHouse server of your own. Run it as an administrator.
--
-- weir_owner    makes database weir, its tables and views, and changes them for a
--               new version. The views run as the account that made them.
-- weir_writer   adds evidence, and can neither read, change nor remove any.
-- weir_reader   answers the gateway's own questions: sessions, replay.
-- weir_auditor  reads the views. No payloads, no tables.

CREATE ROLE IF NOT EXISTS weir_owner;
GRANT CREATE DATABASE, CREATE TABLE, CREATE VIEW, DROP VIEW, ALTER TABLE, ALTER VIEW, SHOW, SELECT, INSERT ON weir.* TO weir_owner;
GRANT SELECT ON system.tables TO weir_owner;

CREATE ROLE IF NOT EXISTS weir_writer;
GRANT INSERT ON weir.events TO weir_writer;
GRANT INSERT ON weir.payloads TO weir_writer;

CREATE ROLE IF NOT EXISTS weir_auditor;
GRANT SELECT ON weir.all_events TO weir_auditor;
GRANT SELECT ON weir.sessions TO weir_auditor;
GRANT SELECT ON weir.operations TO weir_auditor;
GRANT SELECT ON weir.denials TO weir_auditor;
GRANT SELECT ON weir.sign_in_refusals TO weir_auditor;
GRANT SELECT ON weir.approvals TO weir_auditor;
GRANT SELECT ON weir.privileged_operations TO weir_auditor;
GRANT SELECT ON weir.masked_reads TO weir_auditor;
GRANT SELECT ON weir.column_access TO weir_auditor;
GRANT SELECT ON weir.unmasked_reads TO weir_auditor;
GRANT SELECT ON weir.policy_changes TO weir_auditor;
GRANT SELECT ON weir.gaps TO weir_auditor;
GRANT SELECT ON weir.broken_chains TO weir_auditor;

CREATE ROLE IF NOT EXISTS weir_reader;
GRANT weir_auditor TO weir_reader;
GRANT SELECT ON weir.payloads TO weir_reader;

-- The account in evidence.clickhouse starts new versions, writes and reads:
--   CREATE USER weir IDENTIFIED BY '...';
--   GRANT weir_owner, weir_writer, weir_reader TO weir;
-- Auditors:
--   CREATE USER ada IDENTIFIED BY '...' SETTINGS readonly = 2;
--   GRANT weir_auditor TO ada;
