//! What accounts have used of the day: written down behind them, known again at the next beginning, and lost to nobody.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::bed::{Bed, denied, digest, good, terms};
use super::store::Mode;
use crate::authenticator::writer::{BATCH, PERIOD, SWEPT_EVERY};
use crate::authenticator::{Denied, Front, Health, Valid};
use crate::clock::{Clock, Timestamp};
use crate::limits::{self, Asked, DayCount, Rates, Subject, Verdict};

const DAY: Duration = Duration::from_hours(24);
const HOUR: Duration = Duration::from_hours(1);
/// Noon of a day.
const NOON: Timestamp = Timestamp((20_000 * 24 + 12) * 3_600_000);

fn rates() -> Rates {
    Rates { per_day: Some(10), ..Rates::default() }
}

/// Counts a request of `entry`, and tells how many are left; `None` when it is refused.
fn count(front: &Front, clock: &Clock, entry: &Valid) -> Option<u64> {
    let (rates, now) = (rates(), front.accounts().moment(clock.tick(), clock.now()));
    let asked = Asked { cost: 1, account: &rates, key: None, route: None };
    match entry.meter().account.admit(&asked, now, front.accounts().changed()).0 {
        Verdict::Passes(report) => report.rows().next().map(|(_, standing)| standing.left),
        Verdict::Refused(_) => None,
    }
}

fn of(account: u128, day: u32, used: u64) -> DayCount {
    DayCount { account, subject: Subject::Account, day, used }
}

fn today() -> u32 {
    limits::day(NOON)
}

impl Bed {
    /// At noon, before a store with these counts of the account `a`, by days after this one.
    async fn before(counts: &[(i64, u64)]) -> Self {
        Self::at(NOON, counts).await
    }

    async fn at(wall: Timestamp, counts: &[(i64, u64)]) -> Self {
        let mut bed = Self::silent(&terms());
        bed.clock.set_wall(wall);
        bed.store.put_account("a", None);
        bed.store.put_key(digest("k"), "k", "a", Timestamp(i64::MAX));
        for (after, used) in counts {
            let day = u32::try_from(i64::from(today()) + after).unwrap();
            bed.store.put_day(of(limits::number("a"), day, *used));
        }
        bed.feed.poll().await;
        bed
    }

    async fn count(&self) -> Option<u64> {
        let entry = self.judge("k").await.unwrap();
        count(&self.front, &self.clock, &entry)
    }

    /// Counts once on so many further accounts.
    async fn count_on(&self, accounts: u32) {
        for number in 0..accounts {
            let id = format!("{number:05}");
            self.store.put_account(&id, None);
            self.store.put_key(digest(&id), &id, &id, Timestamp(i64::MAX));
            let entry = self.judge(&id).await.unwrap();
            assert_eq!(count(&self.front, &self.clock, &entry), Some(9));
        }
    }

    fn used(&self) -> Vec<(u32, u64)> {
        let days = self.store.days();
        let mine = days.iter().filter(|count| count.account == limits::number("a"));
        mine.map(|count| (count.day, count.used)).collect()
    }

    fn unwritten(&self) -> Duration {
        self.authenticator.stats().unwritten
    }
}

#[tokio::test]
async fn what_is_counted_is_written_down_once_however_many_requests_it_were() {
    let mut bed = Bed::before(&[]).await;
    for left in (3..10).rev() {
        assert_eq!(bed.count().await, Some(left));
    }
    bed.write().await;
    assert_eq!((bed.used(), bed.store.notes()), (vec![(today(), 7)], vec![(1, 1)]));
    bed.write().await;
    assert_eq!(bed.store.notes().len(), 1, "nothing changed");
    bed.count().await;
    bed.write().await;
    assert_eq!((bed.used(), bed.store.notes().len()), (vec![(today(), 8)], 2));
}

#[tokio::test]
async fn counting_begins_with_what_the_store_knows() {
    let mut bed = Bed::before(&[(-1, 10), (0, 8)]).await;
    assert_eq!([bed.count().await, bed.count().await, bed.count().await], [Some(1), Some(0), None]);
    bed.advance(DAY).await;
    assert_eq!(bed.count().await, Some(9));
}

