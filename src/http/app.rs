//! What every handler can reach.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::web;
use tokio::sync::{AcquireError, Semaphore};
use uuid::Uuid;

use super::body::BodyLimits;
use super::problem::Problem;
use crate::carrier_api::authenticate::CarrierRegistry;
use crate::carrier_api::batch_gate::BatchGate;
use crate::casework::builder_thread::BuilderBell;
use crate::citizen::Site;
use crate::config::Role;
use crate::crypto::recipient::RecipientKey;
use crate::domain::mo_syntax::FakeNewsWord;
use crate::domain::network::Network;
use crate::domain::public_url::PublicUrl;
use crate::domain::submission::Region;
use crate::intake::accept::Intake;
use crate::outbound::standing::Standing;
use crate::store::StoreError;
use crate::store::connection::{Connection, ReadPool};
use crate::telemetry::metrics::Metrics;
use crate::verify::Verifier;

/// How long a request waits for its turn to read.
const READ_TURN_WAIT: Duration = Duration::from_secs(2);

/// How long a read may take, waiting for a connection included.
const READ_MAX: Duration = Duration::from_millis(2_500);

/// The gateway, as handlers see it.
pub struct App {
    /// What this node does.
    pub role: Role,
    /// The path of a report.
    pub intake: Intake,
    /// Who may call.
    pub carriers: Arc<CarrierRegistry>,
    /// Reading the store.
    pub reads: Reads,
    /// Writing down carriers' answers, by connections of their own: a read never waits for a writer.
    pub answers: Reads,
    /// What answers' notes are sealed to.
    pub authority: RecipientKey,
    /// The word that begins a subscriber's report of fake news.
    pub fake_news_word: FakeNewsWord,
    /// How numbers are read here.
    pub region: Region,
    /// Whose `X-Forwarded-For` is believed; see [`super::client_ip`].
    pub trusted_proxies: Vec<Network>,
    /// How carriers reach the gateway, as their signatures name it; none means as each request says.
    pub public_url: Option<PublicUrl>,
    /// Bounds on bodies.
    pub body_limits: BodyLimits,
    /// How many batches are taken at once.
    pub batches: BatchGate,
    /// The builder's own word on how it does.
    pub builder: Arc<BuilderBell>,
    /// How telling carriers does.
    pub outbound: Arc<Standing>,
    /// The citizens' pages.
    pub citizen: Site,
    /// Whether somebody has the phone of a number.
    pub verifier: Verifier,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

/// Reads run on blocking threads, as many at once as there are connections: waiting is done asynchronously, in front.
pub struct Reads {
    /// The connections.
    pub pool: ReadPool,
    turns: Semaphore,
    /// Each carrier's part of the turns.
    parts: Mutex<HashMap<Uuid, Arc<Semaphore>>>,
    part: usize,
}

impl Reads {
    /// Reads by the connections of `pool`.
    #[must_use]
    pub fn new(pool: ReadPool) -> Self {
        let size = usize::try_from(pool.max_size()).unwrap_or(1);
        Self { pool, turns: Semaphore::new(size), parts: Mutex::default(), part: (size / 2).max(1) }
    }

    /// Runs a read for a carrier, which has at most half of the turns: whatever it reads, another's turn comes.
    ///
    /// # Errors
    /// 503 when no turn came in time or the database failed; the cause is logged here, once.
    pub async fn run_for<T: Send + 'static>(
        &self,
        carrier: Uuid,
        read: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Problem> {
        let part = {
            let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(parts.entry(carrier).or_insert_with(|| Arc::new(Semaphore::new(self.part))))
        };
        self.run_within(Some(&part), read).await
    }

    /// Runs a read for the operators.
    ///
    /// # Errors
    /// The same.
    pub async fn run<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Problem> {
        self.run_within(None, read).await
    }

    async fn run_within<T: Send + 'static>(
        &self,
        part: Option<&Semaphore>,
        read: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Problem> {
        let waiting = async {
            let of_part = match part {
                Some(part) => Some(part.acquire().await?),
                None => None,
            };
            Ok::<_, AcquireError>((of_part, self.turns.acquire().await?))
        };
        let Ok(Ok(turn)) = tokio::time::timeout(READ_TURN_WAIT, waiting).await else {
            return Err(Problem::store_unavailable());
        };
        let pool = self.pool.clone();
        // Goes on when its client leaves. One that hangs gives its turn back: the pool then has no connection for the
        // next, which hears so in time.
        let reading = web::block(move || read(&mut *pool.get()?));
        let outcome = tokio::time::timeout(READ_MAX, reading).await;
        drop(turn);
        match outcome {
            Ok(Ok(Ok(value))) => Ok(value),
            Ok(Ok(Err(error))) => Err(Problem::store_failed(&error)),
            // Cancelled, or not in time.
            Ok(Err(_)) | Err(_) => Err(Problem::store_unavailable()),
        }
    }
}
