//! Waits, on a clock that stands still.

use futures_util::FutureExt;

use super::gates::CROWD;
use super::*;
use crate::clock::Timestamp;

const START: Tick = Tick(1);

fn from(address: &str) -> From<'static> {
    From { address: address.parse().unwrap(), browser: None }
}

fn at(seconds: u64) -> Tick {
    START.after(Duration::from_secs(seconds))
}

impl Delays {
    /// Those who stand at a gate, at each that they do.
    fn crowd(&self) -> usize {
        self.lock().gates.crowds()
    }

    /// Waits until they are so many.
    async fn until_crowd(&self, many: usize) {
        let counting = async {
            while self.crowd() != many {
                tokio::task::yield_now().await;
            }
        };
        let counted = tokio::time::timeout(Duration::from_secs(20), counting).await;
        assert!(counted.is_ok(), "{} instead of {many}", self.crowd());
    }
}

fn clock(now: Tick) -> Clock {
    let clock = Clock::manual(Timestamp(0));
    clock.advance(now.since(clock.tick()));
    clock
}

/// An attempt at `now`; `None` when it has to stand in line.
fn asks(
    delays: &Delays,
    account: &str,
    from: From<'_>,
    place: Place,
    now: Tick,
) -> Option<Result<Attempt, IssueError>> {
    delays.begin(account, from, place, &clock(now)).now_or_never()
}

/// An attempt at `now` that may begin.
fn begin(delays: &Delays, account: &str, from: From<'_>, place: Place, now: Tick) -> Attempt {
    asks(delays, account, from, place, now).unwrap().unwrap()
}

/// One failure at `now`: how long it had to wait instead.
fn fail(delays: &Delays, account: &str, from: From<'_>, now: Tick) -> u64 {
    let place = delays.place(account, from, now);
    match asks(delays, account, from, place, now).expect("nobody is before it") {
        Ok(attempt) => attempt.failed(now),
        Err(IssueError::Wait(wait)) => return wait.as_secs(),
        Err(other) => panic!("{other}"),
    }
    0
}

#[test]
fn waits_double_after_a_few_failures_and_end_at_a_quarter_of_an_hour() {
    let waits = [5, 6, 7, 8, 15, 16, 17, 99, u32::MAX].map(|failures| wait(failures, OF_ACCOUNT).as_secs());
    assert_eq!(waits, [0, 1, 2, 4, 512, 900, 900, 900, 900]);
}

#[test]
fn failures_of_an_account_count_from_wherever_they_come() {
    let delays = Delays::default();
    for number in 1..=6 {
        assert_eq!(fail(&delays, "a", from(&format!("192.0.2.{number}")), START), 0);
    }
    let more = from("192.0.2.99");
    assert_eq!(fail(&delays, "a", more, START), 1);
    assert_eq!(fail(&delays, "b", more, START), 0, "another account");
    assert_eq!(fail(&delays, "a", more, at(1)), 0);
    assert_eq!(fail(&delays, "a", more, at(1)), 2);
    assert_eq!(fail(&delays, "a", more, at(2)), 1, "asking meanwhile counts for nothing");
}

#[test]
fn failures_from_an_address_count_whatever_the_account() {
    let delays = Delays::default();
    for number in 0..21 {
        let from = from(&format!("2001:db8:0:1::{number}"));
        assert_eq!(fail(&delays, &format!("account {number}"), from, START), 0);
    }
    assert_eq!(fail(&delays, "another", from("2001:db8:0:1:ffff::1"), START), 1);
    assert_eq!(fail(&delays, "another", from("2001:db8:0:2::1"), START), 0);
}

