//! What citizens see: a short form, proof of the number, a receipt, tracking, withdrawal, the other side, guidance.
//!
//! ```text
//!  GET /            form.rs       a form, with a sealed token that makes two clicks one report
//!  POST /           form.rs       everything is read; errors stand at their fields; a code goes out (verify/)
//!                                 └─ what was typed goes back in one hidden field, sealed: nothing is kept (draft.rs)
//!  POST /verify     proof.rs      the code is right ──► intake/accept.rs ──► 303 /receipt
//!  GET /network…    network.rs    instead of the code: by the mobile network the phone is on
//!  GET /receipt     receipt.rs    the code, what comes next; evidence can be added
//!  GET, POST /track track.rs      receipt and last four digits ──► 303 /status; withdrawal by a code to the number
//!  GET, POST /respond respond.rs  who holds a reported number sees what is said of it, and can answer once
//!  GET /guide…      guide.rs      how to recognise it, what to do now, whom to call
//! ```
//!
//! No page needs a script or a cookie. What a page hands to the next is sealed (`crypto/page_seal.rs`). With the cookie of
//! `holder.rs` a form that was sent leads to an address (POST, redirect, GET), which opens in the same browser alone; without
//! it, its page is the answer.

pub mod draft;
pub mod evidence;
pub mod form;
pub mod guide;
pub mod holder;
pub mod network;
pub mod pages;
pub mod proof;
pub mod receipt;
pub mod respond;
pub mod said;
pub mod track;
pub mod tries;
pub mod work;

use std::net::IpAddr;
use std::time::Duration;

use actix_web::http::{StatusCode, header};
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;

use self::holder::Holder;
use self::pages::MessagePage;
use crate::config::CitizenSettings;
use crate::crypto::page_seal::{NotOpened, Sealed};
use crate::domain::clock::Moment;
use crate::domain::network::{customer_of, site_of};
use crate::domain::report::WEB_OWNER;
use crate::domain::vocabulary::Language;
use crate::http::app::App;
use crate::http::body::{has_media_type, keep_unread, read_whole};
use crate::http::client_ip::client_ip;
use crate::http::form::Parameters;
use crate::http::page;
use crate::http::problem::Problem;
use crate::http::shares::{Holding, Shares};
use crate::http::texts::{Texts, language_of};
use crate::store::StoreError;
use crate::store::connection::Connection;

/// Bodies of forms that are waited for at once, of all citizens.
const BODIES_WAITED_MAX: usize = 256;
/// The same, of those from one address, and from one site.
const BODIES_WAITED_PER_CLIENT: usize = 32;
const BODIES_WAITED_PER_SITE: usize = 64;
/// Reads that wait for their turn, of all citizens.
const READS_MAX: usize = 128;
/// The same, of those from one address, and from one site.
const READS_PER_CLIENT: usize = 16;
const READS_PER_SITE: usize = 32;

/// Seconds after which what could not be stored may be sent again.
const STORE_RETRY_S: u64 = 5;
/// How long a proof is kept in a page for what could not be stored: as long as a reporter's quota may be used up, at least.
const PROVEN_LIFE: Duration = Duration::from_secs(25 * 60 * 60);

/// The longest address that a browser is sent to, bytes: what is typed at length stays the answer to its form.
const ADDRESS_MAX_BYTES: usize = 6_000;

/// What the pages need beside the gateway.
pub struct Site {
    /// Telephone numbers and the like.
    pub settings: CitizenSettings,
    bodies: Shares,
    readers: Shares,
    /// Turns to send files.
    pub uploads: Shares,
    /// Turns to wait for the report of another click.
    pub twins: Semaphore,
}

impl Site {
    /// With these settings.
    #[must_use]
    pub fn new(settings: CitizenSettings) -> Self {
        Self {
            settings,
            bodies: Shares::new(BODIES_WAITED_MAX),
            readers: Shares::new(READS_MAX),
            uploads: Shares::new(evidence::UPLOADS_MAX),
            twins: Semaphore::new(proof::TWINS_WAITED_MAX),
        }
    }
}

/// One request of a citizen.
pub struct Visit<'a> {
    /// The gateway.
    pub app: &'a App,
    /// The messages in the visitor's language.
    pub t: &'static Texts,
    /// Where it comes from.
    pub client: IpAddr,
    /// The browser, if it was given a cookie.
    pub holder: Option<Holder>,
    /// When.
    pub now: Moment,
    /// What stands in the address and in the form.
    pub parameters: Parameters,
}

impl<'a> Visit<'a> {
    /// A request that only reads.
    ///
    /// # Errors
    /// When its address cannot be read.
    pub fn of_reader(request: &HttpRequest, app: &'a App) -> Result<Self, Problem> {
        let mut parameters = Parameters::default();
        parameters.add(request.query_string().as_bytes())?;
        Ok(Self::new(request, app, parameters))
    }

