//! Parameters of a query or a form, as bytes: what an SMS gateway percent-encodes need not be UTF-8.

use super::problem::Problem;

/// Parameters in one query or form. SMS gateways send about ten.
const PARAMETERS_MAX: usize = 64;

/// Named values, in the order they were sent.
#[derive(Default)]
pub struct Parameters(Vec<(String, Vec<u8>)>);

impl Parameters {
    /// Adds what stands in a query or a body of the type `application/x-www-form-urlencoded`.
    ///
    /// # Errors
    /// A name that was there before, or too many. Names that cannot be read are nobody's and are left out.
    pub fn add(&mut self, encoded: &[u8]) -> Result<(), Problem> {
        for pair in encoded.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            let equals = pair.iter().position(|byte| *byte == b'=');
            let (name, value) = match equals.and_then(|place| pair.split_at_checked(place)) {
                Some((name, value)) => (name, value.get(1..).unwrap_or_default()),
                None => (pair, &[][..]),
            };
            let Ok(name) = String::from_utf8(decode(name)) else { continue };
            if self.bytes(&name).is_some() {
                return Err(Problem::duplicate_parameter());
            }
            if self.0.len() >= PARAMETERS_MAX {
                return Err(Problem::too_many_parameters(PARAMETERS_MAX));
            }
            self.0.push((name, decode(value)));
        }
        Ok(())
    }

    /// A value as it was sent, which may be empty.
    #[must_use]
    pub fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_slice())
    }

    /// A value that is UTF-8 and not blank.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        let text = std::str::from_utf8(self.bytes(name)?).ok()?.trim();
        (!text.is_empty()).then_some(text)
    }
}

/// `+` is a space, `%41` is `A`; a `%` without two hexadecimal digits stands for itself.
fn decode(encoded: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match (first, after) {
            (b'+', _) => plain.push(b' '),
            (b'%', [high, low, ..]) => match (hex_digit(*high), hex_digit(*low)) {
                (Some(high), Some(low)) => {
                    plain.push(high << 4 | low);
                    rest = after.get(2..).unwrap_or_default();
                }
                _ => plain.push(b'%'),
            },
            (other, _) => plain.push(*other),
        }
    }
    plain
}

/// Bytes written as hexadecimal digits; none when they are not.
#[must_use]
pub fn decode_hex(digits: &[u8]) -> Option<Vec<u8>> {
    let (pairs, odd) = digits.as_chunks::<2>();
    let byte = |[high, low]: &[u8; 2]| Some(hex_digit(*high)? << 4 | hex_digit(*low)?);
    if odd.is_empty() { pairs.iter().map(byte).collect() } else { None }
}

fn hex_digit(character: u8) -> Option<u8> {
    char::from(character).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;

    #[test]
    fn values_are_bytes_and_names_are_unique() {
        let mut parameters = Parameters::default();
        parameters.add(b"from=%2B84912&text=S+%00%ff%4&&empty=&flag&t%65st=1=2").unwrap();
        assert_eq!(parameters.text("from"), Some("+84912"));
        assert_eq!(parameters.bytes("text"), Some(&b"S \0\xff%4"[..]));
        assert_eq!(parameters.text("text"), None);
        assert_eq!(parameters.bytes("empty"), Some(&b""[..]));
        assert_eq!(parameters.text("empty"), None);
        assert_eq!(parameters.bytes("flag"), Some(&b""[..]));
        assert_eq!(parameters.text("test"), Some("1=2"));
        assert!(parameters.add(b"from=1").is_err());
        assert_eq!(parameters.text("from"), Some("+84912"));
    }

    #[test]
    fn there_is_a_limit_to_parameters() {
        let many = (0..PARAMETERS_MAX).map(|number| format!("p{number}=")).collect::<Vec<_>>().join("&");
        let mut parameters = Parameters::default();
        parameters.add(many.as_bytes()).unwrap();
        assert!(parameters.add(b"one=more").is_err());
    }

    #[test]
    fn hexadecimal_digits_are_read_in_any_case() {
        assert_eq!(decode_hex(b"0053fFa0"), Some(vec![0, 0x53, 0xff, 0xa0]));
        assert_eq!(decode_hex(b""), Some(Vec::new()));
        assert_eq!(decode_hex(b"123"), None);
        assert_eq!(decode_hex(b"zz"), None);
    }
}
