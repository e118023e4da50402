use std::task::Waker;

use super::*;
use crate::clock::{Clock, Timestamp};

const SECOND: Duration = Duration::from_secs(1);

struct Bed {
    clock: Clock,
    deadlines: Rc<Deadlines>,
    conn: Rc<Conn>,
}

impl Bed {
    fn new() -> Self {
        let clock = Clock::manual(Timestamp(0));
        let deadlines = Deadlines::new(clock.clone());
        let limits = LIMITS;
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 1));
        let conn = Conn::new(nowhere, nowhere, Scheme::Http, limits, &deadlines, Rc::default());
        Self { clock, deadlines, conn }
    }

    /// Whether the connection is overdue after so many more seconds, and a little.
    fn overdue_after(&self, seconds: u32) -> bool {
        self.clock.advance(SECOND * seconds + SECOND / 2);
        self.deadlines.tick();
        self.conn.timer.fired()
    }
}

const LIMITS: Limits = Limits {
    first_byte: SECOND,
    request_head: SECOND,
    idle: SECOND.saturating_mul(10),
    response_idle: SECOND,
};
const REFUSED: &[u8] = b"POST / HTTP/1.1\r\nContent-Length: 6\r\n\r\n";

#[test]
fn the_rest_of_an_unread_body_is_no_next_request() {
    let bed = Bed::new();
    bed.conn.came(REFUSED);
    assert_eq!(bed.conn.request_started(LIMITS), Some(Head { content_lengths: 1, ..Head::default() }));
    bed.conn.leave_body();
    assert!(!bed.conn.body_came_whole());
    bed.conn.answer_started();
    bed.conn.request_ended();
    bed.conn.came(b"{\"#\":");
    assert!(!bed.overdue_after(2), "it is idle, not in a head");
    bed.conn.came(b"GET / HTTP/1.1\r\n\r\n");
    assert_eq!(bed.conn.request_started(LIMITS), Some(Head::default()));
    assert!(!bed.conn.has_left_body());
}

#[test]
fn a_head_that_began_during_the_answer_has_its_time() {
    let bed = Bed::new();
    bed.conn.came(b"GET / HTTP/1.1\r\n\r\nGET /");
    assert!(bed.conn.request_started(LIMITS).is_some());
    bed.conn.answer_started();
    bed.conn.request_ended();
    assert!(bed.overdue_after(1));
    assert!(bed.conn.is_in_head());
}

#[test]
fn an_answer_whose_end_is_still_being_sent_is_not_idle() {
    let bed = Bed::new();
    bed.conn.came(b"GET / HTTP/1.1\r\n\r\n");
    assert!(bed.conn.request_started(LIMITS).is_some());
    bed.conn.answer_started();
    bed.conn.wrote(&Poll::Pending);
    bed.conn.request_ended();
    assert!(!bed.conn.is_done_with(), "closing now would cut the answer short");
    for _ in 0..3 {
        assert!(!bed.overdue_after(6));
        bed.conn.wrote(&Poll::Ready(Ok(1)));
    }
    assert!(bed.conn.is_done_with());
    assert!(bed.overdue_after(10));
}

#[test]
fn what_its_client_takes_makes_room_for_more_of_an_answer() {
    let bed = Bed::new();
    let cx = Context::from_waker(Waker::noop());
    let room = || bed.conn.ahead_of_client().poll_room(&cx);
    let Poll::Ready(at_first) = room() else { panic!("there is none at first") };
    bed.conn.ahead_of_client().handed_over(at_first);
    assert_eq!(room(), Poll::Pending);
    bed.conn.wrote(&Poll::Ready(Ok(1 << 30)));
    assert_eq!(room(), Poll::Ready(usize::MAX), "it reads");
    bed.conn.wrote(&Poll::Pending);
    assert_eq!(room(), Poll::Ready(at_first), "it has stalled");
}

#[test]
fn nobody_is_told_of_a_late_head_in_the_middle_of_an_answer() {
    let bed = Bed::new();
    bed.conn.came(b"GET / HTTP/1.1\r\n\r\nGET /");
    assert!(bed.conn.request_started(LIMITS).is_some());
    bed.conn.answer_started();
    bed.conn.wrote(&Poll::Pending);
    bed.conn.request_ended();
    assert!(bed.overdue_after(1));
    assert!(!bed.conn.is_in_head());
    bed.conn.wrote(&Poll::Ready(Ok(1)));
    assert!(!bed.conn.timer.fired(), "what was held back moved");
}
