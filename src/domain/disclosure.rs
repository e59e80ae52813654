//! Which carrier is told of which decided case.

use super::carrier::Attests;
use super::sender::SenderKind;

/// Whether a sender is a number of this carrier: it begins with a prefix that the carrier attests, or with one of
/// `own_prefixes`.
///
/// A prefix tells the carrier that a number was first given to. A number that was ported away is still told to it; the
/// carrier that has it now is told only with the scope `feed_all`. `any` attests to reporters and owns nothing: a carrier that
/// attests any number names its own by `own_prefixes`. Short codes and names belong to no prefix.
#[must_use]
pub fn is_own(attests: &Attests, own_prefixes: &[String], kind: SenderKind, sender: &str) -> bool {
    let attested = match attests {
        Attests::Any => &[][..],
        Attests::Prefixes(prefixes) => prefixes.as_slice(),
    };
    kind == SenderKind::Msisdn && attested.iter().chain(own_prefixes).any(|prefix| sender.starts_with(prefix.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_a_carriers_own_by_what_it_attests_or_names_as_its_own() {
        let vina = Attests::Prefixes(vec!["+8491".to_owned()]);
        let own = vec!["+8488".to_owned()];
        let number = |attests: &Attests, own: &[String], sender| is_own(attests, own, SenderKind::Msisdn, sender);
        assert!(number(&vina, &[], "+84912345678"));
        assert!(!number(&vina, &[], "+84882345678"));
        assert!(number(&vina, &own, "+84882345678"));
        assert!(number(&Attests::Any, &own, "+84882345678"));
        assert!(!number(&Attests::Any, &[], "+84912345678"), "to attest any number is not to own it");
    }

    #[test]
    fn a_name_or_a_short_code_is_nobodys_own() {
        let all = Attests::Prefixes(vec!["+".to_owned(), "1".to_owned()]);
        for kind in [SenderKind::ShortCode, SenderKind::Brandname, SenderKind::Malformed, SenderKind::Hidden] {
            assert!(!is_own(&all, &[], kind, "1"));
        }
    }
}
