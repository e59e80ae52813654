//! Structured fields (RFC 9651), as far as signatures and digests need them: dictionaries of inner lists, byte sequences
//! and bare items.
//!
//! Read into values and written anew from these: the text under a signature is what the RFC says, however the sender
//! spaced it.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Members of a dictionary, items of an inner list, parameters of one: no signature has more.
const ITEMS_MAX: usize = 32;
/// The longest field value read, bytes.
const FIELD_MAX_BYTES: usize = 8 * 1024;

/// A bare item.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Item {
    /// An integer of at most 15 digits.
    Integer(i64),
    /// A string.
    Text(String),
    /// A token.
    Token(String),
    /// A byte sequence.
    Bytes(Vec<u8>),
    /// A boolean.
    Boolean(bool),
}

/// Parameters, in their order.
pub type Parameters = Vec<(String, Item)>;

/// A member of a dictionary.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Member {
    /// An item.
    Item(Item),
    /// A list of items, each with its parameters, and the list's own.
    List {
        /// The items.
        items: Vec<(Item, Parameters)>,
        /// The list's parameters.
        parameters: Parameters,
    },
}

/// A field that is none of these.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Malformed;

/// Reads a dictionary. A key that comes again replaces the one before, as the RFC says.
///
/// # Errors
/// [`Malformed`]; also when it is longer than any signature.
pub fn parse_dictionary(text: &[u8]) -> Result<Vec<(String, Member)>, Malformed> {
    if text.len() > FIELD_MAX_BYTES {
        return Err(Malformed);
    }
    let mut reader = Reader(text);
    let mut members: Vec<(String, Member)> = Vec::new();
    reader.skip(b" ");
    while !reader.0.is_empty() {
        let key = reader.key()?;
        let member = if reader.take(b'=') {
            reader.member()?
        } else {
            reader.parameters()?;
            Member::Item(Item::Boolean(true))
        };
        members.retain(|(other, _)| *other != key);
        members.push((key, member));
        reader.skip(b" \t");
        if reader.0.is_empty() {
            break;
        }
        if members.len() >= ITEMS_MAX || !reader.take(b',') {
            return Err(Malformed);
        }
        reader.skip(b" \t");
        // A comma with nothing behind it.
        if reader.0.is_empty() {
            return Err(Malformed);
        }
    }
    Ok(members)
}

/// Writes an inner list with its parameters.
#[must_use]
pub fn write_list(items: &[(Item, Parameters)], parameters: &Parameters) -> String {
    let mut text = String::from("(");
    for (index, (item, parameters)) in items.iter().enumerate() {
        if index > 0 {
            text.push(' ');
        }
        write_item(&mut text, item);
        write_parameters(&mut text, parameters);
    }
    text.push(')');
    write_parameters(&mut text, parameters);
    text
}

fn write_parameters(text: &mut String, parameters: &Parameters) {
    for (key, value) in parameters {
        text.push(';');
        text.push_str(key);
        if *value != Item::Boolean(true) {
            text.push('=');
            write_item(text, value);
        }
    }
}

