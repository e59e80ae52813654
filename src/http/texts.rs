//! What people read, in their language: Fluent messages of `i18n/`.

use std::sync::OnceLock;

use actix_web::HttpRequest;
use actix_web::http::header;
use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};

use crate::domain::vocabulary::Language;

/// Messages of each language, in the order of [`Language::ALL`].
const SOURCES: [&[&str]; 2] = [
    &[include_str!("../../i18n/vi/citizen.ftl"), include_str!("../../i18n/vi/guidance.ftl")],
    &[include_str!("../../i18n/en/citizen.ftl"), include_str!("../../i18n/en/guidance.ftl")],
];

/// The messages of one language.
pub struct Texts {
    language: Language,
    bundle: FluentBundle<FluentResource>,
}

impl Texts {
    /// Those of this language; read once.
    #[must_use]
    pub fn of_language(language: Language) -> &'static Self {
        static ALL: OnceLock<Vec<Texts>> = OnceLock::new();
        static NONE: OnceLock<Texts> = OnceLock::new();
        let all = ALL.get_or_init(|| {
            Language::ALL.iter().zip(SOURCES).map(|(language, sources)| Self::read(*language, sources)).collect()
        });
        let found = all.iter().find(|texts| texts.language == language);
        found.unwrap_or_else(|| NONE.get_or_init(|| Self::read(language, &[])))
    }

    fn read(language: Language, sources: &[&str]) -> Self {
        let locale = language.as_str().parse().unwrap_or_default();
        let mut bundle = FluentBundle::new_concurrent(vec![locale]);
        // Marks round what is filled in are for texts of mixed direction; they would be pasted along with a number.
        bundle.set_use_isolating(false);
        for source in sources {
            // What can be read of a file with a fault is used; a test reads them all without one.
            let resource = FluentResource::try_new((*source).to_owned()).unwrap_or_else(|(resource, _errors)| resource);
            let _ = bundle.add_resource(resource);
        }
        Self { language, bundle }
    }

    /// The language.
    #[must_use]
    pub const fn language(&self) -> Language {
        self.language
    }

    /// The language as it stands in a page and in an address.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.language.as_str()
    }

    /// A message.
    #[must_use]
    pub fn of(&self, id: &str) -> String {
        self.format(id, None)
    }

    /// A message with one value in it.
    #[must_use]
    pub fn with(&self, id: &str, name: &str, value: &str) -> String {
        let mut arguments = FluentArgs::new();
        arguments.set(name, FluentValue::from(value));
        self.format(id, Some(&arguments))
    }

    /// A message with a number in it, which may choose its form.
    #[must_use]
    pub fn count(&self, id: &str, name: &str, number: i64) -> String {
        let mut arguments = FluentArgs::new();
        arguments.set(name, FluentValue::from(number));
        self.format(id, Some(&arguments))
    }

    /// Messages numbered from 1 on, as many as there are.
    #[must_use]
    pub fn list(&self, stem: &str) -> Vec<String> {
        let ids = (1_u32..).map(|number| format!("{stem}-{number}"));
        ids.take_while(|id| self.bundle.has_message(id)).map(|id| self.of(&id)).collect()
    }

    /// Whether there is such a message.
    #[must_use]
    pub fn has(&self, id: &str) -> bool {
        self.bundle.has_message(id)
    }

    /// A message that is not there shows its id; a test holds every id that is used against both languages.
    fn format(&self, id: &str, arguments: Option<&FluentArgs<'_>>) -> String {
        let Some(pattern) = self.bundle.get_message(id).and_then(|message| message.value()) else {
            return id.to_owned();
        };
        self.bundle.format_pattern(pattern, arguments, &mut Vec::new()).into_owned()
    }
}

/// The language that a request asks for by its address, else by the browser's list; Vietnamese when it asks for neither.
#[must_use]
pub fn language_of(request: &HttpRequest, asked: Option<&str>) -> Language {
    if let Some(language) = asked.and_then(Language::parse) {
        return language;
    }
    let accepted = request.headers().get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    // The order of the list is its order of wishes in every browser; weights are not read.
    let mut tags = accepted.unwrap_or_default().split(',').map(|tag| tag.trim().get(..2).unwrap_or_default());
    tags.find_map(|tag| Language::parse(&tag.to_ascii_lowercase())).unwrap_or(Language::Vi)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use std::collections::BTreeSet;
    use std::fs;

    use super::*;

    /// Ids of the messages in a file, and what is not a message in it.
    fn ids(source: &str) -> BTreeSet<String> {
        FluentResource::try_new(source.to_owned()).unwrap();
        let lines = source.lines().filter(|line| line.starts_with(|first: char| first.is_ascii_lowercase()));
        lines.map(|line| line.split('=').next().unwrap().trim().to_owned()).collect()
    }

    #[test]
    fn both_languages_have_the_same_messages_and_each_once() {
        let [vi, en] = SOURCES.map(|sources| {
            let lists: Vec<BTreeSet<String>> = sources.iter().map(|source| ids(source)).collect();
            let all: BTreeSet<String> = lists.iter().flatten().cloned().collect();
            assert_eq!(all.len(), lists.iter().map(BTreeSet::len).sum::<usize>());
            all
        });
        assert_eq!(vi.difference(&en).collect::<Vec<_>>(), Vec::<&String>::new(), "missing in English");
        assert_eq!(en.difference(&vi).collect::<Vec<_>>(), Vec::<&String>::new(), "missing in Vietnamese");
    }

    #[test]
    fn every_message_is_filled_in_without_an_error() {
        for language in Language::ALL {
            let texts = Texts::of_language(*language);
            for source in SOURCES.concat() {
                for id in ids(source) {
                    let shown = texts.of(&id);
                    assert!(!shown.trim().is_empty() && shown != id, "{id}");
                }
            }
        }
    }

    #[test]
    fn every_message_that_a_template_or_a_handler_names_is_there_and_none_is_left_over() {
        let mut used = BTreeSet::new();
        let mut stems = BTreeSet::new();
        for folder in ["templates", "src/citizen"] {
            for entry in fs::read_dir(folder).unwrap() {
                let text = fs::read_to_string(entry.unwrap().path()).unwrap();
                let marked = |mark: &str| -> Vec<String> {
                    let ids = text.match_indices(mark).map(|(place, _)| &text[place + mark.len()..]);
                    ids.map(|rest| rest.split(['"', '{']).next().unwrap().to_owned()).collect()
                };
                used.extend([".of(\"", ".with(\"", ".count(\"", "text_id(\""].into_iter().flat_map(marked));
                stems.extend([".list(\"", "format!(\""].into_iter().flat_map(marked));
            }
        }
        let known: BTreeSet<String> = SOURCES[0].iter().flat_map(|source| ids(source)).collect();
        assert_eq!(used.difference(&known).collect::<Vec<_>>(), Vec::<&String>::new());
        stems.retain(|stem| stem.ends_with('-') || known.contains(&format!("{stem}-1")));
        let left_over =
            known.iter().filter(|id| !used.contains(*id) && !stems.iter().any(|stem| id.starts_with(stem.as_str())));
        assert_eq!(left_over.collect::<Vec<_>>(), Vec::<&String>::new());
    }
}
