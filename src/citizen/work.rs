//! Proof of work (ALTCHA, version 2) where the browser runs scripts: cheap for one report, dear for thousands.

use std::collections::BTreeMap;

use altcha::{CreateChallengeOptions, Payload, VerifySolutionOptions, create_challenge, verify_solution};

use super::form::FORM_LIFE_S;
use super::{Visit, tries};
use crate::crypto::to_hex;

/// Rounds of PBKDF2 in one try. Together with the 256 tries that one zero byte takes on average, a second of a cheap phone.
const ROUNDS: u32 = 1_000;
/// What the derived key has to begin with: one zero byte.
const KEY_PREFIX: &str = "00";
const ALGORITHM: &str = "PBKDF2/SHA-256";
/// The longest answer that is read, bytes.
const ANSWER_MAX_BYTES: usize = 2_048;
/// Works of one address in an hour: each is remembered. Many phones of an operator may share an address.
const WORKS_PER_CLIENT: u32 = 120;
/// Of what form it is.
const FORM: &str = "form";

/// The work for this form, as JSON.
#[must_use]
pub fn challenge(visit: &Visit<'_>, form: &str) -> String {
    let options = CreateChallengeOptions {
        algorithm: ALGORITHM.to_owned(),
        cost: ROUNDS,
        key_prefix: KEY_PREFIX.to_owned(),
        data: Some(BTreeMap::from([(FORM.to_owned(), form.into())])),
        hmac_signature_secret: Some(secret(visit)),
        ..CreateChallengeOptions::default()
    };
    // Without it the stricter limits hold, as without a script.
    create_challenge(options).ok().and_then(|challenge| serde_json::to_string(&challenge).ok()).unwrap_or_default()
}

/// Whether the work of this form was done, and not used before. It is used up by this.
pub async fn is_done(visit: &Visit<'_>, form: &str) -> bool {
    if !is_solved(visit, form) {
        return false;
    }
    let once = tries::limit(visit, "work", form.as_bytes(), 1, FORM_LIFE_S);
    let [client, site] = tries::limits_of_client(visit, "work", WORKS_PER_CLIENT, tries::HOUR_S);
    tries::take(visit, &[once, client, site]).await.is_ok()
}

fn is_solved(visit: &Visit<'_>, form: &str) -> bool {
    let answer = visit.value("work");
    if answer.is_empty() || answer.len() > ANSWER_MAX_BYTES {
        return false;
    }
    let Ok(Payload { challenge, solution }) = serde_json::from_str(answer) else { return false };
    let asked = &challenge.parameters;
    let is_ours = asked.algorithm == ALGORITHM
        && asked.cost == ROUNDS
        && asked.key_prefix == KEY_PREFIX
        && asked.data.as_ref().and_then(|data| data.get(FORM)).and_then(|value| value.as_str()) == Some(form);
    // What is not ours is not even derived: its rounds could be as many as somebody likes.
    is_ours
        && verify_solution(VerifySolutionOptions::new(&challenge, &solution, secret(visit)))
            .is_ok_and(|result| result.verified)
}

fn secret(visit: &Visit<'_>) -> String {
    to_hex(&visit.app.intake.keys.citizen_tag::<32>("work", &[]))
}
