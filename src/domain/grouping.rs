//! Which reports belong to one case: the grouping key, from the columns of a journal row alone.

use super::sender::SenderKind;
use super::vocabulary::Category;

/// The key a case is found by while it is open. Made of words and keyed tags, so it shows no number.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct GroupKey(Vec<u8>);

impl GroupKey {
    /// The key's bytes, as stored.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The tag of the sender whom a case with this key is about; none when the case is about a text, whoever sent it.
#[must_use]
pub fn sender_tag_of(group_key: &[u8]) -> Option<&[u8]> {
    // The tag itself may hold any byte, so only the first two bars count.
    let mut parts = group_key.splitn(3, |byte| *byte == b'|').skip(1);
    match (parts.next()?, parts.next()?) {
        (b"sender", tag) => Some(tag),
        (b"sender+text", tags) => tags.get(..tags.len() / 2),
        _ => None,
    }
}

/// The grouping key of a report, or `None` when it makes no case and only adds to the figures.
///
/// - A false claim is one case whoever sends it: fake news with text groups by the same text.
/// - A known sender (number, short code, brandname) is one case per category.
/// - A malformed sender may be a forgery that thousands of strangers share: it groups by value *and* same text.
/// - A hidden sender groups by category and same text.
/// - A hidden or malformed sender without text is nothing that a person could decide on.
///
/// The channel is not part of the key: the same fraud comes by SMS and by call.
#[must_use]
pub fn group_key(
    category: Category,
    sender_kind: SenderKind,
    sender_tag: Option<&[u8]>,
    text_tag: Option<&[u8]>,
) -> Option<GroupKey> {
    let key = |rule: &str, tags: &[&[u8]]| {
        let mut bytes = format!("{}|{rule}|", category.as_str()).into_bytes();
        tags.iter().for_each(|tag| bytes.extend_from_slice(tag));
        GroupKey(bytes)
    };
    match (category, sender_kind, sender_tag, text_tag) {
        (Category::FakeNews, _, _, Some(text)) => Some(key("text", &[text])),
        (_, SenderKind::Msisdn | SenderKind::ShortCode | SenderKind::Brandname, Some(sender), _) => {
            Some(key("sender", &[sender]))
        }
        (_, SenderKind::Malformed, Some(sender), Some(text)) => Some(key("sender+text", &[sender, text])),
        (_, SenderKind::Hidden, _, Some(text)) => Some(key("hidden+text", &[text])),
        (_, _, _, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENDER: Option<&[u8]> = Some(b"sender-tag-16byt");
    const TEXT: Option<&[u8]> = Some(b"text-tag-16bytes");
    const OTHER_TEXT: Option<&[u8]> = Some(b"other-text-tag16");

    #[test]
    fn a_known_sender_is_one_case_per_category_whatever_the_text() {
        let spam = group_key(Category::Spam, SenderKind::Msisdn, SENDER, TEXT);
        assert!(spam.is_some());
        assert_eq!(spam, group_key(Category::Spam, SenderKind::Msisdn, SENDER, None));
        assert_ne!(spam, group_key(Category::Scam, SenderKind::Msisdn, SENDER, TEXT));
    }

    #[test]
    fn a_key_tells_whom_a_case_is_about_unless_it_is_about_a_text() {
        let bars: Option<&[u8]> = Some(b"|||||||tag|16byt");
        for tag in [SENDER, bars] {
            let known = group_key(Category::Spam, SenderKind::Msisdn, tag, TEXT);
            assert_eq!(known.as_ref().and_then(|key| sender_tag_of(key.as_bytes())), tag);
            let malformed = group_key(Category::Spam, SenderKind::Malformed, tag, TEXT);
            assert_eq!(malformed.as_ref().and_then(|key| sender_tag_of(key.as_bytes())), tag);
        }
        for (category, kind) in [(Category::FakeNews, SenderKind::Msisdn), (Category::Scam, SenderKind::Hidden)] {
            let text = group_key(category, kind, SENDER, TEXT);
            assert_eq!(text.as_ref().and_then(|key| sender_tag_of(key.as_bytes())), None);
        }
    }

    #[test]
    fn a_false_claim_is_one_case_whoever_sends_it() {
        let claim = group_key(Category::FakeNews, SenderKind::Msisdn, SENDER, TEXT);
        assert_eq!(claim, group_key(Category::FakeNews, SenderKind::Hidden, None, TEXT));
        assert_ne!(claim, group_key(Category::FakeNews, SenderKind::Msisdn, SENDER, OTHER_TEXT));
    }

    #[test]
    fn a_forged_or_hidden_sender_groups_by_text_and_without_text_makes_no_case() {
        let malformed = group_key(Category::Scam, SenderKind::Malformed, SENDER, TEXT);
        assert_ne!(malformed, group_key(Category::Scam, SenderKind::Malformed, SENDER, OTHER_TEXT));
        let hidden = group_key(Category::Scam, SenderKind::Hidden, None, TEXT);
        assert!(hidden.is_some());
        assert_ne!(hidden, malformed);
        assert_eq!(group_key(Category::Scam, SenderKind::Malformed, SENDER, None), None);
        assert_eq!(group_key(Category::Scam, SenderKind::Hidden, None, None), None);
    }
}
