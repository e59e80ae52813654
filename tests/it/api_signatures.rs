//! Signed requests: what is taken, and what is refused with which reason.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};
use spamgate::domain::carrier::Signatures;
use spamgate::domain::clock::Moment;
use spamgate::enrol::{SigningKeyKind, Terms};
use spamgate::store::signing_keys::list_good_signing_keys;

use crate::support::{
    Carrier, Engine, Secret, SignedRequest, Signer, TestApp, WITH_BODY, Wish, on_every_engine, report, reporter,
    wait_until,
};

/// A change holds within half a second; the rest is for a busy machine.
const CHANGED_WITHIN: Duration = Duration::from_secs(2);
/// Requests signed by another library.
const BY_ANOTHER_LIBRARY: usize = 1_000;
/// Requests that were changed after they were signed.
const ALTERED: usize = 10_000;

fn signing(signatures: Signatures) -> Terms {
    Terms { signatures, ..Terms::default() }
}

fn now_s(app: &TestApp) -> i64 {
    Moment::parse_rfc3339(&app.in_seconds(0)).unwrap().0 / 1_000_000
}

/// A carrier that has to sign, with a shared secret.
fn signing_carrier(app: &TestApp) -> (Carrier, Signer) {
    let carrier = app.add_carrier_with("signing", signing(Signatures::Required));
    let signer = app.add_hmac_key(&carrier);
    (carrier, signer)
}

/// Signs with the usual parts, now.
fn signed_report(app: &TestApp, signer: &Signer, id: &str, nonce: &str) -> SignedRequest {
    let url = app.url("");
    let wish = Wish { url: &url, created: now_s(app), nonce, components: WITH_BODY };
    signer.sign(Method::POST, "/v1/reports", &report(id).to_string(), &wish)
}

fn signed_get(app: &TestApp, signer: &Signer, path: &str, nonce: &str) -> SignedRequest {
    let url = app.url("");
    let wish = Wish { url: &url, created: now_s(app), nonce, components: &["@method", "@target-uri"] };
    signer.sign(Method::GET, path, "", &wish)
}

