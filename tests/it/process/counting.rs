//! What accounts have used of a day, and when keys were last used, outlives the process.

use keyward::auth::refusal::Code;
use keyward::clock::{Clock, Timestamp};

use super::clock::{jump, under_the_library};
use super::outage::allow_file_size;
use super::{Bed, EMAIL};
use crate::support::http::Client;
use crate::support::upstream::Upstream;
use crate::support::{chaos, within};

const UNWRITTEN: &str = "keyward_usage_unwritten_seconds";

/// Five requests a day.
async fn bed() -> Bed {
    Bed::before(Upstream::echo().await, "limits: { account: { per_day: 5 } }\n")
}

impl Bed {
    async fn until_all_is_written(&self) {
        within("all to be written", async { while self.metrics().await.get(UNWRITTEN) > 0.0 {} }).await;
    }

    /// When a key was last used, by the command.
    fn last_use(&self, id: &str) -> Option<Timestamp> {
        let told = self.home.run(&["keys", "show", id, "--json"]).json();
        told["last_used_at"].as_str().map(|at| Timestamp::parse(at).unwrap())
    }
}

/// What `RateLimit` says is left, of a request that passes.
async fn left(client: &mut Client) -> String {
    let answer = client.get("/").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let told = answer.header("ratelimit").unwrap();
    told.split_once(";t=").unwrap().0.to_owned()
}

fn day(left: u32) -> String {
    format!("\"day\";r={left}")
}

#[tokio::test]
async fn after_a_kill_exactly_the_rest_of_the_day_is_let_through() {
    let bed = bed().await;
    let [(one, first), (other, second)] = [bed.key(), bed.key()];
    let serving = bed.home.serve().await;
    let before = Timestamp(Clock::system().now().millis() / 1000 * 1000);
    assert_eq!(left(&mut bed.client(&first)).await, day(4));
    assert_eq!(left(&mut bed.client(&second)).await, day(3));
    assert_eq!(left(&mut bed.client(&second)).await, day(2));
    bed.until_all_is_written().await;
    serving.kill();
    let after = Clock::system().now();
    for id in [&one, &other] {
        let at = bed.last_use(id).expect("a last use");
        assert!((before..=after).contains(&at), "{at}");
    }

    let serving = bed.home.serve().await;
    assert_eq!(left(&mut bed.client(&first)).await, day(1));
    bed.until_all_is_written().await;
    serving.kill();
    let _serving = bed.home.serve().await;
    assert_eq!(left(&mut bed.client(&second)).await, day(0));
    let refused = bed.client(&first).get("/").await;
    refused.refused(Code::QuotaExceeded);
    assert!(refused.header("ratelimit").unwrap().starts_with(&day(0)), "{refused:?}");
    // A command beside it tells which limits there are; what is used of them only the server knows.
    bed.until_all_is_written().await;
    bed.home.run_with_input(&["explain", "--url", "http://api.example.com/"], &first).exited(0);
}

#[tokio::test]
async fn a_route_with_limits_of_its_own_keeps_its_count_over_a_kill() {
    let upstream = Upstream::echo().await;
    let narrow = "  - { name: narrow, match: { path: /narrow }, upstream: api, limits: { per_day: 2 } }\n";
    let home = crate::support::binary::Home::new(&format!(
        "upstreams: [{{ name: api, endpoints: [{{ url: \"{}\" }}] }}]\nlimits: {{ account: {{ per_day: 9 }} }}\nroutes:\n\
         {narrow}  - {{ name: all, match: {{ path_prefix: / }}, upstream: api }}\n",
        upstream.url()
    ));
    home.account(EMAIL);
    let bed = Bed { home, upstream };
    let (_, key) = bed.key();
    for (left, status) in [("\"day\";r=8", 200), ("\"day\";r=7", 200), ("\"day\";r=7", 429)] {
        let serving = bed.home.serve().await;
        let answer = bed.client(&key).get("/narrow").await;
        assert_eq!(answer.status, status, "{}", answer.text());
        assert!(answer.header("ratelimit").unwrap().starts_with(left), "{answer:?}");
        bed.until_all_is_written().await;
        serving.kill();
    }
}

#[tokio::test]
async fn a_graceful_stop_writes_down_what_was_counted_last() {
    let bed = bed().await;
    let (_, key) = bed.key();
    for rest in (0..5).rev() {
        let serving = bed.home.serve().await;
        assert_eq!(left(&mut bed.client(&key)).await, day(rest));
        let (status, said) = serving.stop().await;
        assert!(status.success() && !said.contains("written down"), "{said}");
    }
    let _serving = bed.home.serve().await;
    bed.client(&key).get("/").await.refused(Code::QuotaExceeded);
}

