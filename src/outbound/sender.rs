//! Whom a case is about, opened by the authority's key and sealed again to a carrier's.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::crypto::envelope::{AuthorityPrivateKey, EnvelopeError, Opened};
use crate::crypto::recipient::RecipientKey;
use crate::domain::grouping::sender_tag_of;
use crate::domain::report::ReportId;
use crate::domain::sender::SenderKind;
use crate::store::StoreError;
use crate::store::connection::Connection;
use crate::store::feed::find_sealed_report;

/// A sender in clear, for as long as it is sealed to those who are told. Printed by nobody.
pub struct KnownSender {
    /// What kind.
    pub kind: SenderKind,
    /// As reviewers read it.
    pub value: Zeroizing<String>,
}

/// Where a case's reports stand.
pub struct CaseSpan<'a> {
    /// Its reference, for the log.
    pub reference: &'a str,
    /// What it is grouped by.
    pub group_key: &'a [u8],
    /// Its first row in the journal.
    pub opened_seq: i64,
    /// The last row that may belong to it.
    pub closed_seq: Option<i64>,
}

/// A sender as a carrier gets it.
#[derive(Serialize, Deserialize)]
pub struct SealedSender {
    key_id: String,
    sealed: String,
}

impl SealedSender {
    /// Whether it was sealed to this key.
    #[must_use]
    pub fn is_sealed_to(&self, key: &RecipientKey) -> bool {
        self.key_id == key.id()
    }
}

#[derive(Serialize)]
struct InClear<'a> {
    kind: &'static str,
    value: &'a str,
}

impl KnownSender {
    /// Opens whom a case is about; none when it is about a text, or the envelope is gone or does not open.
    ///
    /// # Errors
    /// As the database says.
    pub fn open(
        connection: &mut Connection,
        authority: &AuthorityPrivateKey,
        case: &CaseSpan<'_>,
    ) -> Result<Option<Self>, StoreError> {
        let Some(tag) = sender_tag_of(case.group_key) else { return Ok(None) };
        let to_seq = case.closed_seq.unwrap_or(i64::MAX);
        let Some(sealed) = find_sealed_report(connection, tag, case.opened_seq, to_seq)? else {
            return Ok(None);
        };
        let opened = ReportId::from_stored(&sealed.report_id)
            .ok_or(EnvelopeError::Open)
            .and_then(|id| authority.open_data_key(&sealed.data_key)?.open(id, &sealed.envelope));
        match opened {
            Ok(Opened { sender_kind, sender, .. }) => {
                Ok(Some(Self { kind: sender_kind, value: Zeroizing::new(sender) }))
            }
            Err(error) => {
                tracing::error!(%error, case.reference, "carriers are not told the sender of this case");
                Ok(None)
            }
        }
    }

    /// Seals it to a carrier, bound to the id of what it is told in.
    ///
    /// # Errors
    /// [`EnvelopeError::Seal`].
    pub fn seal(&self, key: &RecipientKey, info: &[u8], id: &str) -> Result<SealedSender, EnvelopeError> {
        let clear = InClear { kind: self.kind.as_str(), value: &self.value };
        let clear = Zeroizing::new(serde_json::to_string(&clear).map_err(|_| EnvelopeError::Seal)?);
        let sealed = key.seal(info, id.as_bytes(), &clear)?;
        Ok(SealedSender { key_id: key.id().to_owned(), sealed })
    }
}
