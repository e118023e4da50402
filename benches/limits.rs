//! What counting a request costs, what workers cost each other by it, and what memory an account takes.
//!
//! `cargo bench --bench limits`

use std::hint::black_box;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use keyward::clock::{Tick, Timestamp};
use keyward::limits::{Account, Asked, Moment, Rates, Table, Verdict};

/// The one that Keyward has.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const ACCOUNTS: u32 = 1_000_000;
/// Of each thread in each turn.
const REQUESTS: u64 = 2_000_000;
const TURNS: usize = 7;
/// Never used up.
const MANY: u64 = 1_000_000_000_000;

fn rates(smooth: Option<u64>) -> Rates {
    Rates { per_minute: Some(MANY), smooth, per_day: Some(MANY), in_flight: None }
}

/// A request a microsecond.
fn moment(table: &Table, number: u64) -> Moment {
    table.moment(Tick(1 + number), Timestamp(1_800_000_000_000))
}

fn passes(table: &Table, account: &Arc<Account>, asked: &Asked<'_>, now: Moment) -> bool {
    let (verdict, held) = black_box(account.admit(black_box(asked), now, table.changed()));
    matches!(verdict, Verdict::Passes(_)) && held.is_none()
}

fn one_request(criterion: &mut Criterion) {
    let (window, pace) = (rates(None), Rates { per_minute: Some(60_000_000), ..rates(Some(1000)) });
    let at_once = Rates { in_flight: Some(1000), ..rates(None) };
    let name: Arc<str> = "orders".into();
    let asked = |account| Asked { cost: 1, account, key: None, route: None };
    let mut group = criterion.benchmark_group("count a request");
    for (limits, asked) in [
        ("minute and day", asked(&window)),
        ("an even pace and day", asked(&pace)),
        ("minute and day, of a route besides", Asked { route: Some((&name, &window)), ..asked(&window) }),
    ] {
        let table = Table::default();
        let account = table.account(1);
        let mut numbers = 0..;
        group.bench_function(limits, |bencher| {
            bencher.iter(|| {
                assert!(passes(&table, &account, &asked, moment(&table, numbers.next().unwrap_or(0))));
            });
        });
    }
    let table = Table::default();
    let account = table.account(1);
    group.bench_function("minute, day and at once, with its end", |bencher| {
        bencher.iter(|| {
            account.admit(black_box(&asked(&at_once)), moment(&table, 0), table.changed()).1.is_some()
        });
    });
}

/// How long so many threads take for their requests, each on an account of its own, on one route.
fn took(threads: u32) -> Duration {
    let (table, rates, name) = (Table::default(), rates(None), Arc::<str>::from("orders"));
    let start = Barrier::new(threads as usize + 1);
    let work = |id: u32| {
        let account = table.account(id.into());
        let asked = Asked { cost: 1, account: &rates, key: None, route: Some((&name, &rates)) };
        start.wait();
        (0..REQUESTS).all(|number| passes(&table, &account, &asked, moment(&table, number)))
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|id| scope.spawn(move || work(id))).collect();
        start.wait();
        #[expect(clippy::disallowed_methods, reason = "nothing is judged by it")]
        let from = Instant::now();
        assert!(workers.into_iter().all(|worker| worker.join().is_ok_and(|all| all)));
        from.elapsed()
    })
}

#[expect(clippy::print_stdout, reason = "it is what was asked for")]
fn two_threads(_: &mut Criterion) {
    let ratio = |_| 2.0 * took(1).as_secs_f64() / took(2).as_secs_f64();
    let mut ratios: Vec<f64> = (0..TURNS).map(ratio).collect();
    ratios.sort_by(f64::total_cmp);
    let median = ratios.get(TURNS / 2).copied().unwrap_or_default();
    println!("two threads on two accounts do {median:.2} times as much as one");
}

/// What the process holds in memory.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
}

#[expect(clippy::print_stdout, reason = "it is what was asked for")]
fn memory(_: &mut Criterion) {
    let (table, rates) = (Table::default(), rates(None));
    let asked = Asked { cost: 1, account: &rates, key: None, route: None };
    let Some(before) = resident() else { return };
    for id in 0..ACCOUNTS {
        let account = table.account(id.into());
        assert!(passes(&table, &account, &asked, moment(&table, 0)));
    }
    // As they are written down every second.
    drop(table.take_changed());
    let Some(after) = resident() else { return };
    let grown = after.saturating_sub(before);
    println!(
        "{} accounts: {} MB, {} bytes each",
        table.len(),
        grown / 1_000_000,
        grown / u64::from(ACCOUNTS)
    );
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
    targets = memory, two_threads, one_request
}
criterion_main!(benches);
