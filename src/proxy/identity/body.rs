//! The whole body of a request that Keyward answers itself.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::Body as _;

use crate::auth::refusal::Refusal;
use crate::message::framing::Framing;
use crate::proxy::gateway::Asker;
use crate::proxy::request_body::RequestBody;
use crate::proxy::upstream::failure::Failure;
use crate::server::deadline::Timer;

/// The largest body that an endpoint takes.
const MOST: usize = 64 * 1024;

/// How long all of it may take, however it comes.
const LONGEST: Duration = Duration::from_secs(10);

const TOO_LARGE: Refusal = Refusal::BodyTooLarge { limit: MOST as u64 };

/// Reads all of `body`; empty without one.
///
/// # Errors
/// When it is too large, broken off, or slower than bodies may be.
pub(super) async fn collect(
    body: Option<RequestBody>,
    framing: Framing,
    asker: Asker<'_>,
) -> Result<Bytes, Refusal> {
    let Some(body) = body else { return Ok(Bytes::new()) };
    if matches!(framing, Framing::Length(length) if length > MOST as u64) {
        return Err(TOO_LARGE);
    }
    let timeouts = &asker.state.plan.config.timeouts;
    let timer = |limit| {
        let timer = asker.worker.deadlines.timer();
        timer.set(limit);
        timer
    };
    let patience = timeouts.request_body_idle;
    let all = timer(timeouts.total.map_or(LONGEST, |total| total.min(LONGEST)));
    let mut collecting = Collecting { body, pause: timer(patience), all, came: Vec::new() };
    poll_fn(|cx| {
        loop {
            match ready!(collecting.poll_piece(cx)) {
                Ok(true) => collecting.pause.set(patience),
                Ok(false) => return Poll::Ready(Ok(std::mem::take(&mut collecting.came).into())),
                Err(refusal) => return Poll::Ready(Err(refusal)),
            }
        }
    })
    .await
}

struct Collecting {
    body: RequestBody,
    /// Fires when nothing comes.
    pause: Timer,
    /// Fires when it takes too long.
    all: Timer,
    came: Vec<u8>,
}

impl Collecting {
    /// Takes one piece; false at the end.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, Refusal>> {
        let frame = match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(Some(frame)) => frame.map_err(|failure| Failure::from(failure).refusal())?,
            Poll::Ready(None) => return Poll::Ready(Ok(false)),
            Poll::Pending if self.pause.poll_fired(cx).is_ready() || self.all.poll_fired(cx).is_ready() => {
                return Poll::Ready(Err(Refusal::RequestTimeout));
            }
            Poll::Pending => return Poll::Pending,
        };
        let data = frame.into_data().unwrap_or_default();
        if self.came.len() + data.len() > MOST {
            return Poll::Ready(Err(TOO_LARGE));
        }
        self.came.extend_from_slice(&data);
        Poll::Ready(Ok(true))
    }
}
