//! A new configuration takes force without dropping a connection; a wrong one leaves the old in force and is told.

use std::os::unix::fs::symlink;

use super::load::Load;
use super::{metric, one_route, open_home, until_metric};
use crate::support::binary::{Home, Serving};
use crate::support::http::Client;
use crate::support::raw::Raw;
use crate::support::upstream::{Answer, Gate, Upstream};
use crate::support::within;

const LOADED: &str = r#"keyward_reloads_total{result="loaded"}"#;
const REFUSED: &str = r#"keyward_reloads_total{result="refused"}"#;
const REQUEST: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// Two upstreams, a server that serves the first, and what must outlive a reload: a connection that is kept and an
/// answer that has begun.
struct Scene {
    _old: Upstream,
    new: Upstream,
    home: Home,
    serving: Serving,
    kept: Client,
    streaming: Raw,
    gate: Gate,
}

impl Scene {
    async fn new() -> Self {
        Self::begun(|home| home.start(&["serve"])).await
    }

    async fn begun(start: impl FnOnce(&Home) -> Serving) -> Self {
        let gate = Gate::new();
        let held = gate.clone();
        let old = Upstream::answering(move |request| match request.target.as_str() {
            "/stream" => {
                let half = Answer::new(200).header("content-length", "6").only_head().then_send("one");
                half.then_wait(&held).then_send("two")
            }
            _ => Answer::ok("old"),
        })
        .await;
        let new = Upstream::always(Answer::ok("new")).await;
        let home = open_home(&old, "");
        let serving = home.until_ready(start(&home)).await;
        let mut kept = Client::new(home.public());
        assert_eq!(kept.get("/").await.text(), "old");
        let mut streaming = Raw::connect(home.public()).await;
        streaming.send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n").await;
        streaming.until(b"one").await;
        Self { _old: old, new, home, serving, kept, streaming, gate }
    }

    fn new_text(&self) -> String {
        self.home.whole(&one_route(&self.new, "public"))
    }

    async fn new_is_in_force(mut self) {
        let kept = &mut self.kept;
        within("the new upstream", async { while kept.get("/").await.text() != "new" {} }).await;
        assert_eq!(kept.connections, 1, "the reload dropped a connection");
        self.gate.open();
        assert_eq!(self.streaming.exactly(3).await, b"two");
        assert_eq!(self.streaming.ask(REQUEST).await.text(), "new");
        let (status, output) = self.serving.stop().await;
        assert_eq!(status.code(), Some(0), "{output}");
    }
}

/// The file is as it was, so that nothing but the signal can have done it.
#[tokio::test]
async fn a_signal_loads_the_file() {
    let upstream = Upstream::always(Answer::ok("ok")).await;
    let home = open_home(&upstream, "");
    let serving = home.serve().await;
    for count in 1..=3 {
        serving.signal("HUP");
        until_metric(home.admin(), LOADED, count).await;
    }
    assert_eq!(metric(home.admin(), REFUSED).await, 0);
}

#[tokio::test]
async fn a_command_loads_the_file_and_says_so() {
    let upstream = Upstream::always(Answer::ok("ok")).await;
    let home = open_home(&upstream, "");
    let _serving = home.serve().await;
    let mut client = Client::new(home.public());
    assert_eq!(client.get("/").await.status, 200);
    let said = home.run(&["reload"]).exited(0);
    assert_eq!(said, format!("The server loaded {}.\n", home.path().join("keyward.yaml").display()));
    assert_eq!(client.get("/").await.status, 200);
    assert_eq!(upstream.connections().len(), 1, "the reload dropped a connection to an endpoint that stayed");
    assert_eq!(metric(home.admin(), LOADED).await, 1);
}

#[tokio::test]
async fn a_command_that_means_another_file_than_the_server_has_says_so() {
    let upstream = Upstream::always(Answer::ok("ok")).await;
    let home = open_home(&upstream, "max: { connections: 10, tunnels: 10 }\n");
    let _serving = home.serve().await;
    home.write("other.yaml", &home.whole(&one_route(&upstream, "public")));
    symlink("keyward.yaml", home.path().join("link.yaml")).unwrap();
    home.run(&["reload", "--config", "link.yaml"]).exited(0);
    let done = home.run(&["reload", "--config", "other.yaml"]);
    let (loaded, other) = (home.path().join("keyward.yaml"), home.path().join("other.yaml"));
    assert_eq!(done.stdout, format!("The server loaded {}.\n", loaded.display()));
    assert!(done.stderr.contains(loaded.to_str().unwrap()), "{}", done.stderr);
    done.refused(1, &format!("the server reads another file than {}", other.display()));
}

