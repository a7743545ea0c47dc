//! The counted paths: each way of moving bytes, both ends in one thread, and nobody ever waits.

use slipring::{Options, Stream, frame, mmf};
use std::hint::black_box;
use std::io::{self, BufRead, Read, Write};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A way of moving bytes.
pub struct Path {
    pub name: &'static str,
    /// A description of one operation of it.
    pub operation: &'static str,
    /// Operations of a long run. The bytes that one end puts into the ring before the other takes
    /// anything out fit there.
    pub long: usize,
    /// Makes its streams, and everything else that a long run needs; then does so many operations.
    pub run: fn(usize) -> io::Result<()>,
}

/// The number of 64-byte pieces that fit into a ring of the default capacity.
const FULL: usize = 4096;

pub const PATHS: &[Path] = &[
    Path {
        name: "write-read-64",
        operation: "`write` of 64 B, then `read` of them",
        long: FULL,
        run: |count| write_read::<64>(count),
    },
    Path {
        name: "write-read-1k",
        operation: "`write` of 1 KiB, then `read` of them",
        long: FULL,
        run: |count| write_read::<1024>(count),
    },
    Path {
        name: "write-read-64k",
        operation: "`write` of 64 KiB, then `read` of them",
        long: FULL / 16,
        run: |count| write_read::<65536>(count),
    },
    Path {
        name: "write-64",
        operation: "`write` of 64 B while there is room",
        long: FULL,
        run: write,
    },
    Path {
        name: "batch-64",
        operation: "`write` of 64 B in a `batch` of 64",
        long: FULL,
        run: batch,
    },
    Path {
        name: "grant-64",
        operation: "`reserve` of 64 B, and `commit`",
        long: FULL,
        run: grant,
    },
    Path {
        name: "read-64",
        operation: "`read` of 64 B of many that are there",
        long: FULL,
        run: read,
    },
    Path {
        name: "view-64",
        operation: "`fill_buf`, and `consume` of 64 B",
        long: FULL,
        run: |count| view::<64>(count),
    },
    Path {
        name: "view-1",
        operation: "`fill_buf`, and `consume` of a byte",
        long: 16 * FULL,
        run: |count| view::<1>(count),
    },
    Path {
        name: "read-until-64",
        operation: "`read_until` a line of 64 B",
        long: FULL,
        run: read_until,
    },
    Path {
        name: "dyn-read-1",
        operation: "`read` of a byte through `&mut dyn Read`",
        long: 16 * FULL,
        run: dyn_read,
    },
    Path {
        name: "message-64",
        operation: "`frame`: `send` of 64 B, then `recv`",
        long: FULL,
        run: message,
    },
    Path {
        name: "tokio-64",
        operation: "`tokio`: `write_all` of 64 B, then `read_exact`",
        long: FULL,
        run: tokio,
    },
    Path {
        name: "mmf-64",
        operation: "`mmf`: `write` of 64 B, then `read` of them",
        long: FULL,
        run: mmf,
    },
];

/// Rings that may grow, and are large enough for each call here.
fn options() -> Options {
    Options::new().capacity(256 << 10)
}

/// The two ends of a stream.
fn pair() -> io::Result<(Stream, Stream)> {
    Ok(options().pair()?)
}

/// The reading end of a stream whose ring is full of lines of 64 bytes, and the other end, which
/// has to stay.
fn full() -> io::Result<(Stream, Stream)> {
    let (mut left, right) = pair()?;
    let mut line = [b'-'; 64];
    line[63] = b'\n';
    for _ in 0..FULL {
        left.write_all(&line)?;
    }
    Ok((right, left))
}

/// One call has to move all of it, or something else is counted than it says.
#[inline(always)]
fn whole(moved: usize, size: usize) -> io::Result<()> {
    if moved == size {
        Ok(())
    } else {
        Err(part(moved, size))
    }
}

#[cold]
fn part(moved: usize, size: usize) -> io::Error {
    io::Error::other(format!("{moved} bytes went at once, not {size}"))
}

fn write_read<const SIZE: usize>(count: usize) -> io::Result<()> {
    let (mut left, mut right) = pair()?;
    let (from, mut to) = (vec![7; SIZE], vec![0; SIZE]);
    for _ in 0..count {
        whole(left.write(black_box(&from))?, SIZE)?;
        whole(right.read(black_box(&mut to))?, SIZE)?;
    }
    Ok(())
}

fn write(count: usize) -> io::Result<()> {
    let (mut left, _right) = pair()?;
    for _ in 0..count {
        whole(left.write(black_box(&[7; 64]))?, 64)?;
    }
    Ok(())
}

fn batch(count: usize) -> io::Result<()> {
    let (mut left, _right) = pair()?;
    for _ in 0..count / 64 {
        let mut batch = left.writer().batch();
        for _ in 0..64 {
            whole(batch.write(black_box(&[7; 64]))?, 64)?;
        }
        batch.flush()?;
    }
    Ok(())
}

fn grant(count: usize) -> io::Result<()> {
    let (mut left, _right) = pair()?;
    for _ in 0..count {
        let mut grant = left.writer().reserve(64)?;
        grant.copy_from_slice(black_box(&[7; 64]));
        grant.commit(64);
    }
    Ok(())
}

fn read(count: usize) -> io::Result<()> {
    let (mut right, _left) = full()?;
    let mut to = [0; 64];
    for _ in 0..count {
        whole(right.read(black_box(&mut to))?, 64)?;
    }
    Ok(())
}

fn view<const SIZE: usize>(count: usize) -> io::Result<()> {
    let (mut right, _left) = full()?;
    for _ in 0..count {
        black_box(right.fill_buf()?);
        right.consume(SIZE);
    }
    Ok(())
}

fn read_until(count: usize) -> io::Result<()> {
    let (mut right, _left) = full()?;
    let mut line = Vec::with_capacity(64);
    for _ in 0..count {
        whole(right.read_until(b'\n', black_box(&mut line))?, 64)?;
        line.clear();
    }
    Ok(())
}

fn dyn_read(count: usize) -> io::Result<()> {
    let (mut right, _left) = full()?;
    let right: &mut dyn Read = black_box(&mut right);
    for _ in 0..count {
        whole(right.read(black_box(&mut [0]))?, 1)?;
    }
    Ok(())
}

fn message(count: usize) -> io::Result<()> {
    let (left, right) = pair()?;
    let (mut sender, _receiver) = frame::split(left)?;
    let (_sender, mut receiver) = frame::split(right)?;
    for _ in 0..count {
        sender.send(black_box(&[7; 64]))?;
        let message = receiver.recv()?.ok_or(io::ErrorKind::UnexpectedEof)?;
        whole(black_box(&*message).len(), 64)?;
    }
    Ok(())
}

fn tokio(count: usize) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let (mut left, mut right) = slipring::tokio::Stream::pair_with(&options())?;
        let mut to = [0; 64];
        for _ in 0..count {
            left.write_all(black_box(&[7; 64])).await?;
            right.read_exact(black_box(&mut to)).await?;
        }
        Ok(())
    })
}

fn mmf(count: usize) -> io::Result<()> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("ring");
    let mut writer = mmf::Writer::create(&path, 16 + (FULL * 64) as u64)?;
    let mut reader = mmf::Reader::open(&path)?;
    let mut to = [0; 64];
    for _ in 0..count {
        whole(writer.write(black_box(&[7; 64]))?, 64)?;
        whole(reader.read(black_box(&mut to))?, 64)?;
    }
    Ok(())
}
