//! Codes that carriers have sent for purposes of their own: each has an id, which is good for its carrier alone.

use uuid::Uuid;

use super::code::random;
use super::limits::Asker;
use super::{CodeFault, NotSentForPartner, Verifier};
use crate::domain::msisdn::Msisdn;

impl Verifier {
    /// Sends a code in this text, which has `{{code}}` in it; what it is called. Its wrong tries are counted by themselves.
    ///
    /// # Errors
    /// [`NotSentForPartner`].
    pub async fn send_for_partner(
        &self,
        carrier: Uuid,
        number: Msisdn,
        template: &str,
    ) -> Result<Uuid, NotSentForPartner> {
        let bytes = random().map_err(|_| NotSentForPartner::Unavailable { retry_after_s: 1 })?;
        let id = uuid::Builder::from_random_bytes(bytes).into_uuid();
        self.send(&self.partner_key(carrier, id), number, template, Asker::Partner(carrier.as_bytes())).await?;
        Ok(id)
    }

    /// Whether this is the code that this carrier calls so. It is good once.
    ///
    /// # Errors
    /// [`CodeFault`].
    pub async fn check_for_partner(&self, carrier: Uuid, id: Uuid, code: &str) -> Result<(), CodeFault> {
        self.check(&self.partner_key(carrier, id), code).await
    }

    fn partner_key(&self, carrier: Uuid, id: Uuid) -> [u8; 16] {
        self.ring.code_tag(&[b"partner code", carrier.as_bytes(), id.as_bytes()])
    }
}
