//! The parts that the tests of real protocol stacks over slipring streams share: the other process,
//! the servers that they start, bytes that show any mistake, and a limit for everything. The stacks
//! themselves are in `tests/`, programs to copy from in `examples/`.
//!
//! Everything in here panics when something is not as it should be: it is for tests.

mod forward;
mod peer;
mod program;

pub use forward::Forward;
pub use peer::{Peer, accept_all, listen, serve};
pub use program::{EndWith, Launch, Program};

use slipring::tokio::Stream;
use slipring::{EndReason, Options};
use std::future::Future;
use std::path::Path;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::runtime::Builder;
use tokio::time::timeout;

/// Longer than any test takes on a busy machine; reached only by one that hangs.
pub const LONG: Duration = Duration::from_secs(120);

/// Longer than any program takes to start on a busy machine.
pub const START: Duration = Duration::from_secs(60);

/// Many times the ring of 256 KiB, and a multiple of nothing.
pub const MUCH: usize = 4_000_037;

/// Runs one test on a current-thread runtime, and ends it if it hangs.
pub fn run(test: impl Future<Output = ()>) {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async { timeout(LONG, test).await.expect("the test hangs") });
}

/// For connecting to a name that need not be bound yet.
pub fn patient() -> Options {
    Options::new().wait_for_listener(START)
}

async fn connect(name: &Path) -> Stream {
    Stream::connect_with(&patient(), name)
        .await
        .expect("a connection")
}

/// The other side has said that nothing more comes, and nothing does.
pub async fn assert_finished(mut stream: Stream) {
    let rest = stream.read(&mut [0; 64]).await;
    assert_eq!(rest.expect("an end in order"), 0);
    assert_eq!(
        stream.reader().end().expect("the end").reason,
        EndReason::Finished
    );
}

/// Bytes without a pattern that a mistake could repeat (xorshift); others for each seed.
pub fn noise(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(count + 8);
    while bytes.len() < count {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(count);
    bytes
}
