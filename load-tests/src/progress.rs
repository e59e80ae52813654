//! How far a run is: a bar on a terminal, else a plain line now and then.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::{MissedTickBehavior, interval};

use crate::output;

const PLAIN_INTERVAL: Duration = Duration::from_secs(1);

/// Counts up to a total that is known from the start. Clones count together.
#[derive(Clone)]
pub struct Progress {
    what: &'static str,
    total: u64,
    bar: ProgressBar,
}

impl Progress {
    /// Starts at 0 of `total`; `what` says in a word what is done.
    pub fn new(what: &'static str, total: u64) -> Self {
        let bar = if output::is_watched() { ProgressBar::new(total) } else { ProgressBar::hidden() };
        let template = "{msg:>8} [{bar:40}] {pos}/{len} {per_sec} {eta}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message(what);
        Self { what, total, bar }
    }

    /// One more is done.
    pub fn step(&self) {
        self.bar.inc(1);
    }

    /// Runs `work` to its end and shows the progress meanwhile.
    pub async fn watch<T>(&self, work: impl Future<Output = T>) -> T {
        tokio::pin!(work);
        let mut ticks = interval(PLAIN_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await; // the first tick comes at once
        let result = loop {
            tokio::select! {
                result = &mut work => break result,
                _ = ticks.tick() => self.show_plain(),
            }
        };
        self.show_plain();
        self.bar.finish();
        result
    }

    fn show_plain(&self) {
        if !output::is_watched() {
            output::note(&format!("{}: {}/{}", self.what, self.bar.position(), self.total));
        }
    }
}
