//! Debian's Kannel, with the configuration of the manual, hands every published example from a fake SMSC to a running
//! gateway, and the fake SMSC shows the replies.

use std::net::SocketAddr;

use spamgate::domain::msisdn::Msisdn;
use spamgate::domain::sms_text::Alphabet;
use spamgate::domain::vocabulary::Language;
use spamgate::verify::{AskedCode, NotSent, Purpose};

use crate::support::{Engine, Kannel, TestApp};

const REPORTER: &str = "0912345678";

/// The key with a colon behind its prefix.
fn user_and_password(key: &str) -> String {
    key.replacen("sgk_", "sgk_:", 1)
}

/// What the manual says, with the address and the key of this gateway.
fn get_url(address: SocketAddr, key: &str) -> String {
    let key = user_and_password(key);
    format!(
        r#"get-url = "http://{key}@{address}/v1/mo/kannel?from=%p&to=%P&text=%b&coding=%c&charset=%C&time=%T&id=%I&smsc=%i""#
    )
}

fn post_url(address: SocketAddr, key: &str) -> String {
    let key = user_and_password(key);
    format!(
        r#"post-url = "http://{key}@{address}/v1/mo/kannel?from=%p&to=%P&coding=%c&charset=%C&time=%T&id=%I&smsc=%i""#
    )
}

/// As the fake SMSC takes it: plain when it is ASCII, else UCS-2.
fn sms(text: &str) -> String {
    if text.is_ascii() {
        return format!("{REPORTER} 5656 text {text}");
    }
    let units = text.encode_utf16().flat_map(u16::to_be_bytes).map(|byte| format!("%{byte:02x}"));
    format!("{REPORTER} 5656 ucs2 {}", units.collect::<String>())
}

async fn ask(kannel: &mut Kannel, text: &str) -> String {
    let reply = tokio::task::block_in_place(|| kannel.send(&sms(text)));
    let said = reply.strip_prefix(&format!("5656 {REPORTER} text "));
    said.unwrap_or_else(|| panic!("another reply: {reply}")).to_owned()
}

/// What stands for the receipt is its own: 12 characters.
fn without_receipt(reply: &str) -> String {
    let is_receipt = |word: &&str| word.trim_end_matches('.').len() == 12 && !word.starts_with("09");
    reply.split(' ').map(|word| if is_receipt(&word) { "[receipt]" } else { word }).collect::<Vec<_>>().join(" ")
}

