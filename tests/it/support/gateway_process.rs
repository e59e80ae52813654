//! The gateway as a process of its own, to be killed.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::wait_until;

/// How long it may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(30);
/// What it prints before its address.
const GREETING: &str = "spamgate takes reports on ";
/// What it logs before the address for operators.
const OPERATORS: &str = "ops.address=";

/// A gateway's process; killed when dropped.
pub struct GatewayProcess {
    child: Child,
    place: TempDir,
}

impl GatewayProcess {
    /// Starts a gateway with a data directory of its own, and does not wait for it.
    pub fn spawn(settings: &[(&str, &str)]) -> Self {
        let place = tempfile::tempdir().unwrap();
        let mut command = Command::new("setpriv");
        // It dies with the thread that starts it, however that ends.
        command.args(["--pdeathsig=KILL", env!("CARGO_BIN_EXE_spamgate")]);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SPAMGATE__")) {
            command.env_remove(name);
        }
        let child = command
            .arg("--data")
            .arg(place.path().join("data"))
            .args(["serve", "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"])
            .envs(settings.iter().copied())
            .env("SPAMGATE__LIMITS__REPORTER_PER_DAY", "1000000")
            .env("SPAMGATE__LIMITS__CARRIER_PER_SECOND", "1000000")
            .env("SPAMGATE__LIMITS__CARRIER_BURST", "1000000")
            .stdin(Stdio::null())
            .stdout(File::create(place.path().join("out")).unwrap())
            .stderr(File::create(place.path().join("err")).unwrap())
            .spawn()
            .unwrap();
        Self { child, place }
    }

    /// Waits until it takes reports; where, as `http://address`.
    pub async fn url(&mut self) -> String {
        wait_until("the gateway takes reports", PATIENCE, async || {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "the gateway ended: {}", self.logged());
            self.printed().contains(GREETING)
        })
        .await;
        word_after(&self.printed(), GREETING)
    }

    /// Where operators look, as `http://address`.
    pub fn operators_url(&self) -> String {
        format!("http://{}", word_after(&self.logged(), OPERATORS))
    }

    /// The API key of the first carrier, when this was the first start.
    pub fn api_key(&self) -> String {
        format!("sgk_{}", word_after(&self.printed(), "sgk_"))
    }

    /// The most memory it has had resident.
    pub fn memory_max_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        word_after(&status, "VmHWM:").parse().unwrap()
    }

    /// The directory of its keys.
    pub fn keys(&self) -> PathBuf {
        self.place.path().join("data/keys")
    }

    /// What it has logged.
    pub fn logged(&self) -> String {
        self.read("err")
    }

    fn printed(&self) -> String {
        self.read("out")
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(Path::new(self.place.path()).join(name)).unwrap()
    }

    fn send(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.child.id().cast_signed()).unwrap(), signal).unwrap();
    }

    /// `kill -9`; waits until it is gone.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Stops it as an operator would; how it ended and how long it took.
    pub async fn terminate(&mut self) -> (ExitStatus, Duration) {
        let told = Instant::now();
        self.send(Signal::TERM);
        let mut ended = None;
        wait_until("the gateway ends", PATIENCE, async || {
            ended = self.child.try_wait().unwrap();
            ended.is_some()
        })
        .await;
        (ended.unwrap(), told.elapsed())
    }
}

impl Drop for GatewayProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn word_after(text: &str, mark: &str) -> String {
    let rest = text.split_once(mark).map(|(_, rest)| rest).unwrap_or_else(|| panic!("no `{mark}`: {text}"));
    rest.split_whitespace().next().unwrap_or_default().to_owned()
}
