//! Bodies that are still coming when their request is answered. A stream that is reset then can cost its client the answer,
//! so it is not, within bounds.

use std::time::Duration;

use keyward::clock::{Clock, Timestamp};

use crate::support::frames::{
    DATA, END_STREAM, Frames, NO_ERROR, Outcome, PING, REFUSED_STREAM, RST_STREAM, WINDOW_UPDATE, code,
    frame, get, head, open as begin,
};
use crate::support::gateway::Gateway;
use crate::support::upstream::{Answer, Upstream};

/// One frame's worth.
const PIECE: usize = 16 * 1024;
/// What may be sent before there is room for more.
const ROOM: usize = 65_535;
/// One path of a route that wants a key, and one of Keyward's own that wants a login.
const BOTH_PLANES: [&str; 2] = ["/anything", "/user/api-keys"];

async fn gateway(upstream: &Upstream, clock: &Clock) -> Gateway {
    let identity = "identity: { public_url: \"https://a.test\" }";
    Gateway::builder().upstream("api", &upstream.url()).yaml(identity).clock(clock).start().await
}

/// A client of it whose request was answered so while its body is to come.
async fn answered(gateway: &Gateway, path: &str, status: u16) -> Upload {
    let mut client = Frames::connect(gateway.public()).await;
    client.send(begin(1, head("POST", path, &[]))).await;
    assert_eq!(client.outcome(1).await.status(), status, "{path}");
    Upload { client, room: [ROOM; 2] }
}

/// A body on its way.
struct Upload {
    client: Frames,
    /// For so much of it there is room, and for so much of all bodies.
    room: [usize; 2],
}

impl Upload {
    /// Sends so much more of it, as there is room.
    async fn send(&mut self, mut bytes: usize) {
        while bytes > 0 {
            let piece = PIECE.min(bytes);
            while self.room.iter().any(|room| *room < piece) {
                let update = self.client.until(|frame| frame.kind == WINDOW_UPDATE).await.expect("room");
                let more = u32::from_be_bytes(update.payload[..4].try_into().unwrap());
                self.room[usize::from(update.stream == 0)] += usize::try_from(more).unwrap();
            }
            self.client.send(frame(DATA, 0, 1, vec![0; piece])).await;
            self.room.iter_mut().for_each(|room| *room -= piece);
            bytes -= piece;
        }
    }

    async fn end(&mut self) {
        self.client.send(frame(DATA, END_STREAM, 1, b"")).await;
    }

    /// Whether the stream was reset, by now, and how.
    async fn reset_by_now(&mut self) -> Option<u32> {
        self.client.send(frame(PING, 0, 0, [7; 8])).await;
        let mut found = None;
        let pong = |frame: &crate::support::frame::Frame| {
            if frame.kind == RST_STREAM {
                found = Some(code(frame));
            }
            frame.kind == PING
        };
        self.client.until(pong).await.expect("the connection goes on");
        found
    }

    /// Waits for the stream's reset; its code.
    async fn reset(&mut self) -> u32 {
        let reset = self.client.until(|frame| frame.kind == RST_STREAM).await.expect("a reset");
        assert_eq!(reset.stream, 1);
        code(&reset)
    }
}

#[tokio::test]
async fn who_is_refused_may_send_the_whole_body_and_no_reset_follows() {
    let upstream = Upstream::echo().await;
    let gateway = gateway(&upstream, &Clock::system()).await;
    for path in BOTH_PLANES {
        let mut upload = answered(&gateway, path, 401).await;
        upload.send(1_000_000).await;
        assert_eq!(upload.reset_by_now().await, None, "{path}");
        upload.end().await;
        assert_eq!(upload.reset_by_now().await, None, "{path}");
        assert_eq!(upload.client.ask(3, get(3)).await.status(), 401);
    }
    assert_eq!(upstream.requests(), []);
}

/// The same of an answer that is the upstream's.
#[tokio::test]
async fn an_upstream_that_answers_before_it_has_the_body_costs_nobody_the_answer() {
    let upstream = Upstream::always(Answer::ok("no need").never_reading()).await;
    let gateway = Gateway::with(&upstream, crate::proxy::PUBLIC).await;
    let mut upload = answered(&gateway, "/", 200).await;
    upload.send(1_000_000).await;
    upload.end().await;
    assert_eq!(upload.reset_by_now().await, None);
}

#[tokio::test]
async fn who_is_refused_and_never_ends_the_body_is_reset_in_the_end() {
    let upstream = Upstream::echo().await;
    let clock = Clock::manual(Timestamp(1_800_000_000_000));
    let gateway = gateway(&upstream, &clock).await;
    for path in BOTH_PLANES {
        let mut upload = answered(&gateway, path, 401).await;
        gateway.pass(Duration::from_secs(4)).await;
        // What goes on coming buys no more time.
        upload.send(PIECE).await;
        assert_eq!(upload.reset_by_now().await, None, "{path}");
        gateway.pass(Duration::from_secs(2)).await;
        assert_eq!(upload.reset().await, NO_ERROR, "{path}");
    }
}

#[tokio::test]
async fn who_is_refused_and_sends_without_end_is_reset_in_the_end() {
    let upstream = Upstream::echo().await;
    let clock = Clock::manual(Timestamp(1_800_000_000_000));
    let gateway = gateway(&upstream, &clock).await;
    let mut upload = answered(&gateway, "/", 401).await;
    upload.send(15 << 20).await;
    assert_eq!(upload.reset_by_now().await, None);
    upload.send(1 << 20).await;
    assert_eq!(upload.reset().await, NO_ERROR);
}

/// What it has and others want: its place among the streams.
#[tokio::test]
async fn who_is_refused_and_never_ends_the_body_holds_a_place_no_longer() {
    let upstream = Upstream::echo().await;
    let clock = Clock::manual(Timestamp(1_800_000_000_000));
    let builder = Gateway::builder().upstream("api", &upstream.url()).yaml("max: { streams: 1 }");
    let gateway = builder.clock(&clock).start().await;
    let mut upload = answered(&gateway, "/", 401).await;
    assert_eq!(upload.client.ask(3, get(3)).await, Outcome::Reset(REFUSED_STREAM));
    gateway.pass(Duration::from_secs(6)).await;
    assert_eq!(upload.reset().await, NO_ERROR);
    assert_eq!(upload.client.ask(5, get(5)).await.status(), 401);
}
