//! One connection type and one location type for both engines: what the rest of the program opens.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use diesel::connection::{AnsiTransactionManager, SimpleConnection, TransactionManager};
use diesel::r2d2::{ManageConnection, Pool, PooledConnection};

use super::StoreError;
use super::postgresql::{PgServers, Purpose};
use super::sqlite::SqliteFiles;

/// How long a read waits for a pooled connection.
const POOL_WAIT: Duration = Duration::from_secs(2);

/// The connection type of every store function.
pub type Connection = super::engine::AnyConnection;

/// Where the store is.
#[derive(Clone)]
pub enum StoreLocation {
    /// Files in the data directory.
    Sqlite(SqliteFiles),
    /// One server, or a primary and its replicas.
    Postgresql(Arc<PgServers>),
}

impl StoreLocation {
    /// The store of `url` (`sqlite:`, in the data directory, or `postgresql://…`).
    ///
    /// # Errors
    /// [`StoreError::UnknownEngine`]: SQLite itself would happily create a file named after a mistyped URL.
    pub fn new(url: &str, data_directory: &Path) -> Result<Self, StoreError> {
        // Only the scheme is shown: the rest of a URL may hold a password.
        match url.split_once(':') {
            Some(("sqlite", "")) => Ok(Self::Sqlite(SqliteFiles { directory: data_directory.to_owned() })),
            Some(("postgresql" | "postgres", _)) => Ok(Self::Postgresql(Arc::new(PgServers::new(url)?))),
            Some((scheme, _)) => Err(StoreError::UnknownEngine(scheme.to_owned())),
            None => Err(StoreError::UnknownEngine("?".to_owned())),
        }
    }

    /// Whether several nodes share it.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        matches!(self, Self::Postgresql(_))
    }

    /// Brings the store to this version's tables, making what is missing. Safe beside other processes.
    ///
    /// # Errors
    /// When it cannot be reached or written.
    pub fn prepare(&self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(files) => files.prepare(),
            Self::Postgresql(servers) => servers.prepare(),
        }
    }

    /// A connection that may change the tables, those of the journal too.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open_for_migration(&self) -> Result<Connection, StoreError> {
        match self {
            Self::Sqlite(files) => files.open_both_for_migration().map(Connection::Sqlite),
            Self::Postgresql(servers) => servers.open(Purpose::Command).map(Connection::Postgresql),
        }
    }

    /// Opens a connection and says which generation it belongs to: that of the whole time in which it was opened. Read
    /// before or after alone, a connection to an old server could pass for one to the new.
    ///
    /// # Errors
    /// As `open` says.
    pub fn open_in_generation(
        &self,
        open: impl Fn(&Self) -> Result<Connection, StoreError>,
    ) -> Result<(Connection, u64), StoreError> {
        let mut generation = self.generation();
        loop {
            let connection = open(self)?;
            let now = self.generation();
            if now == generation {
                return Ok((connection, generation));
            }
            generation = now;
        }
    }

    /// The journal writer's connection.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open_journal_writer(&self) -> Result<Connection, StoreError> {
        match self {
            Self::Sqlite(files) => files.open_journal_writer().map(Connection::Sqlite),
            Self::Postgresql(servers) => servers.open(Purpose::Writer).map(Connection::Postgresql),
        }
    }

    /// A connection that reads everything and writes all but the journal.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(&self) -> Result<Connection, StoreError> {
        match self {
            Self::Sqlite(files) => files.open().map(Connection::Sqlite),
            Self::Postgresql(servers) => servers.open(Purpose::Command).map(Connection::Postgresql),
        }
    }

    /// The same, as the builder needs it.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open_builder(&self) -> Result<Connection, StoreError> {
        match self {
            Self::Sqlite(files) => files.open_builder().map(Connection::Sqlite),
            Self::Postgresql(servers) => servers.open(Purpose::Builder).map(Connection::Postgresql),
        }
    }

    fn open_reader(&self) -> Result<Connection, StoreError> {
        match self {
            Self::Sqlite(files) => files.open().map(Connection::Sqlite),
            Self::Postgresql(servers) => servers.open(Purpose::Read).map(Connection::Postgresql),
        }
    }

    /// A pool of `size` connections for reads.
    ///
    /// # Errors
    /// When the first connection cannot be opened.
    pub fn open_pool(&self, size: u32) -> Result<ReadPool, StoreError> {
        let current = RwLock::new((self.generation(), self.make_pool(size)?));
        Ok(ReadPool(Arc::new(ReadPoolParts { location: self.clone(), size, current })))
    }

    fn make_pool(&self, size: u32) -> Result<Pool<Opener>, StoreError> {
        let builder = Pool::builder().max_size(size).min_idle(Some(0)).connection_timeout(POOL_WAIT);
        // Not connected yet: reads fail one by one while the database is away, and the pool stays.
        Ok(builder.build_unchecked(Opener(self.clone())))
    }

    /// Changes whenever another server, or a restored database, has become the one to talk to: connections of an older
    /// generation are to be left.
    #[must_use]
    pub fn generation(&self) -> u64 {
        match self {
            Self::Sqlite(_) => 0,
            Self::Postgresql(servers) => servers.generation(),
        }
    }

    /// Whether the database was lost from sight since what is in memory about it was last compared. What is remembered as
    /// stored cannot be vouched for then: it may come back from a backup.
    #[must_use]
    pub fn is_in_doubt(&self) -> bool {
        match self {
            Self::Sqlite(_) => false,
            Self::Postgresql(servers) => servers.is_in_doubt(),
        }
    }

    /// Says that the database was lost from sight.
    pub fn doubt(&self) {
        if let Self::Postgresql(servers) = self {
            servers.doubt();
        }
    }

    /// Looks whether the database has been silent for so long that it counts as lost from sight. To be called often.
    pub fn doubt_if_silent(&self) {
        if let Self::Postgresql(servers) = self {
            servers.doubt_if_silent();
        }
    }

    /// How often the database was lost from sight: a session that was opened before may be dead without knowing.
    #[must_use]
    pub fn doubts(&self) -> u64 {
        match self {
            Self::Sqlite(_) => 0,
            Self::Postgresql(servers) => servers.doubts(),
        }
    }

    /// What names this very store in markers: another after it was restored, or taken over by a replica. With it how often
    /// the store had been lost from sight before, for [`StoreLocation::settle`].
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read_epoch(&self) -> Result<(Vec<u8>, u64), StoreError> {
        match self {
            Self::Sqlite(_) => Ok((super::journal::find_store_epoch(&mut self.open()?)?, 0)),
            Self::Postgresql(servers) => {
                let seen = servers.doubts();
                let (connection, identity) = servers.open_identified(Purpose::Read)?;
                let mut epoch = super::journal::find_store_epoch(&mut Connection::Postgresql(connection))?;
                epoch.extend_from_slice(&identity.to_bytes());
                Ok((epoch, seen))
            }
        }
    }

    /// Ends the doubt of the first `seen` times.
    pub fn settle(&self, seen: u64) {
        if let Self::Postgresql(servers) = self {
            servers.settle(seen);
        }
    }

    /// Keeps an eye on the servers until the location is dropped: which of them takes writes, and whether it is still the
    /// same. SQLite needs none.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn watch(&self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgresql(servers) => PgServers::watch(servers),
        }
    }
}