#[tokio::test]
async fn what_was_used_of_a_day_that_has_not_come_is_not_there_when_it_comes() {
    let mut bed = Bed::before(&[(0, 4), (1, 10)]).await;
    bed.advance(DAY).await;
    assert_eq!(bed.count().await, Some(9));
}

#[tokio::test]
async fn accounts_that_nobody_counts_on_any_more_are_forgotten() {
    let mut bed = Bed::before(&[(0, 8)]).await;
    for (wait, there) in [(Duration::ZERO, 1), (DAY, 0)] {
        bed.advance(wait).await;
        for _ in 0..SWEPT_EVERY {
            bed.write().await;
        }
        assert_eq!(bed.front.accounts().len(), there);
    }
}

#[tokio::test]
async fn what_was_used_of_a_day_that_has_not_come_is_held_against_nobody() {
    for (known, left) in
        [(&[(1, 10)][..], 9), (&[(400, 10)], 9), (&[(0, 4), (1, 10)], 5), (&[(400, 10), (0, 4)], 5)]
    {
        let mut bed = Bed::before(known).await;
        assert_eq!(bed.count().await, Some(left), "{known:?}");
        bed.write().await;
        assert!(bed.used().contains(&(today(), 10 - left)), "{:?}", bed.used());
    }
}

#[tokio::test]
async fn a_clock_that_wavers_about_midnight_brings_nothing_back_at_a_start_either() {
    let mut bed = Bed::at(NOON.after(HOUR * 11), &[(0, 2), (1, 8)]).await;
    assert_eq!(bed.count().await, Some(1));
    bed.write().await;
    assert!(bed.used().contains(&(today() + 1, 9)), "{:?}", bed.used());
    bed.advance(HOUR * 2).await;
    assert_eq!([bed.count().await, bed.count().await], [Some(0), None]);
}

/// A machine without a clock of its own begins in 1970, and is told the time a moment later.
#[tokio::test]
async fn what_was_used_of_the_day_that_a_wrong_clock_is_set_to_counts_once_it_is_known() {
    let mut bed = Bed::at(Timestamp(10_000), &[(0, 6), (1, 2)]).await;
    assert_eq!([bed.count().await, bed.count().await], [Some(9), Some(8)]);
    bed.clock.set_wall(NOON);
    bed.store.set(Mode::FailsAtDays);
    bed.write().await;
    assert_eq!((bed.count().await, bed.unwritten() > Duration::ZERO), (Some(7), true));
    bed.store.set(Mode::Answers);
    bed.write().await;
    assert_eq!([bed.count().await, bed.count().await], [Some(0), None]);
    bed.write().await;
    bed.write().await;
    assert!(bed.used().contains(&(today(), 10)), "{:?}", bed.used());
    assert_eq!(bed.count().await, None);
}

#[tokio::test]
async fn whoever_begins_after_a_jump_knows_what_was_used_before_it() {
    let mut bed = Bed::before(&[]).await;
    for left in [9, 8, 7] {
        assert_eq!(bed.count().await, Some(left));
    }
    bed.write().await;
    let jumped = NOON.after(400 * DAY);
    bed.clock.set_wall(jumped);
    assert_eq!(bed.count().await, Some(6));
    bed.write().await;
    assert_eq!(bed.used(), [(today(), 3), (today() + 400, 4)]);
    let other = Bed::at(jumped, &[(0, 3), (400, 4)]).await;
    assert_eq!(other.count().await, Some(5));
}

#[tokio::test]
async fn nobody_passes_before_it_is_known_what_was_used() {
    let mut bed = Bed::silent(&terms());
    bed.clock.set_wall(NOON);
    bed.store.put_account("a", None);
    bed.store.put_key(digest("k"), "k", "a", Timestamp(i64::MAX));
    bed.store.put_day(of(limits::number("a"), today(), 9));
    bed.store.set(Mode::FailsAtDays);
    bed.feed.poll().await;
    assert_eq!(bed.authenticator.health(), Health::Starting);
    denied(bed.judge("k").await, Denied::Unavailable);
    bed.mend().await;
    assert_eq!([bed.count().await, bed.count().await], [Some(0), None]);
}

