//! A disk that takes no more: a child of this binary meets the limit on the size of files that its shell has set.

use std::path::Path;
use std::process::Command;

use keyward::store::sqlite::{Open, OpenError, effective_user};
use keyward::store::{Seq, Store, StoreError};

use super::{Place, opening, refused, sample};

const CHILD_PLACE: &str = "KEYWARD_TEST_FULL_PLACE";
/// Of 512 bytes each: enough for the schema, too little for many keys.
const LIMIT: &str = "400";

#[tokio::test]
async fn a_full_disk_loses_nothing_and_halves_nothing() {
    let place = Place::filled(0).await;
    // The signal ignored, writing fails as it does when no space is left.
    let script = format!("trap '' XFSZ; ulimit -f {LIMIT}; exec \"$0\" \"$@\"");
    let child = Command::new("sh")
        .args(["-c", &script])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "store::disk::filler", "--ignored", "--nocapture"])
        .env(CHILD_PLACE, place.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout).into_owned() + &String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success() && said.contains("1 passed"), "{said}");
    let acknowledged = said.lines().find_map(|line| line.strip_prefix("acknowledged ")).expect("a count");
    let acknowledged: usize = acknowledged.parse().unwrap();
    assert!(acknowledged > 0, "{said}");

    let store = place.open().await;
    store.verify().await.unwrap();
    let keys = store.keys(None, None, 100_000).await.unwrap().items;
    assert_eq!(keys.len(), acknowledged);
    assert_eq!(store.latest().await.unwrap(), Seq(i64::try_from(acknowledged).unwrap() + 1));
    sample::create_key(&store, "now there is space", "account-001").await;
}

#[test]
#[ignore = "the child of a_full_disk_loses_nothing_and_halves_nothing"]
fn filler() {
    fill(Path::new(&std::env::var(CHILD_PLACE).unwrap()));
}

#[tokio::main(flavor = "current_thread")]
async fn fill(path: &Path) {
    let store = opening(path, Open::Existing).open().await.unwrap();
    let (mut acknowledged, mut refused_in_a_row) = (0, 0);
    // The first refusals may make room: they fold the journal into the database.
    while refused_in_a_row < 5 {
        assert!(acknowledged < 10_000, "the disk never gets full");
        let key = sample::key(&format!("{acknowledged}"), "account-001");
        match store.create_key(&key, &sample::origin()).await {
            Ok(_) => (acknowledged, refused_in_a_row) = (acknowledged + 1, 0),
            Err(StoreError::Unavailable(_)) => refused_in_a_row += 1,
            Err(other) => panic!("{other:?}"),
        }
        assert!(store.find_key(sample::digest("0")).await.unwrap().key.is_some() || acknowledged == 0);
    }
    println!("\nacknowledged {acknowledged}");
}

/// Runs a child test of this module where it may mount file systems; where nobody may, it proves nothing.
fn with_mounts(child: &str, directory: &Path) {
    let mount = if effective_user() == Some(0) { "-m" } else { "-rm" };
    if !run("unshare", &[mount, "true"]) {
        return;
    }
    let child = Command::new("unshare")
        .arg(mount)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", child, "--ignored", "--nocapture"])
        .env(CHILD_PLACE, directory)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout).into_owned() + &String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success() && said.contains("1 passed"), "{said}");
}

/// A disk of every size from too little for anything to enough, in a file system of its own: it fills under the journal
/// at first, then under the database that the journal is folded into.
#[test]
fn a_disk_that_fills_while_a_store_is_made_leaves_none_behind() {
    with_mounts("store::disk::maker", Place::new().directory.path());
}

#[test]
fn a_store_on_a_file_system_that_is_read_only_is_told_as_that() {
    with_mounts("store::disk::reader", Place::new().directory.path());
}

#[test]
#[ignore = "the child of a_store_on_a_file_system_that_is_read_only_is_told_as_that"]
fn reader() {
    read_only(Path::new(&std::env::var(CHILD_PLACE).unwrap()));
}

#[tokio::main(flavor = "current_thread")]
async fn read_only(directory: &Path) {
    let (path, at) = (directory.join("keyward.db"), directory.to_str().unwrap());
    assert!(run("mount", &["-t", "tmpfs", "tmpfs", at]));
    let store = opening(&path, Open::Create).open().await.unwrap();
    sample::fill(&store, 1).await;
    store.close().await;
    assert!(run("mount", &["-o", "remount,ro", at]));
    for open in [Open::Existing, Open::Create] {
        let error = refused(opening(&path, open)).await;
        assert!(matches!(error, OpenError::DirectoryNotWritable { .. }), "{error}");
        assert!(error.hint().contains("the file system mounted for writing"), "{}", error.hint());
    }
}

#[test]
#[ignore = "the child of a_disk_that_fills_while_a_store_is_made_leaves_none_behind"]
fn maker() {
    make(Path::new(&std::env::var(CHILD_PLACE).unwrap()));
}

#[tokio::main(flavor = "current_thread")]
async fn make(directory: &Path) {
    let path = directory.join("keyward.db");
    let (mut refused, mut made) = (0, 0);
    for pages in 1..=120 {
        let size = format!("size={}k", pages * 4);
        assert!(run("mount", &["-t", "tmpfs", "-o", &size, "tmpfs", directory.to_str().unwrap()]));
        match opening(&path, Open::Create).open().await {
            Err(error) => {
                assert!(!path.exists(), "half a store is left on {pages} pages: {error}");
                refused += 1;
            }
            Ok(store) => {
                store.verify().await.unwrap();
                store.close().await;
                made += 1;
            }
        }
        assert!(run("umount", &["-l", directory.to_str().unwrap()]));
    }
    assert!(refused > 10 && made > 10, "{refused} were refused, {made} made");
}

fn run(program: &str, words: &[&str]) -> bool {
    Command::new(program).args(words).status().is_ok_and(|status| status.success())
}
