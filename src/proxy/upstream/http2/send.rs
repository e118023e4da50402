//! Sending a request over HTTP/2, and again where that is safe.

use std::future::poll_fn;

use bytes::Bytes;
use http::Method;
use http_body::Body;

use super::Exchange;
use crate::message::framing::Asked;
use crate::proxy::upstream::balance::Choice;
use crate::proxy::upstream::failure::{BodyFailure, Failure};
use crate::proxy::upstream::protocols::Exchange as Either;
use crate::proxy::upstream::retries::Budget;
use crate::proxy::upstream::{Answer, Held, Outgoing, Undelivered, Upstream, WriteHead};

/// How often a request that the endpoint did not take is sent again.
const AGAIN_MAX: u8 = 2;

/// Sends a request and waits for its answer's fields.
///
/// An endpoint to which there is no connection is passed over, since nothing was sent. What the endpoint says that it did
/// not process (RFC 9113 §8.7) is sent again, whatever the method; what a connection that had carried requests before
/// lost is sent again once, if it is idempotent (RFC 9110 §9.2.2). Either, and what a new connection lost, is sent to
/// another endpoint, within what `retries` allows. Nothing is when anything of the body was taken.
pub async fn send<B, W>(
    upstream: &Upstream,
    mut outgoing: Outgoing<'_, B, W>,
    budget: &Budget,
) -> Result<Answer<B>, Undelivered>
where
    B: Body<Data = Bytes, Error = BodyFailure> + Unpin + 'static,
    W: WriteHead,
{
    let asked = if outgoing.method == Method::HEAD { Asked::Head } else { Asked::Other };
    let mut choice = Choice::new(upstream, outgoing.key);
    let (mut again, mut lost, mut retried) = (0, false, 0);
    loop {
        let endpoint = Held::new(choice.endpoint(upstream));
        let seat = match endpoint.links.seat(outgoing.connect).await {
            Ok(seat) => seat,
            Err(failure) => {
                let failure = endpoint.put_aside(failure);
                upstream.failed(&endpoint, &failure);
                if !choice.pass_over(upstream) {
                    return Err(upstream.unreached(failure, endpoint));
                }
                continue;
            }
        };
        let request = match outgoing.head.http2(&endpoint) {
            Ok(request) => request,
            Err(failure) => return Err(Undelivered { failure, endpoint: Some(endpoint) }),
        };
        let timer = upstream.deadlines.timer();
        let body = outgoing.body.take();
        let (failure, body, here) = match Exchange::begin(seat, request, body, timer, outgoing.patience) {
            Err((error, body)) => (Failure::Unprocessed(error), Some(body), true),
            Ok(exchange) => {
                let mut exchange = Box::new(exchange);
                match poll_fn(|cx| exchange.poll_head(cx, asked)).await {
                    Ok(head) => {
                        upstream.answered(&endpoint, head.status.as_u16());
                        return Ok(Answer { head, exchange: Either::Http2(exchange), endpoint });
                    }
                    Err(failure) => {
                        let stale = failure.is_silent_close() && exchange.was_used() && !lost;
                        let unprocessed = matches!(failure, Failure::Unprocessed(_));
                        let untouched = exchange.take_untouched();
                        let harmless = failure.is_silent_close() && outgoing.method.is_idempotent();
                        lost |= stale;
                        if !stale {
                            upstream.failed(&endpoint, &failure);
                        }
                        (failure, untouched.filter(|_| unprocessed || harmless), unprocessed || stale)
                    }
                }
            }
        };
        let Some(body) = body else { return Err(Undelivered { failure, endpoint: Some(endpoint) }) };
        if here && again < AGAIN_MAX {
            again += 1;
        } else if !upstream.goes_elsewhere(&mut choice, &mut retried, budget) {
            return Err(Undelivered { failure, endpoint: Some(endpoint) });
        }
        outgoing.body = body;
    }
}
