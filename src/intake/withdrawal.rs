//! A reporter takes a report back.

use super::accept::{Intake, Refused, Unavailable};
use crate::domain::msisdn::Msisdn;
use crate::domain::report::{Report, ReportId, WEB_OWNER};
use crate::domain::sender::SenderKind;
use crate::domain::vocabulary::{Category, Channel, EventKind, Proof, Source};

impl Intake {
    /// Appends that this reporter takes a report back; answers only when that is on disk. The builder takes it out of the
    /// counts if it is the reporter's, and then nothing of it is kept but its id.
    ///
    /// The caller has had the number proven. Whether there is such a report, and whose, is for the builder to see.
    ///
    /// # Errors
    /// [`Refused`]. Another try is safe: of several withdrawals the first one counts.
    pub async fn withdraw(&self, id: ReportId, reporter: Msisdn) -> Result<(), Refused> {
        if self.location.is_in_doubt() {
            return Err(Refused::Unavailable(Unavailable::Store));
        }
        let now = self.clock.now();
        let data_key = self.sealer.data_key(now.0).map_err(Refused::Envelope)?;
        // Of all this the builder reads whose report, and who.
        let row = Report {
            id,
            event: EventKind::Withdrawal,
            source: Source::Web,
            owner: WEB_OWNER,
            reporter_tag: self.keys.reporter_tag(reporter),
            proof: Proof::Otp,
            sender_kind: SenderKind::Hidden,
            sender_tag: None,
            channel: Channel::Sms,
            category: Category::Spam,
            harm: None,
            money_lost: None,
            province: None,
            occurred_at: now,
            received_at: now,
            fingerprint: [0; 16],
            text_tag: None,
            is_legit: false,
            track_tag: [0; 8],
            tag_key_id: self.keys.tag_key_id(),
            data_key_id: data_key.sealed().id,
            envelope: Vec::new(),
        };
        self.append_event(row, data_key).await
    }
}
