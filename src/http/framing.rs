//! Where requests begin and end in what a connection reads.
//!
//! actix-http parses requests; this only follows along, so that the gateway knows what actix does not tell: whether a
//! connection is between two requests or in the middle of one (and for how long), and how long a head has become. It
//! is also stricter on one point: a line that ends without a carriage return is refused. actix takes such lines, others
//! in front of it may not, and where two parsers differ about the end of a head, a request can be smuggled.
//!
//! Whatever else is ambiguous (two lengths, a length beside chunks, folded lines …) actix refuses with 400 and closes.

use memchr::memchr;

/// Longest head of a request, bytes. A key, a signature and a query with a whole SMS in it take 7 KiB.
pub const HEAD_MAX_BYTES: usize = 16 * 1024;
/// Longest request line, bytes.
pub const REQUEST_LINE_MAX_BYTES: usize = 8 * 1024;
/// Longest line that tells the size of a chunk, bytes. Nobody has a use for chunk extensions.
const CHUNK_LINE_MAX_BYTES: usize = 256;

/// Why a connection is not read any further.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unreadable {
    /// It is no HTTP, or could be read in two ways.
    Malformed,
    /// The head is longer than [`HEAD_MAX_BYTES`].
    HeadTooLarge,
    /// The first line is longer than [`REQUEST_LINE_MAX_BYTES`].
    TargetTooLong,
}

/// What comes next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Next {
    Head,
    Body {
        left: u64,
    },
    ChunkSize,
    /// With the line end behind it.
    Chunk {
        left: u64,
    },
    Trailer,
}

/// Follows the bytes of one connection.
#[derive(Debug)]
pub struct Framing {
    next: Next,
    /// Bytes of the head, or of the trailer, up to now.
    head_bytes: usize,
    /// Lines of the head up to now.
    head_lines: u32,
    length: u64,
    is_chunked: bool,
    /// The beginning of a line whose end has not come.
    line: Vec<u8>,
}

impl Default for Framing {
    fn default() -> Self {
        Self { next: Next::Head, head_bytes: 0, head_lines: 0, length: 0, is_chunked: false, line: Vec::new() }
    }
}