#[test]
fn nobody_elses_failures_lock_out_where_the_owner_logged_in() {
    let delays = Delays::default();
    let home = from("198.51.100.7");
    let laptop = From { browser: Some("mark"), ..from("203.0.113.5") };
    begin(&delays, "a", home, Place::Unknown, START).succeeded(START);
    for _ in 0..100 {
        fail(&delays, "a", from("192.0.2.1"), START);
    }
    assert!(fail(&delays, "a", from("192.0.2.2"), START) > 0);
    let elsewhere = From { browser: Some("mark"), ..from("203.0.113.99") };
    for place in [home, elsewhere] {
        for _ in 0..6 {
            assert_eq!(fail(&delays, "a", place, START), 0, "{}", place.address);
        }
        assert_eq!(fail(&delays, "a", place, START), 1, "its own failures count");
    }
    assert_eq!(fail(&delays, "a", laptop, START), 1, "a browser is the same wherever it is");
    let another = From { browser: Some("another mark"), ..elsewhere };
    assert_eq!(fail(&delays, "a", another, START), 0, "failures of one browser are not another's");
    assert!(fail(&delays, "a", From { browser: None, ..elsewhere }, START) > 0);
    assert!(fail(&delays, "b", from("192.0.2.1"), START) == 0);
}

/// Everybody of an office, one after the other, from their own address.
fn spray(delays: &Delays, office: From<'_>, colleagues: std::ops::Range<u32>, now: Tick) -> u64 {
    colleagues.map(|number| fail(delays, &number.to_string(), office, now)).max().unwrap()
}

fn office(delays: &Delays, colleagues: u32) -> From<'static> {
    let office = from("198.51.100.7");
    for number in 0..colleagues {
        begin(delays, &number.to_string(), office, Place::Unknown, START).succeeded(START);
    }
    office
}

#[test]
fn whoever_tries_a_word_on_each_colleague_is_slowed_and_nobody_is_shut_out() {
    let delays = Delays::default();
    let office = office(&delays, 80);
    assert_eq!(spray(&delays, office, 0..51, START), 0);
    assert_eq!(fail(&delays, "60", office, START), 1);
    assert_eq!(fail(&delays, "60", office, at(1)), 0);
    assert_eq!(fail(&delays, "61", office, at(1)), 2);
    // A login takes back its own attempt and nothing else.
    begin(&delays, "62", office, Place::Address, at(3)).succeeded(at(3));
    assert_eq!(fail(&delays, "63", office, at(3)), 0);
    assert_eq!(fail(&delays, "63", office, at(3)), 4);
    for second in (10..2_000).step_by(60) {
        fail(&delays, "64", office, at(second));
    }
    assert!(fail(&delays, "65", office, at(2_000)) <= 60, "a minute at most");
    let laptop = From { browser: Some("mark"), ..office };
    assert_eq!(fail(&delays, "66", laptop, at(2_000)), 0, "a browser that is known does not wait");
    assert_eq!(fail(&delays, "66", from("192.0.2.1"), at(2_000)), 0);
}

#[test]
fn failures_of_an_office_drain_away_one_by_one() {
    let delays = Delays::default();
    let office = office(&delays, 80);
    // Somebody mistypes every ten minutes, for a week.
    for number in 0..1_000_u64 {
        let name = (number % 80).to_string();
        let now = at(number * 600);
        assert_eq!(fail(&delays, &name, office, now), 0, "{number}");
    }
    assert_eq!(spray(&delays, office, 0..48, at(600_000)), 0);
    assert!(spray(&delays, office, 48..60, at(600_000)) > 0);
    assert_eq!(spray(&delays, office, 60..70, at(606_000)), 0, "ten drained in a hundred minutes");
    assert_eq!(fail(&delays, "71", office, at(606_000)), 1);
}

#[test]
fn a_login_with_a_mark_makes_its_address_known() {
    let delays = Delays::default();
    let home = from("198.51.100.7");
    let laptop = From { browser: Some("mark"), ..home };
    begin(&delays, "a", laptop, Place::Browser, START).succeeded(START);
    assert_eq!(delays.place("a", home, START), Place::Address);
    assert_eq!(delays.place("b", home, START), Place::Unknown);
}

#[test]
fn after_thirty_days_without_a_login_a_place_is_no_longer_known() {
    let delays = Delays::default();
    let home = from("198.51.100.7");
    begin(&delays, "a", home, Place::Unknown, START).succeeded(START);
    let days = |days: u64| at(days * 24 * 3600);
    assert_eq!(delays.place("a", home, days(29)), Place::Address);
    assert_eq!(delays.place("a", home, days(30)), Place::Unknown);
    begin(&delays, "a", home, Place::Unknown, days(29)).succeeded(days(29));
    assert_eq!(delays.place("a", home, days(58)), Place::Address);
}

