//! What rings that grow cost and save, beside rings of a fixed size, in one process:
//! `cargo bench -p slipring --bench elastic`.
//!
//! Printed: the shared memory of an idle stream, and after a burst and a calm second; the time of a
//! connection; the slowest calls of a stream that bursts once a second; and large writes of a
//! stream that never spins, beside a Unix socket. Medians and ratios of ten rounds that take turns.

use slipring::{Options, Spin, Stream};
use std::collections::BTreeMap;
use std::fs::read_to_string;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

const ROUNDS: usize = 10;

fn main() -> io::Result<()> {
    // Tests of all targets run this without `--bench`: there is nothing to be tested.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(());
    }
    memory()?;
    connecting()?;
    bursts()?;
    large_writes()
}

fn growing() -> Options {
    Options::new()
}

/// What the default was before rings grew.
fn fixed() -> Options {
    Options::new().capacity(256 << 10).max_capacity(256 << 10)
}

/// Bytes of all shared memory of streams that this process has mapped. Each object is counted once,
/// and all of it is allocated.
fn shared() -> io::Result<u64> {
    let mut objects = BTreeMap::new();
    for line in read_to_string("/proc/self/maps")?.lines() {
        let fields: Vec<_> = line.split_whitespace().collect();
        if !line.contains("/memfd:slipring") {
            continue;
        }
        let number = |text: &str| u64::from_str_radix(text, 16).unwrap_or(0);
        let (from, to) = fields[0].split_once('-').unwrap_or_default();
        let end = number(fields[2]) + number(to) - number(from);
        let largest: &mut u64 = objects.entry(fields[4].to_owned()).or_default();
        *largest = end.max(*largest);
    }
    Ok(objects.values().sum())
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn memory() -> io::Result<()> {
    for (what, options) in [("growing", growing()), ("fixed", fixed())] {
        let before = shared()?;
        let (mut left, mut right) = options.pair()?;
        let idle = shared()? - before;
        let reading = thread::spawn(move || {
            let mut buf = vec![0; 1 << 16];
            while right.read(&mut buf).is_ok_and(|n| n > 0) {}
        });
        let piece = vec![1; 1 << 16];
        for _ in 0..1024 {
            left.write_all(&piece)?;
        }
        left.writer().wait_consumed()?;
        let after_burst = shared()? - before;
        thread::sleep(Duration::from_millis(1100));
        // One small message, and time for the reader to take it.
        left.write_all(b"x")?;
        left.writer().wait_consumed()?;
        thread::sleep(Duration::from_millis(100));
        let calm = shared()? - before;
        drop(left);
        let _ = reading.join();
        println!(
            "memory, {what}: idle {} KiB, after a burst of 64 MiB {} KiB, after a calm second {} \
             KiB",
            idle >> 10,
            after_burst >> 10,
            calm >> 10
        );
    }
    Ok(())
}

fn connecting() -> io::Result<()> {
    const STREAMS: usize = 100;
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..ROUNDS {
        for (i, options) in [growing(), fixed()].into_iter().enumerate() {
            let name = format!("bench-elastic-{}-{round}-{i}", std::process::id());
            let listener = options.bind(&name)?;
            let accepting = thread::spawn(move || -> slipring::Result<Vec<Stream>> {
                (0..STREAMS).map(|_| listener.accept()).collect()
            });
            let start = Instant::now();
            let connected: slipring::Result<Vec<_>> =
                (0..STREAMS).map(|_| options.connect(&name)).collect();
            let connected = connected?;
            let accepted = accepting.join().expect("the listener does not panic")?;
            times[i].push(start.elapsed().as_secs_f64() / STREAMS as f64 * 1e6);
            drop((connected, accepted));
        }
    }
    let [growing, fixed] = times.each_mut().map(|times| median(times));
    println!(
        "connect and accept: growing {growing:.0} µs, fixed {fixed:.0} µs, ratio {:.2}",
        growing / fixed
    );
    Ok(())
}

fn bursts() -> io::Result<()> {
    for (what, options) in [("growing", growing()), ("fixed", fixed())] {
        let (mut left, mut right) = options.pair()?;
        let reading = thread::spawn(move || {
            let mut buf = vec![0; 1 << 16];
            while right.read(&mut buf).is_ok_and(|n| n > 0) {}
        });
        let mut calls = Vec::new();
        let piece = vec![1; 8 << 10];
        let begun = Instant::now();
        for second in 0..12 {
            // A burst of 8 MiB, and a tick each millisecond until the next one.
            let mut timed = |bytes: &[u8]| -> io::Result<()> {
                let start = Instant::now();
                left.write_all(bytes)?;
                calls.push(start.elapsed().as_secs_f64() * 1e6);
                Ok(())
            };
            for _ in 0..1024 {
                timed(&piece)?;
            }
            while begun.elapsed() < Duration::from_secs(second + 1) {
                timed(&piece[..64])?;
                thread::sleep(Duration::from_millis(1));
            }
        }
        let stats = left.writer().stats();
        drop(left);
        let _ = reading.join();
        calls.sort_by(f64::total_cmp);
        let at = |part: f64| calls[((calls.len() - 1) as f64 * part) as usize];
        println!(
            "a burst each second, {what}: a call takes {:.1} µs (p50), {:.0} µs (p99.9), {:.0} µs \
             (max); grown {} times, shrunk {}",
            at(0.5),
            at(0.999),
            at(1.0),
            stats.grown,
            stats.shrunk
        );
    }
    Ok(())
}

/// GiB a second through both ends, written in pieces of `size`.
fn rate<T: Write, U: Read + Send + 'static>(
    mut to: T,
    mut from: U,
    size: usize,
) -> io::Result<f64> {
    const BYTES: usize = 512 << 20;
    let reading = thread::spawn(move || -> io::Result<()> {
        let mut buf = vec![0; size];
        while from.read(&mut buf)? > 0 {}
        Ok(())
    });
    let piece = vec![1; size];
    let start = Instant::now();
    for _ in 0..BYTES / size {
        to.write_all(&piece)?;
    }
    drop(to);
    reading.join().expect("the reader does not panic")?;
    Ok(BYTES as f64 / start.elapsed().as_secs_f64() / f64::from(1 << 30))
}

fn large_writes() -> io::Result<()> {
    for size in [256 << 10, 1 << 20] {
        let mut rates = [Vec::new(), Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            for (i, options) in [growing(), fixed()].into_iter().enumerate() {
                let (left, right) = options.spin(Spin::Never).pair()?;
                rates[i].push(rate(left, right, size)?);
            }
            let (left, right) = UnixStream::pair()?;
            rates[2].push(rate(left, right, size)?);
        }
        let [growing, fixed, unix] = rates.each_mut().map(|rates| median(rates));
        println!(
            "writes of {} KiB that never spin: growing {growing:.1} GiB/s, fixed {fixed:.1}, Unix \
             socket {unix:.1}; growing to the Unix socket {:.2}",
            size >> 10,
            growing / unix
        );
    }
    Ok(())
}