const RECEIVED: &str = "Da nhan bao cao cua ban. Ma bien nhan: [receipt] Cam on ban.";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_published_example_goes_through_kannel_and_the_subscriber_is_answered() {
    let app = TestApp::spawn_with(Engine::PostgresqlRedis, |_| {}).await;
    let mut kannel = tokio::task::block_in_place(|| Kannel::start(&get_url(app.address(), &app.local().api_key)));
    let reports = [
        "S (0985931054)(E Nhan lam cac Loai Giay Phep Laj Xe: May',0t0 + Giay To nhà dat,CMT + Bäng Cäp3 ,CaøDang ,Däi \
         H0c,Sø Hong,Sø D0 vv. ThänhT0an Khi NhanHang. GOl: )",
        "V (0985931054)(Cuộc gọi quảng cáo giới thiệu sản phẩm dịch vụ bất động sản của công y A)",
        "V [0985931054][Cuộc gọi quảng cáo ...]",
        "V(0812341213) lua dao",
        "S (0985931054) (vay tien)",
        "LD (0985931054)(gia danh cong an)",
        "tg (9029)(uong nuoc la khoi benh & 100% + het)",
    ];
    for text in reports {
        assert_eq!(without_receipt(&ask(&mut kannel, text).await), RECEIVED, "{text}");
    }
    for text in ["DK DNC", "DK DNC S", "DK DNC V", "HUY DNC", "HUY DNC S", "HUY DNC V"] {
        assert!(ask(&mut kannel, text).await.starts_with("Yeu cau ve danh sach khong quang cao"), "{text}");
    }
    assert!(ask(&mut kannel, "Sim số đẹp").await.starts_with("Chua nhan: sai cu phap."));
    assert_eq!(app.journal_rows(), 7);
    let cases = app.cases().await;
    let mut kinds: Vec<(String, String, i64)> =
        cases.iter().map(|case| (case.category.clone(), case.sender_kind.clone(), case.reports)).collect();
    kinds.sort();
    let expected =
        [("fake_news", "short_code", 1), ("scam", "msisdn", 1), ("spam", "msisdn", 1), ("spam", "msisdn", 4)];
    let expected = expected.map(|(category, kind, reports)| (category.to_owned(), kind.to_owned(), reports));
    assert_eq!(kinds, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kannel_may_post_and_a_report_in_two_messages_is_joined() {
    let app = TestApp::spawn_with(Engine::Memory, |_| {}).await;
    let mut kannel = tokio::task::block_in_place(|| Kannel::start(&post_url(app.address(), &app.local().api_key)));
    let asked = ask(&mut kannel, "S vay tiền nhanh [0%]").await;
    assert!(asked.starts_with("Da nhan bao cao, ma ") && asked.contains("Hay gui so dien thoai"), "{asked}");
    let amended = ask(&mut kannel, "0985931054").await;
    assert_eq!(without_receipt(&amended), "Da bo sung nguon lam phien vao bao cao, ma [receipt] Cam on ban.");
    let case = app.only_case().await;
    assert_eq!((case.sender_kind.as_str(), case.reports, case.voices), ("msisdn", 1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_nothing_can_be_stored_kannel_tries_again_and_the_subscriber_hears_no_yes() {
    let app = TestApp::spawn_with(Engine::Memory, |_| {}).await;
    let mut kannel = tokio::task::block_in_place(|| Kannel::start(&get_url(app.address(), &app.local().api_key)));
    app.stop_storing();
    let told = ask(&mut kannel, "V(0985931054)").await;
    assert_eq!(told, "Chua nhan duoc bao cao cua ban. Vui long gui lai sau.");
    assert!(app.refused("store_unavailable") > 1, "it was tried again");
}

/// The bytes that the fake SMSC shows with signs for what is no letter or digit.
fn url_decoded(shown: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), shown.bytes());
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            other => other,
        });
    }
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_goes_out_by_kannel() {
    let mut kannel = tokio::task::block_in_place(|| Kannel::start(r#"get-url = "http://127.0.0.1:9/""#));
    let app = TestApp::spawn_with(Engine::Redis, |config| kannel.use_for_codes(config)).await;
    let gate = app.gate();
    let number = Msisdn::from_e164("+84912345678").unwrap();
    let (client, purpose, language) = ([127, 0, 0, 1].into(), Purpose::Report, Language::Vi);
    let asked = AskedCode { number, purpose, client, language, has_worked: true };
    gate.verifier.send_code(&asked).await.unwrap();
    let got = tokio::task::block_in_place(|| kannel.receive());
    let said = got.strip_prefix("156 +84912345678 text Ma de gui bao cao: ");
    let (code, rest) = said.and_then(|said| said.split_once('.')).unwrap_or_else(|| panic!("another SMS: {got}"));
    assert_eq!(rest, " Co hieu luc 10 phut. Khong dua ma nay cho bat ky ai, ke ca nguoi xung la can bo.");
    gate.verifier.check_code(number, purpose, code).await.unwrap();

    let text = "Mã của bạn ở cổng: {{code}}";
    gate.verifier.send_for_partner(uuid::Uuid::nil(), number, text).await.unwrap();
    let got = tokio::task::block_in_place(|| kannel.receive());
    let ucs2 = got.strip_prefix("156 +84912345678 ucs-2 ").unwrap_or_else(|| panic!("another SMS: {got}"));
    let said = Alphabet::Utf16.decode(&url_decoded(ucs2));
    assert!(said.starts_with("Mã của bạn ở cổng: ") && said.chars().count() == 25, "{said}");

    // A password that is wrong is found out at once.
    let wrong = |config: &mut spamgate::config::Config| {
        kannel.use_for_codes(config);
        config.verify.kannel_password = "wrong".to_owned().into();
    };
    let app = TestApp::spawn_with(Engine::Memory, wrong).await;
    assert!(matches!(app.gate().verifier.send_code(&asked).await, Err(NotSent::Unavailable { .. })));
}
