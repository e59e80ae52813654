//! Files that a reporter adds: what they are is told by what is in them, not by their names, and pictures lose all that does
//! not belong to the picture (where it was taken, with what, by whom).

use super::vocabulary::EvidenceKind;

/// Files of one report.
pub const FILES_MAX: usize = 3;
/// Bytes of one file.
pub const FILE_MAX_BYTES: usize = 5 * 1024 * 1024;

const PNG_SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// Chunks of a PNG that the picture needs.
const PNG_CHUNKS: [&[u8; 4]; 10] =
    [b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"sBIT", b"pHYs"];

impl EvidenceKind {
    /// The end of a file's name.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            other => other.as_str(),
        }
    }
}

/// A file that may be kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Evidence {
    /// What it is.
    pub kind: EvidenceKind,
    /// Its bytes; of a picture, those that the picture needs.
    pub bytes: Vec<u8>,
}

/// Why a file is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EvidenceError {
    /// Nothing in it.
    #[error("the file is empty")]
    Empty,
    /// More than [`FILE_MAX_BYTES`].
    #[error("the file is too large")]
    TooLarge,
    /// None of the kinds, whatever its name says; or a broken one.
    #[error("the file is none of the kinds that are taken, or broken")]
    UnknownKind,
}

impl Evidence {
    /// Looks what a file is, and takes out of a picture what does not belong to it.
    ///
    /// # Errors
    /// [`EvidenceError`].
    pub fn read(bytes: Vec<u8>) -> Result<Self, EvidenceError> {
        if bytes.is_empty() {
            return Err(EvidenceError::Empty);
        }
        if bytes.len() > FILE_MAX_BYTES {
            return Err(EvidenceError::TooLarge);
        }
        if bytes.starts_with(b"\xff\xd8\xff") {
            let bytes = clean_jpeg(&bytes).ok_or(EvidenceError::UnknownKind)?;
            return Ok(Self { kind: EvidenceKind::Jpeg, bytes });
        }
        if bytes.starts_with(PNG_SIGNATURE) {
            let bytes = clean_png(&bytes).ok_or(EvidenceError::UnknownKind)?;
            return Ok(Self { kind: EvidenceKind::Png, bytes });
        }
        let kind = match bytes.as_slice() {
            [b'%', b'P', b'D', b'F', b'-', ..] => EvidenceKind::Pdf,
            [b'#', b'!', b'A', b'M', b'R', b'\n' | b'-', ..] => EvidenceKind::Amr,
            [_, _, _, _, b'f', b't', b'y', b'p', ..] => EvidenceKind::Mp4,
            [b'I', b'D', b'3', 2..=4, ..] => EvidenceKind::Mp3,
            // The start of a frame: MPEG 1 or 2, layer III, a bit rate and a sampling rate that there are.
            [0xff, second, third, ..]
                if second & 0xe6 == 0xe2 && second & 0x18 != 0x08 && third >> 4 != 15 && third & 0x0c != 0x0c =>
            {
                EvidenceKind::Mp3
            }
            _ => return Err(EvidenceError::UnknownKind),
        };
        Ok(Self { kind, bytes })
    }
}

/// The picture alone: no application's segments but those that decoders need (JFIF, Adobe), no comment, nothing behind it.
/// None when its structure is broken.
fn clean_jpeg(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut clean = vec![0xff, 0xd8];
    let mut rest = bytes.strip_prefix(&[0xff, 0xd8])?;
    let (mut has_frame, mut has_scan) = (false, false);
    loop {
        // Any number of filling bytes may stand before a marker.
        let filling = rest.iter().take_while(|byte| **byte == 0xff).count();
        let (marker, after) = rest.get(filling..)?.split_first()?;
        if filling == 0 {
            return None;
        }
        match marker {
            0xd9 => {
                clean.extend([0xff, 0xd9]);
                return (has_frame && has_scan).then_some(clean);
            }
            // Markers without a segment have no place between segments.
            0x00 | 0x01 | 0xd0..=0xd8 => return None,
            _ => {}
        }
        let (length, _) = after.split_first_chunk::<2>()?;
        let (segment, behind) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        if segment.len() < 2 {
            return None;
        }
        let is_kept = !matches!(marker, 0xe1..=0xed | 0xef | 0xfe);
        if is_kept {
            clean.extend([0xff, *marker]);
            clean.extend_from_slice(segment);
        }
        has_frame |= matches!(marker, 0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf);
        rest = behind;
        if *marker == 0xda {
            has_scan = true;
            // What is compressed ends at the next marker: 0xff and neither a stuffed zero nor a restart.
            let end = (0..rest.len().saturating_sub(1)).find(|place| {
                matches!(rest.get(*place..), Some([0xff, next, ..]) if !matches!(next, 0x00 | 0xd0..=0xd7 | 0xff))
            })?;
            let (data, behind) = rest.split_at_checked(end)?;
            clean.extend_from_slice(data);
            rest = behind;
        }
    }
}

