//! The pages, as templates see them.

use askama::Template;

use super::draft::{Draft, Fault};
use crate::config::Hotline;
use crate::domain::vocabulary::{Channel, Harm};
use crate::http::texts::Texts;

/// The HTML of a page.
#[must_use]
pub fn render(page: &impl Template) -> String {
    // Writing to a String does not fail, and nothing in the templates does.
    page.render().unwrap_or_default()
}

/// The first page.
#[derive(Template)]
#[template(path = "form.html")]
pub struct FormPage<'a> {
    /// Messages.
    pub t: &'static Texts,
    /// The address of this page, for the change of language.
    pub here: &'static str,
    /// What is filled in.
    pub draft: &'a Draft,
    /// The sealed token.
    pub token: &'a str,
    /// What has to be mended.
    pub faults: &'a [Fault],
    /// Senders found in the message.
    pub offered: Vec<String>,
    /// Whom to call.
    pub hotlines: &'a [Hotline],
    /// The work to be shown, as JSON.
    pub work: String,
    /// The number that takes reports by SMS.
    pub sms_number: &'a str,
}

impl FormPage<'_> {
    fn fault(&self, field: &str) -> Option<&'static str> {
        self.faults.iter().find(|fault| fault.field == field).map(|fault| fault.text)
    }

    const fn harms() -> &'static [Harm] {
        Harm::ALL
    }

    fn harm_text(&self, harm: &Harm) -> String {
        self.t.of(&format!("harm-{}", harm.as_str()))
    }
}

/// No codes can be sent: how to report all the same.
#[derive(Template)]
#[template(path = "closed.html")]
pub struct ClosedPage<'a> {
    /// Messages.
    pub t: &'static Texts,
    /// The address of this page.
    pub here: &'static str,
    /// Whom to call.
    pub hotlines: &'a [Hotline],
    /// The number that takes reports by SMS.
    pub sms_number: &'a str,
}

/// The page that asks for the code, whatever it is for.
#[derive(Template)]
#[template(path = "code.html")]
pub struct CodePage<'a> {
    /// Messages.
    pub t: &'static Texts,
    /// The address of this page; none where it answers a form, and what was typed would be lost.
    pub here: &'a str,
    /// Where the code goes.
    pub action: &'static str,
    /// What was sealed.
    pub sealed: &'a str,
    /// What was understood of the report; empty for the other uses.
    pub understood: Vec<(String, String)>,
    /// The number in words.
    pub number: String,
    /// A code was sent just now.
    pub was_sent: bool,
    /// What is wrong with the code that was typed.
    pub fault: Option<String>,
    /// Where the mobile network proves the number instead.
    pub by_network: Option<String>,
    /// Whether what was typed can be changed.
    pub can_change: bool,
}

/// The proof the other way: by an SMS from the reporter.
#[derive(Template)]
#[template(path = "by_sms.html")]
pub struct BySmsPage<'a> {
    /// Messages.
    pub t: &'static Texts,
    /// The address of this page; none where it answers a form.
    pub here: &'a str,
    /// What was sealed.
    pub sealed: &'a str,
    /// The number in words.
    pub number: String,
    /// What to text.
    pub words: &'a str,
    /// To where.
    pub sms_number: &'a str,
    /// Opens the phone's messages with all of it filled in.
    pub sms_link: String,
    /// When codes are sent again, in words; none when the SMS has not come yet.
    pub again_in: Option<String>,
    /// Where the mobile network proves the number instead.
    pub by_network: Option<String>,
}

/// The number is proven and the report could not be stored.
#[derive(Template)]
#[template(path = "again.html")]
pub struct AgainPage<'a> {
    /// Messages.
    pub t: &'static Texts,
    /// None.
    pub here: &'static str,
    /// Where it goes.
    pub action: &'static str,
    /// What was sealed.
    pub sealed: &'a str,
    /// Why, and what to do.
    pub lead: String,
}

/// The receipt.
#[derive(Template)]
#[template(path = "receipt.html")]
pub struct ReceiptPage<'a> {
    /// Messages.
    pub t: &'static Texts,
    /// The address of this page.
    pub here: &'a str,
    /// The code.
    pub receipt: &'a str,
    /// When it was taken.
    pub received_at: String,
    /// It says the same as one of the last day.
    pub is_repeat: bool,
    /// Money was lost.
    pub money_lost: bool,
    /// Whom to call.
    pub hotlines: &'a [Hotline],
    /// The guide that fits.
    pub guide: &'static str,
    /// Days in which a case is looked at.
    pub review_days: u32,
    /// What is sealed in its address.
    pub sealed: &'a str,
    /// Files that were kept just now.
    pub kept: i64,
    /// The id of what is wrong with a file.
    pub fault: Option<&'static str>,
}

