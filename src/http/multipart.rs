//! Forms with files in them, within bounds.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use actix_multipart::{Field, Multipart, MultipartError};
use actix_web::HttpRequest;
use actix_web::web::Payload;
use futures_core::Stream;

use super::problem::Problem;

/// Parts of one form.
const PARTS_MAX: usize = 16;

/// Bounds on files.
#[derive(Clone, Copy)]
pub struct FileLimits {
    /// Files in one form; what is more is not read.
    pub files_max: usize,
    /// Bytes of one; a larger one is read and thrown away, so that its sender can be told.
    pub file_max_bytes: usize,
    /// Bytes of all files.
    pub form_max_bytes: usize,
    /// From the end of the head to the end of the body.
    pub timeout: Duration,
    /// From one piece of it to the next.
    pub piece_timeout: Duration,
}

/// A form: what was in its files. Their names are not looked at: they tell more about their sender than is needed.
#[derive(Default)]
pub struct FileForm {
    /// In their order.
    pub files: Vec<Vec<u8>>,
    /// There were more files than may be.
    pub has_more: bool,
    /// One was too large.
    pub has_too_large: bool,
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
    let mut left = limits.form_max_bytes;
    for _ in 0..PARTS_MAX {
        let Some(part) = next(&mut form, limits).await? else { return Ok(found) };
        let mut field = part.map_err(|_| Problem::malformed_request())?;
        let is_file = field.content_disposition().is_some_and(|disposition| disposition.get_filename().is_some());
        let is_wanted = is_file && found.files.len() < limits.files_max;
        let kept_max = if is_wanted { limits.file_max_bytes } else { 0 };
        let (bytes, length) = read_field(&mut field, kept_max, &mut left, limits).await?;
        // A browser sends an empty file where none was chosen.
        if !is_file || length == 0 {
            continue;
        }
        if !is_wanted {
            found.has_more = true;
        } else if length > limits.file_max_bytes {
            found.has_too_large = true;
        } else {
            found.files.push(bytes);
        }
    }
    Err(Problem::malformed_request())
}

async fn next<S: Stream + Unpin>(stream: &mut S, limits: FileLimits) -> Result<Option<S::Item>, Problem> {
    let next = poll_fn(|context| Pin::new(&mut *stream).poll_next(context));
    tokio::time::timeout(limits.piece_timeout, next).await.map_err(|_elapsed| Problem::body_too_slow())
}

/// What is in a field, if it is not longer than `kept_max`; and its length.
async fn read_field(
    field: &mut Field,
    kept_max: usize,
    left: &mut usize,
    limits: FileLimits,
) -> Result<(Vec<u8>, usize), Problem> {
    let (mut whole, mut length) = (Vec::new(), 0);
    while let Some(piece) = next(field, limits).await? {
        let piece = piece.map_err(|_: MultipartError| Problem::body_broken())?;
        *left = left.checked_sub(piece.len()).ok_or_else(|| Problem::body_too_large(limits.form_max_bytes))?;
        length += piece.len();
        if length <= kept_max {
            whole.extend_from_slice(&piece);
        } else {
            whole = Vec::new();
        }
    }
    Ok((whole, length))
}
