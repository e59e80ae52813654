-- Times are microseconds since 1970 UTC. Tags are keyed hashes; no column holds a number or a text in clear.

-- journal.db: written by the journal writer alone. Append only; nothing here has a second index, because a random
-- index inside the acknowledged commit costs two thirds of the throughput. Checks are chains of OR: SQLite builds a
-- temporary b-tree for each IN list at each insert, which doubled the cost of a row.

CREATE TABLE IF NOT EXISTS journal.meta (
    name  TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
);
INSERT OR IGNORE INTO journal.meta (name, value) VALUES ('store_epoch', randomblob(16));

CREATE TABLE IF NOT EXISTS journal.data_keys (
    id         BIGINT NOT NULL PRIMARY KEY CHECK (id >= 0),
    created_at BIGINT NOT NULL,
    sealed     BLOB   NOT NULL
);

CREATE TABLE IF NOT EXISTS journal.reports (
    seq          INTEGER  NOT NULL PRIMARY KEY AUTOINCREMENT,
    report_id    BLOB     NOT NULL CHECK (length(report_id) = 16),
    event_kind   TEXT     NOT NULL CHECK (event_kind = 'report' OR event_kind = 'amendment' OR event_kind = 'withdrawal'),
    source       TEXT     NOT NULL CHECK (source = 'carrier_api' OR source = 'carrier_batch' OR source = 'carrier_mo' OR source = 'web'),
    owner        BLOB     NOT NULL CHECK (length(owner) = 16),
    reporter_tag BLOB     NOT NULL,
    proof        TEXT     NOT NULL CHECK (proof = 'none' OR proof = 'foreign' OR proof = 'carrier' OR proof = 'network' OR proof = 'otp'),
    sender_kind  TEXT     NOT NULL CHECK (sender_kind = 'msisdn' OR sender_kind = 'short_code' OR sender_kind = 'brandname' OR sender_kind = 'malformed' OR sender_kind = 'hidden'),
    sender_tag   BLOB,
    channel      TEXT     NOT NULL CHECK (channel = 'sms' OR channel = 'call'),
    category     TEXT     NOT NULL CHECK (category = 'spam' OR category = 'scam' OR category = 'fake_news'),
    harm         TEXT     CHECK (harm = 'health' OR harm = 'disaster' OR harm = 'finance' OR harm = 'impersonated_authority' OR harm = 'other'),
    money_lost   BOOLEAN,
    province     TEXT,
    occurred_at  BIGINT   NOT NULL,
    received_at  BIGINT   NOT NULL,
    fingerprint  BLOB     NOT NULL,
    text_tag     BLOB,
    similarity   BLOB,
    track_tag    BLOB     NOT NULL,
    tag_key_id   INTEGER  NOT NULL,
    data_key_id  BIGINT   NOT NULL,
    envelope     BLOB     NOT NULL
);

-- spamgate.db: everything else.

CREATE TABLE key_checks (
    name  TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
);

CREATE TABLE carriers (
    id         BLOB   NOT NULL PRIMARY KEY,
    name       TEXT   NOT NULL UNIQUE,
    key_hash   BLOB   NOT NULL UNIQUE,
    attests    TEXT   NOT NULL,
    per_second INTEGER,
    burst      INTEGER,
    created_at BIGINT NOT NULL,
    revoked_at BIGINT
);

-- One row. Its lock is the builder's lock; effects and cursor commit together.
CREATE TABLE builder_cursor (
    id           INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    seq          BIGINT  NOT NULL,
    report_id    BLOB,
    -- How far it has ever been: while a rebuild is on its way there, no case can be decided.
    furthest_seq BIGINT  NOT NULL
);
INSERT INTO builder_cursor (id, seq, furthest_seq) VALUES (1, 0, 0);

-- Identity, written once and never rebuilt.
CREATE TABLE cases (
    id         INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    reference  TEXT    NOT NULL UNIQUE,
    group_key  BLOB    NOT NULL,
    category   TEXT    NOT NULL,
    status     TEXT    NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'upheld', 'dismissed')),
    opened_seq BIGINT  NOT NULL,
    closed_seq BIGINT
);
CREATE UNIQUE INDEX cases_one_open_per_group ON cases (group_key) WHERE closed_seq IS NULL;
CREATE INDEX cases_by_group ON cases (group_key, opened_seq);

CREATE TABLE decisions (
    id         INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    case_id    BIGINT  NOT NULL REFERENCES cases (id),
    verdict    TEXT    NOT NULL CHECK (verdict IN ('upheld', 'dismissed')),
    reason     TEXT    NOT NULL,
    decided_by TEXT    NOT NULL,
    decided_at BIGINT  NOT NULL,
    at_seq     BIGINT  NOT NULL
);

-- Derived: everything below is emptied and made anew from the journal by `spamgate rebuild`.

CREATE TABLE case_totals (
    case_id         BIGINT  NOT NULL PRIMARY KEY REFERENCES cases (id),
    sender_kind     TEXT    NOT NULL,
    reports         BIGINT  NOT NULL,
    repeats         BIGINT  NOT NULL,
    voices          BIGINT  NOT NULL,
    foreign_voices  BIGINT  NOT NULL,
    sms             BIGINT  NOT NULL,
    calls           BIGINT  NOT NULL,
    carrier_api     BIGINT  NOT NULL,
    carrier_batch   BIGINT  NOT NULL,
    carrier_mo      BIGINT  NOT NULL,
    web             BIGINT  NOT NULL,
    money_lost      BIGINT  NOT NULL,
    first_report_at BIGINT  NOT NULL,
    last_report_at  BIGINT  NOT NULL
);

CREATE TABLE voices (
    case_id      BIGINT NOT NULL,
    reporter_tag BLOB   NOT NULL,
    reports      BIGINT NOT NULL,
    proof        TEXT   NOT NULL,
    attested_by  BLOB   NOT NULL,
    PRIMARY KEY (case_id, reporter_tag)
) WITHOUT ROWID;

CREATE TABLE report_index (
    report_id BLOB    NOT NULL PRIMARY KEY,
    seq       BIGINT  NOT NULL,
    owner     BLOB    NOT NULL,
    case_id   BIGINT,
    repeat_of BLOB,
    conflict  BOOLEAN NOT NULL
) WITHOUT ROWID;

-- The counted report that a repeat would repeat. Rows older than the window are swept by the builder.
CREATE TABLE counted_fingerprints (
    fingerprint BLOB   NOT NULL PRIMARY KEY,
    report_id   BLOB   NOT NULL,
    case_id     BIGINT,
    received_at BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX counted_fingerprints_by_age ON counted_fingerprints (received_at);

-- Reports that make no case: a hidden or malformed sender without text.
CREATE TABLE caseless_figures (
    day         BIGINT NOT NULL,
    category    TEXT   NOT NULL,
    sender_kind TEXT   NOT NULL,
    channel     TEXT   NOT NULL,
    reports     BIGINT NOT NULL,
    PRIMARY KEY (day, category, sender_kind, channel)
) WITHOUT ROWID;
