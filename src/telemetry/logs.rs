//! Logs: a readable sentence and stable fields, written by a thread of their own.

use tracing_appender::non_blocking::{NonBlocking, WorkerGuard};
use tracing_subscriber::EnvFilter;

use crate::config::{LogFormat, LogSettings};

/// Speaks of every connection that breaks or is no HTTP: strangers could fill the disk. They are counted instead.
const STRANGERS: &str = "actix_http::h1::dispatcher=off";

/// Starts logging to standard error. The guard writes what is left when it is dropped.
///
/// # Errors
/// When the level is not understood.
pub fn start(settings: &LogSettings) -> Result<WorkerGuard, String> {
    // Libraries speak only when something is wrong: at finer levels some of them print what they parse.
    let filter = EnvFilter::try_new(format!("warn,{STRANGERS},spamgate={}", settings.level))
        .map_err(|error| format!("log.level: {error}"))?;
    let (writer, guard) = NonBlocking::new(std::io::stderr());
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_target(false);
    // A second start in one process (tests) keeps the first subscriber.
    let _ = match settings.format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => builder.with_ansi(false).try_init(),
    };
    Ok(guard)
}
