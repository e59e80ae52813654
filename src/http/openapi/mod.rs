//! `/openapi.json` and `/docs`: the API's description, as a document and as a page.
//!
//! Each operation is one file in `paths/`, put together here once. An operation names the problems it can answer by
//! their codes (`x-problems`, with sets of `problems.json`); their responses are made from that. To add a route, add its
//! file to `OPERATIONS`: tests compare the document with the router and with real answers.

mod page;

use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::http::header;
use serde_json::{Map, Value, json};

const BASE: &str = include_str!("base.json");
const PROBLEMS: &str = include_str!("problems.json");
const STYLE: &str = include_str!("docs.css");

const OPERATIONS: &[&str] = &[
    include_str!("paths/post_report.json"),
    include_str!("paths/post_batch.json"),
    include_str!("paths/post_mobile_abuse.json"),
    include_str!("paths/get_report.json"),
    include_str!("paths/get_mo.json"),
    include_str!("paths/post_mo.json"),
    include_str!("paths/get_feed.json"),
    include_str!("paths/get_requests.json"),
    include_str!("paths/post_answer.json"),
    include_str!("paths/get_usage.json"),
    include_str!("paths/post_send_code.json"),
    include_str!("paths/post_validate_code.json"),
    include_str!("paths/get_openapi.json"),
    include_str!("paths/get_docs.json"),
];

/// Nothing is loaded but the page's own style sheet.
const CONTENT_SECURITY_POLICY: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

static DOCUMENT: LazyLock<Value> = LazyLock::new(assemble);
static DOCUMENT_TEXT: LazyLock<String> = LazyLock::new(|| DOCUMENT.to_string());
static PAGE: LazyLock<String> = LazyLock::new(|| page::render(&DOCUMENT));

/// The document.
pub async fn get_openapi() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(DOCUMENT_TEXT.as_str())
}

/// The same as a page.
pub async fn get_docs() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .body(PAGE.as_str())
}

/// The page's style sheet.
pub async fn get_style() -> HttpResponse {
    HttpResponse::Ok().content_type("text/css; charset=utf-8").body(STYLE)
}

/// The files are part of the program and read in a test, so what cannot be read is left out here.
fn read(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

fn assemble() -> Value {
    let mut document = read(BASE);
    let problems = read(PROBLEMS);
    let mut paths = Map::new();
    for file in OPERATIONS.iter().map(|text| read(text)) {
        let word = |name: &str| file.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut operation = file.get("operation").cloned().unwrap_or_default();
        add_responses(&mut operation, &problems);
        let path = paths.entry(word("path")).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(word("method"), operation);
        }
    }
    if let Some(document) = document.as_object_mut() {
        document.insert("paths".to_owned(), Value::Object(paths));
    }
    document
}

/// The codes that a list names; `@name` is a set.
fn codes_of(list: Option<&Value>, problems: &Value) -> Vec<String> {
    let names = list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let mut codes = Vec::new();
    for name in names {
        match name.strip_prefix('@') {
            Some(set) => codes.extend(codes_of(problems.pointer(&format!("/sets/{set}")), problems)),
            None => codes.push(name.to_owned()),
        }
    }
    codes
}

fn add_responses(operation: &mut Value, problems: &Value) {
    let mut codes = codes_of(operation.get("x-problems"), problems);
    codes.extend(codes_of(problems.pointer("/sets/every"), problems));
    let is_for_carriers = operation.get("security").is_none();
    let Some(operation) = operation.as_object_mut() else { return };
    operation.remove("x-problems");
    let lines = operation.remove("x-line-problems");
    if lines.is_some() {
        let mut codes = codes_of(lines.as_ref(), problems);
        codes.sort();
        codes.dedup();
        operation.insert("x-codes-in-lines".to_owned(), json!(codes));
    }
    let responses = operation.entry("responses").or_insert_with(|| json!({}));
    let Some(responses) = responses.as_object_mut() else { return };
    for (_, response) in responses.iter_mut().filter(|(status, _)| is_for_carriers && status.starts_with('2')) {
        add_rate_headers(response);
    }
    let table = problems.get("codes").and_then(Value::as_object);
    for (status, known) in table.into_iter().flatten() {
        let of_status = known.as_array().into_iter().flatten().filter_map(Value::as_str);
        let here: Vec<&str> = of_status.filter(|code| codes.iter().any(|named| named == code)).collect();
        if let Some(first) = here.first() {
            let made = problem_response(status, &here, first);
            match responses.get_mut(status) {
                Some(own) => add_content(own, &made),
                None => {
                    responses.insert(status.clone(), made);
                }
            }
        }
    }
}

fn add_rate_headers(response: &mut Value) {
    let Some(response) = response.as_object_mut() else { return };
    let headers = response.entry("headers").or_insert_with(|| json!({}));
    if let Some(headers) = headers.as_object_mut() {
        for name in ["RateLimit-Policy", "RateLimit"] {
            headers.insert(name.to_owned(), json!({"$ref": format!("#/components/headers/{name}")}));
        }
    }
}

/// Adds the media type of `made` to a response that has one of its own.
fn add_content(own: &mut Value, made: &Value) {
    let content = own.get_mut("content").and_then(Value::as_object_mut);
    let made = made.get("content").and_then(Value::as_object);
    if let (Some(content), Some(made)) = (content, made) {
        content.extend(made.clone());
    }
}

fn problem_response(status: &str, codes: &[&str], first: &str) -> Value {
    let number: u16 = status.parse().unwrap_or_default();
    let title = actix_web::http::StatusCode::from_u16(number).ok().and_then(|status| status.canonical_reason());
    let mut response = json!({
        "description": title,
        "content": {"application/problem+json": {
            "schema": {"allOf": [
                {"$ref": "#/components/schemas/Problem"},
                {"properties": {"status": {"const": number}, "code": {"enum": codes}}},
            ]},
            "example": {"type": "about:blank", "title": title, "status": number, "code": first, "detail": "A sentence that says what to mend."},
        }},
    });
    // 500 comes from nowhere in particular; all others that may pass say when.
    if matches!(number, 429 | 503)
        && let Some(response) = response.as_object_mut()
    {
        response.insert("headers".to_owned(), json!({"Retry-After": {"$ref": "#/components/headers/Retry-After"}}));
    }
    response
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn every_part_can_be_read_and_every_code_it_names_is_in_the_table() {
        let problems = read(PROBLEMS);
        let table = problems["codes"].as_object();
        let known: Vec<&str> = table
            .into_iter()
            .flat_map(|table| table.values())
            .flat_map(|codes| codes.as_array().into_iter().flatten())
            .filter_map(Value::as_str)
            .collect();
        assert!(known.len() > 50 && read(BASE).is_object());
        for text in OPERATIONS {
            let file = read(text);
            assert!(file["operation"].is_object(), "{text}");
            for list in ["x-problems", "x-line-problems"] {
                for code in codes_of(file["operation"].get(list), &problems) {
                    assert!(known.contains(&code.as_str()), "`{code}` is not in the table: {}", file["path"]);
                }
            }
        }
    }
}
