//! Both kinds of tokio's runtimes.

#![allow(dead_code, reason = "every test binary uses a part of it")]

use std::future::Future;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

/// No test takes this long unless it hangs.
pub const LONG: Duration = Duration::from_secs(60);

pub fn current_thread() -> Runtime {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

pub fn multi_thread() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
}

/// Runs a test on both kinds of runtime, and ends it if it hangs.
pub fn on_both<F: Future<Output = ()>>(test: impl Fn() -> F) {
    for runtime in [current_thread(), multi_thread()] {
        runtime.block_on(async { timeout(LONG, test()).await.expect("the test hangs") });
    }
}
