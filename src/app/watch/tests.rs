use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

fn in_force(content: &[u8]) -> InForce {
    let in_force = InForce::default();
    in_force.record(content);
    in_force
}

/// A folder, a file in it, and what a watcher of that file has seen.
struct Bench {
    folder: tempfile::TempDir,
    path: PathBuf,
    in_force: InForce,
    watch: Watch,
}

impl Bench {
    /// A watcher that has settled on the content `one`.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keyward.yaml");
        fs::write(&path, "one").unwrap();
        let mut bench = Self { folder, path, in_force: in_force(b"one"), watch: Watch::new(None) };
        assert_eq!(bench.looks(3), [false, false, false]);
        bench
    }

    fn looks(&mut self, count: usize) -> Vec<bool> {
        self.finds(count).into_iter().map(|found| found == Some(Found::New)).collect()
    }

    fn finds(&mut self, count: usize) -> Vec<Option<Found>> {
        (0..count).map(|_| step(&mut self.watch, &self.path, &self.in_force)).collect()
    }
}

#[test]
fn an_edit_in_place_is_new_once_it_has_stood_still() {
    let mut bench = Bench::new();
    fs::write(&bench.path, "two").unwrap();
    assert_eq!(bench.looks(4), [false, true, false, false]);
}

#[test]
fn a_file_renamed_over_it_is_new() {
    let mut bench = Bench::new();
    let other = bench.folder.path().join("other");
    fs::write(&other, "two").unwrap();
    fs::rename(&other, &bench.path).unwrap();
    assert_eq!(bench.looks(3), [false, true, false]);
}

#[test]
fn a_swap_of_the_folder_behind_a_link_is_new() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for (version, content) in [("..1", "one"), ("..2", "two")] {
        fs::create_dir(at(version)).unwrap();
        fs::write(at(version).join("keyward.yaml"), content).unwrap();
    }
    symlink("..1", at("..data")).unwrap();
    symlink("..data/keyward.yaml", at("keyward.yaml")).unwrap();
    let (path, in_force) = (at("keyward.yaml"), in_force(b"one"));
    let mut bench = Bench { folder, path, in_force, watch: Watch::new(None) };
    assert_eq!(bench.looks(3), [false, false, false]);
    let at = |name: &str| bench.folder.path().join(name);
    symlink("..2", at("..tmp")).unwrap();
    fs::rename(at("..tmp"), at("..data")).unwrap();
    assert_eq!(bench.looks(3), [false, true, false]);
}

#[test]
fn a_file_that_vanishes_stays_in_force_and_is_judged_when_it_returns() {
    let mut bench = Bench::new();
    fs::remove_file(&bench.path).unwrap();
    assert_eq!(bench.looks(3), [false, false, false]);
    fs::write(&bench.path, "one").unwrap();
    assert_eq!(bench.looks(3), [false, false, false], "the same content is nothing new");
    fs::remove_file(&bench.path).unwrap();
    assert_eq!(bench.looks(1), [false]);
    fs::write(&bench.path, "two").unwrap();
    assert_eq!(bench.looks(3), [false, true, false]);
}

#[test]
fn that_it_is_gone_is_told_once_and_that_it_is_back_too() {
    let mut bench = Bench::new();
    let away = bench.folder.path().join("away");
    for _ in 0..2 {
        fs::rename(&bench.path, &away).unwrap();
        assert_eq!(bench.finds(4), [None, Some(Found::Nothing), None, None]);
        fs::rename(&away, &bench.path).unwrap();
        assert_eq!(bench.finds(3), [None, Some(Found::InForce), None]);
    }
    fs::rename(&bench.path, &away).unwrap();
    assert_eq!(bench.finds(1), [None], "a gap is no end");
}

#[test]
fn a_file_that_is_being_written_is_left_alone() {
    let mut bench = Bench::new();
    for length in 4..10 {
        fs::write(&bench.path, "x".repeat(length)).unwrap();
        assert_eq!(bench.looks(1), [false]);
    }
    assert_eq!(bench.looks(2), [true, false]);
}

#[test]
fn a_touch_is_nothing_new_but_tries_a_refused_content_again() {
    let mut bench = Bench::new();
    let touch = |path: &Path| {
        let content = fs::read(path).unwrap();
        fs::remove_file(path).unwrap();
        fs::write(path, content).unwrap();
    };
    touch(&bench.path);
    assert_eq!(bench.looks(3), [false, false, false]);
    fs::write(&bench.path, "refused").unwrap();
    assert_eq!(bench.looks(3), [false, true, false]);
    touch(&bench.path);
    assert_eq!(bench.looks(3), [false, true, false]);
    fs::write(&bench.path, "one").unwrap();
    assert_eq!(bench.looks(3), [false, false, false], "what is in force needs no loading");
}

#[test]
fn what_another_reload_recorded_is_nothing_new() {
    let mut bench = Bench::new();
    fs::write(&bench.path, "two").unwrap();
    bench.in_force.record(b"two");
    assert_eq!(bench.looks(3), [false, false, false]);
}

#[test]
fn a_folder_in_its_place_is_no_file() {
    let mut bench = Bench::new();
    fs::remove_file(&bench.path).unwrap();
    fs::create_dir(&bench.path).unwrap();
    assert_eq!(bench.looks(3), [false, false, false]);
}

#[tokio::test(start_paused = true)]
async fn the_loop_calls_once_for_each_change_and_ends_when_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keyward.yaml");
    // It changed between the first load and the start of the watch.
    fs::write(&path, "two").unwrap();
    let (stop, calls) = (CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
    let task = {
        let (calls, stop, path) = (Arc::clone(&calls), stop.clone(), path.clone());
        let in_force = in_force(b"one");
        tokio::spawn(async move {
            let record = in_force.clone();
            watch(path.clone(), in_force, stop, |_| {
                calls.fetch_add(1, Ordering::SeqCst);
                record.record(&fs::read(&path).unwrap());
                std::future::ready(())
            })
            .await;
        })
    };
    for expected in 1..=2 {
        tokio::time::timeout(INTERVAL * 1000, async {
            while calls.load(Ordering::SeqCst) < expected {
                tokio::time::sleep(INTERVAL).await;
            }
        })
        .await
        .unwrap();
        fs::write(&path, format!("version {expected}")).unwrap();
    }
    stop.cancel();
    task.await.unwrap();
    assert!(calls.load(Ordering::SeqCst) <= 3);
}