    /// A form that was sent.
    ///
    /// # Errors
    /// When it is none, too large, too slow, or broken.
    pub async fn of_sender(request: &HttpRequest, body: &mut Payload, app: &'a App) -> Result<Self, Problem> {
        // A browser says where a form was: one of another host is none of ours. Old browsers do not say; theirs come without
        // the cookie.
        let from = request.headers().get("sec-fetch-site").map(|site| site.as_bytes());
        if from.is_some_and(|from| !matches!(from, b"same-origin" | b"none")) {
            return Err(Problem::malformed_request());
        }
        if !has_media_type(request, "application/x-www-form-urlencoded") {
            return Err(Problem::malformed_request());
        }
        let client = client_ip(request, &app.trusted_proxies);
        let holders = of_client(client, BODIES_WAITED_PER_CLIENT, BODIES_WAITED_PER_SITE);
        let wait = || app.citizen.bodies.take(&holders);
        let whole = read_whole(request, body, app.body_limits.max_bytes, app.body_limits.timeout, wait).await?;
        let mut parameters = Parameters::default();
        parameters.add(&whole)?;
        Ok(Self::new(request, app, parameters))
    }

    fn new(request: &HttpRequest, app: &'a App, parameters: Parameters) -> Self {
        let language = language_of(request, parameters.text("lang"));
        Self {
            app,
            t: Texts::of_language(language),
            client: client_ip(request, &app.trusted_proxies),
            holder: Holder::of(request),
            now: app.intake.clock.now(),
            parameters,
        }
    }

    /// The language.
    #[must_use]
    pub const fn language(&self) -> Language {
        self.t.language()
    }

    /// So long from now.
    #[must_use]
    pub fn after(&self, life: Duration) -> Moment {
        self.now.after(life)
    }

    /// Seals something for the next page of this browser.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn seal<T: Serialize>(&self, what: Sealed, good_until: Moment, value: &T) -> Result<String, Problem> {
        self.seal_for(what, self.holder_bytes(), good_until, value)
    }

    /// What is sealed for this browser; nothing where it has no cookie.
    fn holder_bytes(&self) -> &[u8] {
        self.holder.as_ref().map(Holder::as_bytes).unwrap_or_default()
    }

    fn seal_for<T: Serialize>(
        &self,
        what: Sealed,
        holder: &[u8],
        good_until: Moment,
        value: &T,
    ) -> Result<String, Problem> {
        let bytes = serde_json::to_vec(value).map_err(|_| Problem::internal())?;
        let sealed = self.app.intake.keys.pages().seal(what, holder, good_until, &bytes);
        sealed.map_err(|error| Problem::unsealed(&error))
    }

    /// Opens what was sealed for this browser; where it has no cookie, for one that has none.
    ///
    /// # Errors
    /// [`NotOpened`].
    pub fn open<T: DeserializeOwned>(&self, what: Sealed, text: &str) -> Result<T, NotOpened> {
        self.open_for(what, self.holder_bytes(), text)
    }

    /// Seals what its maker has proven, for longer than a cookie lives: it stands in forms alone, and proves its maker's own
    /// number.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn seal_proven<T: Serialize>(&self, what: Sealed, value: &T) -> Result<String, Problem> {
        self.seal_for(what, b"", self.after(PROVEN_LIFE), value)
    }

    /// Opens what [`Visit::seal_proven`] made.
    ///
    /// # Errors
    /// [`NotOpened`].
    pub fn open_proven<T: DeserializeOwned>(&self, what: Sealed, text: &str) -> Result<T, NotOpened> {
        self.open_for(what, b"", text)
    }

    /// Opens what was sealed for this browser's cookie: what an address carries. Any site can lead a browser to an address,
    /// and nobody is to go on with what somebody else has typed.
    ///
    /// # Errors
    /// [`NotOpened`].
    pub fn open_held<T: DeserializeOwned>(&self, what: Sealed, text: &str) -> Result<T, NotOpened> {
        let holder = self.holder.ok_or(NotOpened::Forged)?;
        self.open_for(what, holder.as_bytes(), text)
    }

    fn open_for<T: DeserializeOwned>(&self, what: Sealed, holder: &[u8], text: &str) -> Result<T, NotOpened> {
        let bytes = self.app.intake.keys.pages().open(what, holder, text, self.now)?;
        serde_json::from_slice(&bytes).map_err(|_| NotOpened::Forged)
    }

    /// Runs a read. All citizens together have as much of the reads as one carrier, and each of them a part of that.
    ///
    /// # Errors
    /// 503 when there is no turn in time, or the database failed.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Problem> {
        let Some(_turn) = self.app.citizen.readers.take(&of_client(self.client, READS_PER_CLIENT, READS_PER_SITE))
        else {
            return Err(Problem::store_unavailable());
        };
        self.app.reads.run_for(WEB_OWNER, read).await
    }

    /// Sends the browser to the address of a page, where that page is its alone, and lets it keep its cookie for longer; none
    /// where it has none, or the address would be too long. `parameters` are of ours.
    #[must_use]
    pub fn go(&self, path: &str, parameters: &str) -> Option<HttpResponse> {
        let address = format!("{path}?lang={}&{parameters}", self.t.code());
        let holder = self.holder.filter(|_| address.len() <= ADDRESS_MAX_BYTES)?;
        let mut response = page::see_other(&address);
        holder::give(&mut response, Some(holder));
        Some(response)
    }

    /// A value of the form, without spaces round it; empty when it is not there.
    #[must_use]
    pub fn value(&self, name: &str) -> &str {
        self.parameters.text(name).unwrap_or_default()
    }

    /// A page that says something, with the status that fits.
    #[must_use]
    pub fn message(&self, status: StatusCode, title: String, text: String) -> HttpResponse {
        page::page(status, pages::render(&MessagePage { t: self.t, here: "", title, text }))
    }

    /// A page that says when to come back.
    #[must_use]
    pub fn come_back(&self, status: StatusCode, id: &str, retry_after_s: u64) -> HttpResponse {
        let text = self.t.with(id, "time", &self.duration(retry_after_s));
        let mut response = self.message(status, self.t.of("later-title"), text);
        if let Ok(value) = header::HeaderValue::from_str(&retry_after_s.to_string()) {
            response.headers_mut().insert(header::RETRY_AFTER, value);
        }
        response
    }

    /// A time to wait, in words.
    #[must_use]
    pub fn duration(&self, seconds: u64) -> String {
        let whole = |seconds: u64, unit: u64| i64::try_from(seconds.div_ceil(unit)).unwrap_or(i64::MAX);
        if seconds > 5_400 {
            self.t.count("time-hours", "count", whole(seconds, 3_600))
        } else {
            self.t.count("time-minutes", "count", whole(seconds, 60))
        }
    }
}

