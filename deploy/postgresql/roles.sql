-- Database users that may do no more than their part. Run it once, in the database, as its owner or a superuser, after
-- `spamgate migrate`; again after a newer version has migrated:
--
--   psql -v ON_ERROR_STOP=1 -d spamgate -f roles.sql
--
-- Users are made without a password: give each one its own (`\password spamgate_intake`) or a client certificate.
--
--   spamgate_intake   nodes with the role `intake`     appends to the journal; reads no tag, no envelope, no similarity
--   spamgate_builder  the builder on review nodes      reads the journal but for envelopes; writes what is derived
--   spamgate_review   the rest of a review node, and commands such as `carrier add`

BEGIN;

DO $$
DECLARE
    name TEXT;
BEGIN
    FOREACH name IN ARRAY ARRAY['spamgate_intake', 'spamgate_builder', 'spamgate_review'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
            EXECUTE format('CREATE ROLE %I LOGIN', name);
        END IF;
    END LOOP;
END
$$;

REVOKE CREATE ON SCHEMA public FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA public, journal FROM spamgate_intake, spamgate_builder, spamgate_review;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA public, journal FROM spamgate_intake, spamgate_builder, spamgate_review;

GRANT USAGE ON SCHEMA public, journal TO spamgate_intake, spamgate_builder, spamgate_review;
GRANT SELECT ON public.__diesel_schema_migrations, key_checks, builder_cursor, journal.meta, journal.numbering
    TO spamgate_intake, spamgate_builder, spamgate_review;
GRANT SELECT ON journal.arrivals TO spamgate_intake, spamgate_builder, spamgate_review;
GRANT EXECUTE ON FUNCTION journal.counts_on(), journal.adopt_cluster(), journal.horizon()
    TO spamgate_intake, spamgate_builder, spamgate_review;

-- Intake. Neither `seq` nor `day`: no node writes its rows behind the builder's back.
GRANT INSERT (
    report_id, event_kind, source, owner, reporter_tag, proof, sender_kind, sender_tag, channel, category, harm,
    money_lost, province, occurred_at, received_at, fingerprint, text_tag, similarity, track_tag, tag_key_id,
    data_key_id, envelope, is_legit
) ON journal.reports TO spamgate_intake;
GRANT INSERT ON journal.data_keys TO spamgate_intake;
GRANT USAGE ON SEQUENCE journal.row_numbers TO spamgate_intake;
GRANT SELECT ON carriers, api_keys, signing_keys, report_status TO spamgate_intake;
-- What a reporter is told of a report, and whether digits are the reporter's: asked, not read.
GRANT SELECT (seq, report_id, event_kind, received_at, channel, category, source) ON journal.reports TO spamgate_intake;
GRANT EXECUTE ON FUNCTION journal.has_track_tag(BIGINT, BYTEA) TO spamgate_intake, spamgate_review;
-- Whoever holds a reported number sees that it is, and answers once.
GRANT EXECUTE ON FUNCTION reported_cases(BYTEA, INTEGER) TO spamgate_intake, spamgate_review;
GRANT INSERT ON responses TO spamgate_intake, spamgate_review;
-- Files of reports: put there, not read. They go with their report.
GRANT SELECT (report_id, place, content_tag), INSERT ON evidence TO spamgate_intake;
GRANT INSERT ON evidence TO spamgate_review;
-- Nodes add up what became of each carrier's reports.
GRANT SELECT, INSERT, UPDATE ON carrier_usage TO spamgate_intake, spamgate_review;
-- Carriers are told what a review node has sealed to each.
GRANT SELECT ON feed_items TO spamgate_intake;
GRANT SELECT (carrier_id, public_key) ON feed_terms TO spamgate_intake;
GRANT SELECT (id, carrier_id, position, body) ON carrier_requests TO spamgate_intake;
GRANT SELECT (request_id, outcome, answer_tag, answered_at), INSERT ON request_answers TO spamgate_intake;

-- Builder.
GRANT SELECT (
    seq, day, report_id, event_kind, source, owner, reporter_tag, proof, sender_kind, sender_tag, channel, category,
    harm, money_lost, province, occurred_at, received_at, fingerprint, text_tag, similarity, tag_key_id, is_legit
) ON journal.reports TO spamgate_builder;
GRANT UPDATE ON builder_cursor TO spamgate_builder;
GRANT SELECT, INSERT, UPDATE ON cases TO spamgate_builder;
GRANT SELECT, INSERT, UPDATE, DELETE ON case_totals, voices, report_index, counted_fingerprints, caseless_figures,
    amended_reports, further_rows, voice_parts, kept_repeats, withdrawn_rows TO spamgate_builder;
GRANT SELECT (report_id), DELETE ON evidence TO spamgate_builder;
-- Changes rows of withdrawn reports and no other.
GRANT EXECUTE ON FUNCTION journal.blank_withdrawn(INTEGER) TO spamgate_builder;
GRANT USAGE ON SEQUENCE cases_id_seq TO spamgate_builder;
GRANT EXECUTE ON FUNCTION journal.make_partitions(INTEGER), journal.is_default_partition_used() TO spamgate_builder;

-- Review. The cursor is locked while a case is decided.
GRANT SELECT ON ALL TABLES IN SCHEMA public, journal TO spamgate_review;
GRANT UPDATE ON builder_cursor, cases TO spamgate_review;
GRANT UPDATE ON journal.meta TO spamgate_review;
GRANT INSERT ON decisions, key_checks, carrier_requests TO spamgate_review;
GRANT UPDATE (body) ON carrier_requests TO spamgate_review;
GRANT INSERT, UPDATE ON carriers, api_keys, signing_keys, feed_terms, feed_items, webhooks TO spamgate_review;
GRANT INSERT, UPDATE, DELETE ON webhook_deliveries TO spamgate_review;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO spamgate_review;

COMMIT;

-- Lets `/readyz` name the session that holds the builder back. Needs a superuser; without it only its process is named.
DO $$
BEGIN
    GRANT pg_read_all_stats TO spamgate_builder;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE NOTICE 'pg_read_all_stats was not granted to spamgate_builder: a superuser may do so later';
END
$$;
