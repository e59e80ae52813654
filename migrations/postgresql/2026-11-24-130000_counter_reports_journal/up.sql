-- Whoever waits for this lock holds up all that comes after, reports too: better to fail and be tried again.
SET LOCAL lock_timeout = '300ms';
-- A reporter's word that a message was wanted. A migration of its own: in SQLite the journal is a file that may have it
-- already when the other file was lost; see `SqliteFiles::prepare`.
ALTER TABLE journal.reports ADD COLUMN is_legit BOOLEAN NOT NULL DEFAULT FALSE;