/// The picture alone: its own chunks, and nothing behind the last. None when its structure is broken.
fn clean_png(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut rest = bytes.strip_prefix(PNG_SIGNATURE)?;
    let mut clean = PNG_SIGNATURE.to_vec();
    let (mut is_first, mut has_data) = (true, false);
    loop {
        let (length, _) = rest.split_first_chunk::<4>()?;
        // Length, name, data, checksum.
        let whole = usize::try_from(u32::from_be_bytes(*length)).ok()?.checked_add(12)?;
        let (chunk, behind) = rest.split_at_checked(whole)?;
        let name = chunk.get(4..8)?;
        if is_first != (name == b"IHDR") {
            return None;
        }
        is_first = false;
        has_data |= name == b"IDAT";
        if PNG_CHUNKS.iter().any(|kept| kept.as_slice() == name) {
            clean.extend_from_slice(chunk);
        }
        if name == b"IEND" {
            return has_data.then_some(clean);
        }
        rest = behind;
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use proptest::prelude::*;

    use super::*;

    fn segment(marker: u8, data: &[u8]) -> Vec<u8> {
        let length = u16::try_from(data.len() + 2).unwrap().to_be_bytes();
        [&[0xff, marker], &length[..], data].concat()
    }

    fn jpeg(extra: &[Vec<u8>]) -> Vec<u8> {
        let start = [&[0xff, 0xd8][..], &segment(0xe0, b"JFIF\0")].concat();
        let picture = [segment(0xc0, &[8, 0, 1, 0, 1, 1, 1, 0x11, 0]), segment(0xda, &[1, 1, 0, 0, 63, 0])].concat();
        [start, extra.concat(), picture, vec![1, 0xff, 0, 2, 0xff, 0xd0, 3], vec![0xff, 0xd9]].concat()
    }

    fn chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
        [&u32::try_from(data.len()).unwrap().to_be_bytes()[..], name, data, &[0; 4]].concat()
    }

    fn png(extra: &[Vec<u8>]) -> Vec<u8> {
        let header = chunk(b"IHDR", &[0; 13]);
        [PNG_SIGNATURE.to_vec(), header, extra.concat(), chunk(b"IDAT", &[1, 2, 3]), chunk(b"IEND", b"")].concat()
    }

    #[test]
    fn a_jpeg_loses_what_does_not_belong_to_the_picture() {
        let plain = jpeg(&[]);
        let told = [segment(0xe1, b"Exif\0\0 where it was taken"), segment(0xfe, b"by whom"), segment(0xed, b"8BIM")];
        let read = Evidence::read([jpeg(&told), b"behind the picture".to_vec()].concat()).unwrap();
        assert_eq!(read, Evidence { kind: EvidenceKind::Jpeg, bytes: plain });
    }

    #[test]
    fn a_png_loses_what_does_not_belong_to_the_picture() {
        let told = [chunk(b"tEXt", b"Author\0whom"), chunk(b"eXIf", b"where"), chunk(b"tIME", &[0; 7])];
        let read = Evidence::read([png(&told), b"behind the picture".to_vec()].concat()).unwrap();
        assert_eq!(read, Evidence { kind: EvidenceKind::Png, bytes: png(&[]) });
    }

    #[test]
    fn files_are_what_is_in_them() {
        let kind = |bytes: &[u8]| Evidence::read(bytes.to_vec()).map(|evidence| evidence.kind);
        assert_eq!(kind(b"%PDF-1.7 ..."), Ok(EvidenceKind::Pdf));
        assert_eq!(kind(b"#!AMR\n..."), Ok(EvidenceKind::Amr));
        assert_eq!(kind(b"#!AMR-WB\n..."), Ok(EvidenceKind::Amr));
        assert_eq!(kind(b"\0\0\0\x18ftypisom"), Ok(EvidenceKind::Mp4));
        assert_eq!(kind(b"ID3\x04..."), Ok(EvidenceKind::Mp3));
        assert_eq!(kind(&[0xff, 0xfb, 0x90, 0x00]), Ok(EvidenceKind::Mp3));
        assert_eq!(kind(b""), Err(EvidenceError::Empty));
        assert_eq!(kind(&vec![b' '; FILE_MAX_BYTES + 1]), Err(EvidenceError::TooLarge));
        let none: [&[u8]; 6] =
            [b"<html>", b"PK\x03\x04", b"MZ", b"GIF89a", b"\xff\xd8\xff\xe0 no jpeg", b"\x89PNG\r\n\x1a\n no png"];
        for bytes in none {
            assert_eq!(kind(bytes), Err(EvidenceError::UnknownKind), "{bytes:?}");
        }
        for whole in [jpeg(&[]), png(&[])] {
            for length in 3..whole.len() {
                assert!(kind(whole.get(..length).unwrap()).is_err(), "cut at {length}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Evidence::read(bytes.clone());
            let _ = Evidence::read([&[0xff, 0xd8, 0xff, 0xda], &bytes[..]].concat());
            let _ = Evidence::read([PNG_SIGNATURE, &bytes[..]].concat());
        }
    }
}
