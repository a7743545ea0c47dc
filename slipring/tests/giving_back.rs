//! Each read makes room at once, by any way of reading, and for any next step of this side: two
//! sides that wait for each other's room go on as long as there is a byte of it for either.

use slipring::frame::{self, Receiver, Sender};
use slipring::{Options, Reader, Spin, Stream, Writer};
use std::io::{BufRead, IoSlice, Read, Write};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// The size of the rings.
const RING: usize = 4096;

/// No wait here takes this long unless both sides wait.
const LONG: Duration = Duration::from_secs(30);

/// It is read six times before the other side wants room for four of them.
const LINE: &[u8] = b"123456789\n";

/// More than a ring holds.
const MUCH: [u8; 2 * RING] = [7; 2 * RING];

fn options() -> Options {
    Options::new()
        .capacity(RING)
        .max_capacity(RING)
        .spin(Spin::Never)
}

/// One side fills its ring; the other reads six lines of it, and writes more than its own ring
/// holds. Before the first one reads any of that, it waits for room for four lines, of the six.
fn scene(stream: Stream, after_reading: mpsc::Receiver<()>) {
    let (mut reader, mut writer) = limited(stream.into_split());
    let lines: Vec<u8> = LINE.iter().copied().cycle().take(RING).collect();
    assert_eq!(writer.try_write(&lines).unwrap(), RING);
    after_reading.recv_timeout(LONG).unwrap();
    writer
        .reserve(4 * LINE.len())
        .unwrap()
        .commit(4 * LINE.len());
    let mut all = Vec::new();
    reader.read_to_end(&mut all).unwrap();
    assert!(all.len() >= RING && all.iter().all(|byte| *byte == 7));
}

fn limited((mut reader, mut writer): (Reader, Writer)) -> (Reader, Writer) {
    reader.set_timeout(Some(LONG)).unwrap();
    writer.set_timeout(Some(LONG)).unwrap();
    (reader, writer)
}

