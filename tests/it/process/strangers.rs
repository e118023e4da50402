//! Commands of a user who is not the store's owner are refused before they touch anything.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use keyward::store::sqlite::effective_user;

use super::{Bed, EMAIL};
use crate::support::binary::{self, BINARY, Done, Home};

const ROOT: u32 = 0;
/// `nobody`.
const OTHER: u32 = 65_534;
const UNREACHABLE: i32 = 3;

/// Every file with its content, and when anything about it changed.
fn everything(folder: &Path) -> BTreeMap<String, (Vec<u8>, i64, i64)> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let with_folder = files.chain([folder.to_owned()]);
    with_folder
        .map(|path| {
            let metadata = fs::metadata(&path).unwrap();
            let content = if metadata.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, (content, metadata.ctime(), metadata.ctime_nsec()))
        })
        .collect()
}

/// Runs a command as another user, who may read the configuration but need not be able to reach the binary by name:
/// it is handed over as the open file 0.
fn as_other(home: &Home, words: &[&str]) -> Done {
    let mut command = Command::new("/proc/self/fd/0");
    command.args(words).current_dir(home.path()).uid(OTHER).gid(OTHER);
    command.stdin(Stdio::from(File::open(BINARY).unwrap())).stdout(Stdio::piped()).stderr(Stdio::piped());
    binary::done(command.output().unwrap())
}

#[tokio::test]
async fn another_user_is_refused_before_anything_is_touched() {
    let commands: [&[&str]; 5] = [
        &["keys", "list"],
        &["keys", "create", "--account", EMAIL, "--name", "n"],
        &["accounts", "create", "--email", "b@example.com"],
        &["migrate"],
        &["serve"],
    ];
    if effective_user() != Some(ROOT) {
        // Nobody else to run as: what is root's is another's, whether it is there or would have to be made.
        for (path, owned) in [("/etc/passwd", "/etc/passwd"), ("/etc/keyward-test.db", "/etc")] {
            let home = Home::new("");
            let base = fs::read_to_string(home.path().join("keyward.yaml")).unwrap();
            home.write("keyward.yaml", &base.replace("data/keyward.db", path));
            for command in &commands[2..] {
                home.run(command)
                    .refused(UNREACHABLE, &format!("{owned} belongs to user id 0, and this process"));
            }
            assert!(!Path::new("/etc/keyward-test.db").exists());
        }
        return;
    }
    let bed = Bed::new().await;
    bed.key();
    // The folder of the configuration is open to all; that of the store first to nobody else, then to all as well.
    fs::set_permissions(bed.home.path(), Permissions::from_mode(0o755)).unwrap();
    for (mode, owned) in [(0o700, "data"), (0o755, "data/keyward.db"), (0o777, "data/keyward.db")] {
        fs::set_permissions(bed.data(), Permissions::from_mode(mode)).unwrap();
        fs::set_permissions(bed.home.database(), Permissions::from_mode(0o666)).unwrap();
        let before = everything(&bed.data());
        for command in commands {
            let words =
                format!("{owned} belongs to user id {ROOT}, and this process runs as user id {OTHER}");
            as_other(&bed.home, command).refused(UNREACHABLE, &words);
        }
        assert_eq!(everything(&bed.data()), before, "{mode:o}");
    }
}

#[tokio::test]
async fn a_data_directory_that_cannot_be_written_is_named() {
    let root = effective_user() == Some(ROOT);
    let bed = Bed::new().await;
    let owner = if root { OTHER } else { effective_user().unwrap() };
    for path in [bed.home.path(), &bed.data(), &bed.home.database()] {
        std::os::unix::fs::chown(path, Some(owner), None).unwrap();
    }
    let run = |words: &[&str]| if root { as_other(&bed.home, words) } else { bed.home.run(words) };
    let mode = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    mode(&bed.data(), 0o500);
    run(&["keys", "list"]).refused(UNREACHABLE, "the directory of the store");
    run(&["serve"]).refused(UNREACHABLE, "cannot be written");
    mode(&bed.data(), 0o700);
    mode(&bed.home.database(), 0o400);
    run(&["serve"]).refused(UNREACHABLE, "cannot be written: it is read-only");
    mode(&bed.home.database(), 0o600);
    run(&["keys", "list"]).exited(0);
    // Where none can be made.
    fs::remove_file(bed.home.database()).unwrap();
    mode(&bed.data(), 0o500);
    run(&["serve"]).refused(UNREACHABLE, "cannot be made: Permission denied");
    mode(&bed.data(), 0o700);
}