/// Makes pooled connections.
pub struct Opener(StoreLocation);

impl ManageConnection for Opener {
    type Connection = Connection;
    type Error = StoreError;

    fn connect(&self) -> Result<Connection, StoreError> {
        self.0.open_reader()
    }

    fn is_valid(&self, connection: &mut Connection) -> Result<(), StoreError> {
        Ok(connection.batch_execute("SELECT 1")?)
    }

    fn has_broken(&self, connection: &mut Connection) -> bool {
        diesel::r2d2::R2D2Connection::is_broken(connection)
    }
}

/// A pool of connections for reading. After a failover it is made anew: connections to the old server may hang for ever.
#[derive(Clone)]
pub struct ReadPool(Arc<ReadPoolParts>);

struct ReadPoolParts {
    location: StoreLocation,
    size: u32,
    current: RwLock<(u64, Pool<Opener>)>,
}

impl ReadPool {
    /// Connections at most.
    #[must_use]
    pub fn max_size(&self) -> u32 {
        self.0.size
    }

    /// A connection, at most after two seconds.
    ///
    /// # Errors
    /// When none came free or could be opened.
    pub fn get(&self) -> Result<PooledConnection<Opener>, StoreError> {
        Ok(self.pool()?.get()?)
    }

    fn pool(&self) -> Result<Pool<Opener>, StoreError> {
        let parts = &self.0;
        let generation = parts.location.generation();
        let (made_for, pool) = parts.current.read().unwrap_or_else(PoisonError::into_inner).clone();
        if made_for == generation {
            return Ok(pool);
        }
        let fresh = parts.location.make_pool(parts.size)?;
        *parts.current.write().unwrap_or_else(PoisonError::into_inner) = (generation, fresh.clone());
        Ok(fresh)
    }
}

/// Runs `work` in a transaction that may write. On SQLite it takes the write lock first: a transaction that reads and then
/// writes would fail at once when another has written in between.
///
/// # Errors
/// As `work` says, or the database.
pub fn write_transaction<T, E: From<diesel::result::Error>>(
    connection: &mut Connection,
    work: impl FnOnce(&mut Connection) -> Result<T, E>,
) -> Result<T, E> {
    match connection {
        Connection::Postgresql(session) => AnsiTransactionManager::begin_transaction(session)?,
        Connection::Sqlite(file) => AnsiTransactionManager::begin_transaction_sql(file, "BEGIN IMMEDIATE")?,
    }
    match work(connection) {
        Ok(value) => {
            match connection {
                Connection::Postgresql(session) => AnsiTransactionManager::commit_transaction(session)?,
                Connection::Sqlite(file) => AnsiTransactionManager::commit_transaction(file)?,
            }
            Ok(value)
        }
        Err(error) => {
            // The first error tells more; a connection that cannot roll back is broken and found to be so at its next use.
            let _ = match connection {
                Connection::Postgresql(session) => AnsiTransactionManager::rollback_transaction(session),
                Connection::Sqlite(file) => AnsiTransactionManager::rollback_transaction(file),
            };
            Err(error)
        }
    }
}
