//! Crockford's base 32 for what people read aloud and type: receipts and case references.
//!
//! Both end in a check character: the weighted sum of the others over the field GF(2^5). The weights are powers of a
//! generator, so for up to 31 characters every single wrong character and every swap of two different ones, adjacent
//! or not, is found. (Crockford's own check symbol is taken modulo 37 and needs five more signs, which do not spell.)

/// The alphabet: no I, L, O, U.
pub const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// x^5 + x^2 + 1, irreducible over GF(2), of which x is a generator.
const POLYNOMIAL: u8 = 0b10_0101;

/// Multiplies by x in GF(2^5).
const fn times_x(value: u8) -> u8 {
    let doubled = value << 1;
    if doubled & 0b10_0000 != 0 { doubled ^ POLYNOMIAL } else { doubled }
}

/// The check value (0-31) of base-32 digits, each 0-31.
fn check_value(digits: impl Iterator<Item = u8>) -> u8 {
    // Horner's scheme, one step more than the digits: the last digit's weight is x, so the check itself has weight 1.
    digits.fold(0, |sum, digit| times_x(sum ^ digit))
}

fn letter(digit: u8) -> char {
    char::from(ALPHABET.get(usize::from(digit & 31)).copied().unwrap_or(b'0'))
}

/// The first `length` base-32 digits of `bytes` (5 bits each, from the top), followed by their check character.
///
/// `bytes` shorter than the digits need is read as if zeros followed.
#[must_use]
pub fn encode(bytes: &[u8], length: usize) -> String {
    let bit = |position: usize| bytes.get(position / 8).map_or(0, |byte| (byte >> (7 - position % 8)) & 1);
    let digits = (0..length).map(|index| (0..5).fold(0, |digit, offset| digit << 1 | bit(index * 5 + offset)));
    let check = check_value(digits.clone());
    digits.chain(std::iter::once(check)).map(letter).collect()
}

/// Reads what a person typed: any case, I and L as 1, O as 0, hyphens and spaces dropped. `None` when a character is
/// not of the alphabet or the check character does not fit.
#[must_use]
pub fn normalize(typed: &str) -> Option<String> {
    let mut digits = Vec::with_capacity(typed.len());
    for character in typed.chars().filter(|character| !matches!(character, '-' | ' ')) {
        let upper = match character.to_ascii_uppercase() {
            'I' | 'L' => '1',
            'O' => '0',
            other => other,
        };
        let digit = ALPHABET.iter().position(|letter| char::from(*letter) == upper)?;
        digits.push(u8::try_from(digit).ok()?);
    }
    let (check, body) = digits.split_last()?;
    (check_value(body.iter().copied()) == *check).then(|| digits.iter().map(|digit| letter(*digit)).collect())
}

/// The bytes that [`encode`] was given, as far as the digits hold them: what a person typed, read by [`normalize`].
/// `None` also when it has not `length` characters before its check character.
#[must_use]
pub fn decode(typed: &str, length: usize) -> Option<Vec<u8>> {
    let code = normalize(typed).filter(|code| code.len() == length + 1)?;
    let mut bytes = vec![0; (length * 5).div_ceil(8)];
    for (index, character) in code.bytes().take(length).enumerate() {
        let digit = ALPHABET.iter().position(|letter| *letter == character)?;
        for bit in (0..5).filter(|bit| digit >> (4 - bit) & 1 == 1) {
            let position = index * 5 + bit;
            *bytes.get_mut(position / 8)? |= 1 << (7 - position % 8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop where it fails")]
    use super::*;

    #[test]
    fn what_is_encoded_is_read_back_also_when_typed_carelessly() {
        let code = encode(b"\x0e\x99\xf0\x12\x34\x56\x78", 11);
        assert_eq!(code.len(), 12);
        assert_eq!(normalize(&code.to_lowercase()), Some(code.clone()));
        let spaced = format!("{}-{} {}", &code[..4], &code[4..8], &code[8..]);
        assert_eq!(normalize(&spaced.replace('1', "l").replace('0', "o")), Some(code));
        assert_eq!(decode(&spaced, 11).unwrap(), b"\x0e\x99\xf0\x12\x34\x56\x78");
        assert_eq!(decode(&spaced, 10), None);
    }

    #[test]
    fn every_wrong_character_and_every_swap_is_found() {
        let code: Vec<u8> = encode(b"\x93\x1f\x20\xa5\x5c\xee\x01", 11).into_bytes();
        for place in 0..code.len() {
            for other in ALPHABET.iter().filter(|other| **other != code[place]) {
                let mut wrong = code.clone();
                wrong[place] = *other;
                assert_eq!(normalize(std::str::from_utf8(&wrong).unwrap()), None);
            }
            for second in place + 1..code.len() {
                if code[place] != code[second] {
                    let mut swapped = code.clone();
                    swapped.swap(place, second);
                    assert_eq!(normalize(std::str::from_utf8(&swapped).unwrap()), None);
                }
            }
        }
    }

    #[test]
    fn nothing_and_foreign_letters_are_not_read() {
        assert_eq!(normalize(""), None);
        assert_eq!(normalize("ABCU"), None);
        assert_eq!(normalize("é"), None);
    }
}
