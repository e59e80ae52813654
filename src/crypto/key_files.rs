//! Key files: one secret a file, readable by its owner only, outside the database.
//!
//! The database keeps a check value of each key. Keys are made only while the database names none: a node whose key
//! files are gone or belong to another installation must not start, or every number would silently get another tag.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::envelope::{AuthorityPrivateKey, AuthorityPublicKey, EnvelopeError};
use super::key_ring::KeyRing;
use super::mac::{MacKey, Secret};
use super::to_hex;

/// First line of a key file.
const HEADER: &str = "spamgate key v1";
/// Longest key file read, bytes.
const KEY_FILE_MAX_BYTES: u64 = 4096;
/// Name of the authority's key.
const AUTHORITY: &str = "authority";
/// File of its public half, for nodes that hold no private key.
const PUBLIC_FILE: &str = "authority.pub";
/// Second line of that file.
const PUBLIC_PURPOSE: &str = "authority public";
/// The id of the tag key that the first start makes.
const FIRST_TAG_KEY_ID: i32 = 1;

/// Why the keys cannot be used. Paths are shown, contents never.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Reading or writing failed.
    #[error("key file {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Others than the owner may read it.
    #[error(
        "key file {path} can be read by others (mode {mode:03o}): run `chmod 600` on it, and change the keys if someone did"
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Not a key file.
    #[error("key file {path} is not a spamgate key file for {purpose}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        purpose: &'static str,
    },
    /// The database names keys that are not here.
    #[error(
        "the database was written with keys, and {path} is missing: put the key files of this installation back. They are never made anew, because every number would get another tag"
    )]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// Other keys than the database was written with.
    #[error("key `{name}` is not the one this database was written with: put the right key files into {directory}")]
    Mismatch {
        /// Which key.
        name: String,
        /// Where they are looked for.
        directory: PathBuf,
    },
    /// A node that only takes reports holds the key that opens them.
    #[error(
        "{path} opens envelopes, and a node with the role `intake` must not hold it: keep it on the review node alone, and put authority.pub here"
    )]
    PrivateKeyHere {
        /// The file.
        path: PathBuf,
    },
    /// No random bytes.
    #[error("the system gives no random bytes")]
    Random,
    /// The authority's key is unusable.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
}

/// A key's name and the value by which the database recognises it, without learning it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyCheck {
    /// `stable`, `tags-1`, `authority`.
    pub name: String,
    /// 8 bytes of a MAC under a sub-key used for nothing else (of the public key's bytes for `authority`).
    pub value: Vec<u8>,
}

/// The keys of a node: symmetric keys and the authority's public key; the private one only where envelopes may be opened.
pub struct NodeKeys {
    /// Tags, ids, receipts, marks.
    pub ring: KeyRing,
    /// For sealing.
    pub authority_public: AuthorityPublicKey,
    /// For opening; none on a node that only takes reports.
    pub authority_private: Option<AuthorityPrivateKey>,
    /// To compare with, or to record in, the database.
    pub checks: Vec<KeyCheck>,
}

/// Loads the keys in `directory` and compares them with `known`, the database's check values. Those that are missing are
/// made when `may_make`: only while the store names no keys and holds no report.
///
/// # Errors
/// [`KeyError`]; nothing is written unless `may_make`.
pub fn load_or_make(directory: &Path, known: &[KeyCheck], may_make: bool) -> Result<NodeKeys, KeyError> {
    let symmetric = Symmetric::load(directory, may_make)?;
    let authority = load_secret(directory, AUTHORITY, AUTHORITY, may_make)?;
    let authority_private = AuthorityPrivateKey::from_secret(&authority)?;
    let public_bytes = authority_private.public_bytes();
    let keys = symmetric.into_keys(directory, known, &public_bytes, Some(authority_private))?;
    write_public(directory, &public_bytes)?;
    Ok(keys)
}

