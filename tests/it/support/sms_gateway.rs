//! Something that sends SMS: a real server that speaks as Kannel's `sendsms` and as an operator's CAMARA One Time Password
//! SMS do, and remembers what it was to send. It is also that operator's network, which knows its phones.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, UnparsedPublicKey,
};
use serde_json::{Value, json};
use spamgate::config::Config;
use spamgate::config::verify::SenderKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Who the gateway is to the operator.
pub const CLIENT_ID: &str = "gateway-1";
/// The code that the operator makes.
pub const OPERATORS_CODE: &str = "246802";

/// An SMS that was to be sent.
#[derive(Clone, Debug)]
pub struct Sms {
    pub to: String,
    pub text: String,
    /// What else Kannel was told.
    pub parameters: BTreeMap<String, String>,
}

#[derive(Clone)]
enum Reply {
    /// As it should.
    Usual,
    /// This status line's end and body.
    Other(&'static str, &'static str),
    /// Nothing.
    Silence,
}

struct Shared {
    sent: Mutex<Vec<Sms>>,
    reply: Mutex<Reply>,
    /// Codes checked.
    checked: Mutex<Vec<Value>>,
    tokens: Mutex<Vec<String>>,
    /// What tokens were asked for with.
    token_requests: Mutex<Vec<BTreeMap<String, String>>>,
}

/// It listens until it is dropped.
pub struct SmsGateway {
    root: String,
    /// The gateway's private key, in PEM, and its public half.
    signing_key: String,
    public_key: Vec<u8>,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

impl SmsGateway {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let root = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            sent: Mutex::default(),
            reply: Mutex::new(Reply::Usual),
            checked: Mutex::default(),
            tokens: Mutex::default(),
            token_requests: Mutex::default(),
        });
        let serving = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&serving)));
            }
        });
        let (signing_key, public_key) = make_signing_key();
        Self { root, signing_key, public_key, shared, task }
    }

    /// Has the gateway under test send by it, as by Kannel.
    pub fn use_as_kannel(&self, config: &mut Config) {
        config.verify.sender = SenderKind::Kannel;
        config.verify.kannel_url = format!("{}/cgi-bin/sendsms", self.root);
        config.verify.kannel_user = "spamgate".to_owned();
        config.verify.kannel_password = "pass&word".to_owned().into();
        config.verify.kannel_from = "156".to_owned();
    }

    /// The same as by an operator.
    pub fn use_as_operator(&self, config: &mut Config) {
        config.verify.sender = SenderKind::Camara;
        config.verify.camara_url = format!("{}/one-time-password-sms/v1/", self.root);
        config.verify.camara_token = "token-1".to_owned().into();
    }

    /// The same to prove numbers, as the network of an operator.
    pub fn use_as_network(&self, config: &mut Config) {
        config.server.public_url = "https://report.example".to_owned();
        config.verify.network_url = format!("{}/number-verification/v2", self.root);
        config.verify.network_authorize_url = "https://operator.example/oauth2/authorize".to_owned();
        config.verify.network_token_url = self.token_url();
        config.verify.network_client_id = CLIENT_ID.to_owned();
        config.verify.network_key = self.signing_key.clone().into();
        config.verify.network_key_id = "key-1".to_owned();
    }

    /// Where it gives tokens.
    pub fn token_url(&self) -> String {
        format!("{}/oauth2/token", self.root)
    }

    /// What tokens were asked for with; that it was the gateway is checked here.
    pub fn token_requests(&self) -> Vec<BTreeMap<String, String>> {
        let requests = self.shared.token_requests.lock().unwrap().clone();
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &self.public_key);
        for request in &requests {
            let (signed, signature) = request["client_assertion"].rsplit_once('.').unwrap();
            key.verify(signed.as_bytes(), &BASE64.decode(signature).unwrap()).expect("signed by the gateway");
            let read = |part: &str| serde_json::from_slice::<Value>(&BASE64.decode(part).unwrap()).unwrap();
            let (head, claims) = signed.split_once('.').unwrap();
            assert_eq!(read(head), json!({"alg": "ES256", "typ": "JWT", "kid": "key-1"}));
            let claims = read(claims);
            assert_eq!((&claims["iss"], &claims["sub"]), (&json!(CLIENT_ID), &json!(CLIENT_ID)));
            assert_eq!(claims["aud"], self.token_url());
            assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 60);
        }
        requests
    }

    /// From now on it answers this: the end of a status line, and a body.
    pub fn answer(&self, line: &'static str, body: &'static str) {
        *self.shared.reply.lock().unwrap() = Reply::Other(line, body);
    }

    /// From now on it answers nothing.
    pub fn be_silent(&self) {
        *self.shared.reply.lock().unwrap() = Reply::Silence;
    }

    /// From now on it answers as it should.
    pub fn answer_as_usual(&self) {
        *self.shared.reply.lock().unwrap() = Reply::Usual;
    }

    /// All that it was to send.
    pub fn sent(&self) -> Vec<Sms> {
        self.shared.sent.lock().unwrap().clone()
    }

    /// The code in the newest SMS to this number, as `+84912345678`.
    pub fn code_for(&self, number: &str) -> String {
        let sent = self.sent();
        let newest = sent.iter().rev().find(|sms| sms.to == number).expect("an SMS was sent to the number");
        let is_code = |word: &&str| word.len() == 6 && word.bytes().all(|byte| byte.is_ascii_digit());
        let words = newest.text.split(|character: char| !character.is_ascii_alphanumeric());
        words.into_iter().find(is_code).expect("there is a code in the SMS").to_owned()
    }

    /// What the operator was asked to check.
    pub fn checked(&self) -> Vec<Value> {
        self.shared.checked.lock().unwrap().clone()
    }

    /// The bearer tokens that came.
    pub fn tokens(&self) -> Vec<String> {
        self.shared.tokens.lock().unwrap().clone()
    }
}

