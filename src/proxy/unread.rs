//! Refusals of connections that no request was read from: they leave the same traces as those of requests.

use std::net::IpAddr;
use std::time::Duration;

use http::StatusCode;

use super::worker::Worker;
use crate::auth::refusal::{Code, Refusal};
use crate::server::connection::Unread;
use crate::telemetry::Door;
use crate::telemetry::access::AccessRecord;
use crate::web::problem;
use crate::web::request_id::RequestId;

/// For who speaks HTTP in clear where TLS is spoken.
const IN_CLEAR: &str = "This port speaks HTTPS: write https:// in place of http://.\n";
/// For a load balancer, or whoever comes through one.
const UNANNOUNCED: &str = "This port expects the PROXY protocol from this address.\n";
/// What parts the head of an answer from its body.
const END_OF_HEAD: &[u8] = b"\r\n\r\n";

/// Counts and logs that the connection of `client` ends for what came of a request; gives the answer.
#[must_use]
pub fn refuse_unread(worker: &Worker, client: IpAddr, unread: Unread) -> Vec<u8> {
    let (code, status) = match unread {
        Unread::Slow => return refuse(worker, client, &Refusal::RequestTimeout),
        Unread::Malformed | Unread::InClear | Unread::Unannounced => {
            (Code::BadRequest, StatusCode::BAD_REQUEST)
        }
        Unread::TooLarge => (Code::HeadersTooLarge, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
    };
    let id = worker.request_ids.make(worker.clock.now());
    let said = match unread {
        Unread::InClear => IN_CLEAR,
        Unread::Unannounced => UNANNOUNCED,
        Unread::Slow | Unread::Malformed | Unread::TooLarge => "",
    };
    record(worker, client, code, &id, said.len() as u64);
    problem::bare(status, said)
}

/// Counts and logs that the connection of `client` is refused; gives the answer.
#[must_use]
pub fn refuse(worker: &Worker, client: IpAddr, refusal: &Refusal) -> Vec<u8> {
    let id = worker.request_ids.make(worker.clock.now());
    let answer = worker.state().plan.raw_answer(refusal, &id);
    let head = answer.windows(END_OF_HEAD.len()).position(|bytes| bytes == END_OF_HEAD);
    let body = head.map_or(0, |head| answer.len() - head - END_OF_HEAD.len());
    record(worker, client, refusal.code(), &id, body as u64);
    answer
}

fn record(worker: &Worker, client: IpAddr, code: Code, id: &RequestId, bytes_out: u64) {
    worker.state().metrics.count_unread(Door::Proxy, code);
    if worker.log.is_off() {
        return;
    }
    worker.log.push(&AccessRecord {
        time: worker.clock.now(),
        request_id: id.as_str(),
        door: Door::Proxy,
        route: None,
        method: None,
        path: None,
        status: Some(code.status()),
        code: Some(code),
        account: None,
        credential: None,
        client: Some(client.to_canonical()),
        bytes_in: 0,
        bytes_out,
        own: Duration::ZERO,
        upstream: None,
    });
}