#[test]
fn success_takes_back_its_own_attempt_and_nobody_elses() {
    let delays = Delays::default();
    let attacker = from("192.0.2.1");
    for _ in 0..5 {
        fail(&delays, "a", attacker, START);
    }
    let owner = begin(&delays, "a", from("198.51.100.7"), Place::Unknown, START);
    owner.succeeded(START);
    assert_eq!(fail(&delays, "a", attacker, START), 0, "the sixth");
    assert_eq!(fail(&delays, "a", attacker, START), 1);
    let delays = Delays::default();
    for _ in 0..100 {
        begin(&delays, "a", attacker, Place::Unknown, START).cancelled();
    }
}

#[tokio::test]
async fn of_many_at_once_no_more_get_through_than_in_a_row() {
    let delays = Delays::default();
    let clock = clock(START);
    let ask = || delays.begin("a", from("192.0.2.1"), Place::Unknown, &clock);
    let through: Vec<_> = (0..6).map(|_| ask().now_or_never().unwrap().unwrap()).collect();
    let line: Vec<_> = (0..50)
        .map(|_| {
            let (delays, clock) = (delays.clone(), clock.clone());
            tokio::spawn(async move {
                delays.begin("a", from("192.0.2.1"), Place::Unknown, &clock).await.map(|_| ())
            })
        })
        .collect();
    delays.until_crowd(2 * 6 + 50).await;
    for attempt in through {
        assert!(line.iter().all(|waits| !waits.is_finished()));
        attempt.failed(clock.tick());
    }
    for told in line {
        let told = tokio::time::timeout(Duration::from_secs(20), told).await.expect("it is told");
        let told = told.unwrap().unwrap_err();
        assert_eq!(told.to_string(), "too many logins failed; try again in 1s");
    }
    assert_eq!(delays.crowd(), 0);
}

#[tokio::test]
async fn who_is_right_makes_room_for_the_next_in_line() {
    let delays = Delays::default();
    let clock = clock(START);
    let order = Arc::new(Mutex::new(Vec::new()));
    let first: Vec<_> =
        (0..6).map(|_| begin(&delays, "a", from("192.0.2.1"), Place::Unknown, START)).collect();
    let mut line = Vec::new();
    for number in 0..50 {
        let (delays, clock, order) = (delays.clone(), clock.clone(), Arc::clone(&order));
        line.push(tokio::spawn(async move {
            let attempt = delays.begin("a", from("192.0.2.1"), Place::Unknown, &clock).await.unwrap();
            order.lock().unwrap().push(number);
            attempt.succeeded(START);
        }));
        tokio::task::yield_now().await;
    }
    // Who leaves the line loses nobody's turn.
    for gone in [line.remove(20), line.remove(0)] {
        gone.abort();
        assert!(gone.await.unwrap_err().is_cancelled());
    }
    first.into_iter().for_each(|attempt| attempt.succeeded(START));
    for right in line {
        right.await.unwrap();
    }
    assert_eq!(*order.lock().unwrap(), (1..50).filter(|number| *number != 20).collect::<Vec<_>>());
    assert_eq!(delays.crowd(), 0);
}

#[tokio::test]
async fn a_line_has_an_end_and_each_account_has_its_own() {
    let delays = Delays::default();
    let clock = clock(START);
    let ask = |account: &'static str, number: usize| {
        let (delays, clock) = (delays.clone(), clock.clone());
        let address = format!("192.0.2.{number}");
        tokio::spawn(async move { delays.begin(account, from(&address), Place::Unknown, &clock).await })
    };
    let attempts: Vec<_> = (0..CROWD).map(|number| ask("a", number)).collect();
    // Each that is through stands at the gate of its address too.
    delays.until_crowd(CROWD + 6).await;
    let refused = tokio::time::timeout(Duration::from_secs(20), ask("a", 99)).await.expect("it is told");
    let refused = refused.unwrap().err().unwrap();
    assert!(matches!(refused, IssueError::Busy), "{refused}");
    assert!(ask("b", 99).await.unwrap().is_ok());
    attempts.iter().for_each(tokio::task::JoinHandle::abort);
}