on_every_engine! {
    async fn a_carrier_that_has_to_sign_is_refused_without_and_taken_with_a_signature(app: TestApp) {
        let (carrier, signer) = signing_carrier(&app);
        let refused = app.post_as(&carrier, &report("r-1")).await.expect_problem(401, "signature_missing", "");
        assert_eq!(refused.header("ratelimit"), None, "it took nothing");
        let taken = app.send_signed(&carrier, &signed_report(&app, &signer, "r-1", "n-1")).await.expect_status(201);
        let path = format!("/v1/reports/{}", taken.id());
        app.send_signed(&carrier, &signed_get(&app, &signer, &path, "n-2")).await.expect_status(200);
        app.get_as(&carrier, taken.id()).await.expect_problem(401, "signature_missing", "");
        let other = app.add_ed25519_key(&carrier, 7);
        app.send_signed(&carrier, &signed_report(&app, &other, "r-2", "n-1")).await.expect_status(201);
        assert_eq!(app.journal_rows(), 2);
    }

    async fn what_was_altered_is_refused_and_nothing_of_it_is_taken(app: TestApp) {
        let (carrier, signer) = signing_carrier(&app);
        let mut body = signed_report(&app, &signer, "r-1", "n-1");
        body.body = report("r-2").to_string();
        app.send_signed(&carrier, &body).await.expect_problem(401, "digest_wrong", "");
        let mut none = signed_report(&app, &signer, "r-1", "n-2");
        none.body.clear();
        app.send_signed(&carrier, &none).await.expect_problem(401, "digest_wrong", "");
        let mut digest = signed_report(&app, &signer, "r-1", "n-3");
        *digest.header_mut("content-digest") = format!("sha-256=:{}:", STANDARD.encode([1; 32]));
        app.send_signed(&carrier, &digest).await.expect_problem(401, "signature_wrong", "");
        let mut path = signed_report(&app, &signer, "r-1", "n-4");
        path.path.push_str("?a=b");
        app.send_signed(&carrier, &path).await.expect_problem(401, "signature_wrong", "");
        // Something behind the signed nothing.
        let mut get = signed_get(&app, &signer, "/v1/reports/x", "n-5");
        get.body = report("r-1").to_string();
        app.send_signed(&carrier, &get).await.expect_problem(401, "signature_components", "");
        let mut little = signed_report(&app, &signer, "r-1", "n-6");
        let input = little.header_mut("signature-input");
        *input = input.replace(" \"content-digest\"", "");
        app.send_signed(&carrier, &little).await.expect_problem(401, "signature_components", "");
        let mut broken = signed_report(&app, &signer, "r-1", "n-7");
        broken.header_mut("signature").pop();
        app.send_signed(&carrier, &broken).await.expect_problem(401, "signature_malformed", "");
        assert_eq!(app.journal_rows(), 0);
    }

    async fn a_request_counts_once_on_every_node(app: TestApp) {
        let (carrier, signer) = signing_carrier(&app);
        let request = signed_report(&app, &signer, "r-1", "n-1");
        app.send_signed(&carrier, &request).await.expect_status(201);
        app.send_signed(&carrier, &request).await.expect_problem(401, "signature_replayed", "");
        app.send_signed(&carrier, &signed_report(&app, &signer, "r-2", "n-1")).await.expect_problem(401, "signature_replayed", "");
        // Signed anew, the same report is a retry.
        app.send_signed(&carrier, &signed_report(&app, &signer, "r-1", "n-2")).await.expect_status(200);
        if app.engine == Engine::PostgresqlRedis {
            let url = app.url("");
            let other = app.join(|config| config.server.public_url = url).await;
            other.send_signed(&carrier, &request).await.expect_problem(401, "signature_replayed", "");
            other.send_signed(&carrier, &signed_report(&app, &signer, "r-1", "n-3")).await.expect_status(200);
        }
    }

    async fn of_a_signed_batch_no_line_is_taken_before_all_is_what_was_signed(app: TestApp) {
        let (carrier, signer) = signing_carrier(&app);
        let url = app.url("");
        let lines: String = (0..300)
            .map(|index| format!("{}\n", report(&format!("r-{index}")).with("reporter", reporter(index))))
            .collect();
        let sign = |nonce: &str| {
            let wish = Wish { url: &url, created: now_s(&app), nonce, components: &["@method", "@target-uri", "content-digest"] };
            let mut request = signer.sign(Method::POST, "/v1/reports/batch", &lines, &wish);
            *request.header_mut("content-type") = "application/x-ndjson".to_owned();
            request
        };
        let mut altered = sign("n-1");
        altered.body = lines.replacen("r-299", "r-300", 1);
        app.send_signed(&carrier, &altered).await.expect_problem(401, "digest_wrong", "");
        assert_eq!(app.journal_rows(), 0);
        let taken = app.send_signed(&carrier, &sign("n-2")).await.expect_status(200);
        assert_eq!(taken.text.lines().count(), 300);
        assert_eq!(app.journal_rows(), 300);
        app.send_signed(&carrier, &sign("n-2")).await.expect_problem(401, "signature_replayed", "");
    }

    async fn a_wrong_signature_burns_no_nonce(app: TestApp) {
        let (carrier, signer) = signing_carrier(&app);
        let right = signed_report(&app, &signer, "r-1", "n-1");
        let mut wrong = right.clone();
        *wrong.header_mut("signature") = format!("sig=:{}:", STANDARD.encode([1; 32]));
        app.send_signed(&carrier, &wrong).await.expect_problem(401, "signature_wrong", "");
        app.send_signed(&carrier, &right).await.expect_status(201);
    }

    async fn a_request_that_has_to_wait_uses_up_no_nonce(engine: Engine) {
        let app = TestApp::spawn_with(engine, |config| {
            config.limits.carrier_per_second = 1.try_into().unwrap();
            config.limits.carrier_burst = 1.try_into().unwrap();
        })
        .await;
        let (carrier, signer) = signing_carrier(&app);
        app.send_signed(&carrier, &signed_report(&app, &signer, "r-1", "n-1")).await.expect_status(201);
        let second = signed_report(&app, &signer, "r-2", "n-2");
        let refused = app.send_signed(&carrier, &second).await.expect_problem(429, "carrier_rate_limited", "");
        app.advance(Duration::from_secs(refused.retry_after_s()));
        app.send_signed(&carrier, &second).await.expect_status(201);
        app.advance(Duration::from_secs(1));
        app.send_signed(&carrier, &second).await.expect_problem(401, "signature_replayed", "");
    }

    async fn a_signature_is_good_for_five_minutes(app: TestApp) {
        let (carrier, signer) = signing_carrier(&app);
        let (first, second) = (signed_report(&app, &signer, "r-1", "n-1"), signed_report(&app, &signer, "r-2", "n-2"));
        app.advance(Duration::from_secs(300));
        app.send_signed(&carrier, &first).await.expect_status(201);
        app.advance(Duration::from_secs(1));
        app.send_signed(&carrier, &second).await.expect_problem(401, "signature_expired", "");
        app.send_signed(&carrier, &first).await.expect_problem(401, "signature_expired", "");
    }

    async fn another_carriers_key_signs_nothing(app: TestApp) {
        let (carrier, _) = signing_carrier(&app);
        let other = app.add_carrier("other");
        let signer = app.add_hmac_key(&other);
        let request = signed_report(&app, &signer, "r-1", "n-1");
        app.send_signed(&carrier, &request).await.expect_problem(401, "signature_key_unknown", "");
        app.send_signed(&other, &request).await.expect_status(201);
    }

    async fn a_carrier_that_may_sign_is_taken_without_but_not_with_a_wrong_signature(app: TestApp) {
        let carrier = app.add_carrier("carrier");
        let signer = app.add_hmac_key(&carrier);
        app.post_as(&carrier, &report("r-1")).await.expect_status(201);
        let mut request = signed_report(&app, &signer, "r-2", "n-1");
        request.body = report("r-3").to_string();
        app.send_signed(&carrier, &request).await.expect_problem(401, "digest_wrong", "");
        // A signature for somebody on the way is of no interest.
        let foreign = Signer { key_id: "proxy".to_owned(), secret: Secret::ed25519(1) };
        app.send_signed(&carrier, &signed_report(&app, &foreign, "r-4", "n-1")).await.expect_status(201);
        assert_eq!(app.journal_rows(), 2);
    }

    async fn a_signing_key_is_replaced_without_a_moment_in_which_none_is_good(app: TestApp) {
        let (carrier, old) = signing_carrier(&app);
        app.send_signed(&carrier, &signed_report(&app, &old, "r-1", "n-1")).await.expect_status(201);
        let new = app.add_hmac_key(&carrier);
        wait_until("the new key is known", CHANGED_WITHIN, async || {
            let nonce = uuid::Uuid::now_v7().to_string();
            app.send_signed(&carrier, &signed_report(&app, &new, "r-1", &nonce)).await.status == 200
        })
        .await;
        app.send_signed(&carrier, &signed_report(&app, &old, "r-1", "n-2")).await.expect_status(200);
        assert!(app.try_add_signing_key(&carrier, &SigningKeyKind::NewSecret).is_err(), "two are good");
        app.revoke_signing_key(&old);
        wait_until("the old key is refused", CHANGED_WITHIN, async || {
            let nonce = uuid::Uuid::now_v7().to_string();
            app.send_signed(&carrier, &signed_report(&app, &old, "r-1", &nonce)).await.status == 401
        })
        .await;
        app.send_signed(&carrier, &signed_report(&app, &new, "r-1", "n-3")).await.expect_status(200);
        // What was seen is remembered across the change.
        app.send_signed(&carrier, &signed_report(&app, &new, "r-1", "n-3")).await.expect_problem(401, "signature_replayed", "");
    }

    async fn behind_a_proxy_the_public_url_is_signed(engine: Engine) {
        let public = "https://gate.example";
        let app = TestApp::spawn_with(engine, |config| config.server.public_url = public.to_owned()).await;
        let (carrier, signer) = signing_carrier(&app);
        let wish = Wish { url: public, created: now_s(&app), nonce: "n-1", components: WITH_BODY };
        let request = signer.sign(Method::POST, "/v1/reports", &report("r-1").to_string(), &wish);
        app.send_signed(&carrier, &request).await.expect_status(201);
        app.send_signed(&carrier, &signed_report(&app, &signer, "r-1", "n-2")).await.expect_problem(401, "signature_wrong", "");
    }

    async fn a_shared_secret_does_not_stand_in_clear_in_the_database(app: TestApp) {
        let (_, signer) = signing_carrier(&app);
        let Secret::Hmac(secret) = &signer.secret else { unreachable!("it is a shared one") };
        let rows = list_good_signing_keys(&mut app.connection()).unwrap();
        assert_eq!(rows.len(), 1);
        let holds = |bytes: &[u8]| bytes.windows(8).any(|part| secret.windows(8).any(|piece| piece == part));
        assert!(holds(secret) && !holds(&rows[0].material));
    }
}

