//! The command line: what it prints for machines, and what it refuses.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Engine, Ran, TestApp, report, reporter, spamgate};

/// Runs a command on a data directory.
async fn on(data: &Path, arguments: &[&str]) -> Ran {
    let data = data.to_str().unwrap();
    spamgate(&[&["--data", data], arguments].concat()).await
}

/// Tries to serve a data directory.
async fn serve(data: &Path) -> Ran {
    on(data, &["serve", "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"]).await
}

/// Runs a command with a configuration file of this text.
async fn with_config(text: &str, data: &Path, arguments: &[&str]) -> Ran {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), text).unwrap();
    on(data, &[&["--config", file.path().to_str().unwrap()], arguments].concat()).await
}

/// A data directory on which a gateway has run.
async fn used_data() -> TestApp {
    let app = TestApp::spawn(Engine::Memory).await;
    app.stop().await;
    app
}

fn names_in(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The names of an object's members, sorted.
fn members(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

mod config {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn show_prints_settings_that_can_be_read_again() {
        let data = tempfile::tempdir().unwrap();
        let shown = on(data.path(), &["config", "show"]).await.expect_ok();
        let again = with_config(&shown, data.path(), &["config", "show"]).await.expect_ok();
        assert_eq!(shown, again);
        let table: toml::Table = shown.parse().unwrap();
        assert_eq!(table["limits"]["reporter_per_day"].as_integer(), Some(20));
        assert!(names_in(data.path()).is_empty(), "looking at settings makes nothing");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn show_leaves_a_password_out() {
        let data = tempfile::tempdir().unwrap();
        let text = "[fast]\nurl = \"redis://gate:pa55word@redis.example:6379\"";
        let shown = with_config(text, data.path(), &["config", "show"]).await.expect_ok();
        assert!(!shown.contains("pa55word") && shown.contains("redis.example"), "{shown}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn check_finds_good_settings_good() {
        let data = tempfile::tempdir().unwrap();
        with_config("[limits]\nreporter_per_day = 5", data.path(), &["config", "check"]).await.expect_ok();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn check_names_a_setting_that_does_not_exist() {
        let data = tempfile::tempdir().unwrap();
        let ran = with_config("[limits]\nreporter_per_dya = 5", data.path(), &["config", "check"]).await;
        let complaint = ran.expect_refused();
        assert!(complaint.contains("reporter_per_dya"), "{complaint}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn check_names_a_setting_whose_value_makes_no_sense() {
        let data = tempfile::tempdir().unwrap();
        for (text, setting) in [
            ("[server]\nbody_max_bytes = 5", "server.body_max_bytes"),
            ("[region]\ncountry = \"XX\"", "region.country"),
            ("[fast]\ntimeout_ms = 0", "fast.timeout_ms"),
        ] {
            let complaint = with_config(text, data.path(), &["config", "check"]).await.expect_refused();
            assert!(complaint.contains(setting), "{complaint}");
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_configuration_file_that_is_not_there_is_named() {
        let data = tempfile::tempdir().unwrap();
        let complaint = on(data.path(), &["--config", "/nowhere.toml", "config", "check"]).await.expect_refused();
        assert!(complaint.contains("/nowhere.toml"), "{complaint}");
    }

    // Fails when only `serve` looks at the engines.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn check_refuses_an_engine_that_does_not_exist() {
        let data = tempfile::tempdir().unwrap();
        for text in ["[store]\nurl = \"sqllite:\"", "[fast]\nurl = \"memcached://host\""] {
            with_config(text, data.path(), &["config", "check"]).await.expect_refused();
        }
    }
}

mod carrier {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn add_prints_id_name_and_key_and_the_key_works() {
        let app = TestApp::spawn(Engine::Memory).await;
        let added = on(app.data(), &["carrier", "add", "vina", "--json"]).await.expect_json();
        assert_eq!(members(&added), ["api_key", "id", "name"]);
        assert_eq!(added["name"], "vina");
        let id: uuid::Uuid = added["id"].as_str().unwrap().parse().unwrap();
        assert_eq!(id.get_version_num(), 7);
        let api_key = added["api_key"].as_str().unwrap();
        assert!(api_key.starts_with("sgk_"));
        app.advance(std::time::Duration::from_secs(1));
        let request = app.request(reqwest::Method::GET, "/v1/reports/x", Some(api_key));
        app.send(request, "").await.expect_problem(404, "report_not_found", "");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_name_is_taken_once() {
        let data = tempfile::tempdir().unwrap();
        on(data.path(), &["carrier", "add", "vina", "--json"]).await.expect_ok();
        on(data.path(), &["carrier", "add", "vina", "--json"]).await.expect_refused();
        on(data.path(), &["carrier", "revoke", "vina"]).await.expect_ok();
        on(data.path(), &["carrier", "add", "vina", "--json"]).await.expect_refused();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_name_has_small_letters_digits_and_hyphens() {
        let data = tempfile::tempdir().unwrap();
        for name in ["", "Vina", "vi na", "a/b", "é", &"x".repeat(65)] {
            on(data.path(), &["carrier", "add", name]).await.expect_refused();
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn list_shows_all_terms_and_no_key() {
        let data = tempfile::tempdir().unwrap();
        let terms = [
            "carrier",
            "add",
            "vina",
            "--attests",
            "+8491,+8494",
            "--per-second",
            "5",
            "--burst",
            "9",
            "--per-day",
            "1000",
            "--json",
        ];
        let added = on(data.path(), &terms).await.expect_json();
        let ran = on(data.path(), &["carrier", "list", "--json"]).await;
        let listed = ran.expect_json();
        assert!(!listed.to_string().contains(added["api_key"].as_str().unwrap()));
        let carrier = &listed[0];
        assert_eq!(listed.as_array().unwrap().len(), 1);
        assert_eq!((&carrier["id"], &carrier["name"]), (&added["id"], &added["name"]));
        assert_eq!(carrier["attests"], "+8491,+8494");
        assert_eq!(
            (&carrier["per_second"], &carrier["burst"], &carrier["per_day"]),
            (&json!(5), &json!(9), &json!(1_000))
        );
        assert!(carrier["revoked_at"].is_null());
    }

    // Fails when a number beyond 2147483647 is dropped in silence and the default holds.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_limit_too_large_to_be_kept_is_not_taken_in_silence() {
        let data = tempfile::tempdir().unwrap();
        let ran = on(data.path(), &["carrier", "add", "vina", "--burst", "4294967295"]).await;
        if ran.code == Some(0) {
            let listed = on(data.path(), &["carrier", "list", "--json"]).await.expect_json();
            assert_eq!(listed[0]["burst"], 4_294_967_295_u32, "what was asked for is what is kept");
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn terms_are_given_shown_and_changed_one_by_one() {
        let data = tempfile::tempdir().unwrap();
        let given = ["carrier", "add", "vina", "--scope", "report,mo", "--address", "192.0.2.0/24,2001:db8::/32"];
        on(data.path(), &given).await.expect_ok();
        let listed = on(data.path(), &["carrier", "list", "--json"]).await.expect_json();
        let shown = |carrier: &Value| (carrier["scopes"].clone(), carrier["addresses"].clone());
        assert_eq!(shown(&listed[0]), (json!("report,mo"), json!("192.0.2.0/24,2001:db8::/32")));
        let set = ["carrier", "set", "vina", "--scope", "feed_all", "--per-second", "7", "--per-day", "none", "--json"];
        let changed = on(data.path(), &set).await.expect_json();
        assert_eq!(shown(&changed), (json!("feed_all"), json!("192.0.2.0/24,2001:db8::/32")));
        assert_eq!(
            (&changed["per_second"], &changed["burst"], &changed["per_day"]),
            (&json!(7), &Value::Null, &json!(0))
        );
        let set = ["carrier", "set", "vina", "--per-second", "default", "--address", "any", "--json"];
        let changed = on(data.path(), &set).await.expect_json();
        assert_eq!((shown(&changed), &changed["per_second"]), ((json!("feed_all"), json!("any")), &Value::Null));
        for wrong in [&["--scope", "all"][..], &["--address", "192.0.2.1/24"], &["--burst", "0"], &[]] {
            let ran = on(data.path(), &[&["carrier", "set", "vina"], wrong].concat()).await;
            assert_ne!(ran.code, Some(0), "{wrong:?}");
        }
        on(data.path(), &["carrier", "set", "nobody", "--scope", "mo"]).await.expect_refused();
        let listed = on(data.path(), &["carrier", "list", "--json"]).await.expect_json();
        assert_eq!(shown(&listed[0]), (json!("feed_all"), json!("any")));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn keys_are_added_listed_by_id_and_revoked_one_by_one() {
        let data = tempfile::tempdir().unwrap();
        let first = on(data.path(), &["carrier", "add", "vina", "--json"]).await.expect_json();
        let second = on(data.path(), &["carrier", "key", "add", "vina", "--json"]).await.expect_json();
        assert!(second["api_key"].as_str().unwrap().starts_with("sgk_"));
        assert_ne!(first["api_key"], second["api_key"]);
        on(data.path(), &["carrier", "key", "add", "vina"]).await.expect_refused();
        let listed = on(data.path(), &["carrier", "key", "list", "vina", "--json"]).await.expect_json();
        assert_eq!(listed.as_array().unwrap().len(), 2);
        assert!(!listed.to_string().contains("sgk_"));
        let id = listed[0]["id"].as_str().unwrap();
        on(data.path(), &["carrier", "key", "revoke", "vina", id]).await.expect_ok();
        on(data.path(), &["carrier", "key", "revoke", "vina", id]).await.expect_refused();
        on(data.path(), &["carrier", "key", "revoke", "vina", ""]).await.expect_refused();
        on(data.path(), &["carrier", "key", "revoke", "nobody", id]).await.expect_refused();
        let listed = on(data.path(), &["carrier", "key", "list", "vina", "--json"]).await.expect_json();
        assert!(!listed[0]["revoked_at"].is_null() && listed[1]["revoked_at"].is_null());
        on(data.path(), &["carrier", "key", "add", "vina"]).await.expect_ok();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn signing_keys_are_added_listed_and_revoked_and_a_secret_is_shown_once() {
        let data = tempfile::tempdir().unwrap();
        on(data.path(), &["carrier", "add", "vina", "--signatures", "required"]).await.expect_ok();
        let listed = on(data.path(), &["carrier", "list", "--json"]).await.expect_json();
        assert_eq!(listed[0]["signatures"], "required");
        let add = ["carrier", "signing-key", "add", "vina", "--alg"];
        let shared = on(data.path(), &[&add[..], &["hmac-sha256", "--json"]].concat()).await.expect_json();
        assert_eq!(shared["secret"].as_str().unwrap().len(), 44, "32 bytes in Base64");
        let short = [&add[..], &["ed25519", "--public-key", "AQI="]].concat();
        on(data.path(), &short).await.expect_refused();
        let public = [&add[..], &["ed25519", "--public-key", "JrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=", "--json"]];
        let public = on(data.path(), &public.concat()).await.expect_json();
        assert!(public["secret"].is_null());
        on(data.path(), &[&add[..], &["hmac-sha256"]].concat()).await.expect_refused();
        let list = ["carrier", "signing-key", "list", "vina", "--json"];
        let listed = on(data.path(), &list).await.expect_json();
        assert_eq!((&listed[0]["algorithm"], &listed[1]["algorithm"]), (&json!("hmac-sha256"), &json!("ed25519")));
        assert!(!listed.to_string().contains(shared["secret"].as_str().unwrap()));
        let id = shared["id"].as_str().unwrap();
        on(data.path(), &["carrier", "signing-key", "revoke", "vina", id]).await.expect_ok();
        on(data.path(), &["carrier", "signing-key", "revoke", "vina", id]).await.expect_refused();
        on(data.path(), &[&add[..], &["hmac-sha256"]].concat()).await.expect_ok();
        on(data.path(), &["carrier", "signing-key", "add", "nobody", "--alg", "hmac-sha256"]).await.expect_refused();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_carrier_is_revoked_once() {
        let data = tempfile::tempdir().unwrap();
        on(data.path(), &["carrier", "add", "vina"]).await.expect_ok();
        let revoked = on(data.path(), &["carrier", "revoke", "vina", "--json"]).await.expect_json();
        assert_eq!(revoked["name"], "vina");
        let listed = on(data.path(), &["carrier", "list", "--json"]).await.expect_json();
        assert_eq!(listed[0]["revoked_at"], revoked["revoked_at"]);
        on(data.path(), &["carrier", "revoke", "vina", "--json"]).await.expect_refused();
        on(data.path(), &["carrier", "revoke", "nobody", "--json"]).await.expect_refused();
    }
}

mod cases {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn list_shows_cases_most_voices_first() {
        let app = TestApp::spawn(Engine::Memory).await;
        app.post(&report("r-1").with("sender", "0985931055")).await.expect_status(201);
        for index in 0..2 {
            let body = report(&format!("c-{index}")).with("reporter", reporter(index)).with("money_lost", true);
            app.post(&body).await.expect_status(201);
        }
        app.post(&report("c-9").with("channel", "call").without("content")).await.expect_status(201);
        app.wait_until_built().await;
        let listed = on(app.data(), &["cases", "list", "--json"]).await.expect_json();
        let listed = listed.as_array().unwrap();
        assert_eq!(listed.len(), 2);
        assert_eq!((&listed[0]["voices"], &listed[0]["channel"]), (&json!(3), &json!("mixed")));
        assert_eq!((&listed[1]["voices"], &listed[1]["channel"]), (&json!(1), &json!("sms")));
        let of_a_case = [
            "category",
            "channel",
            "counter_voices",
            "first_report_at",
            "last_report_at",
            "reference",
            "reports",
            "sender_kind",
            "status",
            "voices",
        ];
        assert_eq!(members(&listed[0]), of_a_case);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_case_is_an_empty_list() {
        let app = used_data().await;
        assert_eq!(on(app.data(), &["cases", "list", "--json"]).await.expect_json(), json!([]));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn show_prints_one_case_whatever_the_case_of_its_reference() {
        let app = TestApp::spawn(Engine::Memory).await;
        app.post(&report("r-1").with("money_lost", true)).await.expect_status(201);
        app.post(&report("r-2")).await.expect_status(201);
        let reference = app.only_case().await.reference;
        let shown = on(app.data(), &["cases", "show", &reference.to_lowercase(), "--json"]).await.expect_json();
        assert_eq!(shown["reference"], reference);
        assert_eq!((&shown["reports"], &shown["repeats"], &shown["voices"]), (&json!(2), &json!(1), &json!(1)));
        assert_eq!(shown["reports_by_channel"], json!({"sms": 2, "call": 0}));
        assert_eq!(
            shown["reports_by_source"],
            json!({"carrier_api": 2, "carrier_batch": 0, "carrier_mo": 0, "web": 0})
        );
        assert_eq!((&shown["money_lost"], &shown["decisions"]), (&json!(1), &json!([])));
        let text = shown.to_string();
        assert!(!text.contains("985931054") && !text.contains("912345678"), "{text}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn show_of_an_unknown_case_fails() {
        let app = used_data().await;
        let complaint = on(app.data(), &["cases", "show", "VN-2026-0000000Z", "--json"]).await.expect_refused();
        assert!(complaint.contains("VN-2026-0000000Z"), "{complaint}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_decided_case_is_closed_and_further_reports_open_another() {
        let app = TestApp::spawn(Engine::Memory).await;
        let taken = app.post(&report("r-1")).await.expect_status(201);
        let reference = app.only_case().await.reference;
        let decide = ["cases", "decide", &reference, "--verdict", "upheld", "--reason", "Rõ ràng", "--by", "lan"];
        on(app.data(), &decide).await.expect_ok();
        on(app.data(), &decide).await.expect_refused();
        assert_eq!(app.get(taken.id()).await.json["case"]["status"], "upheld");
        app.post(&report("r-2").with("reporter", "0912345679")).await.expect_status(201);
        let cases = app.cases().await;
        let statuses: Vec<&str> = cases.iter().map(|case| case.status.as_str()).collect();
        assert_eq!((statuses.as_slice(), cases[0].voices, cases[1].voices), (&["upheld", "open"][..], 1, 1));
        let shown = on(app.data(), &["cases", "show", &reference, "--json"]).await.expect_json();
        assert_eq!(
            (&shown["decisions"][0]["verdict"], &shown["decisions"][0]["decided_by"]),
            (&json!("upheld"), &json!("lan"))
        );
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_data_directory_that_is_not_there_is_not_made() {
        let parent = tempfile::tempdir().unwrap();
        let data = parent.path().join("mistyped");
        for arguments in [&["cases", "list"][..], &["cases", "show", "VN-2026-0000000Z"], &["keys", "show"]] {
            on(&data, arguments).await.expect_refused();
        }
        assert!(names_in(parent.path()).is_empty());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_rebuild_changes_no_count() {
        let app = TestApp::spawn(Engine::Memory).await;
        for (index, text) in ["Một", "Hai", "Một"].iter().enumerate() {
            app.post(&report(&format!("r-{index}")).with("content", *text)).await.expect_status(201);
        }
        app.wait_until_built().await;
        app.stop().await;
        let before = on(app.data(), &["cases", "list", "--json"]).await.expect_json();
        on(app.data(), &["rebuild"]).await.expect_ok();
        assert_eq!(on(app.data(), &["cases", "list", "--json"]).await.expect_json(), before);
    }
}

mod serving {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_second_gateway_on_the_same_data_is_refused_and_the_first_goes_on() {
        let app = TestApp::spawn(Engine::Memory).await;
        let complaint = serve(app.data()).await.expect_refused();
        assert!(complaint.contains("another gateway serves"), "{complaint}");
        app.post(&report("r-1")).await.expect_status(201);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_mistyped_store_url_is_refused_and_no_file_is_made() {
        let parent = tempfile::tempdir().unwrap();
        let data = parent.path().join("data");
        for url in ["sqllite:", "sqlite:other.db", "postgers://user:pa55word@host/db", ""] {
            let text = format!("[store]\nurl = \"{url}\"");
            for arguments in [&["serve", "--listen", "127.0.0.1:0"][..], &["carrier", "add", "x"]] {
                let complaint = with_config(&text, &data, arguments).await.expect_refused();
                assert!(complaint.contains("store.url") && !complaint.contains("pa55word"), "{complaint}");
            }
        }
        assert!(names_in(parent.path()).is_empty());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_fast_url_of_an_unknown_scheme_is_refused_without_its_password() {
        let data = tempfile::tempdir().unwrap();
        let text = "[fast]\nurl = \"memcached://user:pa55word@host\"";
        let complaint = with_config(text, data.path(), &["serve", "--listen", "127.0.0.1:0"]).await.expect_refused();
        assert!(complaint.contains("fast.url") && !complaint.contains("pa55word"), "{complaint}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn an_address_in_use_is_refused_with_its_setting() {
        let data = tempfile::tempdir().unwrap();
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let complaint = on(data.path(), &["serve", "--listen", &address]).await.expect_refused();
        assert!(complaint.contains("server.listen"), "{complaint}");
    }

    // Fails when the carrier is made before the listeners: its key is lost, and no later start makes another.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_first_start_that_fails_makes_no_carrier_whose_key_nobody_saw() {
        let data = tempfile::tempdir().unwrap();
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        on(data.path(), &["serve", "--listen", &address]).await.expect_refused();
        assert_eq!(on(data.path(), &["carrier", "list", "--json"]).await.expect_json(), json!([]));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_key_file_that_others_can_read_is_refused() {
        let app = used_data().await;
        let key = app.data().join("keys/stable.key");
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
        let complaint = serve(app.data()).await.expect_refused();
        assert!(complaint.contains("stable.key") && complaint.contains("chmod 600"), "{complaint}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_key_file_that_is_gone_is_refused_and_never_made_anew() {
        let app = used_data().await;
        let keys = app.data().join("keys");
        // The public key is made of the private one whenever it is missing.
        let all: Vec<String> = names_in(&keys).into_iter().filter(|name| name != "authority.pub").collect();
        for name in &all {
            let (path, hidden) = (keys.join(name), app.data().join(name));
            fs::rename(&path, &hidden).unwrap();
            let complaint = serve(app.data()).await.expect_refused();
            assert!(complaint.contains(name.as_str()), "{complaint}");
            assert!(!path.exists(), "{name} was made anew");
            fs::rename(&hidden, &path).unwrap();
        }
        assert_eq!(names_in(&keys).len(), all.len() + 1);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_keys_of_another_installation_are_refused() {
        let (app, other) = (used_data().await, used_data().await);
        fs::copy(other.data().join("keys/tags-1.key"), app.data().join("keys/tags-1.key")).unwrap();
        let complaint = serve(app.data()).await.expect_refused();
        assert!(complaint.contains("tags-1"), "{complaint}");
    }
}

mod keys {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn show_prints_names_and_check_values_and_no_key() {
        let app = used_data().await;
        let shown = on(app.data(), &["keys", "show", "--json"]).await.expect_json();
        let mut names: Vec<&str> = shown.as_array().unwrap().iter().map(|key| key["name"].as_str().unwrap()).collect();
        names.sort_unstable();
        assert_eq!(names, ["authority", "stable", "tags-1"]);
        let text = on(app.data(), &["keys", "show"]).await.expect_ok();
        for name in names {
            let file = fs::read_to_string(app.data().join(format!("keys/{name}.key"))).unwrap();
            let secret = file.lines().last().unwrap();
            assert!(secret.len() >= 64 && !text.contains(secret) && !shown.to_string().contains(secret));
        }
    }
}
