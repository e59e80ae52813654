//! What all tests share: a gateway to talk to, reports to send, answers to look at.

mod ambush_proxy;
mod answer;
mod app;
mod batch;
mod chaos_proxy;
mod commands;
mod feed;
mod gateway_process;
mod kannel;
mod load;
mod postgres_server;
mod raw;
mod receiver;
mod redis_app;
mod redis_cluster;
mod redis_process;
mod redis_sentinels;
mod redis_server;
mod report;
mod signer;
mod sms_gateway;
mod visitor;
mod waiting;

pub use ambush_proxy::{AmbushProxy, Way};
pub use answer::{Answer, RawAnswer};
pub use app::{Carrier, Engine, TestApp};
pub use chaos_proxy::ChaosProxy;
pub use commands::{Ran, spamgate};
pub use feed::FeedKey;
pub use gateway_process::GatewayProcess;
pub use kannel::Kannel;
pub use load::{Door, Load, REFUSED_WITHIN, Tally, an_hour_ago, stored_ids, without_limits};
pub use postgres_server::{Database, PostgresServer, Recovery};
pub use raw::Raw;
pub use receiver::{Received, Receiver, Reply};
pub use redis_cluster::RedisCluster;
pub use redis_sentinels::RedisSentinels;
pub use redis_server::{AnyRedis, RedisServer};
pub use report::{ReportBody, report, reporter};
pub use signer::{Secret, SignedRequest, Signer, WITH_BODY, Wish};
pub use sms_gateway::{OPERATORS_CODE, SmsGateway};
pub use visitor::{Page, Visitor};
pub use waiting::wait_until;

/// Makes each test run once on every engine, as `name::sqlite_memory`, `name::postgresql_redis` and so on.
///
/// A test that takes a [`TestApp`] gets a gateway with the settings of [`TestApp::spawn`]; one that takes an [`Engine`]
/// starts its own with settings of its own.
macro_rules! on_every_engine {
    ($($(#[$meta:meta])* async fn $name:ident($argument:ident: $kind:ident) $body:block)+) => {$(
        $(#[$meta])*
        mod $name {
            #[allow(unused_imports, reason = "a test may need nothing of its file")]
            use super::*;

            async fn promise($argument: $kind) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite_memory() {
                promise($kind::on(Engine::Memory).await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite_redis() {
                promise($kind::on(Engine::Redis).await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgresql_memory() {
                promise($kind::on(Engine::PostgresqlMemory).await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgresql_redis() {
                promise($kind::on(Engine::PostgresqlRedis).await).await;
            }
        }
    )+};
}
pub(crate) use on_every_engine;

/// A snapshot of a wire format, the same on every engine.
macro_rules! assert_wire {
    ($wire:expr, @$snapshot:literal) => {
        insta::allow_duplicates! { insta::assert_snapshot!($wire, @$snapshot) }
    };
}
pub(crate) use assert_wire;
