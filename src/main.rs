//! The `keyward` binary: words in, exit code out.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser as _;
use keyward::cli::{self, Cli, Failure, Streams};
use tikv_jemallocator::Jemalloc;

/// Requests come in bursts: what many of them allocate at once, the system's allocator keeps too little of to hand out
/// again cheaply. It also takes a fifth less for connections that wait.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.line.is_empty() {
                // Whoever closed standard error does not want to know.
                let _ = writeln!(io::stderr(), "{failure}");
            }
            ExitCode::from(failure.exit as u8)
        }
    }
}

/// The control runtime. The data plane brings its own threads.
fn run(cli: Cli) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("control")
        .enable_all()
        .build()
        .map_err(|error| Failure::new(cli::Exit::Refused, format!("no threads can be had: {error}")))?;
    let (mut out, mut err) = (io::stdout(), io::stderr());
    let outcome = runtime.block_on(cli::run(cli, &mut Streams { out: &mut out, err: &mut err }));
    // What still runs on it (a look-up of a name, say) must not hold up the end.
    runtime.shutdown_background();
    outcome
}
