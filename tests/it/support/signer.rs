//! A carrier that signs its requests (RFC 9421).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::Method;
use ring::signature::{Ed25519KeyPair, KeyPair};
use sha2::{Digest, Sha256};

use super::{Answer, Carrier, TestApp};

/// What signs.
pub enum Secret {
    Hmac(Vec<u8>),
    Ed25519(Ed25519KeyPair),
}

/// A key and its id.
pub struct Signer {
    pub key_id: String,
    pub secret: Secret,
}

/// A request that can be changed after it was signed.
#[derive(Clone)]
pub struct SignedRequest {
    pub method: Method,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

/// What a request is signed with, but for what a test changes.
#[derive(Clone)]
pub struct Wish<'a> {
    /// `scheme://authority` that is signed.
    pub url: &'a str,
    pub created: i64,
    pub nonce: &'a str,
    pub components: &'a [&'a str],
}

/// The components of a request with a body.
pub const WITH_BODY: &[&str] = &["@method", "@target-uri", "content-digest", "content-type"];

impl Secret {
    /// An Ed25519 key of this seed.
    pub fn ed25519(seed: u8) -> Self {
        Self::Ed25519(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap())
    }

    /// Its public half.
    pub fn public_key(&self) -> [u8; 32] {
        match self {
            Self::Ed25519(pair) => pair.public_key().as_ref().try_into().unwrap(),
            Self::Hmac(_) => panic!("a shared secret has no public half"),
        }
    }

    fn sign(&self, base: &[u8]) -> Vec<u8> {
        match self {
            Self::Hmac(secret) => <Hmac<Sha256> as KeyInit>::new_from_slice(secret)
                .unwrap()
                .chain_update(base)
                .finalize()
                .into_bytes()
                .to_vec(),
            Self::Ed25519(pair) => pair.sign(base).as_ref().to_vec(),
        }
    }
}

impl Signer {
    /// Signs a request; `body` is JSON, or nothing.
    pub fn sign(&self, method: Method, path: &str, body: &str, wish: &Wish<'_>) -> SignedRequest {
        let mut headers = Vec::new();
        if !body.is_empty() {
            let digest = STANDARD.encode(Sha256::digest(body));
            headers.push(("content-type".to_owned(), "application/json".to_owned()));
            headers.push(("content-digest".to_owned(), format!("sha-256=:{digest}:")));
        }
        let Wish { url, created, nonce, components } = wish;
        let listed: Vec<String> = components.iter().map(|component| format!("\"{component}\"")).collect();
        let key_id = &self.key_id;
        let input = format!("({});created={created};keyid=\"{key_id}\";nonce=\"{nonce}\"", listed.join(" "));
        let mut base = String::new();
        for component in *components {
            let value = match *component {
                "@method" => method.as_str(),
                "@target-uri" => &format!("{url}{path}"),
                name => &headers.iter().find(|(other, _)| other == name).expect("a header that is there").1,
            };
            base.push_str(&format!("\"{component}\": {value}\n"));
        }
        base.push_str(&format!("\"@signature-params\": {input}"));
        let signature = STANDARD.encode(self.secret.sign(base.as_bytes()));
        headers.push(("signature-input".to_owned(), format!("sig={input}")));
        headers.push(("signature".to_owned(), format!("sig=:{signature}:")));
        SignedRequest { method, path: path.to_owned(), headers, body: body.to_owned() }
    }
}

impl SignedRequest {
    /// The value of a header, to be changed.
    pub fn header_mut(&mut self, name: &str) -> &mut String {
        &mut self.headers.iter_mut().find(|(other, _)| other == name).expect("the header is there").1
    }
}

impl TestApp {
    /// Sends a request as it is.
    pub async fn send_signed(&self, carrier: &Carrier, request: &SignedRequest) -> Answer {
        let mut builder = self.request(request.method.clone(), &request.path, Some(&carrier.api_key));
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        self.send(builder.body(request.body.clone()), &request.body).await
    }
}
