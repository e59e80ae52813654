//! The document of the API says what the gateway does: the same routes, and answers of the shapes it promises.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::Value;

use crate::support::{Answer, Engine, TestApp, report};

/// On the public listener and no part of the API.
const NOT_API: &[&str] = &["/docs/style.css"];

/// Method and path of each operation.
type Routes = BTreeSet<(String, String)>;

/// What `routes.rs` routes to carriers. Pages for people are no part of the API.
fn routes_of_the_router() -> Routes {
    let text = include_str!("../../src/http/routes.rs");
    let (_, public) = text.split_once("pub fn public").unwrap();
    let (public, _) = public.split_once("fn citizens(").unwrap();
    let mut routes = Routes::new();
    let pieces = public.replace("web::resource(", "\0").replace("reading(", "\0");
    for piece in pieces.split('\0').skip(1) {
        let path = piece.split('"').nth(1).unwrap();
        for method in ["get", "post", "put", "delete", "patch"] {
            if piece.contains(&format!("web::{method}()")) && !NOT_API.contains(&path) {
                routes.insert((method.to_owned(), path.to_owned()));
            }
        }
    }
    routes
}

fn routes_of(document: &Value) -> Routes {
    let paths = document["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, methods)| {
        methods.as_object().unwrap().keys().map(move |method| (method.clone(), path.clone()))
    });
    operations.collect()
}

async fn document(app: &TestApp) -> Value {
    app.send(app.request(Method::GET, "/openapi.json", None), "").await.expect_status(200).json
}

/// Checks a value against what the document uses of JSON Schema; what is wrong, with its place.
fn faults(document: &Value, schema: &Value, value: &Value, place: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for (keyword, rule) in schema.as_object().unwrap() {
        let holds = match keyword.as_str() {
            "$ref" => {
                let target = document.pointer(rule.as_str().unwrap().trim_start_matches('#')).expect("it is there");
                wrong.extend(faults(document, target, value, place));
                true
            }
            "allOf" => {
                rule.as_array().unwrap().iter().for_each(|part| wrong.extend(faults(document, part, value, place)));
                true
            }
            "type" => match rule {
                Value::String(name) => is_type(value, name),
                names => names.as_array().unwrap().iter().any(|name| is_type(value, name.as_str().unwrap())),
            },
            "const" => value == rule,
            "enum" => rule.as_array().unwrap().contains(value),
            "required" => {
                let has = |name: &Value| value.get(name.as_str().unwrap()).is_some();
                value.is_null() || rule.as_array().unwrap().iter().all(has)
            }
            "additionalProperties" => {
                let known = schema["properties"].as_object().unwrap();
                rule == true || value.as_object().unwrap().keys().all(|name| known.contains_key(name))
            }
            "properties" => {
                for (name, part) in rule.as_object().unwrap() {
                    if let Some(member) = value.get(name) {
                        wrong.extend(faults(document, part, member, &format!("{place}.{name}")));
                    }
                }
                true
            }
            "items" => {
                for item in value.as_array().unwrap() {
                    wrong.extend(faults(document, rule, item, &format!("{place}[]")));
                }
                true
            }
            "minimum" => value.as_i64() >= rule.as_i64(),
            "maxLength" => value.as_str().unwrap().chars().count() as u64 <= rule.as_u64().unwrap(),
            "description" | "format" | "contentEncoding" | "pattern" => true,
            other => panic!("the document uses `{other}`, which this test cannot check"),
        };
        if !holds {
            wrong.push(format!("{place}: {keyword} {rule}"));
        }
    }
    wrong
}

fn is_type(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("no type `{other}`"),
    }
}

