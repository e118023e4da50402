//! How much a credential may: what is said of its account alone, of its plan, of all; and of the key itself.

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::bed::{Bed, NEVER, digest, rules, terms};
use crate::authenticator::{Rules, Valid};
use crate::config;
use crate::limits::{Overrides, Rates};
use crate::store::Store as _;

const LIMITS: &str = "{ account: { per_minute: 10, in_flight: 4 }, plans: { pro: { per_minute: 20, smooth: { burst: 2 }, per_day: 30 } } }";

fn limited(yaml: &str) -> Rules {
    let loaded = config::parse(&format!("limits: {yaml}"), "test", Path::new("/"), &|_| None).unwrap();
    Rules { plans: loaded.config.limits.plans, ..rules("orders:read") }
}

/// Account `a` has the keys `k` and `l`, account `b` the key `m`.
async fn bed() -> Bed {
    let bed = Bed::new().await;
    bed.store.put_account("b", None);
    for (key, account) in [("l", "a"), ("m", "b")] {
        bed.store.put_key(digest(key), key, account, NEVER);
    }
    bed.authenticator.reload(&terms(), limited(LIMITS));
    bed
}

async fn valid(bed: &Bed, key: &str) -> Arc<Valid> {
    bed.judge(key).await.expect("it is good")
}

/// What one says, or the next of them.
fn first<T: Copy>(said: &[Option<T>]) -> Option<T> {
    said.iter().find_map(|said| *said)
}

fn any_limits() -> impl Strategy<Value = Overrides> {
    let some = || prop::option::of(0..4_u64);
    (some(), prop::option::of(1..4_u64), some(), prop::option::of(0..4_u32)).prop_map(
        |(per_minute, smooth, per_day, in_flight)| Overrides { per_minute, smooth, per_day, in_flight },
    )
}

proptest! {
    #[test]
    fn an_account_comes_before_its_plan_and_its_plan_before_the_rest(own in any_limits(), has_plan: bool) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let rates = runtime.block_on(async {
            let bed = bed().await;
            bed.changed(&bed.store.allow("a", has_plan.then_some("pro"), own.clone()));
            Arc::clone(&valid(&bed, "k").await.meter().rates)
        });
        let (minute, burst, day) = if has_plan { (20, Some(2), Some(30)) } else { (10, None, None) };
        let above = |number: &u64| *number > 0;
        let per_minute = first(&[own.per_minute, Some(minute)]).filter(above);
        let pace = if own.per_minute.is_some() { own.smooth } else { first(&[own.smooth, burst]) };
        prop_assert_eq!(rates.per_minute, per_minute);
        prop_assert_eq!(rates.smooth, pace.filter(|_| per_minute.is_some()));
        prop_assert_eq!(rates.per_day, first(&[own.per_day, day]).filter(above));
        prop_assert_eq!(rates.in_flight, first(&[own.in_flight, Some(4)]).filter(|most| *most > 0));
    }
}

#[tokio::test]
async fn accounts_of_which_nothing_is_said_share_what_their_plan_says() {
    let bed = bed().await;
    let one = valid(&bed, "k").await;
    assert!(Arc::ptr_eq(&one.meter().rates, &valid(&bed, "m").await.meter().rates));
    assert!(one.meter().key.is_none());
    let own = Overrides { per_day: Some(9), ..Overrides::default() };
    bed.changed(&bed.store.allow("a", None, own));
    let alone = valid(&bed, "k").await;
    assert!(!Arc::ptr_eq(&alone.meter().rates, &valid(&bed, "m").await.meter().rates));
    // What counts is the same.
    assert!(Arc::ptr_eq(&one.meter().account, &alone.meter().account));
}

#[tokio::test]
async fn who_only_looks_makes_nobody_begin_to_count() {
    let bed = bed().await;
    let (_, account) = bed.store.find_key(digest("k")).await.unwrap().key.unwrap();
    let standing = bed.authenticator.standing(&account, None).unwrap();
    assert_eq!(standing.rows().map(|(_, standing)| standing.left).collect::<Vec<_>>(), [10, 4]);
    assert!(bed.front.accounts().is_empty());
}

#[tokio::test]
async fn a_keys_own_limits_are_its_alone_and_need_none_of_its_account() {
    let bed = bed().await;
    bed.authenticator.reload(&terms(), limited("{}"));
    assert!(valid(&bed, "k").await.meter().asked(1, None).is_none());
    let own = Overrides { per_minute: Some(5), smooth: Some(2), per_day: Some(0), ..Overrides::default() };
    bed.changed(&bed.store.limit_key("k", own));
    let entry = valid(&bed, "k").await;
    let asked = entry.meter().asked(3, None).unwrap();
    let (id, rates) = asked.key.unwrap();
    assert_eq!((&**id, asked.cost, asked.account.is_empty()), ("k", 3, true));
    let expected = Rates { per_minute: Some(5), smooth: Some(2), ..Rates::default() };
    assert_eq!(*rates, expected);
    assert!(valid(&bed, "l").await.meter().key.is_none());
    // What limits nothing is not asked for.
    let nothing = Overrides { per_minute: Some(0), smooth: Some(2), ..Overrides::default() };
    bed.changed(&bed.store.limit_key("k", nothing));
    assert!(valid(&bed, "k").await.meter().asked(1, None).is_none());
}
