//! Files that a citizen adds to a report.

use spamgate::citizen::evidence::EVIDENCE_SEAL_INFO;
use spamgate::crypto::key_files::load_or_make;
use spamgate::domain::evidence::FILE_MAX_BYTES;
use spamgate::domain::msisdn::Msisdn;
use spamgate::domain::report::{Receipt, WEB_OWNER};
use spamgate::store::evidence::{EvidenceAdded, EvidenceRow, add_evidence, list_evidence_of_case};
use spamgate::store::reports::find_by_receipt;

use crate::support::{Engine, Page, SmsGateway, TestApp, Visitor, on_every_engine};

const PDF: &[u8] = b"%PDF-1.7 a letter from the bank";
const AMR: &[u8] = b"#!AMR\na call";
const REPORTER: &str = "+84912345678";

async fn spawn(engine: Engine) -> (TestApp, SmsGateway) {
    let sms = SmsGateway::start().await;
    let app = TestApp::spawn_with(engine, |config| sms.use_as_kannel(config)).await;
    (app, sms)
}

async fn send(visitor: &Visitor<'_>, receipt: &Page, files: &[&[u8]]) -> Page {
    let sent = visitor.post_files(&receipt.files_go_to(), &[], files).await;
    visitor.follow(sent).await
}

async fn kept(app: &TestApp) -> Vec<EvidenceRow> {
    let reference = app.only_case().await.reference;
    list_evidence_of_case(&mut app.connection(), &reference).unwrap()
}

