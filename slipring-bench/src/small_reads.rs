//! A reader that takes a byte or a short line at a time, as parsers do, of a writer that writes
//! many bytes at once. This measures the cost of a byte that is already there.

use std::{
    hint::black_box,
    io::{self, BufRead, BufReader, Read, Write},
};

use ::slipring::Spin;

use crate::{
    case::{Kind, SmallRead},
    clock,
    half::{mixed, timed},
    order::{Order, Report},
    transport::{duplex::Duplex, slipring::Slipring},
    worker::{Work, Worker},
};

/// Bytes of a line, its end among them. Every message consists of whole lines.
const LINE: u64 = 32;

/// Where the bytes come from.
#[derive(Clone, Copy)]
pub(crate) enum SmallReads {
    /// slipring's reader as it is, or in a `BufReader` of 8 KiB, the default.
    Slipring { spin: Spin, buffered: bool },
    /// A Unix socket in such a `BufReader`.
    Unix,
}

impl Work for SmallReads {
    fn work(&self, worker: &Worker) -> io::Result<()> {
        let socket = worker.end_of_one()?.socket;
        let SmallReads::Slipring { spin, buffered } = *self else {
            return work(BufReader::new(socket.try_clone()?), socket, worker);
        };
        let capacity = None;
        let stream = Slipring { spin, capacity }.options().upgrade(socket)?;
        let (reader, writer) = stream.into_split();
        match buffered {
            true => work(BufReader::new(reader), writer, worker),
            false => work(reader, writer, worker),
        }
    }
}

fn work(mut reader: impl BufRead, mut writer: impl Write, worker: &Worker) -> io::Result<()> {
    let (case, host) = (worker.case(), worker.is_host());
    let mut message = vec![0; case.size];
    worker.orders(|order| {
        let report = timed(clock::cpu, || {
            let total = order.messages * case.size as u64;
            match case.kind {
                Kind::SmallReads(_) if host => write(&mut writer, &mut message, order),
                Kind::SmallReads(read) => read_all(&mut reader, total, read, order.verify),
                Kind::Mixed(how) => {
                    let (reader, writer) = (&mut reader, &mut writer);
                    mixed::half(&mut Duplex { reader, writer }, how, host)
                }
                _ => Err(io::ErrorKind::Unsupported.into()),
            }
        })?;
        Ok(vec![report])
    })
}

fn write(writer: &mut impl Write, message: &mut [u8], order: Order) -> io::Result<Report> {
    let length = message.len() as u64;
    for number in 0..order.messages {
        if order.verify || number == 0 {
            fill(message, number * length);
        }
        writer.write_all(message)?;
    }
    Ok(Report::default())
}

fn read_all(
    reader: &mut impl BufRead,
    total: u64,
    read: SmallRead,
    verify: bool,
) -> io::Result<Report> {
    if !verify {
        // The bytes are used. Otherwise the compiler leaves out the code that fetches them.
        black_box(fold(reader, total, read, 0_u64, |sum, byte| {
            sum + u64::from(byte)
        })?);
        return Ok(Report::default());
    }
    let seen = (0, None);
    let (_, wrong) = fold(reader, total, read, seen, |(position, wrong), byte| {
        let wrong = wrong.or((byte != text(position)).then_some(position));
        (position + 1, wrong)
    })?;
    match wrong {
        None => Ok(Report::default()),
        Some(at) => Err(io::Error::other(format!("byte {at} is not what was sent"))),
    }
}

/// Shows every byte to `see`, in the way that the case asks for. The result of `see` is handed on
/// as a value, which the compiler can keep in a register for every kind of reader.
fn fold<S>(
    reader: &mut impl BufRead,
    total: u64,
    read: SmallRead,
    seen: S,
    see: impl Fn(S, u8) -> S,
) -> io::Result<S> {
    match read {
        SmallRead::BufRead => borrow_bytes(reader, total, seen, see),
        // The compiler must not know which type is behind it.
        SmallRead::DynRead => read_bytes(black_box(reader), total, seen, see),
        SmallRead::Lines => read_lines(reader, total, seen, see),
    }
}

#[inline(never)]
fn borrow_bytes<R: BufRead, S>(
    reader: &mut R,
    total: u64,
    mut seen: S,
    see: impl Fn(S, u8) -> S,
) -> io::Result<S> {
    for _ in 0..total {
        let &byte = reader
            .fill_buf()?
            .first()
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        reader.consume(1);
        seen = see(seen, byte);
    }
    Ok(seen)
}

#[inline(never)]
fn read_bytes<S>(
    reader: &mut dyn Read,
    total: u64,
    mut seen: S,
    see: impl Fn(S, u8) -> S,
) -> io::Result<S> {
    let mut byte = [0];
    for _ in 0..total {
        if reader.read(&mut byte)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        seen = see(seen, byte[0]);
    }
    Ok(seen)
}

#[inline(never)]
fn read_lines<R: BufRead, S>(
    reader: &mut R,
    total: u64,
    mut seen: S,
    see: impl Fn(S, u8) -> S,
) -> io::Result<S> {
    let mut line = Vec::new();
    let mut position = 0;
    while position < total {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        seen = line.iter().copied().fold(seen, &see);
        position += line.len() as u64;
    }
    Ok(seen)
}

/// The byte that has to be at a position: letters, so that neighbouring lines differ, and the end
/// of a line.
fn text(position: u64) -> u8 {
    match position % LINE {
        31 => b'\n',
        column => b'a' + ((position / LINE + column) % 26) as u8,
    }
}

fn fill(message: &mut [u8], position: u64) {
    for (at, place) in (position..).zip(message) {
        *place = text(at);
    }
}