/// Loads the keys of a node that only takes reports, and compares them with `known`: the authority's public key stands in
/// a file of its own.
///
/// # Errors
/// [`KeyError`]; also when the private key is there.
pub fn load_for_intake(directory: &Path, known: &[KeyCheck]) -> Result<NodeKeys, KeyError> {
    let private = directory.join(format!("{AUTHORITY}.key"));
    if private.exists() {
        return Err(KeyError::PrivateKeyHere { path: private });
    }
    let path = directory.join(PUBLIC_FILE);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(KeyError::Missing { path }),
        Err(source) => return Err(KeyError::Io { path, source }),
    };
    let mut lines = text.lines();
    let public = match (lines.next(), lines.next(), lines.next().and_then(from_hex)) {
        (Some(HEADER), Some(PUBLIC_PURPOSE), Some(public)) => public,
        _ => return Err(KeyError::Malformed { path, purpose: PUBLIC_PURPOSE }),
    };
    Symmetric::load(directory, false)?.into_keys(directory, known, public.as_slice(), None)
}

/// The keys that every node holds.
struct Symmetric {
    stable: Secret,
    tags: Secret,
    tags_name: String,
}

impl Symmetric {
    fn load(directory: &Path, may_make: bool) -> Result<Self, KeyError> {
        let tags_name = format!("tags-{FIRST_TAG_KEY_ID}");
        Ok(Self {
            stable: load_secret(directory, "stable", "stable", may_make)?,
            tags: load_secret(directory, &tags_name, "tags", may_make)?,
            tags_name,
        })
    }

    fn into_keys(
        self,
        directory: &Path,
        known: &[KeyCheck],
        public_bytes: &[u8],
        authority_private: Option<AuthorityPrivateKey>,
    ) -> Result<NodeKeys, KeyError> {
        let checks = vec![
            KeyCheck { name: "stable".to_owned(), value: check_value(&self.stable) },
            KeyCheck { name: self.tags_name, value: check_value(&self.tags) },
            KeyCheck { name: AUTHORITY.to_owned(), value: public_bytes.to_vec() },
        ];
        for check in &checks {
            if known.iter().any(|known| known.name == check.name && known.value != check.value) {
                return Err(KeyError::Mismatch { name: check.name.clone(), directory: directory.to_owned() });
            }
        }
        Ok(NodeKeys {
            ring: KeyRing::new(&self.stable, FIRST_TAG_KEY_ID, &self.tags),
            authority_public: AuthorityPublicKey::from_bytes(public_bytes)?,
            authority_private,
            checks,
        })
    }
}

/// Writes the public key for the nodes that only take reports, unless it is there.
fn write_public(directory: &Path, public_bytes: &[u8]) -> Result<(), KeyError> {
    let path = directory.join(PUBLIC_FILE);
    let text = format!("{HEADER}\n{PUBLIC_PURPOSE}\n{}\n", to_hex(public_bytes));
    if fs::read_to_string(&path).is_ok_and(|there| there == text) {
        return Ok(());
    }
    fs::write(&path, text).map_err(|source| KeyError::Io { path, source })
}

fn check_value(secret: &Secret) -> Vec<u8> {
    MacKey::derive(secret, "spamgate v1 check value").tag::<8>(&[b"check"]).to_vec()
}

fn load_secret(directory: &Path, name: &str, purpose: &'static str, may_make: bool) -> Result<Secret, KeyError> {
    let path = directory.join(format!("{name}.key"));
    match fs::symlink_metadata(&path) {
        Ok(_) => read_secret(&path, purpose),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && may_make => {
            make_secret(directory, &path, purpose)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(KeyError::Missing { path }),
        Err(source) => Err(KeyError::Io { path, source }),
    }
}

fn read_secret(path: &Path, purpose: &'static str) -> Result<Secret, KeyError> {
    let io = |source| KeyError::Io { path: path.to_owned(), source };
    let metadata = fs::metadata(path).map_err(io)?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyError::Exposed { path: path.to_owned(), mode });
    }
    let malformed = || KeyError::Malformed { path: path.to_owned(), purpose };
    if metadata.len() > KEY_FILE_MAX_BYTES {
        return Err(malformed());
    }
    let text = Zeroizing::new(fs::read_to_string(path).map_err(io)?);
    let mut lines = text.lines();
    if lines.next() != Some(HEADER) || lines.next() != Some(purpose) {
        return Err(malformed());
    }
    lines.next().and_then(from_hex).ok_or_else(malformed)
}

