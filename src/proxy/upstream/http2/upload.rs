//! A request's body on its way up. It is taken from the client only as the endpoint makes room for it.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, SendStream};
use http_body::Body;
use tokio::task::AbortHandle;

use super::SEND_BUFFER;
use crate::proxy::upstream::Patience;
use crate::proxy::upstream::failure::{BodyFailure, Failure};
use crate::server::deadline::Timer;

/// Whom the exchange waits for, and for how long yet.
#[derive(Debug)]
pub(super) struct Watch {
    timer: Timer,
    patience: Patience,
    for_client: Cell<bool>,
    over: Cell<bool>,
}

impl Watch {
    /// Waits for the endpoint from now on.
    pub(super) fn new(timer: Timer, patience: Patience) -> Self {
        let watch = Self { timer, patience, for_client: Cell::new(false), over: Cell::new(false) };
        watch.endpoints_turn();
        watch
    }

    fn endpoints_turn(&self) {
        if !self.over.get() {
            self.for_client.set(false);
            self.timer.set_with_glance(self.patience.answer, self.patience.glance);
        }
    }

    fn clients_turn(&self) {
        if !self.over.get() && !self.for_client.replace(true) {
            self.timer.set(self.patience.request_body);
        }
    }

    /// The answer begins: from here others watch the time.
    pub(super) fn end(&self) {
        self.over.set(true);
        self.timer.clear();
    }

    /// Ready once whoever is waited for took too long.
    pub(super) fn poll_late(&self, cx: &Context<'_>) -> Poll<Failure> {
        ready!(self.timer.poll_fired(cx));
        Poll::Ready(if self.for_client.get() { Failure::SlowClient } else { Failure::Timeout })
    }
}

/// A body that is being sent.
#[derive(Debug)]
pub(super) struct Upload<B> {
    stream: SendStream<Bytes>,
    /// The client's body, until all of it is handed over.
    body: Option<B>,
    /// A piece of it for which there is no room yet.
    data: Bytes,
    /// Whether anything was taken from the body: it can then not be sent again.
    taken: bool,
    /// Whether the endpoint takes no more of it; its answer may come all the same.
    deaf: bool,
}

impl<B> Upload<B>
where
    B: Body<Data = Bytes, Error = BodyFailure> + Unpin,
{
    pub(super) const fn new(stream: SendStream<Bytes>, body: Option<B>) -> Self {
        Self { stream, body, data: Bytes::new(), taken: false, deaf: false }
    }

    /// The body, if nothing of it was taken.
    pub(super) fn into_untouched(self) -> Option<Option<B>> {
        (!self.taken).then_some(self.body)
    }

    /// Sends what can be sent; ready when there is no more to do. Only the client's faults are errors: an endpoint that
    /// takes no more may have answered.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, watch: &Watch) -> Poll<Result<(), Failure>> {
        loop {
            if self.deaf || self.is_done() {
                return Poll::Ready(Ok(()));
            }
            if self.stream.poll_reset(cx).is_ready() {
                self.deafen(watch);
            } else if !self.data.is_empty() {
                ready!(self.poll_send(cx, watch));
            } else {
                ready!(self.poll_take(cx, watch))?;
            }
        }
    }

    /// Takes the next piece of the body, or its end.
    fn poll_take(&mut self, cx: &mut Context<'_>, watch: &Watch) -> Poll<Result<(), Failure>> {
        let Some(body) = &mut self.body else { return Poll::Ready(Ok(())) };
        let Poll::Ready(frame) = Pin::new(body).poll_frame(cx) else {
            watch.clients_turn();
            return Poll::Pending;
        };
        watch.endpoints_turn();
        let Some(frame) = frame else {
            self.end(watch);
            return Poll::Ready(Ok(()));
        };
        self.taken = true;
        match frame?.into_data() {
            Ok(data) => self.data = data,
            Err(frame) => match frame.into_trailers() {
                Ok(trailers) if !trailers.is_empty() => {
                    self.body = None;
                    self.stream.reserve_capacity(0);
                    self.sent(watch, |stream| stream.send_trailers(trailers));
                }
                _ => self.end(watch),
            },
        }
        if self.data.is_empty() && self.body.as_ref().is_some_and(Body::is_end_stream) {
            self.end(watch);
        }
        Poll::Ready(Ok(()))
    }

    /// Hands over as much of the piece as there is room for.
    fn poll_send(&mut self, cx: &mut Context<'_>, watch: &Watch) -> Poll<()> {
        self.stream.reserve_capacity(self.data.len().min(SEND_BUFFER));
        let mut room = self.stream.capacity();
        if room == 0 {
            let Some(Ok(more)) = ready!(self.stream.poll_capacity(cx)) else {
                self.deafen(watch);
                return Poll::Ready(());
            };
            room = more;
        }
        let piece = self.data.split_to(room.min(self.data.len()));
        let last = self.data.is_empty() && self.body.as_ref().is_some_and(Body::is_end_stream);
        self.body.take_if(|_| last);
        self.sent(watch, |stream| stream.send_data(piece, last));
        watch.endpoints_turn();
        Poll::Ready(())
    }

    fn end(&mut self, watch: &Watch) {
        self.body = None;
        self.sent(watch, |stream| stream.send_data(Bytes::new(), true));
    }

    /// Fails only when the endpoint has reset the stream or its connection is gone.
    fn sent(&mut self, watch: &Watch, send: impl FnOnce(&mut SendStream<Bytes>) -> Result<(), h2::Error>) {
        if send(&mut self.stream).is_err() {
            self.deafen(watch);
        }
    }

    fn deafen(&mut self, watch: &Watch) {
        self.deaf = true;
        watch.endpoints_turn();
    }
}