#[tokio::test]
async fn contact_that_is_lost_and_made_anew_counts_nothing_anew() {
    let mut bed = Bed::before(&[(0, 3)]).await;
    assert_eq!(bed.count().await, Some(6));
    bed.store.put_day(of(limits::number("a"), today(), 10));
    bed.store.set_back(0);
    for _ in 0..crate::authenticator::feed::QUIET {
        bed.feed.poll().await;
    }
    assert_eq!(bed.count().await, Some(5));
}

#[tokio::test]
async fn while_nothing_can_be_written_counting_goes_on_and_the_newest_is_written_in_the_end() {
    let mut bed = Bed::before(&[]).await;
    bed.write().await;
    assert_eq!((bed.count().await, bed.unwritten() > Duration::ZERO), (Some(9), true));
    bed.store.has_room_for(Some(0));
    for left in (2..9).rev() {
        bed.write().await;
        bed.clock.advance(Duration::from_secs(30));
        assert_eq!(bed.count().await, Some(left));
    }
    assert_eq!((bed.used(), bed.unwritten()), (vec![], Duration::from_secs(210)));
    bed.store.has_room_for(None);
    bed.write().await;
    assert_eq!((bed.used(), bed.unwritten()), (vec![(today(), 8)], Duration::ZERO));
    assert_eq!(bed.store.notes(), [(1, 1)]);
}

#[tokio::test]
async fn what_was_used_of_a_route_on_a_day_that_is_long_over_is_not_written_again() {
    let mut bed = Bed::before(&[]).await;
    let entry = bed.judge("k").await.unwrap();
    let (limited, unlimited, name) = (rates(), Rates::default(), "orders".into());
    let asked = Asked { cost: 1, account: &unlimited, key: None, route: Some((&name, &limited)) };
    let now = bed.front.accounts().moment(bed.clock.tick(), bed.clock.now());
    let _ = entry.meter().account.admit(&asked, now, bed.front.accounts().changed());
    for (days, rows) in [(0, 1), (1, 2), (1, 1)] {
        bed.advance(DAY * days).await;
        if days > 0 {
            assert_eq!(bed.count().await, Some(9));
        }
        bed.write().await;
        assert_eq!(bed.store.notes().last().unwrap().1, rows);
    }
}

#[tokio::test]
async fn many_accounts_are_written_in_bounded_batches_and_those_that_failed_again() {
    let mut bed = Bed::before(&[]).await;
    let accounts = BATCH * 2 + 100;
    bed.count_on(u32::try_from(accounts).unwrap()).await;
    bed.store.has_room_for(Some(1));
    bed.write().await;
    assert_eq!(bed.store.days().len(), BATCH);
    assert!(bed.unwritten() > Duration::ZERO);
    bed.store.has_room_for(None);
    bed.write().await;
    assert_eq!((bed.store.days().len(), bed.unwritten()), (accounts, Duration::ZERO));
    assert_eq!(bed.store.notes(), [(BATCH, BATCH), (BATCH, BATCH), (100, 100)]);
}

#[tokio::test]
async fn an_account_with_counts_of_many_routes_is_written_in_bounded_batches_too() {
    let mut bed = Bed::before(&[]).await;
    let entry = bed.judge("k").await.unwrap();
    let (limited, unlimited) = (rates(), Rates::default());
    let now = bed.front.accounts().moment(bed.clock.tick(), bed.clock.now());
    for number in 0..BATCH + 100 {
        let name = number.to_string().into();
        let asked = Asked { cost: 1, account: &unlimited, key: None, route: Some((&name, &limited)) };
        let _ = entry.meter().account.admit(&asked, now, bed.front.accounts().changed());
    }
    bed.write().await;
    assert_eq!(bed.store.notes(), [(1, BATCH), (0, 100)]);
}