impl Framing {
    /// Whether the connection is between two requests.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        self.next == Next::Head && self.head_bytes == 0
    }

    /// Whether a head has begun and not ended.
    #[must_use]
    pub fn is_in_head(&self) -> bool {
        self.next == Next::Head && self.head_bytes > 0
    }

    /// Follows the next bytes.
    ///
    /// # Errors
    /// [`Unreadable`]; nothing may be read from the connection after that.
    pub fn follow(&mut self, mut bytes: &[u8]) -> Result<(), Unreadable> {
        while !bytes.is_empty() {
            match &mut self.next {
                Next::Body { left } | Next::Chunk { left } => {
                    let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                    *left = left.saturating_sub(u64::try_from(taken).unwrap_or(u64::MAX));
                    bytes = bytes.get(taken..).unwrap_or_default();
                    if *left == 0 {
                        self.next = if matches!(self.next, Next::Body { .. }) { Next::Head } else { Next::ChunkSize };
                    }
                }
                Next::Head | Next::ChunkSize | Next::Trailer => {
                    let Some(end) = memchr(b'\n', bytes) else {
                        self.check_room(bytes.len())?;
                        self.line.extend_from_slice(bytes);
                        return Ok(());
                    };
                    self.check_room(end)?;
                    let (line, rest) = bytes.split_at_checked(end + 1).unwrap_or((bytes, &[]));
                    bytes = rest;
                    if self.line.is_empty() {
                        self.take_line(line)?;
                    } else {
                        let mut begun = std::mem::take(&mut self.line);
                        begun.extend_from_slice(line);
                        self.take_line(&begun)?;
                        begun.clear();
                        self.line = begun;
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether so many more bytes of this line may come.
    fn check_room(&mut self, more: usize) -> Result<(), Unreadable> {
        let line_bytes = self.line.len() + more;
        match self.next {
            Next::ChunkSize if line_bytes > CHUNK_LINE_MAX_BYTES => return Err(Unreadable::Malformed),
            Next::Head if self.head_lines == 0 && line_bytes > REQUEST_LINE_MAX_BYTES => {
                return Err(Unreadable::TargetTooLong);
            }
            _ => {}
        }
        self.head_bytes += more;
        if self.head_bytes > HEAD_MAX_BYTES { Err(Unreadable::HeadTooLarge) } else { Ok(()) }
    }

    /// Takes a line with its end.
    fn take_line(&mut self, line: &[u8]) -> Result<(), Unreadable> {
        let line = line.strip_suffix(b"\r\n").ok_or(Unreadable::Malformed)?;
        match self.next {
            Next::Head if line.is_empty() && self.head_lines == 0 => {
                // Some clients send an empty line behind a body; actix skips it too.
                self.begin(Next::Head);
            }
            Next::Head if line.is_empty() => {
                let next = match (self.is_chunked, self.length) {
                    (true, _) => Next::ChunkSize,
                    (false, 0) => Next::Head,
                    (false, left) => Next::Body { left },
                };
                self.begin(next);
            }
            Next::Head => {
                self.head_lines += 1;
                if let Some(value) = value_of(line, b"content-length:") {
                    // What is no number actix refuses.
                    self.length = value.parse().unwrap_or(0);
                } else if value_of(line, b"transfer-encoding:").is_some() {
                    // All but `chunked`, actix refuses.
                    self.is_chunked = true;
                }
            }
            Next::ChunkSize => {
                let digits = line.split(|byte| matches!(byte, b';' | b' ' | b'\t')).next().unwrap_or_default();
                let digits = std::str::from_utf8(digits).unwrap_or_default();
                match u64::from_str_radix(digits, 16).ok().filter(|size| size.checked_add(2).is_some()) {
                    None => return Err(Unreadable::Malformed),
                    Some(0) => self.begin(Next::Trailer),
                    Some(size) => self.begin(Next::Chunk { left: size + 2 }),
                }
            }
            Next::Trailer if line.is_empty() => self.begin(Next::Head),
            Next::Trailer | Next::Body { .. } | Next::Chunk { .. } => {}
        }
        Ok(())
    }

    fn begin(&mut self, next: Next) {
        let line = std::mem::take(&mut self.line);
        *self = Self { next, line, ..Self::default() };
    }
}

/// The value of a header line, if it is this header's; `name` in lower case with its colon.
fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a str> {
    let (start, value) = line.split_at_checked(name.len())?;
    start.eq_ignore_ascii_case(name).then(|| std::str::from_utf8(value).unwrap_or_default().trim())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    const ONE_BY_ONE: usize = 1;

    fn after(parts: &[&[u8]]) -> Result<Framing, Unreadable> {
        let whole = parts.concat();
        let mut at_once = Framing::default();
        let outcome = at_once.follow(&whole);
        // However it is cut, the outcome is the same.
        for size in [ONE_BY_ONE, 2, 3, 7] {
            let mut in_pieces = Framing::default();
            let pieces = whole.chunks(size).try_for_each(|piece| in_pieces.follow(piece));
            assert_eq!(pieces, outcome, "in pieces of {size}");
            assert!(outcome.is_err() || in_pieces.next == at_once.next, "in pieces of {size}");
        }
        outcome.map(|()| at_once)
    }

    #[test]
    fn the_end_of_a_request_is_known() {
        for whole in [
            &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..],
            b"POST / HTTP/1.1\r\nContent-Length: 3\r\nHost: a\r\n\r\nabc",
            b"POST / HTTP/1.1\r\ncontent-LENGTH:\t3 \r\n\r\na\nc",
            b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\na\n\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n",
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n\r\n",
        ] {
            assert!(after(&[whole]).unwrap().is_at_rest(), "{}", String::from_utf8_lossy(whole));
            assert!(after(&[whole, whole, b"\r\n", whole]).unwrap().is_at_rest());
            for cut in 1..whole.len() {
                assert!(!after(&[&whole[..cut]]).unwrap().is_at_rest(), "cut at {cut}");
                assert!(!after(&[whole, &whole[..cut]]).unwrap().is_at_rest(), "the second, cut at {cut}");
            }
        }
    }

    #[test]
    fn a_line_without_carriage_return_is_refused() {
        for text in [
            "GET / HTTP/1.1\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n\n",
            "\nGET / HTTP/1.1\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\n\r\n",
        ] {
            assert_eq!(after(&[text.as_bytes()]).err(), Some(Unreadable::Malformed), "{text:?}");
        }
    }

    #[test]
    fn a_chunk_without_a_sensible_size_is_refused() {
        for size in ["", "g", "-1", "1g", "10000000000000000", "fffffffffffffffe", "0x1"] {
            let text = format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{size}\r\n");
            assert_eq!(after(&[text.as_bytes()]).err(), Some(Unreadable::Malformed), "{size:?}");
        }
    }

    #[test]
    fn heads_are_bounded_however_they_grow() {
        let long = vec![b'a'; HEAD_MAX_BYTES];
        assert_eq!(after(&[b"GET /", &long]).err(), Some(Unreadable::TargetTooLong));
        assert_eq!(after(&[b"GET / HTTP/1.1\r\nX: ", &long]).err(), Some(Unreadable::HeadTooLarge));
        let many = b"X: y\r\n".repeat(HEAD_MAX_BYTES);
        assert_eq!(after(&[b"GET / HTTP/1.1\r\n", &many]).err(), Some(Unreadable::HeadTooLarge));
        let chunked = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(after(&[chunked, b"0\r\n", &many]).err(), Some(Unreadable::HeadTooLarge));
        assert_eq!(after(&[chunked, b"1;", &long]).err(), Some(Unreadable::Malformed));
        // Each request has its own room.
        let half = [b"GET / HTTP/1.1\r\nX: ", &long[..HEAD_MAX_BYTES / 2], b"\r\n\r\n"].concat();
        assert!(after(&[&half, &half, &half]).unwrap().is_at_rest());
    }
}