on_every_engine! {
    async fn files_are_sealed_and_opened_by_the_authority_alone(engine: Engine) {
        let (app, sms) = spawn(engine).await;
        let visitor = Visitor::of(&app);
        let receipt = visitor.report(&sms, &[]).await;
        let page = send(&visitor, &receipt, &[PDF, AMR]).await.expect(200);
        assert!(page.html.contains("2 files were taken."), "{}", page.html);
        let rows = kept(&app).await;
        let authority = load_or_make(&app.keys(), &[], true).unwrap().authority_private.unwrap();
        let opened = rows.iter().map(|row| {
            assert!(!row.body.windows(8).any(|bytes| bytes == &PDF[..8]));
            let aad = [row.report_id.as_slice(), &row.content_tag].concat();
            authority.open_bytes(EVIDENCE_SEAL_INFO, &aad, &row.body).unwrap().to_vec()
        });
        assert_eq!(opened.collect::<Vec<_>>(), [PDF, AMR]);
        assert_eq!(rows.iter().map(|row| row.kind.as_str()).collect::<Vec<_>>(), ["pdf", "amr"]);
    }

    async fn a_report_has_three_files_and_the_same_one_is_kept_once(engine: Engine) {
        let (app, sms) = spawn(engine).await;
        let visitor = Visitor::of(&app);
        let receipt = visitor.report(&sms, &[]).await;
        send(&visitor, &receipt, &[PDF, PDF]).await.expect(200);
        send(&visitor, &receipt, &[PDF, AMR]).await.expect(200);
        assert_eq!(kept(&app).await.len(), 2);
        let page = send(&visitor, &receipt, &[b"%PDF-1", b"%PDF-2"]).await.expect(422);
        assert_eq!(page.faults(), ["file"]);
        assert_eq!(kept(&app).await.len(), 3);
    }

    async fn of_many_files_at_once_none_is_lost_and_no_more_than_three_are_kept(engine: Engine) {
        let (app, sms) = spawn(engine).await;
        let visitor = Visitor::of(&app);
        let receipt = visitor.report(&sms, &[]).await;
        let address = receipt.files_go_to();
        let send = async |file: &[u8]| {
            // Somebody else's turn is waited for.
            loop {
                let page = visitor.post_files(&address, &[], &[file]).await;
                if page.status != 503 {
                    return page.expect(303).location.unwrap().contains("kept=1");
                }
            }
        };
        let (a, b, c, d, e) =
            tokio::join!(send(b"%PDF-1"), send(b"%PDF-2"), send(b"%PDF-3"), send(b"%PDF-4"), send(b"%PDF-5"));
        let kept_of = [a, b, c, d, e].into_iter().filter(|is_kept| *is_kept).count();
        assert_eq!((kept_of, kept(&app).await.len()), (3, 3));
    }

    async fn of_files_that_come_by_several_nodes_at_once_three_are_kept(engine: Engine) {
        let (app, sms) = spawn(engine).await;
        let receipt = Visitor::of(&app).report(&sms, &[]).await;
        app.wait_until_built().await;
        let code = Receipt::parse(&receipt.receipt()).unwrap();
        let (found, _) = find_by_receipt(&mut app.connection(), &code).unwrap();
        let id = found[0].report_id;
        let start = std::sync::Barrier::new(8);
        let add = |number: u8| {
            let mut connection = app.connection();
            let row = EvidenceRow {
                report_id: id.as_bytes().to_vec(),
                place: 0,
                kind: "pdf".to_owned(),
                content_tag: vec![number; 16],
                body: vec![number],
                received_at: 0,
            };
            start.wait();
            add_evidence(&mut connection, id, WEB_OWNER, row, 3).unwrap()
        };
        let outcomes: Vec<EvidenceAdded> = tokio::task::block_in_place(|| {
            std::thread::scope(|scope| {
                let threads: Vec<_> = (0..8).map(|number| scope.spawn({
                    let add = &add;
                    move || add(number)
                })).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            })
        });
        assert_eq!(outcomes.iter().filter(|added| **added == EvidenceAdded::Kept).count(), 3);
        assert_eq!(kept(&app).await.len(), 3);
    }

    async fn files_go_with_their_report(engine: Engine) {
        let (app, sms) = spawn(engine).await;
        let visitor = Visitor::of(&app);
        let receipt = visitor.report(&sms, &[]).await;
        let other = visitor.report(&sms, &[("reporter", "0912345679")]).await;
        for page in [&receipt, &other] {
            send(&visitor, page, &[PDF]).await.expect(200);
        }
        assert_eq!(kept(&app).await.len(), 2);
        let code = Receipt::parse(&receipt.receipt()).unwrap();
        let (found, _) = find_by_receipt(&mut app.connection(), &code).unwrap();
        app.gate().intake.withdraw(found[0].report_id, Msisdn::from_e164(REPORTER).unwrap()).await.unwrap();
        assert_eq!(kept(&app).await.len(), 1);
        let page = send(&visitor, &receipt, &[AMR]).await.expect(422);
        assert!(page.html.contains("no longer there"), "{}", page.html);
        assert_eq!(kept(&app).await.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_none_of_the_kinds_or_too_large_is_refused_and_harms_no_other() {
    let (app, sms) = spawn(Engine::Memory).await;
    let visitor = Visitor::of(&app);
    let receipt = visitor.report(&sms, &[]).await;
    for (files, text) in [
        (&[][..], "Choose at least one file"),
        (&[b"<html>".as_slice()][..], "of another kind"),
        (&[b"\xff\xd8\xff\xe0 no jpeg".as_slice(), PDF][..], "of another kind"),
    ] {
        let page = send(&visitor, &receipt, files).await.expect(422);
        assert!(page.html.contains(text), "{}", page.html);
    }
    assert_eq!(kept(&app).await.len(), 1, "the one among them that is a file");
    let largest = [PDF, &vec![b' '; FILE_MAX_BYTES - PDF.len()]].concat();
    send(&visitor, &receipt, &[&largest]).await.expect(200);
    let too_large = [largest.as_slice(), b" "].concat();
    let page = send(&visitor, &receipt, &[&too_large]).await.expect(422);
    assert!(page.html.contains("more than 5 MB"), "{}", page.html);
    assert_eq!(kept(&app).await.len(), 2);
    let forged = visitor.post_files("/evidence?r=AAAA", &[], &[PDF]).await.expect(303);
    assert!(forged.location.unwrap().starts_with("/track"));
}
