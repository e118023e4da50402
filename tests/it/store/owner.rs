//! Whose files a store's are. What only an unprivileged user can meet runs in a child of this binary under another user
//! id when the tests run as root, and right here otherwise.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use keyward::store::sqlite::{Open, OpenError, effective_user};

use super::{Place, opening, refused, sample};

const ROOT: u32 = 0;
/// `nobody`.
const OTHER: u32 = 65_534;
const CHILD_PLACE: &str = "KEYWARD_TEST_UNPRIVILEGED_PLACE";

#[tokio::test]
async fn another_users_store_is_refused_before_anything_is_touched() {
    let place = Place::filled(1).await;
    let me = effective_user().unwrap();
    let before = fs::read(place.path()).unwrap();
    for open in [Open::Existing, Open::Create] {
        let error = refused(place.opening(open).user(me + 1)).await;
        let named =
            matches!(error, OpenError::OtherOwner { owner, user, .. } if (owner, user) == (me, me + 1));
        assert!(named, "{error}");
    }
    assert_eq!(place.files(), ["keyward.db"]);
    assert_eq!(fs::read(place.path()).unwrap(), before);
}

#[tokio::test]
async fn no_store_is_made_in_another_users_directory() {
    let place = Place::new();
    let error = refused(place.opening(Open::Create).user(effective_user().unwrap() + 1)).await;
    assert!(matches!(error, OpenError::OtherOwner { .. }), "{error}");
    assert!(place.files().is_empty());
}

/// Root may work on anybody's store, and all that it makes is the owner's.
#[tokio::test]
async fn what_root_makes_belongs_to_the_owner() {
    if effective_user() != Some(ROOT) {
        let error = refused(opening(Path::new("/etc/passwd"), Open::Create)).await;
        assert!(matches!(error, OpenError::OtherOwner { owner: ROOT, .. }), "{error}");
        return;
    }
    let place = Place::new();
    chown(place.directory.path(), Some(OTHER), Some(OTHER)).unwrap();
    let path = place.directory.path().join("data/keyward.db");
    for _ in ["made", "opened again"] {
        let store = opening(&path, Open::Create).open().await.unwrap();
        store.write_something().await;
        for name in ["", "keyward.db", "keyward.db-wal", "keyward.db-shm"] {
            let file = path.with_file_name(name);
            let file = fs::metadata(if name.is_empty() { path.parent().unwrap() } else { &file }).unwrap();
            assert_eq!((file.uid(), file.gid()), (OTHER, OTHER), "{name}");
        }
        store.close().await;
    }
}

trait Touch {
    async fn write_something(&self);
}

impl Touch for keyward::store::sqlite::SqliteStore {
    /// Writes something small, so that the journal exists.
    async fn write_something(&self) {
        use keyward::store::Store;
        let known = self.latest().await.unwrap().0;
        sample::create_account(self, u32::try_from(known).unwrap() + 1).await;
    }
}

#[test]
fn what_may_not_be_read_or_written_is_told() {
    let place = Place::new();
    if effective_user() != Some(ROOT) {
        return unprivileged(place.directory.path());
    }
    chown(place.directory.path(), Some(OTHER), Some(OTHER)).unwrap();
    // By this name a binary can be run from a place that the other user cannot look into.
    let child = Command::new("/proc/self/exe")
        .args(["--exact", "store::owner::unprivileged_child", "--ignored", "--nocapture"])
        .env(CHILD_PLACE, place.directory.path())
        .current_dir("/")
        .uid(OTHER)
        .gid(OTHER)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout).into_owned() + &String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
#[ignore = "the child of what_may_not_be_read_or_written_is_told"]
fn unprivileged_child() {
    unprivileged(Path::new(&std::env::var(CHILD_PLACE).unwrap()));
}

#[tokio::main(flavor = "current_thread")]
async fn unprivileged(place: &Path) {
    let path = place.join("data/keyward.db");
    let directory = path.parent().unwrap();
    let store = opening(&path, Open::Create).open().await.unwrap();
    sample::fill(&store, 1).await;
    store.close().await;
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let opened = |open| refused(opening(&path, open));

    mode(&path, 0o000);
    let error = opened(Open::Create).await;
    assert!(matches!(error, OpenError::NotReadable { .. }), "{error}");
    mode(&path, 0o400);
    let error = opened(Open::Create).await;
    assert!(matches!(error, OpenError::ReadOnly { .. }), "{error}");
    mode(&path, 0o600);
    mode(directory, 0o500);
    let error = opened(Open::Create).await;
    assert!(matches!(error, OpenError::DirectoryNotWritable { .. }), "{error}");
    mode(directory, 0o000);
    let error = opened(Open::Existing).await;
    assert!(matches!(error, OpenError::NotReadable { .. }), "{error}");
    mode(directory, 0o500);
    let error = refused(opening(&directory.join("another.db"), Open::Create)).await;
    assert!(matches!(error, OpenError::NotMade { .. }), "{error}");
    mode(directory, 0o700);
    let names: Vec<_> = fs::read_dir(directory).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(names, ["keyward.db"]);
    opening(&path, Open::Existing).open().await.unwrap().close().await;
}
