//! Running the real program.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

/// Longest time a command may take; one that should refuse to serve and serves would run for ever.
const COMMAND_WAIT: Duration = Duration::from_secs(60);

/// A command that has ended.
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// Runs `spamgate` with these arguments and none of the environment's settings.
pub async fn spamgate(arguments: &[&str]) -> Ran {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_spamgate"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SPAMGATE__")) {
        command.env_remove(name);
    }
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(COMMAND_WAIT, command.output());
    let output = output.await.unwrap_or_else(|_| panic!("spamgate {arguments:?} does not end")).unwrap();
    let text = |bytes| String::from_utf8(bytes).expect("what is printed is UTF-8");
    Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

impl Ran {
    /// What was printed, when it went well.
    #[track_caller]
    pub fn expect_ok(self) -> String {
        assert_eq!(self.code, Some(0), "{}", self.err);
        self.out
    }

    /// What was printed, as JSON.
    #[track_caller]
    pub fn expect_json(self) -> Value {
        let out = self.expect_ok();
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
    }

    /// The complaint, when it went wrong as a command should: exit code 1, one line on standard error, nothing printed.
    #[track_caller]
    pub fn expect_refused(self) -> String {
        assert_eq!((self.code, self.out.as_str()), (Some(1), ""), "{}", self.err);
        assert!(self.err.starts_with("spamgate: ") && self.err.trim_end().lines().count() == 1, "{}", self.err);
        self.err
    }
}
