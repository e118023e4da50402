//! Revocations against hits and look-ups on other threads, as fast as they go.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::bed::{NEVER, START, digest, rules, terms};
use super::store::Script;
use crate::auth::token::HashedToken;
use crate::authenticator::lookup::Lookup;
use crate::authenticator::{Authenticator, Counting, Front, Question};
use crate::clock::Clock;
use crate::store::ChangeSink;

const ROUNDS: usize = 10_000;
const HITTERS: usize = 2;

/// Where the race stands: round r's key is good once `made` is r, and revoked once `revoked` is r.
#[derive(Default)]
struct Race {
    made: AtomicUsize,
    revoked: AtomicUsize,
    hits: AtomicUsize,
}

fn token(round: usize) -> HashedToken {
    digest(&round.to_string())
}

fn hit(front: &Front, clock: &Clock, race: &Race) {
    while race.revoked.load(Ordering::Acquire) < ROUNDS {
        let round = race.made.load(Ordering::Acquire);
        let over = race.revoked.load(Ordering::Acquire) >= round;
        let verdict = front.cached(&token(round), clock.tick(), clock.now());
        if matches!(verdict, Some(Ok(_))) {
            assert!(!over, "round {round} was served after its revocation was answered");
            race.hits.store(round, Ordering::Release);
        } else {
            // Nothing to race against until the look-up thread has run.
            std::thread::yield_now();
        }
    }
}

/// Looks the current key up again and again: what it read before a revocation must not come back after.
fn look_up(lookup: &Lookup, race: &Race) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        while race.revoked.load(Ordering::Acquire) < ROUNDS {
            let _ = lookup.run(Question::key(token(race.made.load(Ordering::Acquire)))).await;
            std::thread::yield_now();
        }
    });
}

fn revoke(authenticator: &Authenticator, store: &Script, race: &Race) {
    for round in 1..=ROUNDS {
        let id = round.to_string();
        authenticator.changed(&store.put_key(token(round), &id, "a", NEVER));
        race.made.store(round, Ordering::Release);
        // Most rounds are raced for; none is waited for without end on a busy machine.
        let mut patience = 0..20;
        while race.hits.load(Ordering::Acquire) < round && patience.next().is_some() {
            std::thread::yield_now();
        }
        let change = store.revoke(&id);
        authenticator.changed(&change);
        race.revoked.store(round, Ordering::Release);
    }
}

#[test]
fn no_hit_that_starts_after_a_revocation_was_answered_is_served() {
    let store = Arc::new(Script::default());
    let clock = Clock::manual(START);
    let (authenticator, _loader, _feed, _uses) =
        Authenticator::assemble(store.clone(), clock.clone(), &terms(), rules("orders:read"), Counting::Kept);
    authenticator.shared.contact.confirmed(clock.tick());
    store.put_account("a", None);
    let race = Race::default();
    std::thread::scope(|scope| {
        for _ in 0..HITTERS {
            scope.spawn(|| hit(&authenticator.front(), &clock, &race));
        }
        let lookup = Lookup::new(store.clone(), Arc::clone(&authenticator.shared));
        let race = &race;
        scope.spawn(move || look_up(&lookup, race));
        revoke(&authenticator, &store, race);
    });
    assert!(race.hits.load(Ordering::Acquire) > 0, "nothing was raced for");
}
