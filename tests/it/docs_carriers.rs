//! docs/CARRIERS.md is followed to the letter, by a shell and by Python, against a real gateway.

use std::process::{Command, Output};

use reqwest::Method;
use serde_json::Value;

use crate::support::{Engine, GatewayProcess, TestApp, spamgate};

const PAGE: &str = include_str!("../../docs/CARRIERS.md");

/// A block of code: its language and its text.
fn blocks() -> Vec<(&'static str, &'static str)> {
    let fenced = PAGE.split("\n```").skip(1).step_by(2);
    fenced.map(|block| block.split_once('\n').unwrap()).collect()
}

/// Runs all shell blocks in one shell, as a reader would type them, with a mark before each; scripts lie beside.
fn follow(url: &str, key: &str, signing_key: &Value) -> Output {
    let place = tempfile::tempdir().unwrap();
    let mut typed = String::from("set -eu\n");
    for (index, (language, text)) in blocks().into_iter().enumerate() {
        match language {
            "sh" => typed.push_str(&format!("echo; echo '=== {index}'\n{text}\n")),
            "python" => {
                let name = text.strip_prefix("# ").and_then(|text| text.split_once(':')).unwrap().0;
                std::fs::write(place.path().join(name), text).unwrap();
            }
            "text" => {}
            other => panic!("a block of `{other}` is not run"),
        }
    }
    let mut command = Command::new("sh");
    command.args(["-c", &typed]).current_dir(place.path()).env("GATEWAY", url).env("KEY", key);
    for (name, member) in [("SIGNING_KEY_ID", "id"), ("SIGNING_KEY", "secret")] {
        command.env(name, signing_key[member].as_str().unwrap());
    }
    command.output().expect("there is a shell")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_script_for_a_batchs_answers_reads_a_refusal_of_all_of_it_too() {
    let app = TestApp::spawn(Engine::Memory).await;
    let request = app.request(Method::POST, "/v1/reports/batch", Some("sgk_unknown"));
    let refused = app.send(request.header("content-type", "application/x-ndjson"), "").await.expect_status(401);
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("answers.ndjson"), &refused.text).unwrap();
    let (_, script) = blocks().into_iter().find(|(_, text)| text.contains("open(\"answers.ndjson\")")).unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", script]).current_dir(place.path());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{err}");
    assert_eq!(out, "nothing was taken: 401 api_key_unknown\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_follows_the_page_gets_what_it_says() {
    let mut gateway = GatewayProcess::spawn(&[]);
    let (url, key) = (gateway.url().await, gateway.api_key());
    let data = gateway.keys().parent().unwrap().display().to_string();
    let public_key = format!("09{}", "0".repeat(62));
    spamgate(&["--data", &data, "carrier", "feed-key", "set", "local", &public_key]).await.expect_ok();

    let added =
        spamgate(&["--data", &data, "carrier", "signing-key", "add", "local", "--alg", "hmac-sha256", "--json"]).await;
    let signing_key = added.expect_json();
    let output = tokio::task::spawn_blocking(move || follow(&url, &key, &signing_key)).await.unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && err.is_empty(), "{err}\n{out}");
    let mut parts: Vec<&str> = out.split("\n=== ").skip(1).map(|part| part.split_once('\n').unwrap().1).collect();
    parts.reverse();
    let mut next = |what: &str| parts.pop().unwrap_or_else(|| panic!("no part for {what}"));

    assert_eq!(next("the way is free").trim(), "200");
    let first = next("one report");
    assert!(first.contains("\"duplicate\":false") && first.contains("\"receipt\":\""), "{first}");
    let asked = next("what became of it");
    assert!(asked.contains("\"status\":\"accepted\"") || asked.contains("\"status\":\"counted\""), "{asked}");
    let script: Vec<&str> = next("the script").trim().lines().collect();
    assert_eq!(script.len(), 3, "{script:?}");
    assert!(script[0].ends_with(" new") && script[1].ends_with(" stored before"), "{script:?}");
    assert_eq!(script[0].split(' ').next(), script[1].split(' ').next(), "the same id");
    assert!(script[2].starts_with("to be mended: number_has_letter sender: "), "{script:?}");
    let batch = next("a batch");
    assert_eq!(batch.matches("\"status\":201").count(), 3, "{batch}");
    let read: Vec<&str> = next("the answers of a batch").trim().lines().collect();
    assert!(read[0].starts_with("1 stored ") && read[3] == "4 to be mended: invalid_json", "{read:?}");
    let told = next("an SMS");
    assert!(!told.trim().is_empty() && !told.contains("Chua nhan"), "{told}");
    let limits = next("limits").to_lowercase();
    assert!(
        limits.contains("ratelimit-policy: \"carrier\";q=") && limits.contains("ratelimit: \"carrier\";r="),
        "{limits}"
    );
    assert!(next("usage").contains("\"days\":"));
    assert_eq!(next("the feed").matches("\"next\":").count(), 2);
    assert_eq!(next("a webhook").trim(), "True False");
    assert!(next("requests").contains("\"items\":"));
    assert_eq!(next("a signed report").trim(), script[0].split(' ').next().unwrap(), "the id does not depend on it");
    assert!(parts.is_empty(), "{} parts are not looked at", parts.len());
}
