//! The citizens' pages in Debian's Chromium: `pages.mjs` beside this says what is looked at. A test binary of its own: a browser
//! takes all of a small machine, and other tests measure time.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test may stop where it fails, and say how it went")]

use std::path::Path;
use std::process::Command;

#[test]
fn every_page_works_in_a_browser_with_and_without_script() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser");
    let modules = directory.join("node_modules");
    assert!(modules.exists(), "run `make test`, or `npm ci` in {}", directory.display());
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig=KILL", "node"]).arg(directory.join("pages.mjs")).arg(env!("CARGO_BIN_EXE_spamgate"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SPAMGATE__")) {
        command.env_remove(name);
    }
    let output = command.output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    print!("{printed}");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
