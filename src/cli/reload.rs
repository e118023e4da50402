//! `keyward reload`: asks the running server, over the socket beside its store, to load its configuration anew.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::UnixStream;

use super::{Exit, Failure, Streams};
use crate::config::Loaded;
use crate::control::socket;

const ANSWER_WITHIN: Duration = Duration::from_secs(60);
const ANSWER_MAX: usize = 4 << 20;

/// What the server answers.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Answer {
    file: PathBuf,
    warnings: Vec<String>,
    problems: String,
}

/// Reloads the server of the configured store and says how it went. The server reads its own file, whatever `file` is.
///
/// # Errors
/// Exit 1 when the server refuses its new configuration, with the problems, or when it has another file than `file`;
/// 3 when no server answers.
pub async fn run(
    loaded: Result<Loaded, Failure>,
    file: Option<&Path>,
    streams: &mut Streams<'_>,
) -> Result<(), Failure> {
    let loaded =
        loaded.map_err(|failure| failure.hint("the server was not asked; what it has stays in force"))?;
    let path = socket::path(&loaded.config.store.path);
    let answer = ask(&std::path::absolute(&path).unwrap_or(path)).await?;
    streams.print(&format!("The server loaded {}.\n", answer.file.display()))?;
    let warnings = answer.warnings.iter().map(|warning| format!("warning: {warning}")).collect::<Vec<_>>();
    if let Some(file) = file.filter(|file| !is_same(file, &answer.file)) {
        return Err(another_file(file, &answer.file).report(warnings.join("\n")));
    }
    warnings.iter().for_each(|warning| streams.say(warning));
    Ok(())
}

/// Whether both lead to one file, perhaps by links.
fn is_same(one: &Path, other: &Path) -> bool {
    match (std::fs::canonicalize(one), std::fs::canonicalize(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => std::path::absolute(one).is_ok_and(|one| one == other),
    }
}

fn another_file(asked: &Path, loaded: &Path) -> Failure {
    let asked = std::path::absolute(asked).unwrap_or_else(|_| asked.to_owned());
    let line = format!("the server reads another file than {}", asked.display());
    Failure::new(Exit::Refused, line).hint(format!(
        "it was started with {}: edit that one, or start it anew with the other",
        loaded.display()
    ))
}

/// What a server says that loaded its configuration.
async fn ask(path: &Path) -> Result<Answer, Failure> {
    let exchange = tokio::time::timeout(ANSWER_WITHIN, exchange(path)).await;
    let answered = exchange.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()));
    let (status, body) = answered.map_err(|error| unreachable(path, &error))?;
    let answer: Answer =
        serde_json::from_slice(&body).map_err(|error| unreachable(path, &io::Error::other(error)))?;
    match status {
        StatusCode::OK => Ok(answer),
        StatusCode::UNPROCESSABLE_ENTITY => Err(Failure {
            exit: Exit::Refused,
            line: "the new configuration was refused; the old one stays in force".to_owned(),
            hints: Vec::new(),
            report: answer.problems,
        }),
        other => Err(unreachable(path, &io::Error::other(format!("it answered with status {other}")))),
    }
}

async fn exchange(path: &Path) -> io::Result<(StatusCode, Bytes)> {
    let stream = UnixStream::connect(path).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let request = Request::post("/reload").header("host", "keyward").body(Empty::<Bytes>::new());
    let request = request.map_err(io::Error::other)?;
    // The sender goes with the block, or the connection would wait for a second request.
    let answer = async move {
        let response = sender.send_request(request).await.map_err(io::Error::other)?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_MAX).collect().await;
        Ok((status, body.map_err(io::Error::other)?.to_bytes()))
    };
    let (answer, _) = futures_util::future::join(answer, connection).await;
    answer
}

fn unreachable(path: &Path, error: &io::Error) -> Failure {
    let hint = match error.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
            "Is it running, and with the store that this configuration names?"
        }
        ErrorKind::PermissionDenied => "Run this as the server's own user, or as root.",
        _ => "The server's log may say more. It hears only its own user and root.",
    };
    Failure {
        exit: Exit::Unreachable,
        line: format!("no server could be asked at {}: {error}", path.display()),
        hints: vec![hint.to_owned(), "SIGHUP reloads too: kill -HUP PID".to_owned()],
        report: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::control::serve::{Limits, serve};
    use crate::control::socket::ControlSocket;
    use crate::control::tests::control;
    use crate::control::{ReloadOutcome, router};

    /// What the command gets from a server whose reload goes so.
    async fn against(outcome: ReloadOutcome) -> Result<Answer, Failure> {
        let directory = tempfile::tempdir().unwrap();
        let socket = ControlSocket::bind(&directory.path().join("keyward.db")).await.unwrap();
        let path = socket.path().to_owned();
        let stop = CancellationToken::new();
        let router = router::socket(Arc::new(control(outcome)));
        let server = tokio::spawn(serve(socket, router, stop.clone(), Limits::default()));
        let answer = tokio::time::timeout(Duration::from_secs(20), ask(&path)).await;
        stop.cancel();
        server.await.unwrap();
        assert!(!path.exists(), "the socket goes with the server");
        answer.expect("the command does not wait for the connection's end")
    }

    #[tokio::test]
    async fn a_reload_brings_its_warnings() {
        let warnings = vec!["listeners: waits for a restart".to_owned()];
        let file = PathBuf::from("/etc/keyward.yaml");
        let outcome = ReloadOutcome::Loaded { file: file.clone(), warnings: warnings.clone() };
        let answer = against(outcome).await.unwrap();
        assert_eq!((answer.file, answer.warnings), (file, warnings));
    }

    #[tokio::test]
    async fn a_refusal_is_exit_1_with_the_problems_under_it() {
        let problems = "error: unknown field\n  --> keyward.yaml:3:1".to_owned();
        let failure = against(ReloadOutcome::Refused { problems }).await.unwrap_err();
        assert_eq!(failure.exit, Exit::Refused);
        assert!(
            failure.to_string().ends_with("stays in force\n\nerror: unknown field\n  --> keyward.yaml:3:1")
        );
    }

    #[tokio::test]
    async fn no_server_is_exit_3_with_a_hint() {
        let directory = tempfile::tempdir().unwrap();
        let failure = ask(&directory.path().join("keyward.sock")).await.unwrap_err();
        assert_eq!(failure.exit, Exit::Unreachable);
        assert!(failure.hints.iter().any(|hint| hint.contains("SIGHUP")), "{failure:?}");
    }
}
