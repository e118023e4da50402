use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use super::*;
use crate::clock::Timestamp;
use crate::config::{Level, Log, LogFormat};
use crate::telemetry::access::tests::SAMPLE;
use crate::telemetry::log::tests::logged;
use crate::telemetry::metrics::Metrics;

const BOUND: Duration = Duration::from_secs(20);

fn start(access: config::AccessLog) -> (AccessLog, Dropped) {
    let dropped = Metrics::new().unwrap().log_dropped();
    let log = Log { level: Level::Info, format: LogFormat::Auto, access };
    let clock = Clock::manual(Timestamp(0));
    (AccessLog::start(&log, dropped.clone(), clock).unwrap(), dropped)
}

fn to_file(path: &Path) -> (AccessLog, Dropped) {
    start(config::AccessLog::File(path.to_owned()))
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let clock = Clock::system();
    let began = clock.tick();
    while !holds() {
        assert!(clock.tick().since(began) < BOUND, "waited in vain: {what}");
        thread::yield_now();
    }
}

#[test]
fn lines_of_concurrent_workers_never_interleave_and_all_arrive() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("access.log");
    let (log, dropped) = to_file(&path);
    thread::scope(|scope| {
        for worker in 0..4 {
            let log = log.worker();
            scope.spawn(move || {
                let route = format!("worker-{worker}");
                for number in 0..2000 {
                    log.push(&AccessRecord { route: Some(&route), bytes_out: number, ..SAMPLE });
                    if number % 7 == 0 {
                        log.flush();
                    }
                }
            });
        }
    });
    assert!(log.close(BOUND));
    let text = fs::read_to_string(&path).unwrap();
    let lost = dropped.total();
    assert_eq!(text.lines().count() as u64 + lost, 8000);
    let mut last = [None; 4];
    for line in text.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let worker: usize = line["route"].as_str().unwrap().trim_start_matches("worker-").parse().unwrap();
        let number = line["bytes_out"].as_u64();
        assert!(number > last[worker], "lines of one worker keep their order");
        last[worker] = number;
    }
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o137, 0, "for owner and group only");
}

#[test]
fn a_pipe_that_nobody_reads_drops_lines_and_blocks_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let (log, dropped) = to_file(&path);
    let worker = log.worker();
    let mut pushed = 0_u64;
    until("the channel is full", || {
        for _ in 0..1000 {
            worker.push(&SAMPLE);
            pushed += 1;
        }
        dropped.total() > 0
    });
    assert!(!log.close(Duration::from_millis(1)), "it cannot drain, and says so in time");
    drop(worker);

    let mut pipe = fs::File::open(&path).unwrap();
    let mut text = String::new();
    pipe.by_ref().take(64 << 10).read_to_string(&mut text).unwrap();
    assert!(text.lines().next().is_some_and(|line| line.ends_with("12.300}")));
    assert!(dropped.total() < pushed);
}

#[test]
fn a_full_disk_drops_lines_and_counts_each() {
    let (log, dropped) = to_file(Path::new("/dev/full"));
    let worker = log.worker();
    for _ in 0..5 {
        worker.push(&SAMPLE);
    }
    worker.flush();
    assert!(log.close(BOUND));
    assert_eq!(dropped.total(), 5);
    worker.push(&SAMPLE);
    worker.flush();
    assert_eq!(dropped.total(), 6, "what comes after the end is counted too");
}

#[test]
fn a_rotated_file_is_opened_anew() {
    let directory = tempfile::tempdir().unwrap();
    let (path, rotated) = (directory.path().join("access.log"), directory.path().join("access.log.1"));
    let (log, _) = to_file(&path);
    let worker = log.worker();
    let lines = |path: &Path| fs::read_to_string(path).unwrap_or_default().lines().count();
    worker.push(&SAMPLE);
    worker.flush();
    until("the line is written", || lines(&path) == 1);
    fs::rename(&path, &rotated).unwrap();
    log.reopen();
    until("the file is there again", || path.exists());
    worker.push(&SAMPLE);
    worker.push(&SAMPLE);
    drop(worker);
    assert!(log.close(BOUND));
    assert_eq!((lines(&rotated), lines(&path)), (1, 2));
}

#[test]
fn a_file_that_cannot_be_reopened_is_written_on() {
    let directory = tempfile::tempdir().unwrap();
    let inner = directory.path().join("logs");
    fs::create_dir(&inner).unwrap();
    let (log, dropped) = to_file(&inner.join("access.log"));
    let moved = directory.path().join("moved");
    fs::rename(&inner, &moved).unwrap();
    log.reopen();
    log.worker().push(&SAMPLE);
    assert!(log.close(BOUND));
    assert_eq!(dropped.total(), 0);
    assert_eq!(fs::read_to_string(moved.join("access.log")).unwrap().lines().count(), 1);
}

#[test]
fn a_destination_that_cannot_be_opened_is_named() {
    let dropped = Metrics::new().unwrap().log_dropped();
    let access = config::AccessLog::File("/nonexistent/access.log".into());
    let log = Log { level: Level::Info, format: LogFormat::Json, access };
    let error = AccessLog::start(&log, dropped, Clock::system()).unwrap_err();
    assert_eq!(error.to_string(), "the access log cannot be opened: /nonexistent/access.log");
}

#[test]
fn a_log_that_is_off_takes_lines_and_drops_none() {
    let (log, dropped) = start(config::AccessLog::Off);
    log.worker().push(&SAMPLE);
    log.reopen();
    assert!(log.close(Duration::ZERO));
    assert_eq!(dropped.total(), 0);
}

#[test]
fn the_format_follows_a_reload() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("access.log");
    let (log, _) = to_file(&path);
    let worker = log.worker();
    worker.push(&SAMPLE);
    log.set_format(LogFormat::Human);
    worker.push(&SAMPLE);
    drop(worker);
    assert!(log.close(BOUND));
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with('{') && lines[1].starts_with("2026-11-01T00:00:00.042Z 203.0.113.9 GET "));
}

#[test]
fn lost_lines_are_told_at_once_and_then_once_a_minute() {
    let text = logged(Level::Info, LogFormat::Human, |_| {
        let clock = Clock::manual(Timestamp(0));
        let access = config::AccessLog::File("/dev/full".into());
        let mut writer = Writer {
            destination: Destination::open(&access).unwrap().unwrap(),
            inbox: sync_channel(1).1,
            flags: Arc::default(),
            losses: Arc::new(Losses::new(Metrics::new().unwrap().log_dropped(), clock.clone())),
            _running: sync_channel(0).0,
        };
        let mut lose = || writer.handle(Message::Lines(b"one\ntwo\n".as_slice().into()));
        (0..3).for_each(|_| lose());
        clock.advance(losses::COMPLAIN_EVERY);
        lose();
    });
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(lines[0].contains("cannot be written lines=2 error=\"No space left on device"), "{text}");
    assert!(lines[1].contains("cannot be written lines=6 error="), "{text}");
}
