//! The real binary, as an operator runs it: its own process, its own folder, its own ports.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;

use super::http::Client;
use super::within;

const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// A folder with a configuration, to run commands in.
pub struct Home {
    folder: TempDir,
    public: SocketAddr,
    admin: SocketAddr,
}

/// What a command did.
#[derive(Debug)]
pub struct Done {
    /// `None` when a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Done {
    /// Fails unless the exit code is this and standard error is one line with these words and hints under it.
    #[track_caller]
    pub fn refused(self, code: i32, words: &str) {
        let (line, hints) = self.stderr.split_once('\n').unwrap_or_default();
        let told = line.starts_with("error: ") && line.contains(words);
        let hinted =
            !hints.is_empty() && hints.lines().all(|hint| hint.starts_with("  ") && hint.trim().len() > 8);
        assert!(told && hinted, "{words} is not told with a hint in:\n{}", self.stderr);
        self.exited(code);
    }

    /// Fails unless the exit code is this; returns standard output.
    #[track_caller]
    pub fn exited(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self.stdout
    }

    /// Standard output as JSON, of a command that went well.
    #[track_caller]
    pub fn json(self) -> serde_json::Value {
        let text = self.exited(0);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}"))
    }
}

impl Home {
    /// A folder whose `keyward.yaml` is this text after two listeners on free ports and a store.
    pub fn new(yaml: &str) -> Self {
        let home = Self { folder: TempDir::new().unwrap(), public: free_port(), admin: free_port() };
        home.rewrite(yaml);
        home
    }

    /// Replaces what follows the listeners and the store, such as for a reload.
    pub fn rewrite(&self, yaml: &str) {
        self.write("keyward.yaml", &self.whole(yaml));
    }

    /// A whole configuration: listeners and store, then this text.
    pub fn whole(&self, yaml: &str) -> String {
        format!(
            "listeners: [{{ name: public, address: \"{}\" }}]\nadmin: {{ address: \"{}\" }}\n\
             store: {{ sqlite: {{ path: data/keyward.db }} }}\n{yaml}",
            self.public, self.admin
        )
    }

