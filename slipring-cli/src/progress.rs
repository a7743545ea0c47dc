//! `--progress`: bytes and rate of a running connection on standard error.

use std::{
    io::{self, IsTerminal},
    sync::{Arc, atomic::Ordering::Relaxed, mpsc},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use indicatif::{BinaryBytes, HumanDuration, ProgressBar, ProgressStyle};

use crate::{console, relay::Traffic};

/// How often the line is drawn anew.
const INTERVAL: Duration = Duration::from_millis(100);

/// Shows the progress of one connection until it is finished.
pub struct Progress {
    traffic: Arc<Traffic>,
    start: Instant,
    drawing: Option<Drawing>,
}

struct Drawing {
    thread: JoinHandle<()>,
    /// Dropping it ends the thread.
    stop: mpsc::Sender<()>,
}

impl Progress {
    /// `live`: draw while it runs, if standard error is a terminal. The summary comes in any case.
    pub fn start(traffic: &Arc<Traffic>, live: bool) -> Self {
        let drawing =
            (live && io::stderr().is_terminal()).then(|| Drawing::start(Arc::clone(traffic)));
        Self {
            traffic: Arc::clone(traffic),
            start: Instant::now(),
            drawing,
        }
    }

    /// Ends the drawing and prints one line with the totals.
    pub fn finish(mut self) {
        if let Some(Drawing { thread, stop }) = self.drawing.take() {
            drop(stop);
            let _ = thread.join();
        }
        console::log(summary(&self.traffic, self.start.elapsed()));
    }
}

impl Drawing {
    fn start(traffic: Arc<Traffic>) -> Self {
        let (stop, stopped) = mpsc::channel();
        let thread = thread::spawn(move || draw(&traffic, &stopped));
        Self { thread, stop }
    }
}

fn draw(traffic: &Traffic, stopped: &mpsc::Receiver<()>) {
    // The template is fixed, so it either always parses or never does.
    let style = ProgressStyle::with_template("{spinner} {elapsed}  {msg}  {binary_bytes_per_sec}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner());
    let bar = ProgressBar::new_spinner().with_style(style);
    while stopped.recv_timeout(INTERVAL) == Err(mpsc::RecvTimeoutError::Timeout) {
        let (sent, received) = totals(traffic);
        bar.set_message(format!(
            "sent {}, received {}",
            BinaryBytes(sent),
            BinaryBytes(received)
        ));
        bar.set_position(sent + received);
    }
    bar.finish_and_clear();
}

fn totals(traffic: &Traffic) -> (u64, u64) {
    (traffic.forth.load(Relaxed), traffic.back.load(Relaxed))
}

fn summary(traffic: &Traffic, elapsed: Duration) -> String {
    let (sent, received) = totals(traffic);
    format!(
        "sent {sent} bytes ({}), received {received} bytes ({}) in {}, {}/s",
        BinaryBytes(sent),
        BinaryBytes(received),
        elapsed_text(elapsed),
        BinaryBytes(rate(sent + received, elapsed)),
    )
}

fn elapsed_text(elapsed: Duration) -> String {
    if elapsed < Duration::from_secs(120) {
        format!("{:.2} s", elapsed.as_secs_f64())
    } else {
        HumanDuration(elapsed).to_string()
    }
}

/// Bytes per second.
pub fn rate(bytes: u64, elapsed: Duration) -> u64 {
    let nanoseconds = elapsed.as_nanos().max(1);
    u64::try_from(u128::from(bytes) * 1_000_000_000 / nanoseconds).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_has_exact_and_readable_numbers() {
        let traffic = Traffic::default();
        traffic.forth.store(1 << 20, Relaxed);
        traffic.back.store(10, Relaxed);
        let text = summary(&traffic, Duration::from_secs(2));
        assert_eq!(
            text,
            "sent 1048576 bytes (1.00 MiB), received 10 bytes (10 B) in 2.00 s, 512.00 KiB/s"
        );
    }

    #[test]
    fn a_summary_after_no_time_divides_by_no_zero() {
        assert_eq!(rate(u64::MAX, Duration::ZERO), u64::MAX);
        assert_eq!(rate(0, Duration::ZERO), 0);
    }
}
