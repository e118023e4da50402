//! One connection of the upstream: a reader that notes every byte, and a loop that follows the script.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::answer::{Reading, Step, Then};
use super::received::{Received, field};
use super::{Record, Script};
use crate::support::raw::Ending;
use crate::support::{find, hex};

const KEPT: usize = 8 << 20;

/// Whether the connection is still of use.
type Alive = Result<(), Gone>;

/// The other side ended it.
struct Gone;

/// Makes the end of this socket an RST.
pub(super) fn reset_on_drop(stream: &TcpStream) {
    SockRef::from(stream).set_linger(Some(Duration::ZERO)).unwrap();
}

pub(super) async fn serve(stream: TcpStream, number: usize, record: Record, script: Arc<Script>) {
    let stream = Arc::new(stream);
    let (pieces, input) = mpsc::channel(1);
    let reader = tokio::spawn(read(stream.clone(), number, record.clone(), pieces));
    let mut connection =
        Connection { stream, number, record, input, buffer: Vec::new(), outgoing: Vec::new(), reader };
    let mut on_connection = 0;
    while let Ok(Then::KeepAlive) = connection.exchange(on_connection, &script).await {
        on_connection += 1;
    }
}

/// Notes and hands on every piece; waits while the last one is not taken.
async fn read(stream: Arc<TcpStream>, number: usize, record: Record, pieces: mpsc::Sender<Vec<u8>>) {
    let ending = loop {
        let mut piece = Vec::with_capacity(64 * 1024);
        if stream.readable().await.is_err() {
            break Ending::Reset;
        }
        match stream.try_read_buf(&mut piece) {
            Ok(0) => break Ending::Closed,
            Ok(n) => {
                record.write(|seen| {
                    let connection = &mut seen.connections[number];
                    connection.bytes += n as u64;
                    let room = KEPT.saturating_sub(connection.raw.len());
                    connection.raw.extend(&piece[..n.min(room)]);
                });
                if pieces.send(piece).await.is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => break Ending::Reset,
        }
    };
    record.write(|seen| seen.connections[number].ended = Some(ending));
}

struct Connection {
    stream: Arc<TcpStream>,
    number: usize,
    record: Record,
    input: mpsc::Receiver<Vec<u8>>,
    buffer: Vec<u8>,
    /// Of steps that follow each other without a wait, to be sent in one piece.
    outgoing: Vec<u8>,
    reader: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Connection {
    /// One request and its answer.
    async fn exchange(&mut self, on_connection: usize, script: &Arc<Script>) -> Result<Then, Gone> {
        let head = self.read_head().await?;
        let request = self.record.write(|seen| {
            let request = Received::read(&head, seen.requests.len(), self.number, on_connection);
            seen.requests.push(request.clone());
            request
        });
        let answer = script(&request);
        self.write(&answer.early).await?;
        if answer.reading == Reading::BeforeAnswering {
            self.read_body(&request).await?;
        }
        for step in &answer.steps {
            if !matches!(step, Step::Send(_) | Step::Body(_) | Step::Echo) {
                self.flush().await?;
            }
            self.take(step, &request, answer.reading).await?;
        }
        self.flush().await?;
        if answer.reading == Reading::AfterAnswering && answer.then == Then::KeepAlive {
            self.read_body(&request).await?;
        }
        self.finish(answer.then).await;
        Ok(answer.then)
    }

    async fn take(&mut self, step: &Step, request: &Received, reading: Reading) -> Alive {
        let to_head = request.method == "HEAD";
        match step {
            Step::Body(_) | Step::Fill(_) if to_head => Ok(()),
            Step::Send(bytes) | Step::Body(bytes) => {
                self.outgoing.extend(bytes);
                Ok(())
            }
            Step::Fill(len) => {
                let piece = vec![0; 64 * 1024];
                let mut left = *len;
                while left > 0 {
                    let now = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
                    self.write(&piece[..now]).await?;
                    left -= now as u64;
                }
                Ok(())
            }
            Step::Trickle(bytes, every) => {
                for byte in bytes {
                    tokio::time::sleep(*every).await;
                    self.write(&[*byte]).await?;
                }
                Ok(())
            }
            Step::Echo => {
                let body = self.record.lock().requests[request.number].described();
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                self.outgoing.extend(head.bytes());
                if !to_head {
                    self.outgoing.extend(body);
                }
                Ok(())
            }
            Step::Wait(gate) => {
                let gate = gate.clone();
                if reading == Reading::Never {
                    gate.passed().await;
                    return Ok(());
                }
                tokio::select! {
                    () = gate.passed() => {}
                    () = self.read_on() => gate.passed().await,
                }
                Ok(())
            }
            Step::Mirror => loop {
                let bytes = std::mem::take(&mut self.buffer);
                self.write(&bytes).await?;
                if self.fill().await.is_err() {
                    return Ok(());
                }
            },
            Step::Hang if reading == Reading::Never => std::future::pending().await,
            Step::Hang => {
                self.read_on().await;
                Err(Gone)
            }
        }
    }

    async fn finish(&mut self, then: Then) {
        match then {
            Then::KeepAlive => return,
            Then::Linger => {
                // A failure means that the other side was faster.
                let _ = SockRef::from(&*self.stream).shutdown(std::net::Shutdown::Write);
                self.read_on().await;
            }
            Then::Close => {
                let _ = SockRef::from(&*self.stream).shutdown(std::net::Shutdown::Write);
            }
            Then::Reset => reset_on_drop(&self.stream),
        }
        self.reader.abort();
        let _ = (&mut self.reader).await;
        self.record.write(|seen| seen.connections[self.number].closed = true);
    }

    /// Reads until the other side ends.
    async fn read_on(&mut self) {
        while self.fill().await.is_ok() {}
    }

    async fn read_head(&mut self) -> Result<Vec<u8>, Gone> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                return Ok(self.buffer.drain(..end + 4).collect());
            }
            self.fill().await?;
        }
    }

    async fn read_body(&mut self, request: &Received) -> Alive {
        let mut digest = Context::new(&SHA256);
        let mut trailers = Vec::new();
        if request.is_chunked() {
            loop {
                let line = self.line().await?;
                let size = line.split(';').next().unwrap_or_default().trim();
                let size = u64::from_str_radix(size, 16).map_err(|_| Gone)?;
                if size == 0 {
                    break;
                }
                self.read_length(request.number, size, &mut digest).await?;
                self.line().await?;
            }
            loop {
                let line = self.line().await?;
                if line.is_empty() {
                    break;
                }
                trailers.push(field(&line));
            }
        } else {
            self.read_length(request.number, request.length(), &mut digest).await?;
        }
        self.record.write(|seen| {
            let request = &mut seen.requests[request.number];
            request.sha256 = Some(hex(digest.finish().as_ref()));
            request.trailers = trailers;
        });
        Ok(())
    }

    async fn read_length(&mut self, request: usize, len: u64, digest: &mut Context) -> Alive {
        let mut left = len;
        while left > 0 {
            if self.buffer.is_empty() {
                self.fill().await?;
            }
            let now = self.buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let piece: Vec<u8> = self.buffer.drain(..now).collect();
            digest.update(&piece);
            left -= now as u64;
            self.record.write(|seen| {
                let request = &mut seen.requests[request];
                request.body_len += now as u64;
                let room = KEPT.saturating_sub(request.body.len());
                request.body.extend(&piece[..now.min(room)]);
            });
        }
        Ok(())
    }

    async fn line(&mut self) -> Result<String, Gone> {
        loop {
            if let Some(end) = find(&self.buffer, b"\n") {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> Alive {
        let piece = self.input.recv().await.ok_or(Gone)?;
        self.buffer.extend(piece);
        Ok(())
    }

    async fn flush(&mut self) -> Alive {
        let outgoing = std::mem::take(&mut self.outgoing);
        self.write(&outgoing).await
    }

    async fn write(&self, mut bytes: &[u8]) -> Alive {
        while !bytes.is_empty() {
            let written = match self.stream.writable().await {
                Ok(()) => self.stream.try_write(bytes),
                Err(error) => Err(error),
            };
            match written {
                Ok(n) => {
                    self.record.write(|seen| seen.connections[self.number].sent += n as u64);
                    bytes = &bytes[n..];
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => {
                    self.record.write(|seen| {
                        seen.connections[self.number].ended.get_or_insert(Ending::Reset);
                    });
                    return Err(Gone);
                }
            }
        }
        Ok(())
    }
}
