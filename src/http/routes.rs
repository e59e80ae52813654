//! Every route, grouped by who calls it.

use actix_web::Resource;
use actix_web::web::{self, ServiceConfig};

use super::assets::get_file;
use super::body::refuse;
use super::problem::Problem;
use super::{openapi, ops};
use crate::carrier_api::batch::post_batch;
use crate::carrier_api::get_feed::get_feed;
use crate::carrier_api::get_report::get_report;
use crate::carrier_api::get_requests::get_requests;
use crate::carrier_api::get_usage::get_usage;
use crate::carrier_api::mo::take_sms;
use crate::carrier_api::mobile_abuse::post_mobile_abuse;
use crate::carrier_api::one_time_password::send_code::send_code;
use crate::carrier_api::one_time_password::validate_code::validate_code;
use crate::carrier_api::post_answer::post_answer;
use crate::carrier_api::post_report::post_report;
use crate::citizen::evidence::post_evidence;
use crate::citizen::form::{get_form, post_form};
use crate::citizen::guide::{get_guide, get_guides};
use crate::citizen::network::{get_network, get_network_back};
use crate::citizen::proof::{get_verify, post_verify};
use crate::citizen::receipt::get_receipt;
use crate::citizen::respond::{get_reported, get_respond, post_respond, post_response};
use crate::citizen::track::{get_status, get_track, get_withdraw, get_withdrawn, post_track, post_withdraw};
use crate::verify::sign_in::BACK_PATH;

/// For carriers, on the public listener.
pub fn public(config: &mut ServiceConfig) {
    config
        .service(
            web::resource("/v1/reports")
                .route(web::post().to(post_report))
                .default_service(web::to(|body| async { refuse(Problem::method_not_allowed("POST"), body) })),
        )
        .service(
            // Before `{id}`, which it would else be.
            web::resource("/v1/reports/batch")
                .route(web::post().to(post_batch))
                .default_service(web::to(|body| async { refuse(Problem::method_not_allowed("POST"), body) })),
        )
        .service(
            web::resource("/v1/mo/{profile}")
                .route(web::get().to(take_sms))
                .route(web::post().to(take_sms))
                .default_service(web::to(|body| async { refuse(Problem::method_not_allowed("GET, POST"), body) })),
        )
        .service(reading("/v1/reports/{id}").route(web::get().to(get_report)))
        .service(reading("/v1/feed").route(web::get().to(get_feed)))
        .service(reading("/v1/requests").route(web::get().to(get_requests)))
        .service(
            web::resource("/v1/requests/{id}/answer")
                .route(web::post().to(post_answer))
                .default_service(web::to(|body| async { refuse(Problem::method_not_allowed("POST"), body) })),
        )
        .service(
            web::resource("/v1/mobile-abuse")
                .route(web::post().to(post_mobile_abuse))
                .default_service(web::to(|body| async { refuse(Problem::method_not_allowed("POST"), body) })),
        );
    config.service(reading("/v1/usage").route(web::get().to(get_usage)));
    config
        .service(
            web::resource("/one-time-password-sms/v1/send-code")
                .route(web::post().to(send_code))
                .default_service(web::to(|body| async { refuse(Problem::method_not_allowed("POST"), body) })),
        )
        .service(
            web::resource("/one-time-password-sms/v1/validate-code")
                .route(web::post().to(validate_code))
                .default_service(web::to(|body| async { refuse(Problem::method_not_allowed("POST"), body) })),
        );
    config
        .service(reading("/openapi.json").route(web::get().to(openapi::get_openapi)))
        .service(reading("/docs").route(web::get().to(openapi::get_docs)))
        .service(reading("/docs/style.css").route(web::get().to(openapi::get_style)));
    citizens(config);
    common(config);
}

/// Pages for citizens.
fn citizens(config: &mut ServiceConfig) {
    config
        .service(
            web::resource("/")
                .route(web::get().to(get_form))
                .route(web::post().to(post_form))
                .default_service(web::to(|body| async { refuse(Problem::method_not_allowed("GET, POST"), body) })),
        )
        .service(
            web::resource("/verify")
                .route(web::get().to(get_verify))
                .route(web::post().to(post_verify))
                .default_service(web::to(|body| async { refuse(Problem::method_not_allowed("GET, POST"), body) })),
        )
        .service(reading("/network").route(web::get().to(get_network)))
        .service(reading(BACK_PATH).route(web::get().to(get_network_back)))
        .service(reading("/receipt").route(web::get().to(get_receipt)))
        .service(
            web::resource("/track")
                .route(web::get().to(get_track))
                .route(web::post().to(post_track))
                .default_service(web::to(|body| async { refuse(Problem::method_not_allowed("GET, POST"), body) })),
        )
        .service(reading("/status").route(web::get().to(get_status)))
        .service(
            web::resource("/withdraw")
                .route(web::get().to(get_withdraw))
                .route(web::post().to(post_withdraw))
                .default_service(web::to(|body| async { refuse(Problem::method_not_allowed("GET, POST"), body) })),
        )
        .service(
            web::resource("/respond")
                .route(web::get().to(get_respond))
                .route(web::post().to(post_respond))
                .default_service(web::to(|body| async { refuse(Problem::method_not_allowed("GET, POST"), body) })),
        )
        .service(reading("/reported").route(web::get().to(get_reported)))
        .service(
            web::resource("/response")
                .route(web::post().to(post_response))
                .default_service(web::to(|body| async { refuse(Problem::method_not_allowed("POST"), body) })),
        )
        .service(reading("/withdrawn").route(web::get().to(get_withdrawn)))
        .service(
            web::resource("/evidence")
                .route(web::post().to(post_evidence))
                .default_service(web::to(|body| async { refuse(Problem::method_not_allowed("POST"), body) })),
        )
        .service(reading("/guide").route(web::get().to(get_guides)))
        .service(reading("/guide/{category}").route(web::get().to(get_guide)))
        .service(reading("/static/{name}").route(web::get().to(get_file)));
}

/// For operators, on their own listener.
pub fn operators(config: &mut ServiceConfig) {
    config
        .service(reading("/healthz").route(web::get().to(ops::healthz)))
        .service(reading("/readyz").route(web::get().to(ops::readyz)))
        .service(reading("/metrics").route(web::get().to(ops::metrics)));
    common(config);
}

/// What has no route, and what actix itself refuses, are problem documents too.
fn common(config: &mut ServiceConfig) {
    config
        .app_data(web::PathConfig::default().error_handler(|_, _| Problem::bad_request().into()))
        .app_data(web::QueryConfig::default().error_handler(|_, _| Problem::bad_request().into()))
        .default_service(web::to(|body| async { refuse(Problem::no_such_page(), body) }));
}

/// A resource that can only be read.
fn reading(path: &str) -> Resource {
    web::resource(path).default_service(web::to(|body| async { refuse(Problem::method_not_allowed("GET"), body) }))
}