type Part = (&'static str, fn(&mut Stream));

const READS: [Part; 6] = [
    ("read", |stream| {
        (0..6).for_each(|_| assert_eq!(stream.read(&mut [0; 10]).unwrap(), 10));
    }),
    ("read of single bytes", |stream| {
        (0..60).for_each(|_| stream.read_exact(&mut [0]).unwrap());
    }),
    ("read_line", |stream| {
        (0..6).for_each(|_| assert_eq!(stream.read_line(&mut String::new()).unwrap(), 10));
    }),
    ("fill_buf and consume", |stream| {
        for _ in 0..60 {
            stream.fill_buf().unwrap();
            stream.consume(1);
        }
    }),
    ("try_read", |stream| {
        (0..6).for_each(|_| assert_eq!(stream.reader().try_read(&mut [0; 10]).unwrap(), 10));
    }),
    ("fill_at_least and consume", |stream| {
        for _ in 0..6 {
            stream.reader().fill_at_least(10).unwrap();
            stream.consume(10);
        }
    }),
];

const WRITES: [Part; 7] = [
    ("write_all", |stream| stream.write_all(&MUCH).unwrap()),
    ("write_vectored", |stream| {
        let mut left = MUCH.len();
        while left > 0 {
            let half = left.div_ceil(2);
            let bufs = [
                IoSlice::new(&MUCH[..half]),
                IoSlice::new(&MUCH[..left - half]),
            ];
            left -= stream.write_vectored(&bufs).unwrap();
        }
    }),
    ("the writer's write_all", |stream| {
        stream.writer().write_all(&MUCH).unwrap()
    }),
    ("batch", |stream| {
        stream.writer().batch().write_all(&MUCH).unwrap()
    }),
    ("reserve", |stream| {
        for _ in 0..4 {
            let mut grant = stream.writer().reserve(RING / 2).unwrap();
            grant.fill(7);
            grant.commit(RING / 2);
        }
    }),
    ("wait_consumed", |stream| {
        stream.write_all(&MUCH[..RING]).unwrap();
        stream.writer().wait_consumed().unwrap();
    }),
    ("a half of its own", |stream| {
        let (_, writer) = stream.halves();
        writer.write_all(&MUCH).unwrap();
    }),
];

#[test]
fn consumed_bytes_are_given_back_however_they_are_read() {
    thread::scope(|scope| {
        for (reads, read) in READS {
            for (writes, write) in WRITES {
                scope.spawn(move || {
                    let (here, there) = options().pair().unwrap();
                    let (tell, told) = mpsc::channel();
                    let there = thread::spawn(move || scene(there, told));
                    let (reader, writer) = limited(here.into_split());
                    let mut here = reader.reunite(writer).unwrap();
                    here.reader().fill_at_least(RING).unwrap();
                    read(&mut here);
                    tell.send(()).unwrap();
                    write(&mut here);
                    here.writer().finish().unwrap();
                    assert!(there.join().is_ok(), "{reads}, {writes}");
                });
            }
        }
    });
}

/// The halves apart: one thread reads by one, and writes by the other.
#[test]
fn halves_apart_give_back_what_each_consumed() {
    let (here, there) = options().pair().unwrap();
    let (tell, told) = mpsc::channel();
    let there = thread::spawn(move || scene(there, told));
    let (mut reader, mut writer) = limited(here.into_split());
    (0..6).for_each(|_| reader.read_exact(&mut [0; 10]).unwrap());
    tell.send(()).unwrap();
    writer.write_all(&MUCH).unwrap();
    drop(writer);
    there.join().unwrap();
}

/// Four messages of 8 bytes make room for one of 40, with their headers.
fn messages_scene(
    (mut sender, mut receiver): (Sender, Receiver),
    after_reading: mpsc::Receiver<()>,
) {
    sender.set_timeout(Some(LONG)).unwrap();
    receiver.set_timeout(Some(LONG)).unwrap();
    (0..RING / 16).for_each(|_| sender.try_send(&[1; 8]).unwrap());
    after_reading.recv_timeout(LONG).unwrap();
    sender.send(&[2; 40]).unwrap();
    let mut got = 0;
    while receiver.recv().unwrap().is_some() {
        got += 1;
    }
    assert_eq!(got, 8);
}

#[test]
fn consumed_messages_are_given_back() {
    let (here, there) = options().pair().unwrap();
    let (tell, told) = mpsc::channel();
    let there = thread::spawn(move || messages_scene(frame::split(there).unwrap(), told));
    let (mut sender, mut receiver) = frame::split(here).unwrap();
    sender.set_timeout(Some(LONG)).unwrap();
    (0..4).for_each(|_| assert_eq!(*receiver.recv().unwrap().unwrap(), [1; 8]));
    tell.send(()).unwrap();
    (0..8).for_each(|_| sender.send(&MUCH[..1000]).unwrap());
    drop(sender);
    there.join().unwrap();
}

#[cfg(feature = "tokio")]
mod on_tokio {
    use super::*;
    use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
    use tokio::time::timeout;

    /// Does `body` on tokio, with the blocking side of a scene as the peer.
    fn with<F: Future<Output = ()>>(
        play: fn(Stream, mpsc::Receiver<()>),
        body: impl FnOnce(slipring::tokio::Stream, mpsc::Sender<()>) -> F,
    ) {
        let (here, there) = options().pair().unwrap();
        let (tell, told) = mpsc::channel();
        let there = thread::spawn(move || play(there, told));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let body = async {
            let here = slipring::tokio::Stream::from_blocking(here).unwrap();
            timeout(LONG, body(here, tell)).await.expect("both wait");
        };
        runtime.block_on(body);
        there.join().unwrap();
    }

    async fn read(how: u8, here: &mut slipring::tokio::Stream) {
        for _ in 0..6 {
            match how {
                0 => drop(here.read_exact(&mut [0; 10]).await.unwrap()),
                1 => drop(here.read_line(&mut String::new()).await.unwrap()),
                2 => {
                    assert!(here.fill_buf().await.unwrap().len() >= 10);
                    (0..10).for_each(|_| AsyncBufReadExt::consume(here, 1));
                }
                _ => {
                    assert!(here.reader().fill_at_least(10).await.unwrap().len() >= 10);
                    here.reader().consume(10);
                }
            }
        }
    }

    async fn write(how: u8, here: &mut slipring::tokio::Stream) {
        match how {
            0 => here.write_all(&MUCH).await.unwrap(),
            1 => {
                let mut left = MUCH.len();
                while left > 0 {
                    left -= here
                        .write_vectored(&[IoSlice::new(&MUCH[..left])])
                        .await
                        .unwrap();
                }
            }
            2 => {
                for _ in 0..4 {
                    let mut grant = here.writer().reserve(RING / 2).await.unwrap();
                    grant.fill(7);
                    grant.commit(RING / 2);
                }
            }
            _ => {
                here.write_all(&MUCH[..RING]).await.unwrap();
                here.writer().wait_consumed().await.unwrap();
            }
        }
    }

    #[test]
    fn consumed_bytes_are_given_back_however_they_are_read() {
        thread::scope(|scope| {
            for reads in 0..4 {
                for writes in 0..4 {
                    scope.spawn(move || {
                        with(scene, async |mut here, tell| {
                            here.reader().fill_at_least(RING).await.unwrap();
                            read(reads, &mut here).await;
                            tell.send(()).unwrap();
                            write(writes, &mut here).await;
                            here.shutdown().await.unwrap();
                        });
                    });
                }
            }
        });
    }

    #[test]
    fn consumed_messages_are_given_back() {
        let play = |stream, told| messages_scene(frame::split(stream).unwrap(), told);
        with(play, async |here, tell| {
            let (mut sender, mut receiver) = frame::tokio::split(here).unwrap();
            for _ in 0..4 {
                assert_eq!(*receiver.recv().await.unwrap().unwrap(), [1; 8]);
            }
            tell.send(()).unwrap();
            for _ in 0..8 {
                sender.send(&MUCH[..1000]).await.unwrap();
            }
        });
    }
}
