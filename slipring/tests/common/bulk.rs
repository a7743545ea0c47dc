//! Large amounts of data, in every way of writing and reading them.

use super::process::start;
use super::{GENEROUS, Place, Random, bytes};
use slipring::{Options, Reader, Spin, Stream, Writer};
use std::io::{BufRead, ErrorKind, IoSlice, Read, Write};
use std::thread;
use std::time::Duration;

/// The sizes that are likely to find something: around the word, the page, the part, and more than
/// a ring.
const SIZES: [usize; 8] = [1, 3, 64, 4095, 4096, 65_537, 300_001, (1 << 20) + 1];

/// Two processes exchange this many bytes each way, both at once, every half on a thread of its
/// own.
pub fn between_processes(capacity: usize, spin: Spin, bytes: u64, seed: u64) {
    let place = Place::new();
    let name = place.name("bulk");
    let listener = options(capacity, spin).bind(&name).unwrap();
    let arguments = [
        capacity.to_string(),
        spoken(spin).to_owned(),
        bytes.to_string(),
        seed.to_string(),
    ];
    let [a, b, c, d] = &arguments;
    let other = start(&place, "exchanges", &[name.to_str().unwrap(), a, b, c, d]);
    exchange(listener.accept().unwrap(), (1, 2), bytes, seed);
    other.succeed();
}

/// The other process: a role of the test binary.
pub fn exchanges(arguments: &[&str]) {
    let [name, capacity, spin, bytes, seed] = arguments else {
        panic!("{arguments:?}")
    };
    let stream = options(capacity.parse().unwrap(), understood(spin))
        .connect(name)
        .unwrap();
    exchange(
        stream,
        (2, 1),
        bytes.parse().unwrap(),
        seed.parse().unwrap(),
    );
}

fn options(capacity: usize, spin: Spin) -> Options {
    Options::new()
        .capacity(capacity)
        .max_capacity(capacity)
        .spin(spin)
        .wait_for_listener(GENEROUS)
}

fn spoken(spin: Spin) -> &'static str {
    match spin {
        Spin::Never => "never",
        Spin::Always => "always",
        Spin::UpTo(_) => "up to 100 µs",
        _ => "adaptive",
    }
}

fn understood(spin: &str) -> Spin {
    match spin {
        "never" => Spin::Never,
        "always" => Spin::Always,
        "adaptive" => Spin::default(),
        _ => Spin::UpTo(Duration::from_micros(100)),
    }
}

/// One side of it. `seeds`: of the bytes sent, of the bytes received.
fn exchange(stream: Stream, seeds: (u64, u64), bytes: u64, seed: u64) {
    let (mut reader, mut writer) = stream.into_split();
    let writing = thread::spawn(move || {
        write(&mut writer, seeds.0, bytes, seed);
        writer.finish().unwrap();
        writer.wait_consumed().unwrap();
    });
    assert_eq!(read(&mut reader, seeds.1, seed), bytes);
    writing.join().unwrap();
}

fn write(writer: &mut Writer, stream: u64, bytes: u64, seed: u64) {
    let mut random = Random::new(seed ^ stream << 32);
    let mut source = bytes::Source::new(stream);
    while source.position < bytes {
        let most = random.choose(&SIZES);
        let n = (1 + random.below(most as u64)).min(bytes - source.position) as usize;
        match random.below(8) {
            0 if n <= writer.capacity() => match writer.reserve(n) {
                Ok(mut grant) => {
                    // Fewer bytes than were asked for.
                    let n = n - random.below(n as u64) as usize;
                    grant[..n].copy_from_slice(source.take(n));
                    grant.commit(n);
                }
                Err(e) => assert_eq!(e.kind(), ErrorKind::Deadlock),
            },
            1 => {
                let mut batch = writer.batch();
                for _ in 0..random.below(100) {
                    let n = 16.min(bytes - source.position);
                    source.write_all(&mut batch, n as usize).unwrap();
                }
            }
            2 => {
                let position = source.position;
                let all = source.take(n);
                let (one, two) = all.split_at(n / 3);
                let written = writer
                    .write_vectored(&[IoSlice::new(one), IoSlice::new(two)])
                    .unwrap();
                source.position = position + written as u64;
            }
            3 => writer
                .wait_consumed()
                .unwrap_or_else(|e| assert_eq!(e.kind(), ErrorKind::Deadlock)),
            _ => source.write_all(writer, n).unwrap(),
        }
    }
}

fn read(reader: &mut Reader, stream: u64, seed: u64) -> u64 {
    let mut random = Random::new(seed ^ stream << 33);
    let mut sink = bytes::Sink::new(stream);
    let mut buf = vec![0; SIZES[SIZES.len() - 1]];
    loop {
        let n = 1 + random.below(random.clone().choose(&SIZES) as u64) as usize;
        match random.below(4) {
            0 if n <= reader.peer_capacity() => match reader.fill_at_least(n) {
                Ok(lent) => {
                    assert!(lent.len() >= n);
                    sink.take(&lent[..n]);
                    reader.consume(n);
                }
                // The rest is less than that.
                Err(e) => {
                    assert_eq!(e.kind(), ErrorKind::UnexpectedEof);
                    sink.drain(reader).unwrap();
                    return sink.position;
                }
            },
            1 => {
                let lent = reader.fill_buf().unwrap();
                if lent.is_empty() {
                    return sink.position;
                }
                let n = n.min(lent.len());
                sink.take(&lent[..n]);
                reader.consume(n);
            }
            _ => {
                let n = reader.read(&mut buf[..n]).unwrap();
                if n == 0 {
                    return sink.position;
                }
                sink.take(&buf[..n]);
            }
        }
    }
}