/// A private key as OpenSSL writes it, and its public half.
fn make_signing_key() -> (String, Vec<u8>) {
    let random = SystemRandom::new();
    let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.as_ref(), &random).unwrap();
    let text = base64::engine::general_purpose::STANDARD.encode(der.as_ref());
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"));
    (pem, pair.public_key().as_ref().to_vec())
}

impl Drop for SmsGateway {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, shared: Arc<Shared>) {
    let mut bytes = Vec::new();
    let (line, headers, body) = loop {
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return;
        }
        if let Some(request) = parse(&bytes) {
            break request;
        }
    };
    let (line, body) = match answer(&shared, &line, &headers, &body) {
        Some(answer) => answer,
        None => {
            let _ = stream.read_buf(&mut bytes).await;
            return;
        }
    };
    let head = format!("HTTP/1.1 {line}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n", body.len());
    let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
}

fn answer(shared: &Shared, line: &str, headers: &BTreeMap<String, String>, body: &str) -> Option<(String, String)> {
    let target = line.split(' ').nth(1)?;
    if let Some(token) = headers.get("authorization") {
        shared.tokens.lock().unwrap().push(token.clone());
    }
    let json: Value = serde_json::from_str(body).unwrap_or_default();
    let url = url::Url::parse(&format!("http://here{target}")).unwrap();
    let page = url.path().rsplit('/').next().unwrap_or_default().to_owned();
    match page.as_str() {
        "sendsms" => {
            let parameters: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
            let of = |name: &str| parameters.get(name).cloned().unwrap_or_default();
            let sms = Sms { to: of("to"), text: of("text"), parameters: parameters.clone() };
            shared.sent.lock().unwrap().push(sms);
        }
        "token" => {
            let form: BTreeMap<String, String> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
            let code = form["code"].clone();
            shared.token_requests.lock().unwrap().push(form);
            return Some(if code.starts_with("good") {
                let token = format!("token-of-{code}");
                ("200 OK".to_owned(), json!({"access_token": token, "token_type": "Bearer"}).to_string())
            } else {
                ("400 Bad Request".to_owned(), json!({"error": "invalid_grant"}).to_string())
            });
        }
        "send-code" => {
            let text = json["message"].as_str().unwrap().replace("{{code}}", OPERATORS_CODE);
            let to = json["phoneNumber"].as_str().unwrap().to_owned();
            shared.sent.lock().unwrap().push(Sms { to, text, parameters: BTreeMap::new() });
        }
        _ => shared.checked.lock().unwrap().push(json.clone()),
    }
    match shared.reply.lock().unwrap().clone() {
        Reply::Silence => None,
        Reply::Other(line, body) => Some((line.to_owned(), body.to_owned())),
        Reply::Usual => Some(match page.as_str() {
            "sendsms" => ("202 Accepted".to_owned(), "0: Accepted for delivery".to_owned()),
            "send-code" => ("200 OK".to_owned(), json!({"authenticationId": "operators-id-1"}).to_string()),
            "verify" => ("200 OK".to_owned(), json!({"devicePhoneNumberVerified": true}).to_string()),
            // The operator goes on saying yes: that a code is good once is up to the gateway.
            _ if json["code"] == OPERATORS_CODE => ("204 No Content".to_owned(), String::new()),
            _ => {
                let body = json!({"status": 400, "code": "ONE_TIME_PASSWORD_SMS.INVALID_OTP", "message": "Wrong."});
                ("400 Bad Request".to_owned(), body.to_string())
            }
        }),
    }
}

fn parse(bytes: &[u8]) -> Option<(String, BTreeMap<String, String>, String)> {
    let (head, body) = std::str::from_utf8(bytes).ok()?.split_once("\r\n\r\n")?;
    let mut lines = head.split("\r\n");
    let line = lines.next()?.to_owned();
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length: usize = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    (body.len() == length).then(|| (line, headers, body.to_owned()))
}
