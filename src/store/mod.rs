//! The databases, behind diesel: the only place that knows SQL.
//!
//! SQLite is two files, because one file has one writer: `journal.db`, written by the journal writer alone, and
//! `spamgate.db`, everything else. Readers open the second and attach the first read-only.

pub mod building;
pub mod carriers;
pub mod cases;
pub mod connection;
pub mod journal;
pub mod keys;
pub mod reports;
pub mod schema;

use std::path::PathBuf;

/// Why a store operation failed: an error of ours or of the machine, never of a caller.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The URL is of no engine known.
    #[error("store.url: `{0}` is no engine this version has: use `sqlite:`")]
    UnknownEngine(String),
    /// The data directory cannot be used.
    #[error("data directory {path}: {source}")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The database could not be opened.
    #[error("the database cannot be opened: {0}")]
    Connect(#[from] diesel::ConnectionError),
    /// A statement failed.
    #[error("the database failed: {0}")]
    Query(#[from] diesel::result::Error),
    /// No pooled connection became free in time.
    #[error("no database connection became free in time: {0}")]
    Pool(#[from] diesel::r2d2::PoolError),
    /// Migrations failed.
    #[error("the database cannot be brought to this version: {0}")]
    Migrate(String),
    /// A row holds what this version cannot read.
    #[error("row {seq} of the journal holds an unknown `{column}`: it was written by another version")]
    UnknownWord {
        /// Which row.
        seq: i64,
        /// Which column.
        column: &'static str,
    },
}

impl StoreError {
    /// Whether another connection holds the lock that was asked for: not a failure, try again later.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        matches!(self, Self::Query(diesel::result::Error::DatabaseError(_, information))
            if information.message().contains("locked"))
    }
}