/// Checks an answer against the document: its status, headers, media type and body.
#[track_caller]
fn check(document: &Value, path: &str, method: &str, answer: &Answer) {
    let operation = &document["paths"][path][method];
    let response = &operation["responses"][answer.status.to_string()];
    assert!(response.is_object(), "{method} {path} may not answer {}: {}", answer.status, answer.text);
    for name in response["headers"].as_object().into_iter().flat_map(|headers| headers.keys()) {
        let required = document["components"]["headers"][name]["required"] == true;
        let is_there = answer.header(&name.to_lowercase()).is_some();
        assert!(is_there || !required, "{method} {path} {}: no {name}", answer.status);
    }
    let media_type = answer.header("content-type").unwrap().split(';').next().unwrap();
    let schema = &response["content"][media_type]["schema"];
    assert!(schema.is_object(), "{method} {path} {}: {media_type}", answer.status);
    let bodies: Vec<Value> = match media_type {
        "application/x-ndjson" => answer.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect(),
        "text/html" | "text/plain" => vec![Value::String(answer.text.clone())],
        _ => vec![answer.json.clone()],
    };
    for body in bodies {
        let wrong = faults(document, schema, &body, "");
        assert!(wrong.is_empty(), "{method} {path} {}: {wrong:?} in {body}", answer.status);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_has_the_routes_of_the_router_and_no_others() {
    let app = TestApp::spawn(Engine::Memory).await;
    let document = document(&app).await;
    assert_eq!(routes_of(&document), routes_of_the_router());
    for (method, path) in routes_of(&document) {
        let method: Method = method.to_uppercase().parse().unwrap();
        // Bare: codes for partners have faults of another shape.
        let answer: Value = match app.request(method, &path, None).send().await.unwrap().json().await {
            Ok(json) => json,
            Err(_page) => continue,
        };
        assert!(![Some("not_found"), Some("method_not_allowed")].contains(&answer["code"].as_str()), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_stays_as_it_is() {
    let app = TestApp::spawn(Engine::Memory).await;
    insta::assert_json_snapshot!(document(&app).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn examples_fit_their_schemas() {
    let app = TestApp::spawn(Engine::Memory).await;
    let document = document(&app).await;
    for (method, path) in routes_of(&document) {
        let operation = &document["paths"][&path][&method];
        let responses = operation["responses"].as_object().unwrap().values();
        for holder in responses.chain(operation.get("requestBody")) {
            for content in holder["content"].as_object().unwrap().values() {
                let example = match content["example"].as_str() {
                    Some(text) => serde_json::from_str(text).unwrap_or_else(|_| content["example"].clone()),
                    None => content["example"].clone(),
                };
                let wrong = faults(&document, &content["schema"], &example, "");
                assert!(wrong.is_empty(), "{method} {path}: {wrong:?} in {example}");
            }
        }
    }
}

#[test]
fn the_codes_are_those_of_the_written_table() {
    let table: Value = serde_json::from_str(include_str!("../../src/http/openapi/problems.json")).unwrap();
    let in_document: BTreeSet<String> = table["codes"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|codes| codes.as_array().unwrap().iter().map(|code| code.as_str().unwrap().to_owned()))
        .collect();
    let text = include_str!("../../docs/API.md");
    let (_, table) = text.split_once("\n## Errors\n").unwrap();
    let (table, _) = table.split_once("\n## ").unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| status"));
    let in_docs: BTreeSet<String> =
        rows.flat_map(|row| row.split('|').nth(2).unwrap().split('`').skip(1).step_by(2)).map(str::to_owned).collect();
    assert_eq!(in_document, in_docs);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_answers_are_as_the_document_says() {
    let app =
        TestApp::spawn_with(Engine::Memory, |config| config.limits.reporter_per_day = 3.try_into().unwrap()).await;
    let document = document(&app).await;
    let key = Some(app.local().api_key.as_str());
    let (path, one) = ("/v1/reports", "/v1/reports/{id}");
    let first = app.post(&report("r-1")).await.expect_status(201);
    check(&document, path, "post", &first);
    check(&document, path, "post", &app.post(&report("r-1")).await.expect_status(200));
    check(&document, path, "post", &app.post(&report("r-1").with("content", "other")).await.expect_status(422));
    check(&document, path, "post", &app.post_text("{").await.expect_status(400));
    check(&document, path, "post", &app.post_text(&" ".repeat(70_000)).await.expect_status(413));
    for field in ["reporter", "sender", "channel", "occurred_at", "report_id"] {
        check(&document, path, "post", &app.post(&report("r-2").without(field)).await.expect_status(422));
        check(&document, path, "post", &app.post(&report("r-2").with(field, "?\n?")).await);
    }
    for number in ["", "098593l054", "0912345678x1", "+14155550100", "0241234567", "01634567890", "09", &"0".repeat(40)]
    {
        check(&document, path, "post", &app.post(&report("r-2").with("reporter", number)).await.expect_status(422));
    }
    for (name, value) in
        [("harm", "health"), ("province", "99"), ("content", ""), ("occurred_at", "2020-01-01T00:00:00Z")]
    {
        check(&document, path, "post", &app.post(&report("r-2").with(name, value)).await.expect_status(422));
    }
    app.post(&report("r-3")).await.expect_status(201);
    app.post(&report("r-4")).await.expect_status(201);
    check(&document, path, "post", &app.post(&report("r-5")).await.expect_status(429));
    let send = |method: Method, path: &str, key: Option<&str>, media_type: &str, body: &str| {
        let request = app.request(method, path, key).header("content-type", media_type).body(body.to_owned());
        let app = &app;
        async move { app.send(request, "").await }
    };
    check(&document, path, "post", &send(Method::POST, path, None, "application/json", "").await.expect_status(401));
    check(
        &document,
        path,
        "post",
        &send(Method::POST, path, Some("x"), "application/json", "").await.expect_status(401),
    );
    check(&document, path, "post", &send(Method::POST, path, key, "text/plain", "").await.expect_status(415));
    check(&document, path, "post", &send(Method::PUT, path, key, "text/plain", "").await.expect_status(405));

    let batch = format!("{}\n{}\nnonsense\n", report("r-1"), report("b-1").with("reporter", "0912345679"));
    let answer = send(Method::POST, "/v1/reports/batch", key, "application/x-ndjson", &batch).await.expect_status(200);
    assert_eq!(answer.text.lines().count(), 3);
    check(&document, "/v1/reports/batch", "post", &answer);
    let refused = send(Method::POST, "/v1/reports/batch", key, "application/json", &batch).await.expect_status(415);
    check(&document, "/v1/reports/batch", "post", &refused);

    app.wait_until_built().await;
    check(&document, one, "get", &app.get(first.id()).await.expect_status(200));
    check(&document, one, "get", &app.get("x").await.expect_status(404));
    for (method, path) in routes_of(&document).into_iter().filter(|(_, path)| path.starts_with("/v1/")) {
        // Whatever a carrier that is not ready for it is told.
        let real = path.replace("{id}", "x").replace("{profile}", "kannel");
        let verb: Method = method.to_uppercase().parse().unwrap();
        check(&document, &path, &method, &send(verb.clone(), &real, None, "application/json", "{}").await);
        check(&document, &path, &method, &send(verb, &real, key, "application/json", "{}").await);
        check(&document, &path, &method, &send(Method::DELETE, &real, key, "text/plain", "").await.expect_status(405));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_shows_every_operation_and_loads_nothing_from_elsewhere() {
    let app = TestApp::spawn(Engine::Memory).await;
    let document = document(&app).await;
    let page = app.send(app.request(Method::GET, "/docs", None), "").await.expect_status(200);
    for (method, path) in routes_of(&document) {
        assert!(page.text.contains(&format!("<h2><code>{} {path}</code></h2>", method.to_uppercase())), "{path}");
    }
    let policy = page.header("content-security-policy").unwrap();
    assert_eq!(
        policy,
        "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    for forbidden in ["<script", " style=", "<style", " on", "http://", "https://"] {
        let tags = page.text.split('<').filter_map(|tag| tag.split('>').next());
        let found = tags.filter(|tag| format!("<{tag}").contains(forbidden)).count();
        assert_eq!(found, 0, "{forbidden}");
    }
    let style = app.send(app.request(Method::GET, "/docs/style.css", None), "").await.expect_status(200);
    assert!(style.header("content-type").unwrap().starts_with("text/css") && !style.text.contains("url("));
}
