//! Looking for many secrets, in every way they might be written, in many bytes.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Places in the table of stems: one for each three bytes.
const STEMS: usize = 1 << 24;

const ZEROS: [u8; 64] = [0; 64];

/// A needle is looked up by the three bytes after the zeros it may begin with: of zeros there are many.
struct Needle {
    bytes: Vec<u8>,
    zeros: usize,
    what: String,
}

/// Needles and what each of them is.
pub struct Needles {
    by_stem: HashMap<u32, Vec<Needle>>,
    /// Which stems there are: most places are passed over without a look-up.
    is_stem: Vec<bool>,
    count: usize,
}

/// A needle that was found.
#[derive(Debug, PartialEq, Eq)]
pub struct Hit {
    pub place: String,
    pub what: String,
}

impl Needles {
    pub fn new() -> Self {
        Self { by_stem: HashMap::new(), is_stem: vec![false; STEMS], count: 0 }
    }

    pub fn add(&mut self, bytes: &[u8], what: &str) {
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        assert!(bytes.len() - zeros >= 4 && bytes.len() >= 6, "{what} is too short to be found by no accident");
        let stem = bytes[zeros..zeros + 3].iter().fold(0, |stem, byte| stem << 8 | u32::from(*byte));
        self.is_stem[stem as usize] = true;
        let needle = Needle { bytes: bytes.to_vec(), zeros, what: what.to_owned() };
        self.by_stem.entry(stem).or_default().push(needle);
        self.count += 1;
    }

    pub const fn len(&self) -> usize {
        self.count
    }

    /// A text in every encoding that a program might have given it.
    pub fn add_text(&mut self, text: &str, what: &str) {
        let mut add = |bytes: &[u8], how: &str| self.add(bytes, &format!("{what} as {how}"));
        add(text.as_bytes(), "UTF-8");
        add(&text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>(), "UTF-16LE");
        add(&text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<_>>(), "UTF-16BE");
        let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
        add(hex.as_bytes(), "hex");
        if hex.to_uppercase() != hex {
            add(hex.to_uppercase().as_bytes(), "HEX");
        }
        for before in 0..3 {
            add(base64_within(text.as_bytes(), before).as_bytes(), &format!("base64 after {before}"));
        }
    }

    /// A Vietnamese mobile number, given without its 0.
    pub fn add_number(&mut self, national: &str, what: &str) {
        // Of the eight spellings this is in 0…, +84…, 84… and 0084….
        self.add_text(national, what);
        let (a, b, c) = (&national[..2], &national[2..5], &national[5..]);
        for spelled in [format!("{a} {b} {c}"), format!("{a}.{b}.{c}"), format!("{a}) {b}-{c}"), full_width(national)] {
            self.add(spelled.as_bytes(), &format!("{what} spelled `{spelled}`"));
        }
        let mut add = |bytes: &[u8], how: &str| self.add(bytes, &format!("{what} as {how}"));
        for (name, digits) in [("national", national.to_owned()), ("E.164", format!("84{national}"))] {
            let number: u64 = digits.parse().unwrap();
            add(&number.to_be_bytes(), &format!("{name} u64 big-endian"));
            add(&number.to_le_bytes(), &format!("{name} u64 little-endian"));
        }
        // SQLite stores an integer of this size in six bytes.
        let number: u64 = format!("84{national}").parse().unwrap();
        add(&number.to_be_bytes()[2..], "SQLite integer");
        for (name, digits) in [("left", format!("084{national}")), ("right", format!("84{national}f"))] {
            let packed = |high: usize, low: usize| -> Vec<u8> {
                let nibble = |byte: u8| u8::try_from(char::from(byte).to_digit(16).unwrap()).unwrap();
                digits.as_bytes().chunks(2).map(|pair| nibble(pair[high]) << 4 | nibble(pair[low])).collect()
            };
            add(&packed(0, 1), &format!("BCD filled {name}"));
            add(&packed(1, 0), &format!("swapped BCD filled {name}"));
        }
    }

    /// Every needle in these bytes, once for each kind.
    pub fn search(&self, place: &str, bytes: &[u8]) -> Vec<Hit> {
        let mut hits: Vec<Hit> = Vec::new();
        let (mut stem, mut at) = (0, 0);
        // Plain, because this loop goes over many megabytes without optimisation. A stem does not begin with a zero,
        // so of a block of zeros only the first two bytes can be part of one.
        for block in bytes.chunks(ZEROS.len()) {
            let looked_at = if block == ZEROS { &block[..2] } else { block };
            for byte in looked_at {
                stem = (stem << 8 | *byte as u32) & 0xff_ffff;
                at += 1;
                if self.is_stem[stem as usize] && at >= 3 {
                    self.note_hits(place, bytes, at - 3, stem, &mut hits);
                }
            }
            at += block.len() - looked_at.len();
        }
        hits
    }

    /// The needles whose stem stands at `from`.
    fn note_hits(&self, place: &str, bytes: &[u8], from: usize, stem: u32, hits: &mut Vec<Hit>) {
        for needle in self.by_stem.get(&stem).into_iter().flatten() {
            let Some(start) = from.checked_sub(needle.zeros) else { continue };
            if bytes[start..].starts_with(&needle.bytes) && !hits.iter().any(|hit| hit.what == needle.what) {
                hits.push(Hit { place: place.to_owned(), what: needle.what.clone() });
            }
        }
    }

    /// The same in all files of a directory and below, names included.
    pub fn search_directory(&self, directory: &Path) -> (Vec<Hit>, u64) {
        let (mut hits, mut bytes) = (Vec::new(), 0);
        for path in files_below(directory) {
            let content = fs::read(&path).unwrap();
            bytes += content.len() as u64;
            let name = path.strip_prefix(directory).unwrap().display().to_string();
            hits.extend(self.search("a file name", name.as_bytes()));
            hits.extend(self.search(&name, &content));
        }
        (hits, bytes)
    }
}

pub fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else if path.is_file() {
            // Not the sockets of servers.
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The digits of East Asian typewriters.
pub fn full_width(digits: &str) -> String {
    digits.chars().map(|digit| char::from_u32(0xff10 + digit.to_digit(10).unwrap()).unwrap()).collect()
}

/// What base64 makes of `bytes` when `before` other bytes stand in front, without the characters that its neighbours
/// have a part in.
fn base64_within(bytes: &[u8], before: usize) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: Vec<bool> = vec![0; before]
        .iter()
        .chain(bytes)
        .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1))
        .collect();
    let first = (before * 8).div_ceil(6);
    bits.chunks_exact(6)
        .skip(first)
        .map(|six| char::from(ALPHABET[six.iter().fold(0, |value, bit| value << 1 | usize::from(*bit))]))
        .collect()
}

#[test]
fn base64_is_found_wherever_it_starts() {
    // `printf '985931054' | base64` and the same with one and two bytes in front.
    assert_eq!(base64_within(b"985931054", 0), "OTg1OTMxMDU0");
    assert!("YTk4NTkzMTA1NA==".contains(&base64_within(b"985931054", 1)));
    assert!("YWE5ODU5MzEwNTQ=".contains(&base64_within(b"985931054", 2)));
}
