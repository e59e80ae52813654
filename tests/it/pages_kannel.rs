//! A citizen's whole way with Debian's Kannel between the gateway and a fake SMSC: form, code, receipt, and what became
//! of the report.

use crate::support::{Engine, Kannel, TestApp, Visitor};

/// Characters of the GSM alphabet that one SMS holds.
const SMS_MAX_CHARS: usize = 160;
const CODE_DIGITS: usize = 6;

struct Citizen {
    /// The address that is opened.
    path: &'static str,
    /// The language that the pages then have.
    language: &'static str,
    /// As it is typed.
    number: &'static str,
    /// What the SMS says before the code, and after it.
    sms: [&'static str; 2],
    /// What the page of the report says when it is in a case.
    outcome: &'static str,
}

const CITIZENS: [Citizen; 2] = [
    Citizen {
        path: "/",
        language: "vi",
        number: "0912345678",
        sms: [
            "Ma de gui bao cao: ",
            ". Co hieu luc 10 phut. Khong dua ma nay cho bat ky ai, ke ca nguoi xung la can bo.",
        ],
        outcome: "Đã ghi vào hồ sơ, đang chờ",
    },
    Citizen {
        path: "/?lang=en",
        language: "en",
        number: "0912345679",
        sms: [
            "Code to send your report: ",
            ". It is good for 10 minutes. Never tell it to anyone, whoever they say they are.",
        ],
        outcome: "In a case, which waits",
    },
];

/// The code in what the fake SMSC shows, which has to be one whole SMS to this citizen.
fn code_in(shown: &str, citizen: &Citizen) -> String {
    let number = citizen.number.trim_start_matches('0');
    let text = shown.strip_prefix(&format!("156 +84{number} text ")).unwrap_or_else(|| panic!("another SMS: {shown}"));
    assert!(text.chars().count() <= SMS_MAX_CHARS, "{text}");
    let [before, after] = citizen.sms;
    let code = text.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
    let code = code.unwrap_or_else(|| panic!("another text: {text}"));
    assert!(code.len() == CODE_DIGITS && code.bytes().all(|byte| byte.is_ascii_digit()), "{text}");
    code.to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_goes_by_kannel_to_the_phone_and_the_report_is_taken() {
    let mut kannel = tokio::task::block_in_place(|| Kannel::start(r#"get-url = "http://127.0.0.1:9/""#));
    let app = TestApp::spawn_with(Engine::PostgresqlRedis, |config| kannel.use_for_codes(config)).await;
    let visitor = Visitor::of(&app);
    // An SMS too many to the first phone would be shown in place of the one to the second.
    for (taken, citizen) in (1_i64..).zip(CITIZENS) {
        let form = visitor.get(citizen.path).await.expect(200);
        let (lang, token) = (form.field("lang"), form.field("token"));
        assert_eq!(lang, citizen.language);
        let fields = visitor.fill_in(&[("lang", &lang), ("token", &token), ("reporter", citizen.number)]).await;
        let asked = visitor.send(&fields).await.expect(200);
        let shown = tokio::task::block_in_place(|| kannel.receive());
        let code = code_in(&shown, &citizen);
        let wrong_code = if code == "000000" { "000001" } else { "000000" };
        let sealed = asked.field("sealed");
        let wrong = visitor.post("/verify", &[("lang", &lang), ("sealed", &sealed), ("code", wrong_code)]).await;
        let wrong = wrong.expect(422);
        assert_eq!(wrong.faults(), ["code"]);
        assert_eq!(app.journal_rows(), taken - 1, "nothing is kept before the proof");
        let sealed = wrong.field("sealed");
        let stored = visitor.post("/verify", &[("lang", &lang), ("sealed", &sealed), ("code", &code)]).await;
        let receipt = visitor.follow(stored).await.expect(200).receipt();
        assert_eq!(app.journal_rows(), taken);
        app.wait_until_built().await;
        let digits = &citizen.number[citizen.number.len() - 4..];
        let found = visitor.post("/track", &[("lang", &lang), ("receipt", &receipt), ("digits", digits)]).await;
        let status = visitor.follow(found).await.expect(200);
        assert!(status.html.contains(&receipt) && status.html.contains(citizen.outcome), "{}", status.html);
    }
    let case = app.only_case().await;
    assert_eq!((case.reports, case.voices, case.web), (2, 2, 2));
}
