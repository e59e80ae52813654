//! Clients that leave before the answer.

use std::collections::BTreeSet;
use std::time::Duration;

use super::support::{Chance, Place, id_bytes, journal_ids, mobile, on_every_engine, report, seed, wait_until_built};

const REPORTS: usize = 300;

on_every_engine! {
    fn a_client_that_leaves_does_not_lose_or_double(place: Place) {
        let mut chance = Chance::new(seed("a_client_that_leaves", 0x7_0001));
        let server = place.start(&[("SPAMGATE__LIMITS__REPORTER_PER_DAY", "1000")]);
        let key = server.api_key.clone().unwrap();
        let bodies: Vec<Vec<u8>> = (0..REPORTS)
            .map(|n| report(&format!("leaver-{n}"), &mobile(n % 50), &mobile(3_000)).to_string().into_bytes())
            .collect();

        let mut partly_sent = 0;
        for body in &bodies {
            let mut client = server.client(&key);
            if chance.happens(20) {
                // Leaves in the middle of the body: this must never count as sent.
                client.write_part("/v1/reports", body, body.len() / 2).unwrap();
                partly_sent += 1;
            }
            client.leave();
            client.write("POST", "/v1/reports", &[], body).unwrap();
            if chance.happens(50) {
                std::thread::sleep(Duration::from_micros(chance.between(0, 1_500) as u64));
            }
            client.leave();
        }
        // Those that were taken are on their way to the disk by themselves.
        std::thread::sleep(Duration::from_millis(300));

        let mut connection = place.connection();
        let taken_without_a_client = journal_ids(&mut connection).len();
        let mut client = server.client(&key);
        let (mut ids, mut stored_before) = (BTreeSet::new(), 0);
        for body in &bodies {
            let answer = client.post(body).unwrap();
            assert!(matches!(answer.status, 200 | 201), "{}", answer.json());
            stored_before += usize::from(answer.status == 200);
            ids.insert(id_bytes(&answer.text("id")));
        }
        assert_eq!(ids.len(), REPORTS);
        assert_eq!(stored_before, taken_without_a_client, "a retry of what is stored says so");
        let rows = journal_ids(&mut connection);
        assert_eq!(rows.keys().cloned().collect::<BTreeSet<_>>(), ids);

        wait_until_built(&mut connection);
        let listed = place.list_cases();
        assert_eq!(listed.len(), 1, "{listed:?}");
        assert_eq!((listed[0]["reports"].as_u64(), listed[0]["voices"].as_u64()), (Some(300), Some(50)));
        println!(
            "a_client_that_leaves: {REPORTS} left ({partly_sent} also in the middle of a body), {taken_without_a_client} \
             were stored all the same, {} rows in the journal",
            rows.values().sum::<usize>()
        );
    }
}
