//! When a key was last used is written down at a graceful stop, and shown by the commands.

use keyward::clock::{Clock, Timestamp};

use super::Bed;

#[tokio::test]
async fn a_graceful_stop_writes_down_when_keys_were_last_used() {
    let bed = Bed::new().await;
    let ((used, key), (unused, _)) = (bed.key(), bed.key());
    let serving = bed.home.serve().await;
    let before = Clock::system().now();
    assert_eq!(bed.client(&key).get("/").await.status, 200);
    let (status, said) = serving.stop().await;
    assert!(status.success(), "{said}");

    let told = bed.home.run(&["keys", "show", &used, "--json"]).json();
    let at = told["last_used_at"].as_str().unwrap_or_else(|| panic!("{told}")).to_owned();
    // Whole seconds are written.
    let first = Timestamp(before.millis() / 1000 * 1000);
    assert!((first..=Clock::system().now()).contains(&Timestamp::parse(&at).unwrap()), "{at}");
    assert!(bed.home.run(&["keys", "show", &unused, "--json"]).json()["last_used_at"].is_null());
    let shown = |id: &str| bed.home.run(&["keys", "show", id]).exited(0);
    assert!(shown(&used).contains(&format!("\nlast used  {at}\n")), "{}", shown(&used));
    assert!(shown(&unused).contains("\nlast used  not yet\n"), "{}", shown(&unused));
    let list = bed.home.run(&["keys", "list"]).exited(0);
    let row = |id: &str| list.lines().find(|line| line.starts_with(id)).unwrap();
    assert!(list.lines().next().unwrap().contains("EXPIRES               LAST USED"), "{list}");
    assert!(row(&used).contains(&at) && row(&unused).contains("  not yet  "), "{list}");
}

#[tokio::test]
async fn explaining_uses_nothing() {
    let bed = Bed::new().await;
    let (id, key) = bed.key();
    let words = ["explain", "--url", "http://api.example.com/", "--json"];
    assert_eq!(bed.home.run_with_input(&words, &key).json()["credential"], id.as_str());
    assert!(bed.home.run(&["keys", "show", &id, "--json"]).json()["last_used_at"].is_null());
}
