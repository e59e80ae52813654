//! The text file whose lines become the contents of reports.

use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};

/// The largest file that is taken, bytes: it is held in memory as a whole.
const FILE_MAX_BYTES: u64 = 1 << 30;

/// One line that is not empty.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    /// Its number in the file, from 1, empty lines counted.
    pub number: u64,
    /// Its text without the end of line.
    pub text: String,
}

/// All lines of a file that have something in them.
#[derive(Debug, Default)]
pub struct Lines {
    /// In the order of the file.
    pub lines: Vec<Line>,
    /// Lines left out because they hold nothing but white space.
    pub empty: u64,
    /// Lines that were not valid UTF-8; each bad part became U+FFFD.
    pub lossy: u64,
}

impl Lines {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read or is larger than 1 GiB.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        let length_bytes = fs::metadata(path).with_context(|| format!("cannot open {shown}"))?.len();
        ensure!(length_bytes <= FILE_MAX_BYTES, "{shown} is larger than {FILE_MAX_BYTES} bytes: split it");
        Ok(Self::parse(&fs::read(path).with_context(|| format!("cannot read {shown}"))?))
    }

    fn parse(bytes: &[u8]) -> Self {
        let mut all = Self::default();
        let mut raw_lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
        if raw_lines.last().is_some_and(|last| last.is_empty()) {
            raw_lines.pop(); // what follows the last end of line is no line
        }
        for (number, raw) in (1..).zip(raw_lines) {
            let text = String::from_utf8_lossy(raw.strip_suffix(b"\r").unwrap_or(raw));
            if text.trim().is_empty() {
                all.empty += 1;
                continue;
            }
            all.lossy += u64::from(std::str::from_utf8(raw).is_err());
            all.lines.push(Line { number, text: text.into_owned() });
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_their_numbers_and_bad_bytes_are_counted() {
        let all = Lines::parse("một\r\n\n  \nhai\nx".as_bytes());
        let line = |number, text: &str| Line { number, text: text.to_owned() };
        assert_eq!(all.lines, [line(1, "một"), line(4, "hai"), line(5, "x")]);
        assert_eq!((all.empty, all.lossy), (2, 0));

        let all = Lines::parse(b"\xa31.50 to rcv\nplain\n");
        assert_eq!(all.lines, [line(1, "\u{fffd}1.50 to rcv"), line(2, "plain")]);
        assert_eq!((all.empty, all.lossy), (0, 1));
    }
}