#[tokio::test]
async fn on_a_full_disk_counting_goes_on_and_is_written_down_when_there_is_room() {
    let bed = bed().await;
    let (id, key) = bed.key();
    let serving = bed.home.serve_as(bed.home.command_with_little_space("unlimited", &["serve"])).await;
    let mut client = bed.client(&key);
    assert_eq!(left(&mut client).await, day(4));
    bed.until_all_is_written().await;
    let first = bed.last_use(&id);

    allow_file_size(&serving, "0");
    assert_eq!(left(&mut client).await, day(3));
    serving.until_output("what is used cannot be written down; counting goes on in memory").await;
    for rest in (0..3).rev() {
        assert_eq!(left(&mut client).await, day(rest));
    }
    client.get("/").await.refused(Code::QuotaExceeded);
    // Until it was tried again with all of it, which happens more than once in so long a time.
    let before = bed.metrics().await.get(UNWRITTEN);
    assert!(before > 0.0);
    within("what is not written to age", async {
        while bed.metrics().await.get(UNWRITTEN) < before + 2.0 {}
    })
    .await;
    bed.until_ready_is(200, "ready").await;

    allow_file_size(&serving, "unlimited");
    bed.until_all_is_written().await;
    serving.until_output("what is used is written down again").await;
    let told = serving.kill();
    for line in ["what is used cannot be written down", "what is used is written down again"] {
        assert_eq!(told.matches(line).count(), 1, "{told}");
    }
    assert!(bed.last_use(&id) >= first);
    let _serving = bed.home.serve().await;
    bed.client(&key).get("/").await.refused(Code::QuotaExceeded);
}

#[tokio::test]
async fn a_day_that_was_used_up_under_a_clock_that_was_wrong_is_forgotten_at_the_next_start() {
    let bed = bed().await;
    let (_, key) = bed.key();
    let command = under_the_library(&bed, bed.home.command(&["serve"]));
    jump(&bed, "+2d");
    let serving = bed.home.serve_as(command).await;
    let mut client = bed.client(&key);
    for rest in (0..5).rev() {
        assert_eq!(left(&mut client).await, day(rest));
    }
    bed.until_all_is_written().await;
    serving.kill();

    let serving = bed.home.serve().await;
    assert_eq!(left(&mut bed.client(&key)).await, day(4));
    bed.until_all_is_written().await;
    serving.kill();
    let _serving = bed.home.serve().await;
    assert_eq!(left(&mut bed.client(&key)).await, day(3));
}

/// However it is killed: nothing that was written is lost, and nothing is counted that was not.
#[tokio::test]
async fn a_kill_at_any_moment_loses_no_more_than_was_not_written_yet() {
    const QUOTA: u64 = 1_000_000;
    let limits = format!("limits: {{ account: {{ per_day: {QUOTA} }} }}\n");
    let bed = Bed::before(Upstream::echo().await, &limits);
    let (_, key) = bed.key();
    let (mut known, mut lost) = (0, 0);
    for round in 0..chaos::rounds(6) {
        let serving = bed.home.serve().await;
        let mut client = bed.client(&key);
        let first = used(&mut client, QUOTA).await;
        assert!(first > known, "{known} were written, and {} are known", first - 1);
        let mut counted = first;
        if round % 2 == 0 {
            bed.until_all_is_written().await;
            known = counted;
        }
        let killed = tokio::time::sleep(chaos::moment(0..1_500_000));
        let mut killed = std::pin::pin!(killed);
        while futures_util::poll!(killed.as_mut()).is_pending() {
            let next = used(&mut client, QUOTA).await;
            assert_eq!(next, counted + 1);
            counted = next;
        }
        serving.kill();
        let serving = bed.home.serve().await;
        let again = used(&mut bed.client(&key), QUOTA).await;
        assert!((known + 1..=counted + 1).contains(&again), "{known} <= {again} - 1 <= {counted}");
        lost += counted + 1 - again;
        bed.until_all_is_written().await;
        known = again;
        serving.kill();
    }
    println!(
        "kill -9 while counting: {known} requests are known in the end, {lost} that were not written yet are not"
    );
}

/// How many were used, with this one.
async fn used(client: &mut Client, quota: u64) -> u64 {
    let left = left(client).await;
    quota - left.strip_prefix("\"day\";r=").unwrap().parse::<u64>().unwrap()
}
