//! The two engines behind one connection type.

#![expect(missing_docs, reason = "the derive makes items of its own")]

use diesel::pg::PgConnection;
use diesel::sqlite::SqliteConnection;

/// A connection to either engine. Queries are written once; where the engines need different words, a function matches on
/// it. (In a module of its own, because what the derive makes does not bear other names beside it.)
#[derive(diesel::MultiConnection)]
pub enum AnyConnection {
    /// A PostgreSQL session.
    Postgresql(PgConnection),
    /// SQLite, with the journal attached.
    Sqlite(SqliteConnection),
}