fn write_item(text: &mut String, item: &Item) {
    match item {
        // Writing to a String does not fail.
        Item::Integer(number) => {
            let _ = write!(text, "{number}");
        }
        Item::Token(token) => text.push_str(token),
        Item::Boolean(value) => text.push_str(if *value { "?1" } else { "?0" }),
        Item::Bytes(bytes) => {
            let _ = write!(text, ":{}:", STANDARD.encode(bytes));
        }
        Item::Text(value) => {
            text.push('"');
            for character in value.chars() {
                if matches!(character, '"' | '\\') {
                    text.push('\\');
                }
                text.push(character);
            }
            text.push('"');
        }
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    fn next(&mut self) -> Result<u8, Malformed> {
        let (first, rest) = self.0.split_first().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*first)
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        if is_next {
            self.0 = self.0.get(1..).unwrap_or_default();
        }
        is_next
    }

    fn skip(&mut self, bytes: &[u8]) {
        self.take_while(|byte| bytes.contains(&byte));
    }

    fn take_while(&mut self, wanted: impl Fn(u8) -> bool) -> &'a [u8] {
        let length = self.0.iter().position(|byte| !wanted(*byte)).unwrap_or(self.0.len());
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken
    }

    fn key(&mut self) -> Result<String, Malformed> {
        if !self.peek().is_some_and(|byte| byte.is_ascii_lowercase() || byte == b'*') {
            return Err(Malformed);
        }
        let key = self.take_while(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'.' | b'*'));
        Ok(String::from_utf8_lossy(key).into_owned())
    }

    fn member(&mut self) -> Result<Member, Malformed> {
        if !self.take(b'(') {
            let item = self.item()?;
            self.parameters()?;
            return Ok(Member::Item(item));
        }
        let mut items = Vec::new();
        loop {
            self.skip(b" ");
            if self.take(b')') {
                return Ok(Member::List { items, parameters: self.parameters()? });
            }
            if items.len() >= ITEMS_MAX {
                return Err(Malformed);
            }
            let item = self.item()?;
            items.push((item, self.parameters()?));
            if !matches!(self.peek(), Some(b' ' | b')')) {
                return Err(Malformed);
            }
        }
    }

    fn parameters(&mut self) -> Result<Parameters, Malformed> {
        let mut parameters = Parameters::new();
        while self.take(b';') {
            self.skip(b" ");
            let key = self.key()?;
            let value = if self.take(b'=') { self.item()? } else { Item::Boolean(true) };
            // Which of two would be meant is for the RFC to say and for a forger to use.
            if parameters.len() >= ITEMS_MAX || parameters.iter().any(|(other, _)| *other == key) {
                return Err(Malformed);
            }
            parameters.push((key, value));
        }
        Ok(parameters)
    }

    fn item(&mut self) -> Result<Item, Malformed> {
        match self.peek().ok_or(Malformed)? {
            b'"' => self.text(),
            b':' => self.bytes(),
            b'-' | b'0'..=b'9' => self.integer(),
            b'?' => {
                self.next()?;
                match self.next()? {
                    b'0' => Ok(Item::Boolean(false)),
                    b'1' => Ok(Item::Boolean(true)),
                    _ => Err(Malformed),
                }
            }
            b'a'..=b'z' | b'A'..=b'Z' | b'*' => {
                let is_of_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(&byte);
                Ok(Item::Token(String::from_utf8_lossy(self.take_while(is_of_token)).into_owned()))
            }
            _ => Err(Malformed),
        }
    }

    fn text(&mut self) -> Result<Item, Malformed> {
        self.next()?;
        let mut text = String::new();
        loop {
            match self.next()? {
                b'"' => return Ok(Item::Text(text)),
                b'\\' => match self.next()? {
                    escaped @ (b'"' | b'\\') => text.push(char::from(escaped)),
                    _ => return Err(Malformed),
                },
                byte @ 0x20..=0x7e => text.push(char::from(byte)),
                _ => return Err(Malformed),
            }
        }
    }

    fn bytes(&mut self) -> Result<Item, Malformed> {
        self.next()?;
        let encoded = self.take_while(|byte| byte != b':');
        if !self.take(b':') {
            return Err(Malformed);
        }
        STANDARD.decode(encoded).map(Item::Bytes).map_err(|_| Malformed)
    }

    fn integer(&mut self) -> Result<Item, Malformed> {
        let is_negative = self.take(b'-');
        let digits = self.take_while(|byte| byte.is_ascii_digit());
        // Decimals have no place in signatures.
        if !(1..=15).contains(&digits.len()) || self.peek() == Some(b'.') {
            return Err(Malformed);
        }
        let number = digits.iter().fold(0_i64, |number, digit| number * 10 + i64::from(digit - b'0'));
        Ok(Item::Integer(if is_negative { -number } else { number }))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn list_of(text: &str) -> String {
        match parse_dictionary(text.as_bytes()).unwrap().pop().unwrap().1 {
            Member::List { items, parameters } => write_list(&items, &parameters),
            Member::Item(_) => panic!("no list: {text}"),
        }
    }

    #[test]
    fn a_list_is_written_in_one_form_however_it_was_spaced() {
        let written = r#"("@method" "a";sf);created=5;keyid="a\"\\b";x=?0;y=:AQI=:;z=t/k"#;
        for text in [
            format!("sig={written}"),
            format!(
                "  sig={}",
                written.replace("(\"@method\" ", "(  \"@method\"   ").replace(";created", ";  created")
            ),
            format!("other=1, sig={written}  "),
        ] {
            assert_eq!(list_of(&text), written, "{text}");
        }
        assert_eq!(list_of("sig=( )"), "()");
    }

    #[test]
    fn the_last_of_two_members_of_one_name_counts() {
        let members = parse_dictionary(b"a=1, b=2, a=:AQI=:").unwrap();
        assert_eq!(members.len(), 2);
        assert_eq!(members.last().unwrap(), &("a".to_owned(), Member::Item(Item::Bytes(vec![1, 2]))));
    }

    #[test]
    fn what_is_no_dictionary_is_refused() {
        let many = vec!["a=1"; 40].iter().enumerate().map(|(at, _)| format!("a{at}=1")).collect::<Vec<_>>().join(",");
        let long = format!("a=\"{}\"", "x".repeat(FIELD_MAX_BYTES));
        for text in [
            "=",
            "A=1",
            "a=",
            "a=(",
            "a=(\"x\"",
            "a=(\"x\"\"y\")",
            "a=\"x",
            "a=\"\\n\"",
            "a=:AQI",
            "a=:A:",
            "a=1.5",
            "a=1,",
            "a=1;",
            "a=1 b=2",
            "a=-",
            "a=1234567890123456",
            "a=?2",
            "a=()x",
            "a=\"\u{e9}\"",
            "a=1;b=1;b=1",
            &many,
            &long,
        ] {
            assert_eq!(parse_dictionary(text.as_bytes()), Err(Malformed), "{text}");
        }
        assert_eq!(parse_dictionary(b""), Ok(Vec::new()));
    }
}
