//! `spamgate serve`.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;

use tokio::signal::unix::{SignalKind, signal};

use super::ServeArgs;
use crate::config::Config;
use crate::domain::clock::{Clock, Moment};
use crate::enrol::NewCarrier;
use crate::startup;
use crate::telemetry::logs;

pub(super) fn serve(mut config: Config, data: &Path, args: &ServeArgs) -> anyhow::Result<()> {
    if let Some(listen) = args.listen {
        config.server.listen = listen;
    }
    if let Some(role) = args.role {
        config.server.role = role;
    }
    if let Some(ops_listen) = args.ops_listen {
        config.server.ops_listen = ops_listen;
    }
    forbid_core_dumps();
    raise_open_files();
    let guard = logs::start(&config.log).map_err(anyhow::Error::msg)?;
    let system = actix_web::rt::System::new();
    let outcome = system.block_on(run(&config, data));
    drop(guard);
    // The end of the process ends it. Dropped, it would wait for reads that hang in the database.
    std::mem::forget(system);
    outcome
}

async fn run(config: &Config, data: &Path) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut gateway = startup::start(config, data, Clock::System).await?;
    let ops_address = gateway.ops_address;
    match gateway.address {
        Some(address) => tracing::info!(
            server.address = %address,
            ops.address = %ops_address,
            "taking reports; health and metrics for operators on their own address"
        ),
        None => tracing::info!(ops.address = %ops_address, "building cases; this node takes no reports"),
    }
    if let Err(error) = greet(&gateway) {
        tracing::warn!(%error, "nobody reads standard output; the gateway runs on");
    }
    let failure = tokio::select! {
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
        reason = gateway.wait_for_failure() => Some(reason),
    };
    tracing::info!("stopping: answering what is in hand");
    gateway.stop().await;
    match failure {
        None => {
            tracing::info!("stopped; every acknowledged report is on disk");
            Ok(())
        }
        Some(reason) => Err(anyhow::anyhow!("{reason}: nothing is acknowledged any more, so the process ends")),
    }
}

/// Memory holds keys and, for a moment, numbers: neither may land in a core file.
fn forbid_core_dumps() {
    let none = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = rustix::process::setrlimit(rustix::process::Resource::Core, none) {
        // Logging has not begun.
        let _ = writeln!(io::stderr(), "spamgate: core dumps could not be forbidden: {error}");
    }
}

/// Each connection is a file, and the usual soft limit of 1,024 is for programs that use `select`.
fn raise_open_files() {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = rustix::process::setrlimit(rustix::process::Resource::Nofile, raised) {
        let _ = writeln!(io::stderr(), "spamgate: the limit of open files could not be raised: {error}");
    }
}

/// Written at once: who reads the address has the key, too.
fn greet(gateway: &startup::Gateway) -> io::Result<()> {
    let mut text = Vec::new();
    match gateway.address {
        Some(address) => writeln!(text, "spamgate takes reports on http://{address}")?,
        None => writeln!(text, "spamgate builds cases; operators look at http://{}", gateway.ops_address)?,
    }
    if let (Some(carrier), Some(address)) = (&gateway.first_carrier, gateway.address) {
        show_first_carrier(&mut text, carrier, address)?;
    }
    let mut out = io::stdout().lock();
    out.write_all(&text)?;
    out.flush()
}

fn show_first_carrier(out: &mut impl Write, carrier: &NewCarrier, address: SocketAddr) -> io::Result<()> {
    let now = Moment(Clock::System.now().0).to_rfc3339();
    writeln!(out)?;
    writeln!(
        out,
        "First start: keys were made, and a carrier named `{}`. Its API key, shown this once:",
        carrier.name
    )?;
    writeln!(out)?;
    writeln!(out, "  {}", carrier.api_key.as_str())?;
    writeln!(out)?;
    writeln!(out, "Send a first report:")?;
    writeln!(out)?;
    writeln!(out, "curl -sS http://{address}/v1/reports \\")?;
    writeln!(out, "  -H 'Authorization: Bearer {}' -H 'Content-Type: application/json' \\", carrier.api_key.as_str())?;
    writeln!(
        out,
        "  -d '{{\"report_id\":\"first-1\",\"reporter\":\"0912345678\",\"sender\":\"0985931054\",\"channel\":\"sms\",\
         \"category\":\"spam\",\"content\":\"Nhan lam cac loai giay to\",\"occurred_at\":\"{now}\"}}'",
    )?;
    writeln!(out)?;
    writeln!(out, "Then: spamgate cases list")
}
