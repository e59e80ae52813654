//! The ids that the gateway vouched for, in a file of their own: what was promised, whatever becomes of the gateway.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;

/// How often the file is synced to the disk.
pub const SYNC_EVERY: Duration = Duration::from_secs(1);

/// Takes ids as they come.
pub struct AcknowledgedFile {
    state: Mutex<State>,
}

struct State {
    file: BufWriter<File>,
    ids: Vec<String>,
    silence: Silence,
}

/// The longest time between two acknowledgements.
struct Silence {
    last_at: Instant,
    longest: Duration,
}

impl Silence {
    const fn since(start: Instant) -> Self {
        Self { last_at: start, longest: Duration::ZERO }
    }

    fn end(&mut self, now: Instant) {
        self.longest = self.longest.max(now.saturating_duration_since(self.last_at));
        self.last_at = now;
    }
}

impl AcknowledgedFile {
    /// An empty file. Silence is measured from now on.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        let file = File::create(path).with_context(|| format!("cannot make {}", path.display()))?;
        let state = State { file: BufWriter::new(file), ids: Vec::new(), silence: Silence::since(Instant::now()) };
        Ok(Self { state: Mutex::new(state) })
    }

    /// Takes an id.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add(&self, id: String) -> anyhow::Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(state.file, "{id}").context("the file of acknowledged ids cannot be written")?;
        state.ids.push(id);
        state.silence.end(Instant::now());
        Ok(())
    }

    /// Brings what was taken to the disk.
    ///
    /// # Errors
    /// When that fails.
    pub fn sync(&self) -> anyhow::Result<()> {
        let file = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.file.flush().context("the file of acknowledged ids cannot be written")?;
            state.file.get_ref().try_clone()?
        };
        // Without the lock, so that nobody waits for the disk.
        file.sync_data().context("the file of acknowledged ids cannot be synced")
    }

    /// All ids in the order they came, and the longest time without one.
    ///
    /// # Errors
    /// When the last of them cannot be brought to the disk.
    pub fn finish(&self) -> anyhow::Result<(Vec<String>, Duration)> {
        self.sync()?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        Ok((std::mem::take(&mut state.ids), state.silence.longest))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;

    #[test]
    fn the_longest_silence_counts() {
        let start = Instant::now();
        let mut silence = Silence::since(start);
        for millis in [10, 70, 75] {
            silence.end(start + Duration::from_millis(millis));
        }
        assert_eq!(silence.longest, Duration::from_millis(60));
    }

    #[test]
    fn the_file_holds_each_id_in_its_order() {
        let path = std::env::temp_dir().join(format!("load-tests-acknowledged-{}", std::process::id()));
        let file = AcknowledgedFile::create(&path).unwrap();
        for id in ["one", "two"] {
            file.add(id.to_owned()).unwrap();
        }
        let (ids, _) = file.finish().unwrap();
        let written = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!((ids, written.as_str()), (vec!["one".to_owned(), "two".to_owned()], "one\ntwo\n"));
    }
}
