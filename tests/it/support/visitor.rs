//! Somebody before the citizens' pages, with a browser that runs no script.

use std::collections::BTreeMap;

use reqwest::redirect::Policy;
use spamgate::http::page::CONTENT_SECURITY_POLICY;

use super::{SmsGateway, TestApp};

/// A page as it came; what holds for all of them is checked here.
pub struct Page {
    pub status: u16,
    /// Where a redirect leads.
    pub location: Option<String>,
    pub retry_after: Option<u64>,
    /// A cookie that came with it, without its attributes.
    pub cookie: Option<String>,
    pub html: String,
}

impl Page {
    async fn read(response: reqwest::Response) -> Self {
        let status = response.status().as_u16();
        let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        assert_ne!(status, 500);
        assert_eq!(header("cache-control").as_deref(), Some("no-store"));
        assert_eq!(header("referrer-policy").as_deref(), Some("no-referrer"));
        // For this host, by TLS, and as long as the browser runs.
        let cookie = header("set-cookie").map(|cookie| {
            let (pair, rest) = cookie.split_once("; ").unwrap();
            assert!(
                pair.starts_with("__Host-") && rest.starts_with("Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age="),
                "{cookie}"
            );
            pair.to_owned()
        });
        if status != 303 {
            assert_eq!(header("content-type").as_deref(), Some("text/html; charset=utf-8"));
            assert_eq!(header("content-security-policy").as_deref(), Some(CONTENT_SECURITY_POLICY));
            assert_eq!(header("x-content-type-options").as_deref(), Some("nosniff"));
        }
        let (location, retry_after) = (header("location"), header("retry-after").map(|value| value.parse().unwrap()));
        let page = Self { status, location, retry_after, cookie, html: response.text().await.unwrap() };
        if matches!(status, 429 | 503) {
            assert!(page.retry_after.is_some() || page.html.contains("name=\"sealed\""), "{}", page.html);
        }
        page
    }

    /// That it has this status.
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.html);
        self
    }

    /// The value of the first field of this name.
    pub fn field(&self, name: &str) -> String {
        let mark = format!("name=\"{name}\" ");
        let (_, rest) = self.html.split_once(&mark).unwrap_or_else(|| panic!("no field `{name}`: {}", self.html));
        let tag = rest.split('>').next().unwrap();
        let (_, value) = tag.split_once("value=\"").unwrap_or(("", ""));
        value.split('"').next().unwrap().to_owned()
    }

    /// Ids of the fields at which an error stands.
    pub fn faults(&self) -> Vec<String> {
        let marks = self.html.split("<p class=\"error\" id=\"").skip(1);
        marks.map(|rest| rest.split('"').next().unwrap().trim_end_matches("-error").to_owned()).collect()
    }

    /// Where the form of a receipt sends its files.
    pub fn files_go_to(&self) -> String {
        let (_, rest) = self.html.split_once("action=\"/evidence").expect("a form for files");
        format!("/evidence{}", rest.split('"').next().unwrap().replace("&amp;", "&").replace("&#38;", "&"))
    }

    /// The receipt code that it shows.
    pub fn receipt(&self) -> String {
        let (_, rest) = self.html.split_once("id=\"receipt-code\">").expect("a receipt");
        rest.split('<').next().unwrap().to_owned()
    }
}

/// The visitor.
pub struct Visitor<'a> {
    app: &'a TestApp,
    client: reqwest::Client,
    /// Sent with each request.
    pub headers: BTreeMap<&'static str, String>,
}

impl<'a> Visitor<'a> {
    pub fn of(app: &'a TestApp) -> Self {
        let client = reqwest::Client::builder().redirect(Policy::none()).build().unwrap();
        Self { app, client, headers: BTreeMap::new() }
    }

    /// The same with a browser that keeps a cookie.
    pub async fn with_cookie(app: &'a TestApp) -> Self {
        let mut visitor = Self::of(app);
        let cookie = visitor.get("/").await.cookie.expect("the first page gives a cookie");
        visitor.headers.insert("cookie", cookie);
        visitor
    }

    pub async fn get(&self, path: &str) -> Page {
        let mut request = self.client.get(self.app.url(path));
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        Page::read(request.send().await.unwrap()).await
    }

    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        let mut request = self.client.post(self.app.url(path));
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(fields);
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(form.finish());
        Page::read(request.send().await.unwrap()).await
    }

    /// Sends files, with a form's other fields.
    pub async fn post_files(&self, path: &str, fields: &[(&str, &str)], files: &[&[u8]]) -> Page {
        const BOUNDARY: &str = "a-boundary-of-this-test";
        let mut body = Vec::new();
        for (name, value) in fields {
            let head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
            body.extend(head.into_bytes());
        }
        for file in files {
            let head = format!(
                "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x.jpg\"\r\n\
                 Content-Type: application/octet-stream\r\n\r\n"
            );
            body.extend(head.into_bytes());
            body.extend_from_slice(file);
            body.extend(b"\r\n");
        }
        body.extend(format!("--{BOUNDARY}--\r\n").into_bytes());
        let request = self.client.post(self.app.url(path));
        let media_type = format!("multipart/form-data; boundary={BOUNDARY}");
        Page::read(request.header("content-type", media_type).body(body).send().await.unwrap()).await
    }

    /// Where a redirect leads.
    pub async fn follow(&self, page: Page) -> Page {
        let page = page.expect(303);
        self.get(page.location.as_deref().unwrap()).await
    }

    /// A form that is filled in, but for what is given; it has been opened just now.
    pub async fn fill_in(&self, changes: &[(&str, &str)]) -> Vec<(String, String)> {
        let form = self.get("/?lang=en").await.expect(200);
        let mut fields: BTreeMap<String, String> = [
            ("lang", "en"),
            ("token", &form.field("token")),
            ("sender", "0985931054"),
            ("channel", "sms"),
            ("category", "spam"),
            ("content", "Vay nhanh lai thap"),
            ("reporter", "0912345678"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        fields.extend(changes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        fields.into_iter().collect()
    }

    pub async fn send(&self, fields: &[(String, String)]) -> Page {
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.post("/", &fields).await
    }

    /// A report up to the page of its receipt.
    pub async fn report(&self, sms: &SmsGateway, changes: &[(&str, &str)]) -> Page {
        let fields = self.fill_in(changes).await;
        let asked = self.send(&fields).await.expect(200);
        let reporter = fields.iter().find(|(name, _)| name == "reporter").unwrap().1.trim_start_matches('0').to_owned();
        let code = sms.code_for(&format!("+84{reporter}"));
        let stored = self.post("/verify", &[("lang", "en"), ("sealed", &asked.field("sealed")), ("code", &code)]).await;
        self.follow(stored).await.expect(200)
    }
}