/// Whoever comes from this address, and its neighbours, with how many places each of them may have.
fn of_client(client: IpAddr, per_client: usize, per_site: usize) -> [Holding; 2] {
    [(customer_of(client), per_client), (site_of(client), per_site)]
}

/// The address of a page that can be opened again, for the change of language; none for the answer to a form.
fn here(visit: &Visit<'_>, address: &str) -> String {
    if visit.holder.is_some() { address.to_owned() } else { String::new() }
}

/// The number is proven, and what it was proven for could not be stored: the page tries again, as `lead` says.
fn again_page(
    visit: &Visit<'_>,
    status: StatusCode,
    action: &'static str,
    sealed: &str,
    lead: String,
    retry_after_s: u64,
) -> HttpResponse {
    let mut response =
        page::page(status, pages::render(&pages::AgainPage { t: visit.t, here: "", action, sealed, lead }));
    response.headers_mut().insert(header::RETRY_AFTER, retry_after_s.into());
    response
}

/// The store is away: [`again_page`] for that.
fn not_stored_page(visit: &Visit<'_>, action: &'static str, sealed: &str) -> HttpResponse {
    let lead = visit.t.of("again-lead");
    again_page(visit, StatusCode::SERVICE_UNAVAILABLE, action, sealed, lead, STORE_RETRY_S)
}

/// The answer, or a page about the problem. `body` is what of the request was not read.
#[must_use]
pub fn finish(
    outcome: Result<HttpResponse, Problem>,
    request: &HttpRequest,
    body: impl Unpin + 'static,
    app: &App,
) -> HttpResponse {
    let problem = match outcome {
        Ok(response) => return response,
        Err(problem) => problem,
    };
    problem.count(&app.metrics);
    let status = problem.status_code();
    let retry_after = problem.error_response().headers().get(header::RETRY_AFTER).cloned();
    let mut asked = Parameters::default();
    let asked = asked.add(request.query_string().as_bytes()).ok().and_then(|()| asked.text("lang"));
    let t = Texts::of_language(language_of(request, asked));
    let (title, text) = match status {
        StatusCode::TOO_MANY_REQUESTS => (text_id("later-title"), text_id("problem-too-many")),
        status if status.is_server_error() => (text_id("later-title"), text_id("problem-unavailable")),
        StatusCode::PAYLOAD_TOO_LARGE => (text_id("problem-title"), text_id("problem-too-large")),
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
            (text_id("problem-title"), text_id("problem-no-page"))
        }
        _ => (text_id("problem-title"), text_id("problem-broken")),
    };
    let html = pages::render(&MessagePage { t, here: "", title: t.of(title), text: t.of(text) });
    let mut response = page::page(status, html);
    if let Some(retry_after) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, retry_after);
    }
    keep_unread(response, body)
}

/// The ids of messages that are chosen by a table: named, so that a test finds them.
const fn text_id(id: &'static str) -> &'static str {
    id
}