/// Writes beside and renames, so that a crash leaves no half-written key; syncs, because the database will name it.
fn make_secret(directory: &Path, path: &Path, purpose: &'static str) -> Result<Secret, KeyError> {
    let io = |source| KeyError::Io { path: path.to_owned(), source };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(io)?;
    let mut secret: Secret = Zeroizing::new([0; 32]);
    getrandom::fill(secret.as_mut_slice()).map_err(|_| KeyError::Random)?;
    let hex = Zeroizing::new(to_hex(secret.as_slice()));
    let beside = path.with_extension("key.new");
    match fs::remove_file(&beside) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(io(error)),
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside).map_err(io)?;
    writeln!(file, "{HEADER}\n{purpose}\n{}", hex.as_str()).map_err(io)?;
    file.sync_all().map_err(io)?;
    fs::rename(&beside, path).map_err(io)?;
    fs::File::open(directory).and_then(|directory| directory.sync_all()).map_err(io)?;
    Ok(secret)
}

fn from_hex(text: &str) -> Option<Secret> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    let mut secret: Secret = Zeroizing::new([0; 32]);
    for (byte, pair) in secret.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(secret)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;

    #[test]
    fn keys_are_made_once_with_mode_600_and_load_again() {
        let directory = tempfile::tempdir().unwrap();
        let keys = directory.path().join("keys");
        let first = load_or_make(&keys, &[], true).ok().unwrap();
        let secrets = fs::read_dir(&keys).unwrap().map(|file| file.unwrap());
        for file in secrets.filter(|file| file.file_name() != PUBLIC_FILE) {
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
        let again = load_or_make(&keys, &first.checks, false).ok().unwrap();
        assert_eq!(again.checks, first.checks);
    }

    #[test]
    fn a_node_that_takes_reports_needs_the_public_key_alone_and_refuses_the_private_one() {
        let directory = tempfile::tempdir().unwrap();
        let keys = load_or_make(directory.path(), &[], true).ok().unwrap();
        let refused = load_for_intake(directory.path(), &keys.checks);
        assert!(matches!(refused, Err(KeyError::PrivateKeyHere { .. })));
        fs::remove_file(directory.path().join("authority.key")).unwrap();
        let intake = load_for_intake(directory.path(), &keys.checks).ok().unwrap();
        assert_eq!(intake.checks, keys.checks);
        assert!(intake.authority_private.is_none());
        fs::remove_file(directory.path().join("authority.pub")).unwrap();
        assert!(matches!(load_for_intake(directory.path(), &keys.checks), Err(KeyError::Missing { .. })));
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        load_or_make(directory.path(), &[], true).ok().unwrap();
        let path = directory.path().join("stable.key");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(load_or_make(directory.path(), &[], true), Err(KeyError::Exposed { mode: 0o640, .. })));
    }

    #[test]
    fn keys_are_never_made_when_the_database_names_some_and_other_keys_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let first = load_or_make(&directory.path().join("a"), &[], true).ok().unwrap();
        let other = directory.path().join("b");
        assert!(matches!(load_or_make(&other, &first.checks, false), Err(KeyError::Missing { .. })));
        assert!(!other.exists());
        load_or_make(&other, &[], true).ok().unwrap();
        assert!(matches!(load_or_make(&other, &first.checks, false), Err(KeyError::Mismatch { .. })));
    }

    #[test]
    fn a_file_that_is_no_key_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        load_or_make(directory.path(), &[], true).ok().unwrap();
        let path = directory.path().join("stable.key");
        for text in ["", "spamgate key v1\ntags\n00", "spamgate key v1\nstable\nzz", "x"] {
            fs::write(&path, text).unwrap();
            assert!(matches!(load_or_make(directory.path(), &[], true), Err(KeyError::Malformed { .. })), "{text}");
        }
    }
}
