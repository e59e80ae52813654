//! Forms with files in them, within bounds.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use actix_multipart::{Field, Multipart, MultipartError};
use actix_web::HttpRequest;
use actix_web::web::Payload;
use futures_core::Stream;

use super::problem::Problem;

/// Bytes of a field that is no file.
const TEXT_MAX_BYTES: usize = 16 * 1024;
/// Parts of one form.
const PARTS_MAX: usize = 16;

/// Bounds on files.
#[derive(Clone, Copy)]
pub struct FileLimits {
    /// Files in one form; what is more is not read.
    pub files_max: usize,
    /// Bytes of one; one byte more is read, so that it can be told to be too large.
    pub file_max_bytes: usize,
    /// From the end of the head to the end of the body.
    pub timeout: Duration,
    /// From one piece of it to the next.
    pub piece_timeout: Duration,
}

/// A form.
#[derive(Default)]
pub struct FileForm {
    /// Fields that are no files.
    pub texts: Vec<(String, String)>,
    /// What was in the files, in their order. Names are not looked at: they tell more about their sender than is needed.
    pub files: Vec<Vec<u8>>,
    /// There were more files than may be.
    pub has_more: bool,
}

impl FileForm {
    /// The value of a field; empty when it is not there.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        self.texts.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.trim())
    }
}

/// Reads a form with files.
///
/// # Errors
/// 400 when it is none or broken, 408 when it takes too long, 413 when something in it is too large.
pub async fn read_files(request: &HttpRequest, body: Payload, limits: FileLimits) -> Result<FileForm, Problem> {
    let form = Multipart::new(request.headers(), body.into_inner());
    match tokio::time::timeout(limits.timeout, read(form, limits)).await {
        Ok(outcome) => outcome,
        Err(_elapsed) => Err(Problem::body_too_slow()),
    }
}

async fn read(mut form: Multipart, limits: FileLimits) -> Result<FileForm, Problem> {
    let mut found = FileForm::default();
    for _ in 0..PARTS_MAX {
        let Some(part) = next(&mut form, limits).await? else { return Ok(found) };
        let mut field = part.map_err(|_| Problem::malformed_request())?;
        let disposition = field.content_disposition();
        let name = disposition.and_then(|disposition| disposition.get_name()).unwrap_or_default().to_owned();
        let is_file = disposition.is_some_and(|disposition| disposition.get_filename().is_some());
        if !is_file {
            let bytes = read_field(&mut field, TEXT_MAX_BYTES, limits).await?;
            found.texts.push((name, String::from_utf8(bytes).map_err(|_| Problem::malformed_request())?));
            continue;
        }
        let bytes = read_field(&mut field, limits.file_max_bytes + 1, limits).await?;
        // A browser sends an empty file where none was chosen.
        if bytes.is_empty() {
            continue;
        }
        if found.files.len() >= limits.files_max {
            found.has_more = true;
            continue;
        }
        found.files.push(bytes);
    }
    Err(Problem::malformed_request())
}

async fn next<S: Stream + Unpin>(stream: &mut S, limits: FileLimits) -> Result<Option<S::Item>, Problem> {
    let next = poll_fn(|context| Pin::new(&mut *stream).poll_next(context));
    tokio::time::timeout(limits.piece_timeout, next).await.map_err(|_elapsed| Problem::body_too_slow())
}

async fn read_field(field: &mut Field, max_bytes: usize, limits: FileLimits) -> Result<Vec<u8>, Problem> {
    let mut whole = Vec::new();
    while let Some(piece) = next(field, limits).await? {
        let piece = piece.map_err(|_: MultipartError| Problem::body_broken())?;
        if whole.len() + piece.len() > max_bytes {
            return Err(Problem::body_too_large(max_bytes));
        }
        whole.extend_from_slice(&piece);
    }
    Ok(whole)
}