    /// Writes a file into the folder.
    pub fn write(&self, name: &str, content: &str) {
        std::fs::write(self.folder.path().join(name), content).unwrap();
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The store's file.
    pub fn database(&self) -> PathBuf {
        self.folder.path().join("data/keyward.db")
    }

    /// Where `serve` will listen.
    pub fn public(&self) -> SocketAddr {
        self.public
    }

    /// Where `serve` will answer operators.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Runs a command to its end.
    pub fn run(&self, words: &[&str]) -> Done {
        self.run_with_input(words, "")
    }

    /// Runs a command to its end with this on its standard input.
    pub fn run_with_input(&self, words: &[&str], input: &str) -> Done {
        finish(self.command(words), input)
    }

    /// An account, by its own command.
    pub fn account(&self, email: &str) {
        self.run(&["accounts", "create", "--email", email]).exited(0);
    }

    /// A key of an account, by its own command: id and secret.
    pub fn key(&self, email: &str, more: &[&str]) -> (String, String) {
        let words = [&["keys", "create", "--account", email, "--name", "test", "--json"], more].concat();
        let key = self.run(&words).json();
        (key["id"].as_str().unwrap().to_owned(), key["key"].as_str().unwrap().to_owned())
    }

    /// Starts `serve` and waits until it is ready.
    pub async fn serve(&self) -> Serving {
        self.until_ready(self.start(&["serve"])).await
    }

    /// Starts `serve` as this command, such as one that a wrapper begins, and waits until it is ready.
    pub async fn serve_as(&self, command: Command) -> Serving {
        self.until_ready(start(command)).await
    }

    /// Starts `serve` under another program, such as `prlimit --nofile=100`, and waits until it is ready.
    pub async fn serve_under(&self, words: &[&str]) -> Serving {
        let mut under = words.to_vec();
        under.push(BINARY);
        self.serve_as(self.command_under(&under, &["serve"])).await
    }

    /// Waits until what was started is ready.
    pub async fn until_ready(&self, mut serving: Serving) -> Serving {
        let admin = self.admin;
        within("readiness", async {
            while !is_ready(admin).await {
                assert!(serving.child.try_wait().unwrap().is_none(), "it ended: {}", serving.output());
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        })
        .await;
        serving
    }

    /// Starts a command and does not wait.
    pub fn start(&self, words: &[&str]) -> Serving {
        start(self.command(words))
    }

    /// A command that was not started yet.
    pub fn command(&self, words: &[&str]) -> Command {
        self.command_under(&[BINARY], words)
    }

    /// The same, begun by a program that executes the binary in its own place.
    pub fn command_under(&self, program: &[&str], words: &[&str]) -> Command {
        let mut command = Command::new(program[0]);
        command.args(&program[1..]).args(words).current_dir(self.folder.path());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env_remove("RUST_LOG");
        command
    }

    /// A command whose process may write no file larger than this many blocks of 512 bytes. What does not fit is refused as
    /// on a full disk; the signal that would end the process is its own to take.
    pub fn command_with_little_space(&self, blocks: &str, words: &[&str]) -> Command {
        let script = "ulimit -f \"$0\"; exec \"$@\"";
        self.command_under(&["sh", "-c", script, blocks, BINARY], words)
    }
}

/// The binary.
pub const BINARY: &str = env!("CARGO_BIN_EXE_keyward");

/// Runs a command to its end.
pub fn finish(mut command: Command, input: &str) -> Done {
    let mut child = command.stdin(Stdio::piped()).spawn().expect("the binary starts");
    // A command that reads nothing may be gone already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    done(child.wait_with_output().unwrap())
}

/// What a process that ended did.
pub fn done(output: Output) -> Done {
    Done {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Starts a command and does not wait.
pub fn start(mut command: Command) -> Serving {
    let mut child = command.stdin(Stdio::null()).spawn().expect("the binary starts");
    let output = Arc::new(Mutex::new(String::new()));
    let readers = [
        collect(child.stdout.take().unwrap(), output.clone()),
        collect(child.stderr.take().unwrap(), output.clone()),
    ];
    Serving { child, output, readers: Vec::from(readers) }
}

/// A running process; killed when dropped.
pub struct Serving {
    child: Child,
    output: Arc<Mutex<String>>,
    readers: Vec<std::thread::JoinHandle<()>>,
}

impl Serving {
    /// Everything it has written so far, both streams in the order of arrival.
    pub fn output(&self) -> String {
        self.output.lock().unwrap().clone()
    }

    /// Waits until it has written this.
    pub async fn until_output(&self, text: &str) {
        within(text, async {
            while !self.output().contains(text) {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        })
        .await;
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by name: `TERM`, `HUP`, `STOP`, `CONT`, `INT`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("sh").arg("-c").arg(format!("kill -{name} {}", self.id())).status().unwrap();
        assert!(sent.success(), "kill -{name} {}", self.id());
    }

    /// `kill -9`, and its end awaited.
    pub fn kill(mut self) -> String {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.read_out()
    }

    /// Waits for its end; its status and everything it wrote.
    pub async fn ended(mut self) -> (ExitStatus, String) {
        let status = within("the end of the process", async {
            loop {
                if let Some(status) = self.child.try_wait().unwrap() {
                    return status;
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        })
        .await;
        (status, self.read_out())
    }

    /// `SIGTERM`, and its end awaited.
    pub async fn stop(self) -> (ExitStatus, String) {
        self.signal("TERM");
        self.ended().await
    }

    fn read_out(&mut self) -> String {
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        self.output()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It has ended already where a test waited for it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(from: impl Read + Send + 'static, output: Arc<Mutex<String>>) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
            let mut output = output.lock().unwrap();
            output.push_str(&String::from_utf8_lossy(&line));
            output.push('\n');
        }
    })
}

async fn is_ready(admin: SocketAddr) -> bool {
    // Between the probe and the request it may end; the next look tells.
    let listening = tokio::net::TcpStream::connect(admin).await.is_ok();
    listening
        && matches!(Client::new(admin).request("GET", "/readyz").try_send().await, Ok(ready) if ready.status == 200)
}

/// A port that was free a moment ago.
fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
