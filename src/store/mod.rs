//! The databases, behind diesel: the only place that knows SQL.
//!
//! Two engines, one query text: [`connection::Connection`] is either, and [`sqlite`] and [`postgresql`] open them. Where
//! thousands of rows are looked up or written at once the engines want different things, and a function has two ways:
//! SQLite runs in this process, so one prepared statement a row is cheapest; PostgreSQL is asked once for all rows.

pub mod amending;
pub mod building;
pub mod carriers;
pub mod cases;
pub mod connection;
pub mod duty;
pub mod engine;
pub mod evidence;
pub mod feed;
pub mod journal;
pub mod keys;
pub mod postgresql;
pub mod reports;
pub mod requests;
pub mod responses;
pub mod schema;
pub mod signing_keys;
pub mod sqlite;
pub mod upkeep;
pub mod usage;
pub mod webhooks;
pub mod withdrawing;

use std::path::PathBuf;

/// Why a store operation failed: an error of ours or of the machine, never of a caller.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The URL is of no engine known.
    #[error("store.url: `{0}` is no engine: use `sqlite:` or `postgresql:`")]
    UnknownEngine(String),
    /// The URL cannot be read; it is not shown, because it may hold a password.
    #[error("store.url cannot be read: {0}")]
    BadUrl(&'static str),
    /// Only a server that was taken over from is to be found.
    #[error("the only server that takes writes is on an older timeline than one seen before: it was failed over from")]
    OldPrimary,
    /// No thread could be started.
    #[error("no thread can be started: {0}")]
    Thread(std::io::Error),
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
    /// Another node's builder is at work.
    #[error("another builder holds the cursor: the database is locked for this one")]
    CursorHeld,
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
        match self {
            Self::CursorHeld => true,
            // What SQLite says of BEGIN IMMEDIATE.
            Self::Query(diesel::result::Error::DatabaseError(_, information)) => {
                information.message() == "database is locked"
            }
            _ => false,
        }
    }
}