impl<B> Upload<B> {
    /// Whether nothing more is to be sent.
    pub(super) const fn is_done(&self) -> bool {
        self.body.is_none() && self.data.is_empty()
    }
}

/// The rest of a body that is sent while the answer comes. A client that does not take its answer is no reason to take no
/// more of its request, so it has a task of its own.
#[derive(Debug)]
pub(super) struct Apart<B> {
    shared: Rc<Shared<B>>,
    task: AbortHandle,
}

#[derive(Debug)]
struct Shared<B> {
    upload: RefCell<Option<Upload<B>>>,
    /// What the client did wrong.
    failure: RefCell<Option<Failure>>,
}

impl<B> Apart<B>
where
    B: Body<Data = Bytes, Error = BodyFailure> + Unpin + 'static,
{
    pub(super) fn new(upload: Upload<B>, watch: Rc<Watch>) -> Self {
        let shared = Rc::new(Shared { upload: RefCell::new(Some(upload)), failure: RefCell::new(None) });
        let driven = Rc::clone(&shared);
        let task = tokio::task::spawn_local(poll_fn(move |cx| driven.poll(cx, &watch)));
        Self { shared, task: task.abort_handle() }
    }

    /// What the client did wrong, if that is why the exchange ended.
    pub(super) fn failure(&self) -> Option<Failure> {
        self.shared.failure.borrow_mut().take()
    }
}

impl<B> Apart<B> {
    /// Whether nothing more is to be sent.
    pub(super) fn is_done(&self) -> bool {
        self.shared.upload.borrow().is_none()
    }
}

impl<B> Shared<B>
where
    B: Body<Data = Bytes, Error = BodyFailure> + Unpin,
{
    fn poll(&self, cx: &mut Context<'_>, watch: &Watch) -> Poll<()> {
        let mut slot = self.upload.borrow_mut();
        let Some(upload) = &mut *slot else { return Poll::Ready(()) };
        if let Err(failure) = ready!(upload.poll(cx, watch)) {
            *self.failure.borrow_mut() = Some(failure);
            // Wakes whoever waits for the answer.
            upload.stream.send_reset(Reason::CANCEL);
        }
        if upload.is_done() {
            *slot = None;
        }
        Poll::Ready(())
    }
}

impl<B> Drop for Apart<B> {
    fn drop(&mut self) {
        self.task.abort();
        // At once, not when the task is next looked at: the client's connection learns by it that the body was left.
        self.shared.upload.borrow_mut().take();
    }
}
