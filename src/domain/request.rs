//! What the authority asks of a carrier, and what a carrier may answer.

use super::rejection::Rejection;

/// The longest note of an answer, characters.
pub const NOTE_MAX_CHARACTERS: usize = 2_000;

/// What is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RequestKind {
    /// Whose number is it, and is the registration true?
    CheckSubscriber,
    /// Warn the subscriber.
    WarnSubscriber,
    /// Stop the subscriber from sending or calling, as the law allows.
    SuspendService,
    /// Find where the messages or calls came into the network.
    TraceOrigin,
    /// Keep the records until they are asked for.
    PreserveRecords,
}

impl RequestKind {
    /// All kinds.
    pub const ALL: &[Self] =
        &[Self::CheckSubscriber, Self::WarnSubscriber, Self::SuspendService, Self::TraceOrigin, Self::PreserveRecords];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CheckSubscriber => "check_subscriber",
            Self::WarnSubscriber => "warn_subscriber",
            Self::SuspendService => "suspend_service",
            Self::TraceOrigin => "trace_origin",
            Self::PreserveRecords => "preserve_records",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == word)
    }
}

/// What came of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It was done.
    Done,
    /// It had been done before.
    AlreadyDone,
    /// The number is not of this carrier.
    NotOurSubscriber,
    /// It cannot be done.
    NotPossible,
    /// The carrier will not.
    Refused,
}

impl Outcome {
    /// All outcomes.
    pub const ALL: &[Self] = &[Self::Done, Self::AlreadyDone, Self::NotOurSubscriber, Self::NotPossible, Self::Refused];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::AlreadyDone => "already_done",
            Self::NotOurSubscriber => "not_our_subscriber",
            Self::NotPossible => "not_possible",
            Self::Refused => "refused",
        }
    }

    /// Reads the word, or says which there are.
    ///
    /// # Errors
    /// A rejection of the field `outcome`.
    pub fn parse(word: Option<&str>) -> Result<Self, Rejection> {
        let word = word.ok_or_else(|| Rejection::missing("outcome"))?;
        Self::ALL.iter().copied().find(|outcome| outcome.as_str() == word).ok_or_else(|| {
            let words: Vec<&str> = Self::ALL.iter().map(|outcome| outcome.as_str()).collect();
            Rejection::not_one_of("outcome", &words.join(", "))
        })
    }
}

/// Reads an answer's note; nothing but spaces is none.
///
/// # Errors
/// A rejection of the field `note`.
pub fn parse_note(note: Option<String>) -> Result<Option<String>, Rejection> {
    let note = note.filter(|note| !note.trim().is_empty());
    if note.as_ref().is_some_and(|note| note.chars().count() > NOTE_MAX_CHARACTERS) {
        let detail = format!("Write at most {NOTE_MAX_CHARACTERS} characters.");
        return Err(Rejection::new("note_too_long", "note", detail));
    }
    Ok(note)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_they_are_written() {
        for kind in RequestKind::ALL {
            assert_eq!(RequestKind::parse(kind.as_str()), Some(*kind));
        }
        for outcome in Outcome::ALL {
            assert_eq!(Outcome::parse(Some(outcome.as_str())), Ok(*outcome));
        }
        assert!(RequestKind::parse("Done").is_none() && Outcome::parse(Some("Done")).is_err());
    }

    #[test]
    fn a_note_is_bounded_in_characters_and_spaces_are_none() {
        let note = |text: String| parse_note(Some(text));
        assert_eq!(note("  ".to_owned()), Ok(None));
        assert!(note("ậ".repeat(NOTE_MAX_CHARACTERS)).is_ok());
        assert!(note("ậ".repeat(NOTE_MAX_CHARACTERS + 1)).is_err());
    }
}
