//! Lists that a carrier reads page by page: cursors and limits.
//!
//! A cursor names a position and is signed together with the row that stands there. Positions are given under a lock, one
//! after another, so nothing is ever added behind a cursor; and a cursor of a store that was restored since, where the
//! position holds another row or none, is refused instead of skipping what comes there now.

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::web::Query;
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::crypto::key_ring::KeyRing;
use crate::http::problem::Problem;

/// Items of a page when the caller names no limit.
const LIMIT_DEFAULT: i64 = 100;
/// Items of a page at most.
pub const LIMIT_MAX: i64 = 500;
/// A position and its tag, bytes.
const CURSOR_BYTES: usize = 16;

/// What a caller asks for.
pub struct Asked {
    /// Where to go on.
    pub after: Option<Cursor>,
    /// Items at most.
    pub limit: i64,
}

/// Where a page ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cursor {
    /// The position of the last item.
    pub position: i64,
    tag: [u8; 8],
}

impl Cursor {
    /// The cursor behind an item: `row` is what tells it from any other that could stand at its position.
    #[must_use]
    pub fn behind(ring: &KeyRing, carrier: &[u8], list: &str, position: i64, row: &[u8]) -> Self {
        Self { position, tag: ring.cursor_tag(carrier, list, position, row) }
    }

    fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; CURSOR_BYTES] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let (position, tag) = bytes.split_first_chunk::<8>()?;
        let position = i64::from_be_bytes(*position);
        (position >= 0).then_some(Self { position, tag: tag.try_into().ok()? })
    }

    /// The spelling that callers see.
    #[must_use]
    pub fn to_text(self) -> String {
        URL_SAFE_NO_PAD.encode([self.position.to_be_bytes(), self.tag].concat())
    }
}

/// The answer with a page, which is JSON.
#[must_use]
pub fn page_answer(page: String) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "application/json"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(page)
}

/// Reads `after` and `limit` of a request's query; nothing else may stand there.
///
/// # Errors
/// 400, with the name of what is wrong.
pub fn read_query(request: &HttpRequest) -> Result<Asked, Problem> {
    let query =
        Query::<Vec<(String, String)>>::from_query(request.query_string()).map_err(|_| Problem::bad_request())?;
    let mut asked = Asked { after: None, limit: LIMIT_DEFAULT };
    let (mut has_after, mut has_limit) = (false, false);
    for (name, value) in query.into_inner() {
        match name.as_str() {
            "after" if !has_after => {
                has_after = true;
                asked.after = Some(Cursor::parse(&value).ok_or_else(Problem::invalid_cursor)?);
            }
            "limit" if !has_limit => {
                has_limit = true;
                let limit = value.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
                asked.limit = limit.ok_or_else(|| Problem::invalid_limit(LIMIT_MAX))?;
            }
            _ => return Err(Problem::bad_request()),
        }
    }
    Ok(asked)
}
