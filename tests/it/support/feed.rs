//! What operators and reviewers do so that carriers are told of cases.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hpke::{Deserializable, Kem, Serializable};
use reqwest::Method;
use serde_json::Value;
use spamgate::crypto::key_files::load_or_make;
use spamgate::crypto::recipient::open_sealed;
use spamgate::domain::clock::{MICROS_PER_DAY, Moment};
use spamgate::domain::request::RequestKind;
use spamgate::domain::vocabulary::{CaseStatus, ReasonClass};
use spamgate::outbound::ask::{Ask, AskError, ask};
use spamgate::outbound::publish::SENDER_SEAL_INFO;
use spamgate::store::carriers::CarrierChange;
use spamgate::store::cases::{Decided, Decision, decide_case};
use spamgate::store::feed;
use spamgate::store::keys::list_key_checks;
use zeroize::Zeroizing;

use super::{Answer, Carrier, TestApp, report, reporter, wait_until};

/// How long telling may take.
const TOLD_WITHIN: Duration = Duration::from_secs(20);

/// A carrier's pair of keys, as it makes it at home.
pub struct FeedKey {
    private: [u8; 32],
}

impl FeedKey {
    pub const fn new(seed: u8) -> Self {
        Self { private: [seed; 32] }
    }

    /// The 32 bytes that the operator is given.
    pub fn public(&self) -> Vec<u8> {
        let private = <hpke::kem::X25519HkdfSha256 as Kem>::PrivateKey::from_bytes(&self.private).unwrap();
        hpke::kem::X25519HkdfSha256::sk_to_pk(&private).to_bytes().to_vec()
    }

    /// The same as `carrier feed-key set` takes it.
    pub fn public_text(&self) -> String {
        STANDARD.encode(self.public())
    }

    /// The sender of an item, as `kind:value`; none when it was sealed to another key.
    pub fn open(&self, item: &Value) -> Option<String> {
        self.open_for(SENDER_SEAL_INFO, item)
    }

    /// The same of what was sealed for another use.
    pub fn open_for(&self, info: &[u8], item: &Value) -> Option<String> {
        let sealed = item["sender"]["sealed"].as_str().expect("a sender is sealed");
        let id = item["id"].as_str().expect("an item has an id");
        let text = open_sealed(&Zeroizing::new(self.private), info, id.as_bytes(), sealed).ok()?;
        let sender: Value = serde_json::from_str(&text).expect("what is sealed is JSON");
        Some(format!("{}:{}", sender["kind"].as_str().unwrap(), sender["value"].as_str().unwrap()))
    }
}

impl TestApp {
    /// Lets a carrier see decided cases, its own or all, sealed to its key.
    pub fn grant_feed(&self, carrier: &Carrier, scope: &str, own: &str, key: Option<&FeedKey>) {
        let scopes = Some(format!("report,{scope}"));
        self.change_carrier(&carrier.name, &CarrierChange { scopes, ..CarrierChange::default() });
        let connection = &mut self.connection();
        assert!(feed::put_own_prefixes(connection, &carrier.name, own).unwrap());
        let key = key.map(FeedKey::public);
        assert!(feed::put_public_key(connection, &carrier.name, key.as_deref()).unwrap());
    }

    /// Decides a case, as `cases decide` does.
    pub fn decide(&self, reference: &str, verdict: CaseStatus, reason_class: ReasonClass) {
        let decided_at = Moment::parse_rfc3339(&self.in_seconds(0)).unwrap();
        let decision = Decision { verdict, reason_class, reason: "Rõ ràng", decided_by: "lan", decided_at };
        assert_eq!(decide_case(&mut self.connection(), reference, &decision).unwrap(), Decided::Closed);
    }

    /// Reports a sender and upholds the case. The case's reference.
    pub async fn uphold(&self, report_id: &str, sender: &str) -> String {
        // One reporter may send only so many.
        let index = report_id.trim_start_matches("r-").parse().expect("a number stands behind `r-`");
        let body = report(report_id).with("sender", sender).with("reporter", reporter(index));
        self.post(&body).await.expect_status(201);
        let open = self.cases().await.into_iter().find(|case| case.status == "open").expect("a case is open");
        self.decide(&open.reference, CaseStatus::Upheld, ReasonClass::Violation);
        open.reference
    }

    /// Asks a carrier about a case, as `cases request` does. The id of the request.
    pub fn ask(&self, reference: &str, carrier: &str, kind: RequestKind) -> Result<String, AskError> {
        let connection = &mut self.connection();
        let known = list_key_checks(connection).unwrap();
        let authority = load_or_make(&self.keys(), &known, false).unwrap().authority_private.unwrap();
        let at = Moment::parse_rfc3339(&self.in_seconds(0)).unwrap();
        let due_at = Moment(at.0 + MICROS_PER_DAY);
        let note = Some("Kiểm tra giấy tờ");
        let asked = Ask { reference, carrier, kind, note, by: "lan", at, due_at };
        ask(connection, &authority, &asked).map(|id| id.to_string())
    }

    /// Asks for a page of anything.
    pub async fn get_path(&self, carrier: &Carrier, path: &str) -> Answer {
        self.send(self.request(Method::GET, path, Some(&carrier.api_key)), "").await
    }

    /// All that a carrier is told, once it was told of every decision: so many items.
    pub async fn feed(&self, carrier: &Carrier, items: usize) -> Vec<Value> {
        let last = feed::find_last_decision(&mut self.connection()).unwrap();
        wait_until("carriers are told of every decision", TOLD_WITHIN, async || {
            let terms = feed::list_terms(&mut self.connection()).unwrap();
            terms.iter().all(|(terms, ..)| terms.published_decision >= last)
        })
        .await;
        // A new scope holds after a moment.
        let mut found = Value::Null;
        wait_until("the carrier is told so many", TOLD_WITHIN, async || {
            found = self.get_path(carrier, "/v1/feed?limit=500").await.json["items"].take();
            found.as_array().is_some_and(|found| found.len() == items)
        })
        .await;
        found.as_array().cloned().unwrap_or_default()
    }
}