/// Receipt and digits.
#[derive(Template)]
#[template(path = "track.html")]
pub struct TrackPage<'a> {
    /// Messages.
    pub t: &'static Texts,
    /// The address of this page.
    pub here: &'static str,
    /// What was typed.
    pub receipt: &'a str,
    /// What was typed.
    pub digits: &'a str,
    /// The id of what is wrong.
    pub fault: Option<&'static str>,
}

/// What became of a report.
#[derive(Template)]
#[template(path = "status.html")]
pub struct StatusPage<'a> {
    /// Messages.
    pub t: &'static Texts,
    /// The address of this page.
    pub here: &'a str,
    /// What is sealed in it.
    pub sealed: &'a str,
    /// The code.
    pub receipt: &'a str,
    /// When it was taken.
    pub received_at: String,
    /// What it claims.
    pub category: &'static str,
    /// SMS or call.
    pub channel: &'static str,
    /// The id of what became of it.
    pub headline: &'static str,
    /// The id of why.
    pub reason: Option<String>,
    /// When it was decided.
    pub decided_at: Option<String>,
    /// Whether codes can be sent.
    pub can_withdraw: bool,
    /// The guide that fits.
    pub guide: &'static str,
    /// The id of what is wrong with the number that was typed.
    pub fault: Option<&'static str>,
}

/// The other side: whose number is it?
#[derive(Template)]
#[template(path = "respond.html")]
pub struct RespondPage<'a> {
    /// Messages.
    pub t: &'static Texts,
    /// The address of this page.
    pub here: &'static str,
    /// What was typed.
    pub number: &'a str,
    /// The id of what is wrong.
    pub fault: Option<&'static str>,
    /// Whether codes can be sent.
    pub is_open: bool,
}

/// One case about the other side's number.
pub struct ReportedShown {
    /// What tells it from the others in the form.
    pub id: i64,
    /// Its category.
    pub category: &'static str,
    /// The id of where it stands.
    pub status: &'static str,
    /// How many people.
    pub voices: i64,
    /// First day.
    pub first: String,
    /// Last day.
    pub last: String,
    /// An answer stands in it.
    pub is_answered: bool,
}

/// What is said of the other side's number.
#[derive(Template)]
#[template(path = "reported.html")]
pub struct ReportedPage<'a> {
    /// Messages.
    pub t: &'static Texts,
    /// The address of this page.
    pub here: &'a str,
    /// What is sealed in it.
    pub sealed: &'a str,
    /// The number in words.
    pub number: String,
    /// The cases.
    pub cases: Vec<ReportedShown>,
    /// The case whose answer has to be mended, the id of what is wrong, and what was typed.
    pub fault: Option<(i64, &'static str, String)>,
    /// An answer was stored just now.
    pub was_stored: bool,
}

impl ReportedPage<'_> {
    fn fault_of(&self, id: i64) -> Option<&'static str> {
        self.fault.as_ref().filter(|(of, _, _)| *of == id).map(|(_, text, _)| *text)
    }

    fn typed(&self, id: i64) -> &str {
        self.fault.as_ref().filter(|(of, _, _)| *of == id).map_or("", |(_, _, typed)| typed)
    }
}

/// Guidance for one category.
#[derive(Template)]
#[template(path = "guide.html")]
pub struct GuidePage<'a> {
    /// Messages.
    pub t: &'static Texts,
    /// The address of this page.
    pub here: &'a str,
    /// Which one, as it stands in the ids of messages.
    pub category: &'static str,
    /// Whom to call.
    pub hotlines: &'a [Hotline],
}

impl GuidePage<'_> {
    fn text(&self, part: &str) -> String {
        self.t.of(&format!("guide-{}-{part}", self.category))
    }

    fn list(&self, part: &str) -> Vec<String> {
        self.t.list(&format!("guide-{}-{part}", self.category))
    }
}

/// All guides.
#[derive(Template)]
#[template(path = "guides.html")]
pub struct GuidesPage {
    /// Messages.
    pub t: &'static Texts,
    /// The address of this page.
    pub here: &'static str,
}

/// A page that says one thing.
#[derive(Template)]
#[template(path = "message.html")]
pub struct MessagePage {
    /// Messages.
    pub t: &'static Texts,
    /// None.
    pub here: &'static str,
    /// Its heading.
    pub title: String,
    /// What it says.
    pub text: String,
}