/// What is left out of these is the label, which is the sender's own, and what the signature does not cover.
fn alter(request: &mut SignedRequest, random: &mut impl FnMut(usize) -> usize) -> &'static str {
    let other_byte = |text: &mut String, random: &mut dyn FnMut(usize) -> usize| {
        let mut bytes = text.clone().into_bytes();
        let at = random(bytes.len());
        // Printable ASCII stays printable.
        let changed = 0x21 + u8::try_from((usize::from(bytes[at]) - 0x20 + random(92)) % 93).unwrap();
        bytes[at] = if changed == bytes[at] { changed ^ 1 } else { changed };
        *text = String::from_utf8(bytes).unwrap();
    };
    match random(10) {
        0 => {
            let at = loop {
                let at = random(request.body.len());
                if request.body.is_char_boundary(at) && request.body.as_bytes()[at].is_ascii() {
                    break at;
                }
            };
            request.body.replace_range(at..=at, if request.body.as_bytes()[at] == b'x' { "y" } else { "x" });
            "a byte of the body"
        }
        1 => {
            request.body.push(' ');
            "the end of the body"
        }
        2 => {
            other_byte(request.header_mut("content-digest"), random);
            "the digest"
        }
        3 => {
            let encoded = request.header_mut("signature");
            let mut signature = STANDARD.decode(encoded.trim_start_matches("sig=:").trim_end_matches(':')).unwrap();
            let bit = random(signature.len() * 8);
            signature[bit / 8] ^= 1 << (bit % 8);
            *encoded = format!("sig=:{}:", STANDARD.encode(signature));
            "a bit of the signature"
        }
        4 => {
            other_byte(request.header_mut("signature"), random);
            "the field of the signature"
        }
        5 => {
            other_byte(request.header_mut("signature-input"), random);
            "the field of its parameters"
        }
        6 => {
            let input = request.header_mut("signature-input");
            let component = WITH_BODY[random(WITH_BODY.len())];
            *input = input.replace(&format!("\"{component}\""), "").replace("  ", " ").replace("( ", "(");
            "a component less"
        }
        7 => {
            let extra = [";expires=9999999999", ";alg=\"ed25519\"", ";tag=\"x\"", ";x"][random(4)];
            request.header_mut("signature-input").push_str(extra);
            "a parameter more"
        }
        8 => {
            request.path.push_str(["?", "?a", "?a=b"][random(3)]);
            "the address"
        }
        _ => {
            let name = ["signature", "signature-input", "content-digest", "content-type"][random(4)];
            request.headers.retain(|(other, _)| other != name);
            "a field less"
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_altered_requests_are_refused() {
    // Where only the body was altered, one of the carrier's limit is taken before that is seen.
    let app = TestApp::spawn_with(Engine::Memory, |config| {
        config.limits.carrier_burst = u32::try_from(ALTERED).unwrap().try_into().unwrap();
    })
    .await;
    let (carrier, hmac) = signing_carrier(&app);
    let ed25519 = app.add_ed25519_key(&carrier, 9);
    app.send_signed(&carrier, &signed_report(&app, &hmac, "right", "right")).await.expect_status(201);
    let seed = u64::try_from(uuid::Uuid::now_v7().as_u128() & u128::from(u64::MAX)).unwrap();
    println!("seed {seed}");
    let mut state = seed;
    let mut random = |below: usize| {
        // SplitMix64.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(below).unwrap()).unwrap()
    };
    for index in 0..ALTERED {
        let signer = if index % 2 == 0 { &hmac } else { &ed25519 };
        let mut request = signed_report(&app, signer, "altered", &format!("n-{index}"));
        let what = alter(&mut request, &mut random);
        let answer = app.send_signed(&carrier, &request).await;
        assert_eq!(answer.status, 401, "{what}, seed {seed}, request {index}: {}", answer.text);
        assert_ne!(answer.string("code"), "signature_replayed", "{what}, seed {seed}, request {index}");
    }
    assert_eq!(app.journal_rows(), 1, "nothing but the one that was right is taken");
}

/// The signer's library in a place of its own, made once.
fn python() -> PathBuf {
    let requirements = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/signatures/requirements.txt");
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("signatures-python");
    let (python, made) = (place.join("bin/python"), place.join("made-of.txt"));
    let wanted = std::fs::read_to_string(&requirements).unwrap();
    if std::fs::read_to_string(&made).is_ok_and(|there| there == wanted) {
        return python;
    }
    let run = |command: &mut Command| assert!(command.status().unwrap().success(), "{command:?}");
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&place));
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:", "-r"];
    run(Command::new(&python).args(install).arg(&requirements));
    std::fs::write(&made, wanted).unwrap();
    python
}

