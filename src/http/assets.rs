//! Files that pages need: in the binary, and the same for everyone.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};

/// How long a browser keeps one: an hour, so that a new version is soon seen.
const CACHE_CONTROL: &str = "public, max-age=3600";

/// Name, media type, content.
const FILES: [(&str, &str, &str); 4] = [
    ("style.css", "text/css; charset=utf-8", include_str!("../../static/style.css")),
    ("form.js", "text/javascript; charset=utf-8", include_str!("../../static/form.js")),
    ("receipt.js", "text/javascript; charset=utf-8", include_str!("../../static/receipt.js")),
    ("icon.svg", "image/svg+xml", include_str!("../../static/icon.svg")),
];

/// Handles `GET /static/{name}`.
pub async fn get_file(request: HttpRequest) -> HttpResponse {
    let name = request.match_info().query("name");
    let Some((_, media_type, content)) = FILES.iter().find(|(known, _, _)| *known == name) else {
        return HttpResponse::from_error(super::problem::Problem::no_such_page());
    };
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, *media_type))
        .insert_header((header::CACHE_CONTROL, CACHE_CONTROL))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(*content)
}
