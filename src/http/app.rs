//! What every handler can reach.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web;
use tokio::sync::Semaphore;

use super::body::BodyLimits;
use super::problem::Problem;
use crate::carrier_api::authenticate::CarrierRegistry;
use crate::casework::builder_thread::BuilderBell;
use crate::domain::submission::Region;
use crate::intake::accept::Intake;
use crate::store::StoreError;
use crate::store::connection::{Connection, ReadPool};
use crate::telemetry::metrics::Metrics;

/// How long a request waits for its turn to read.
const READ_TURN_WAIT: Duration = Duration::from_secs(2);

/// The gateway, as handlers see it.
pub struct App {
    /// The path of a report.
    pub intake: Intake,
    /// Who may call.
    pub carriers: Arc<CarrierRegistry>,
    /// Reading the store.
    pub reads: Reads,
    /// How numbers are read here.
    pub region: Region,
    /// Bounds on bodies.
    pub body_limits: BodyLimits,
    /// The builder's own word on how it does.
    pub builder: Arc<BuilderBell>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

/// Reads run on blocking threads, as many at once as there are connections: waiting is done asynchronously, in front.
pub struct Reads {
    /// The connections.
    pub pool: ReadPool,
    turns: Arc<Semaphore>,
}

impl Reads {
    /// Reads by the connections of `pool`.
    #[must_use]
    pub fn new(pool: ReadPool) -> Self {
        let size = usize::try_from(pool.max_size()).unwrap_or(1);
        Self { pool, turns: Arc::new(Semaphore::new(size)) }
    }

    /// Runs a read.
    ///
    /// # Errors
    /// 503 when no turn came in time or the database failed; the cause is logged here, once.
    pub async fn run<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Problem> {
        let waiting = Arc::clone(&self.turns).acquire_owned();
        let Ok(Ok(turn)) = tokio::time::timeout(READ_TURN_WAIT, waiting).await else {
            return Err(Problem::store_unavailable());
        };
        let pool = self.pool.clone();
        let read = move || {
            // Held until the read has ended, also when its client has left by then.
            let _turn = turn;
            read(&mut *pool.get()?)
        };
        match web::block(read).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(Problem::store_failed(&error)),
            Err(_cancelled) => Err(Problem::store_unavailable()),
        }
    }
}