fn sign_elsewhere(task: &Value) -> Vec<Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/signatures/sign.py");
    let mut signing = Command::new(python()).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    signing.stdin.take().unwrap().write_all(task.to_string().as_bytes()).unwrap();
    let output = signing.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_requests_signed_by_another_library_are_taken() {
    let app = TestApp::spawn(Engine::Memory).await;
    let (carrier, hmac) = signing_carrier(&app);
    let ed25519 = app.add_ed25519_key(&carrier, 9);
    let Secret::Hmac(secret) = &hmac.secret else { unreachable!("it is a shared one") };
    let bodies: Vec<String> = (0..BY_ANOTHER_LIBRARY)
        .map(|index| report(&format!("r-{index}")).with("reporter", reporter(index)).to_string())
        .collect();
    let task = json!({
        "url": app.url(""), "created": now_s(&app), "bodies": bodies,
        "hmac": {"id": hmac.key_id, "secret": STANDARD.encode(secret)},
        "ed25519": {"id": ed25519.key_id, "private": STANDARD.encode([9; 32])},
    });
    let signed = tokio::task::spawn_blocking(move || sign_elsewhere(&task)).await.unwrap();
    assert_eq!(signed.len(), BY_ANOTHER_LIBRARY);
    for request in signed {
        let headers = request["headers"].as_object().unwrap();
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect();
        let (path, body) = (request["path"].as_str().unwrap().to_owned(), request["body"].as_str().unwrap().to_owned());
        let request = SignedRequest { method: Method::POST, path, headers, body };
        app.send_signed(&carrier, &request).await.expect_status(201);
    }
    assert_eq!(app.journal_rows(), i64::try_from(BY_ANOTHER_LIBRARY).unwrap());
}