#[test]
fn gates_that_nobody_stands_at_do_not_pile_up() {
    let mut gates = Gates::default();
    let held = gates.line(0, 1).unwrap();
    for gate in 1..100_000 {
        gates.line(gate, 1).unwrap();
    }
    assert!(gates.count() <= 4_096, "{}", gates.count());
    assert!(Arc::ptr_eq(&held, &gates.line(0, 1).unwrap()), "this one is in use");
}

/// At home, where the account was known from the start on.
fn at_home(delays: &Delays, from: From<'_>, place: Place, now: Tick) {
    begin(delays, "a", from, place, now).succeeded(now);
}

#[test]
fn a_login_ends_the_row_of_its_browsers_failures() {
    let delays = Delays::default();
    let laptop = From { browser: Some("mark"), ..from("198.51.100.7") };
    for _ in 0..5 {
        for _ in 0..5 {
            assert_eq!(fail(&delays, "a", laptop, START), 0);
        }
        at_home(&delays, laptop, Place::Browser, START);
    }
}

#[test]
fn who_mistypes_once_a_day_and_then_logs_in_never_waits() {
    let delays = Delays::default();
    let home = from("198.51.100.7");
    at_home(&delays, home, Place::Unknown, START);
    for day in 1..30 {
        let morning = at(day * 86_000);
        assert_eq!(fail(&delays, "a", home, morning), 0, "{day}");
        at_home(&delays, home, Place::Address, morning);
    }
}

#[test]
fn who_shares_the_owners_address_gains_nothing_by_the_owners_logins() {
    let guesses = |pause: u64| {
        let delays = Delays::default();
        let home = from("198.51.100.7");
        at_home(&delays, home, Place::Unknown, START);
        let (mut second, mut guesses) = (0, 0);
        while second < 10 * 86_400 {
            // Guesses until the wait is near its longest and then stays quiet, or for ever; the owner logs in meanwhile.
            let wait = fail(&delays, "a", home, at(second));
            if wait == 0 {
                guesses += 1;
            } else if pause > 0 && wait >= 512 {
                second += pause;
                at_home(&delays, home, Place::Address, at(second));
            } else {
                second += wait;
                at_home(&delays, home, Place::Address, at(second));
            }
        }
        guesses
    };
    let steady = guesses(0);
    assert!(steady < 1_000, "{steady}");
    for pause in [900, 3_600, 4 * 3_600, 6 * 3_600] {
        assert!(guesses(pause) <= steady, "{pause}: {} > {steady}", guesses(pause));
    }
}

#[test]
fn a_day_without_a_failure_forgets() {
    let delays = Delays::default();
    for _ in 0..7 {
        fail(&delays, "a", from("192.0.2.1"), START);
    }
    let later = at(24 * 3600);
    for _ in 0..6 {
        assert_eq!(fail(&delays, "a", from("192.0.2.1"), later), 0);
    }
}

#[test]
fn memory_is_bounded_and_who_floods_it_does_not_wash_off_what_he_did() {
    let delays = Delays::default();
    for _ in 0..20 {
        for second in 0..2_000 {
            fail(&delays, "victim", from("192.0.2.1"), at(second));
        }
    }
    for number in 0..200_000_u32 {
        let address = IpAddr::from((0x0A00_0000 + number).to_be_bytes());
        fail(&delays, &format!("{number}"), From { address, browser: None }, at(2_000));
    }
    assert!(delays.lock().cells.len() <= CELLS);
    assert!(fail(&delays, "victim", from("192.0.2.2"), at(2_000)) > 0);
    for number in 0..PLACES as u64 + 1_000 {
        delays.lock().remember(number, at(number));
    }
    assert_eq!(delays.lock().places.len(), PLACES);
}
