-- A reporter's word that a message was wanted. A migration of its own: in SQLite the journal is a file that may have it
-- already when the other file was lost; see `SqliteFiles::prepare`.
ALTER TABLE journal.reports ADD COLUMN is_legit BOOLEAN NOT NULL DEFAULT FALSE;
