//! The one place where this program prints.

use std::io::{self, IsTerminal, Write};

/// Prints a line to the standard output. A closed pipe is no reason to stop a measurement, so a failure is ignored.
pub fn say(line: &str) {
    let _ = writeln!(io::stdout().lock(), "{line}");
}

/// Prints a line to the standard error, where progress goes, so that the summary can be kept in a file.
pub fn note(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Whether a person may be watching the progress.
pub fn is_watched() -> bool {
    io::stderr().is_terminal()
}