/// Counts go at once, uses by lists: it is zero only when neither is anywhere on its way.
#[tokio::test]
async fn all_is_written_only_when_nothing_is_on_its_way() {
    let mut bed = Bed::before(&[]).await;
    assert_eq!(bed.unwritten(), Duration::ZERO);
    good(&bed.judge("k").await);
    bed.writer.write().await;
    assert!(bed.unwritten() > Duration::ZERO, "the worker has a use in its list");
    bed.front.flush();
    assert!(bed.unwritten() > Duration::ZERO, "the channel has it");
    bed.writer.write().await;
    assert_eq!(bed.unwritten(), Duration::ZERO);
    bed.count().await;
    assert!(bed.unwritten() > Duration::ZERO, "an account has counted");
    bed.writer.write().await;
    assert_eq!(bed.unwritten(), Duration::ZERO);
    bed.clock.advance(DAY);
    assert_eq!(bed.unwritten(), Duration::ZERO, "what is written does not age");
}

#[tokio::test(start_paused = true)]
async fn what_comes_while_the_store_is_slow_is_merged_and_written_after_it() {
    let mut bed = Bed::before(&[]).await;
    assert_eq!(bed.count().await, Some(9));
    bed.store.set(Mode::Hangs);
    {
        let front = std::rc::Rc::clone(&bed.front);
        let (clock, entry) = (bed.clock.clone(), bed.cached("k").unwrap().unwrap());
        let meanwhile = async {
            for left in (0..9).rev() {
                tokio::time::sleep(PERIOD / 2).await;
                clock.advance(Duration::from_secs(1));
                assert!(front.cached(&digest("k"), clock.tick(), clock.now()).unwrap().is_ok());
                assert_eq!(count(&front, &clock, &entry), Some(left));
                front.flush();
            }
        };
        tokio::join!(bed.writer.write(), meanwhile);
    }
    assert_eq!(bed.writer.lists(), 0, "lists are taken while the store is waited for");
    bed.store.set(Mode::Answers);
    bed.writer.write().await;
    assert_eq!((bed.used(), bed.store.notes()), (vec![(today(), 10)], vec![(1, 1)]));
    assert_eq!(bed.store.uses(), [("k".to_owned(), NOON.after(Duration::from_secs(9)))]);
}

#[tokio::test(start_paused = true)]
async fn what_the_store_is_being_told_is_not_written_yet() {
    let mut bed = Bed::before(&[]).await;
    bed.count().await;
    bed.write().await;
    // In the same second: no use is on its way.
    bed.count().await;
    bed.store.set(Mode::Hangs);
    let authenticator = std::sync::Arc::clone(&bed.authenticator);
    let meanwhile = async {
        tokio::time::sleep(PERIOD).await;
        assert!(authenticator.stats().unwritten > Duration::ZERO);
    };
    tokio::join!(bed.writer.write(), meanwhile);
}

/// The writer as it runs, at the moment at which it has just written.
async fn running(bed: &mut Bed) -> (CancellationToken, tokio::task::JoinHandle<()>) {
    let mut other = Bed::silent(&terms());
    std::mem::swap(&mut other.writer, &mut bed.writer);
    let stop = CancellationToken::new();
    let task = tokio::spawn(other.writer.run(stop.clone()));
    tokio::time::sleep(PERIOD / 10).await;
    (stop, task)
}

#[tokio::test(start_paused = true)]
async fn it_is_written_every_period_and_in_the_end() {
    let mut bed = Bed::before(&[]).await;
    let (stop, task) = running(&mut bed).await;
    bed.count().await;
    tokio::time::sleep(PERIOD).await;
    assert_eq!(bed.used(), [(today(), 1)]);
    bed.count().await;
    tokio::task::yield_now().await;
    assert_eq!(bed.used(), [(today(), 1)], "it was written before its time");
    bed.front.flush();
    stop.cancel();
    task.await.unwrap();
    assert_eq!(bed.used(), [(today(), 2)]);
}