#[tokio::test]
async fn that_the_file_is_right_again_or_gone_is_told_once() {
    let upstream = Upstream::always(Answer::ok("ok")).await;
    let home = open_home(&upstream, "");
    let serving = home.serve().await;
    let (file, right) = (home.path().join("keyward.yaml"), home.whole(&one_route(&upstream, "public")));
    home.rewrite("routes: nonsense\n");
    until_metric(home.admin(), REFUSED, 1).await;
    home.write("keyward.yaml", &right);
    until_metric(home.admin(), LOADED, 1).await;
    serving.until_output("the configuration file holds what runs again").await;
    std::fs::remove_file(&file).unwrap();
    serving.until_output("the configuration file is gone").await;
    home.write("keyward.yaml", &right);
    let told = |text: &str| serving.output().matches(text).count();
    within("its return", async {
        while told("holds what runs again") < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(told("the configuration file is gone"), 1);
    assert_eq!(metric(home.admin(), LOADED).await, 1, "nothing was loaded");
}

#[tokio::test]
async fn a_new_prefix_of_keys_is_warned_of() {
    let upstream = Upstream::always(Answer::ok("ok")).await;
    let home = open_home(&upstream, "");
    let serving = home.serve().await;
    home.write(
        "keyward.yaml",
        &home.whole(&format!("{}keys: {{ prefix: acme }}\n", one_route(&upstream, "public"))),
    );
    let warning = "keys.prefix changed from kw to acme: keys made with kw_ are no longer valid";
    let done = home.run(&["reload"]);
    // Whoever looked first has loaded it.
    serving.until_output(warning).await;
    done.exited(0);
    assert!(!home.run(&["reload"]).stderr.contains("no longer valid"), "it is told of a change");
}

#[tokio::test]
async fn an_edit_in_place_takes_force() {
    let scene = Scene::new().await;
    scene.home.write("keyward.yaml", &scene.new_text());
    scene.new_is_in_force().await;
}

#[tokio::test]
async fn a_file_renamed_over_it_takes_force() {
    let scene = Scene::new().await;
    scene.home.write("next.yaml", &scene.new_text());
    let (from, to) = (scene.home.path().join("next.yaml"), scene.home.path().join("keyward.yaml"));
    std::fs::rename(from, to).unwrap();
    scene.new_is_in_force().await;
}

/// As a ConfigMap is mounted: the file is a link into `..data`, a link to a directory that another replaces.
#[tokio::test]
async fn a_swap_of_the_directory_behind_it_takes_force() {
    let scene = Scene::begun(|home| {
        let mount = home.path().join("mount");
        std::fs::create_dir_all(mount.join("..1")).unwrap();
        std::fs::copy(home.path().join("keyward.yaml"), mount.join("..1/keyward.yaml")).unwrap();
        symlink("..1", mount.join("..data")).unwrap();
        symlink("..data/keyward.yaml", mount.join("keyward.yaml")).unwrap();
        home.start(&["serve", "--config", "mount/keyward.yaml"])
    })
    .await;
    let mount = scene.home.path().join("mount");
    std::fs::create_dir(mount.join("..2")).unwrap();
    std::fs::write(mount.join("..2/keyward.yaml"), scene.new_text()).unwrap();
    symlink("..2", mount.join("..data_tmp")).unwrap();
    std::fs::rename(mount.join("..data_tmp"), mount.join("..data")).unwrap();
    std::fs::remove_dir_all(mount.join("..1")).unwrap();
    scene.new_is_in_force().await;
}

#[tokio::test]
async fn a_signal_after_an_edit_takes_the_edit_and_drops_nothing() {
    let scene = Scene::new().await;
    scene.home.write("keyward.yaml", &scene.new_text());
    scene.serving.signal("HUP");
    scene.new_is_in_force().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_reloads_under_load_fail_no_request() {
    let (old, new) = (Upstream::always(Answer::ok("ok")).await, Upstream::always(Answer::ok("ok")).await);
    let home = open_home(&old, "");
    let serving = home.serve().await;
    let loads = [true, false].map(|keep| Load::start(home.public(), 4, REQUEST, keep));
    for count in 1..=20 {
        home.rewrite(&one_route(if count % 2 == 0 { &old } else { &new }, "public"));
        serving.signal("HUP");
        within("the reload", async { while metric(home.admin(), LOADED).await < count {} }).await;
        for load in &loads {
            load.until_answers(8).await;
        }
    }
    for load in loads {
        let tally = load.stop().await;
        assert_eq!((tally.failed, tally.refused, tally.last), (Vec::<String>::new(), 0, 0));
        assert_eq!(tally.statuses.into_keys().collect::<Vec<_>>(), [200]);
    }
    assert!(!new.requests().is_empty());
}

#[tokio::test]
async fn a_wrong_file_leaves_the_old_in_force_and_is_told_everywhere() {
    let upstream = Upstream::always(Answer::ok("ok")).await;
    let home = open_home(&upstream, "");
    let serving = home.serve().await;
    let loaded_at = metric(home.admin(), "keyward_config_loaded_timestamp_seconds").await;
    home.rewrite("routes: [{ name: all, match: { path_prefix: / }, upstream: nowhere }]\n");
    within("the refusal", async { while metric(home.admin(), REFUSED).await == 0 {} }).await;
    serving.until_output("the old one stays in force").await;
    assert!(serving.output().contains("nowhere"), "{}", serving.output());
    let told = home.run(&["reload"]);
    assert!(told.stderr.contains("nowhere"), "{}", told.stderr);
    told.exited(1);
    assert_eq!(Client::new(home.public()).get("/").await.text(), "ok");
    assert_eq!(metric(home.admin(), LOADED).await, 0);
    assert_eq!(metric(home.admin(), "keyward_config_loaded_timestamp_seconds").await, loaded_at);
    // The server itself refuses too, when the command reads another file than it does.
    home.write("right.yaml", &home.whole(&one_route(&upstream, "public")));
    let told = home.run(&["reload", "--config", "right.yaml"]);
    assert!(told.stderr.contains("the old one stays in force"), "{}", told.stderr);
    assert!(told.stderr.contains("nowhere"), "{}", told.stderr);
    told.exited(1);
}

#[tokio::test]
async fn what_waits_for_a_restart_is_said() {
    let upstream = Upstream::always(Answer::ok("ok")).await;
    let home = open_home(&upstream, "");
    let _serving = home.serve().await;
    let text = home.whole(&format!(
        "{}log: {{ access: \"off\" }}\ncache: {{ capacity: 7 }}\n",
        one_route(&upstream, "public")
    ));
    let moved = text.replace(&home.public().to_string(), "127.0.0.1:1");
    home.write("keyward.yaml", &moved);
    let done = home.run(&["reload"]);
    for name in ["listeners", "log.access", "cache.capacity"] {
        assert!(done.stderr.contains(&format!("{name} differs from what is running")), "{}", done.stderr);
    }
    done.exited(0);
    assert_eq!(Client::new(home.public()).get("/").await.text(), "ok");
}

#[tokio::test]
async fn the_log_follows_its_new_level() {
    const DEBUG_LINE: &str = "a client connection failed";
    let upstream = Upstream::always(Answer::ok("ok")).await;
    let home = open_home(&upstream, "");
    let serving = home.serve().await;
    let nonsense = async || {
        let mut raw = Raw::connect(home.public()).await;
        raw.send("nonsense\r\n\r\n").await;
        assert_eq!(raw.response().await.status, 400);
    };
    nonsense().await;
    home.rewrite(&format!("{}log: {{ level: debug }}\n", one_route(&upstream, "public")));
    home.run(&["reload"]).exited(0);
    assert!(!serving.output().contains(DEBUG_LINE), "{}", serving.output());
    nonsense().await;
    serving.until_output(DEBUG_LINE).await;
}

#[tokio::test]
async fn refusals_are_named_anew_on_every_listener() {
    let upstream = Upstream::always(Answer::ok("ok")).await;
    let home = Home::new(&one_route(&upstream, "required"));
    let _serving = home.serve().await;
    home.rewrite(&format!("{}errors: {{ type_base: \"urn:new:\" }}\n", one_route(&upstream, "required")));
    home.run(&["reload"]).exited(0);
    for (address, kind) in
        [(home.public(), "urn:new:missing_credentials"), (home.admin(), "urn:new:not_found")]
    {
        assert_eq!(Client::new(address).get("/").await.json()["type"], kind);
    }
}
