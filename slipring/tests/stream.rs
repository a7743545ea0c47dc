//! A stream behaves like a connected Unix socket: the same bodies run over both.

mod common;

use common::{Place, bytes, guard, kind, process};
use slipring::{Listener, Options, Spin, Stream};
use std::io::{BufRead, BufReader, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

/// The common interface of a stream and a Unix socket.
trait Socket: Read + Write + Send + Sized + 'static {
    fn pair() -> (Self, Self);
    fn read_timeout(&mut self, timeout: Option<Duration>) -> std::io::Result<()>;
    fn write_timeout(&mut self, timeout: Option<Duration>) -> std::io::Result<()>;
    fn nonblocking(&mut self, yes: bool);
    fn shut(&mut self, how: Shutdown) -> std::io::Result<()>;
}

impl Socket for UnixStream {
    fn pair() -> (Self, Self) {
        UnixStream::pair().unwrap()
    }

    fn read_timeout(&mut self, timeout: Option<Duration>) -> std::io::Result<()> {
        self.set_read_timeout(timeout)
    }

    fn write_timeout(&mut self, timeout: Option<Duration>) -> std::io::Result<()> {
        self.set_write_timeout(timeout)
    }

    fn nonblocking(&mut self, yes: bool) {
        self.set_nonblocking(yes).unwrap();
    }

    fn shut(&mut self, how: Shutdown) -> std::io::Result<()> {
        self.shutdown(how)
    }
}

impl Socket for Stream {
    fn pair() -> (Self, Self) {
        Options::new()
            .capacity(16 * 1024)
            .max_capacity(16 * 1024)
            .pair()
            .unwrap()
    }

    fn read_timeout(&mut self, timeout: Option<Duration>) -> std::io::Result<()> {
        self.set_read_timeout(timeout)
    }

    fn write_timeout(&mut self, timeout: Option<Duration>) -> std::io::Result<()> {
        self.set_write_timeout(timeout)
    }

    fn nonblocking(&mut self, yes: bool) {
        self.set_nonblocking(yes).unwrap();
    }

    fn shut(&mut self, how: Shutdown) -> std::io::Result<()> {
        self.shutdown(how)
    }
}

/// The same body, once over each.
macro_rules! alike {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            guard(bodies::$name::<UnixStream>);
            guard(bodies::$name::<Stream>);
        })*
    };
}

alike! {
    bytes_arrive_in_order
    a_half_close_leaves_the_other_direction
    the_end_of_file_stays
    what_was_written_before_dropping_is_read
    writing_to_a_dropped_peer_is_a_broken_pipe
    writing_after_shutdown_is_a_broken_pipe
    shutting_the_reading_down_breaks_the_pipe_of_the_peer
    shutting_both_down_ends_both
    shutting_down_after_the_peer_has_gone_is_no_error
    a_read_that_takes_too_long_would_block
    a_write_that_takes_too_long_would_block
    a_timeout_of_zero_is_invalid
    nonblocking_reads_and_writes_would_block
    a_full_pipe_holds_the_writer_back
    vectors_are_gathered_and_scattered
    lines_are_read_through_a_buffer
    io_copy_moves_everything
}

/// Writes single bytes until that fails. A socket fails at once; a stream with room in its ring
/// checks the other side only once in a while.
fn written_until_it_fails(to: &mut impl Write) -> ErrorKind {
    let start = Instant::now();
    while start.elapsed() < common::GENEROUS {
        if let Err(e) = to.write(b"x") {
            return e.kind();
        }
    }
    panic!("writing goes on and on");
}

mod bodies {
    use super::*;

    pub fn bytes_arrive_in_order<S: Socket>() {
        let (mut left, mut right) = S::pair();
        let writing = thread::spawn(move || {
            let mut source = bytes::Source::new(1);
            for n in [1, 2, 3, 4095, 4096, 4097, 65_537, 1, 300_000] {
                source.write_all(&mut left, n).unwrap();
            }
            left.flush().unwrap();
        });
        let mut all = Vec::new();
        right.read_to_end(&mut all).unwrap();
        writing.join().unwrap();
        bytes::check(1, 0, &all);
        assert_eq!(
            all.len(),
            1 + 2 + 3 + 4095 + 4096 + 4097 + 65_537 + 1 + 300_000
        );
    }

    pub fn a_half_close_leaves_the_other_direction<S: Socket>() {
        let (mut left, mut right) = S::pair();
        left.write_all(b"question").unwrap();
        left.shut(Shutdown::Write).unwrap();
        let mut text = String::new();
        right.read_to_string(&mut text).unwrap();
        assert_eq!(text, "question");
        right.write_all(b"answer").unwrap();
        drop(right);
        text.clear();
        left.read_to_string(&mut text).unwrap();
        assert_eq!(text, "answer");
    }

    pub fn the_end_of_file_stays<S: Socket>() {
        let (mut left, mut right) = S::pair();
        left.shut(Shutdown::Write).unwrap();
        for _ in 0..3 {
            assert_eq!(right.read(&mut [0; 8]).unwrap(), 0);
        }
        drop(left);
        for _ in 0..3 {
            assert_eq!(right.read(&mut [0; 8]).unwrap(), 0);
        }
    }

    pub fn what_was_written_before_dropping_is_read<S: Socket>() {
        let (mut left, mut right) = S::pair();
        left.write_all(b"last words").unwrap();
        drop(left);
        let mut buf = [0; 4];
        right.read_exact(&mut buf).unwrap();
        assert_eq!(&buf, b"last");
        let mut rest = Vec::new();
        right.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, b" words");
    }

    pub fn writing_to_a_dropped_peer_is_a_broken_pipe<S: Socket>() {
        let (left, mut right) = S::pair();
        drop(left);
        assert_eq!(written_until_it_fails(&mut right), ErrorKind::BrokenPipe);
        for _ in 0..3 {
            assert_eq!(kind(right.write(b"x")), ErrorKind::BrokenPipe);
        }
        assert_eq!(right.read(&mut [0]).unwrap(), 0);
    }

    pub fn writing_after_shutdown_is_a_broken_pipe<S: Socket>() {
        let (mut left, mut right) = S::pair();
        left.shut(Shutdown::Write).unwrap();
        assert_eq!(kind(left.write(b"x")), ErrorKind::BrokenPipe);
        assert_eq!(right.read(&mut [0]).unwrap(), 0);
        left.shut(Shutdown::Write).unwrap();
    }

    pub fn shutting_the_reading_down_breaks_the_pipe_of_the_peer<S: Socket>() {
        let (mut left, mut right) = S::pair();
        left.shut(Shutdown::Read).unwrap();
        assert_eq!(left.read(&mut [0]).unwrap(), 0);
        assert_eq!(written_until_it_fails(&mut right), ErrorKind::BrokenPipe);
        left.write_all(b"y").unwrap();
        assert_eq!(right.read(&mut [0; 8]).unwrap(), 1);
    }

    pub fn shutting_both_down_ends_both<S: Socket>() {
        let (mut left, mut right) = S::pair();
        left.write_all(b"x").unwrap();
        left.shut(Shutdown::Both).unwrap();
        assert_eq!(left.read(&mut [0]).unwrap(), 0);
        assert_eq!(kind(left.write(b"x")), ErrorKind::BrokenPipe);
        assert_eq!(written_until_it_fails(&mut right), ErrorKind::BrokenPipe);
        assert_eq!(right.read(&mut [0; 8]).unwrap(), 1);
        assert_eq!(right.read(&mut [0; 8]).unwrap(), 0);
    }

    pub fn shutting_down_after_the_peer_has_gone_is_no_error<S: Socket>() {
        let (mut left, right) = S::pair();
        drop(right);
        assert_eq!(written_until_it_fails(&mut left), ErrorKind::BrokenPipe);
        left.shut(Shutdown::Write).unwrap();
        left.shut(Shutdown::Both).unwrap();
    }

    pub fn a_read_that_takes_too_long_would_block<S: Socket>() {
        let (mut left, mut right) = S::pair();
        right.read_timeout(Some(Duration::from_millis(5))).unwrap();
        for _ in 0..3 {
            assert_eq!(kind(right.read(&mut [0])), ErrorKind::WouldBlock);
        }
        left.write_all(b"x").unwrap();
        assert_eq!(right.read(&mut [0]).unwrap(), 1);
        // Longer than the millisecond count of an older system call holds.
        right
            .read_timeout(Some(Duration::from_secs(100 * 24 * 3600)))
            .unwrap();
        let writing = thread::spawn(move || left.write_all(b"y").map(|()| left));
        assert_eq!(right.read(&mut [0]).unwrap(), 1);
        right.read_timeout(None).unwrap();
        writing.join().unwrap().unwrap();
        assert_eq!(right.read(&mut [0]).unwrap(), 0);
    }

    pub fn a_write_that_takes_too_long_would_block<S: Socket>() {
        let (mut left, mut right) = S::pair();
        left.write_timeout(Some(Duration::from_millis(5))).unwrap();
        let mut source = bytes::Source::new(2);
        let mut written = 0;
        let error = loop {
            match left.write(source.take(1000)) {
                Ok(n) => {
                    written += n as u64;
                    source.position = written;
                }
                Err(e) => break e,
            }
        };
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        assert!(written > 0);
        drop(left);
        let mut all = Vec::new();
        right.read_to_end(&mut all).unwrap();
        assert_eq!(all.len() as u64, written);
        bytes::check(2, 0, &all);
    }

    pub fn a_timeout_of_zero_is_invalid<S: Socket>() {
        let (mut left, _right) = S::pair();
        assert_eq!(
            kind(left.read_timeout(Some(Duration::ZERO))),
            ErrorKind::InvalidInput
        );
        assert_eq!(
            kind(left.write_timeout(Some(Duration::ZERO))),
            ErrorKind::InvalidInput
        );
    }

    pub fn nonblocking_reads_and_writes_would_block<S: Socket>() {
        let (mut left, mut right) = S::pair();
        left.nonblocking(true);
        right.nonblocking(true);
        assert_eq!(kind(right.read(&mut [0; 8])), ErrorKind::WouldBlock);
        let mut written = 0;
        let error = loop {
            match left.write(&[7; 1000]) {
                Ok(n) => written += n,
                Err(e) => break e,
            }
        };
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        let mut read = 0;
        let error = loop {
            match right.read(&mut [0; 777]) {
                Ok(n) => read += n,
                Err(e) => break e,
            }
        };
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        assert_eq!(read, written);
        left.nonblocking(false);
        left.write_all(b"x").unwrap();
        assert_eq!(right.read(&mut [0; 8]).unwrap(), 1);
    }

    pub fn a_full_pipe_holds_the_writer_back<S: Socket>() {
        let (mut left, mut right) = S::pair();
        let writing = thread::spawn(move || {
            bytes::Source::new(3)
                .write_all(&mut left, 2 << 20)
                .map(|()| left)
        });
        let mut sink = bytes::Sink::new(3);
        // Both go at the pace of the reader: nothing is lost for it.
        for n in [1, 100, 5000, 1 << 20] {
            sink.read_exact(&mut right, n).unwrap();
        }
        assert!(!writing.is_finished());
        sink.read_exact(&mut right, (2 << 20) - sink.position as usize)
            .unwrap();
        drop(writing.join().unwrap().unwrap());
        assert_eq!(right.read(&mut [0]).unwrap(), 0);
    }

    pub fn vectors_are_gathered_and_scattered<S: Socket>() {
        let (mut left, mut right) = S::pair();
        let all = bytes::made(4, 0, 600);
        let (one, rest) = all.split_at(1);
        let (two, three) = rest.split_at(99);
        let n = left
            .write_vectored(&[one, &[], two, three].map(IoSlice::new))
            .unwrap();
        assert_eq!(n, 600);
        let (mut a, mut b, mut c) = ([0; 250], [0; 0], [0; 1000]);
        let n = right
            .read_vectored(&mut [&mut a[..], &mut b, &mut c].map(IoSliceMut::new))
            .unwrap();
        assert_eq!(n, 600);
        bytes::check(4, 0, &a);
        bytes::check(4, 250, &c[..350]);
        assert_eq!(left.write_vectored(&[]).unwrap(), 0);
        drop(left);
        assert_eq!(
            right.read_vectored(&mut [IoSliceMut::new(&mut a)]).unwrap(),
            0
        );
    }

    pub fn lines_are_read_through_a_buffer<S: Socket>() {
        let (mut left, right) = S::pair();
        let writing = thread::spawn(move || {
            for i in 0..5000 {
                writeln!(left, "line {i}").unwrap();
            }
        });
        for (i, line) in BufReader::new(right).lines().enumerate() {
            assert_eq!(line.unwrap(), format!("line {i}"));
        }
        writing.join().unwrap();
    }

    pub fn io_copy_moves_everything<S: Socket>() {
        let (mut a, mut b) = S::pair();
        let (mut c, mut d) = S::pair();
        let writing = thread::spawn(move || bytes::Source::new(5).write_all(&mut a, 3_000_001));
        let between = thread::spawn(move || std::io::copy(&mut b, &mut c).unwrap());
        let mut all = Vec::new();
        d.read_to_end(&mut all).unwrap();
        writing.join().unwrap().unwrap();
        assert_eq!(between.join().unwrap(), 3_000_001);
        bytes::check(5, 0, &all);
    }
}

/// `BufRead` of the stream itself, at every offset of lines and ring.
#[test]
fn lines_are_read_in_place() {
    guard(|| {
        for copy in [false, true] {
            let (mut left, mut right) = Options::new()
                .capacity(4096)
                .max_capacity(4096)
                .copy_reads(copy)
                .pair()
                .unwrap();
            let writing = thread::spawn(move || {
                for i in 0..3000 {
                    writeln!(left, "{i}{}", "x".repeat(i % 100)).unwrap();
                }
            });
            let mut line = String::new();
            for i in 0..3000 {
                line.clear();
                right.read_line(&mut line).unwrap();
                assert_eq!(line, format!("{i}{}\n", "x".repeat(i % 100)));
            }
            assert_eq!(right.read_line(&mut line).unwrap(), 0);
            writing.join().unwrap();
        }
    });
}

/// `fill_buf` says the same until something is consumed, also when reads come between.
#[test]
fn lending_and_copying_may_be_mixed() {
    guard(|| {
        for copy in [false, true] {
            let (mut left, mut right) = Options::new()
                .capacity(256 * 1024)
                .max_capacity(256 * 1024)
                .copy_reads(copy)
                .pair()
                .unwrap();
            let (mut source, mut sink) = (bytes::Source::new(6), bytes::Sink::new(6));
            let mut random = common::Random::new(6);
            for _ in 0..2000 {
                let n = 1 + random.below(100_000) as usize;
                source.write_all(left.writer(), n).unwrap();
                while sink.position < source.position {
                    let lent = right.fill_buf().unwrap().to_vec();
                    bytes::check(6, sink.position, &lent);
                    let n = (1 + random.below(lent.len() as u64)) as usize;
                    if random.below(2) == 0 {
                        sink.take(&lent[..n]);
                        right.consume(n);
                    } else {
                        sink.read_exact(&mut right, n).unwrap();
                    }
                }
            }
        }
    });
}

#[test]
#[should_panic(expected = "more consumed than was available")]
fn consuming_what_was_not_lent_is_a_mistake() {
    let (_left, mut right) = Stream::pair().unwrap();
    right.consume(1);
}

#[test]
#[ignore = "another process, started by the tests here"]
fn child_process() {
    process::play(&[("echoes", echoes)]);
}

/// Sends everything back.
fn echoes(arguments: &[&str]) {
    let mut stream = Options::new()
        .wait_for_listener(common::GENEROUS)
        .connect(arguments[0])
        .unwrap();
    let (reader, writer) = stream.halves();
    std::io::copy(reader, writer).unwrap();
    writer.finish().unwrap();
    assert_eq!(process::told(), None);
}

/// A program written for sockets, as it is, between two processes.
#[test]
fn two_processes_talk_both_ways() {
    guard(|| {
        let place = Place::new();
        let name = place.name("echo");
        let listener = Listener::bind(&name).unwrap();
        let mut other = process::start(&place, "echoes", &[name.to_str().unwrap()]);
        let stream = listener.accept().unwrap();
        assert_eq!(stream.peer().pid, Some(other.id()));
        assert_eq!(stream.peer().uid, rustix::process::geteuid().as_raw());
        assert_eq!(
            stream.name().map(ToString::to_string),
            name.to_str().map(String::from)
        );
        let (mut reader, mut writer) = stream.into_split();
        let writing = thread::spawn(move || {
            let mut source = bytes::Source::new(7);
            for n in [1, 3, 4095, 65_537, 1_000_001] {
                source.write_all(&mut writer, n).unwrap();
            }
            writer.finish().unwrap();
            writer.wait_consumed().unwrap();
            source.position
        });
        let mut sink = bytes::Sink::new(7);
        sink.drain(&mut reader).unwrap();
        assert_eq!(sink.position, writing.join().unwrap());
        assert!(other.wait().success());
    });
}

/// A socket that is inherited or made in pairs becomes a stream.
#[test]
fn any_connected_unix_socket_can_be_upgraded() {
    guard(|| {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let other =
            thread::spawn(move || Options::new().spin(Spin::Never).upgrade(theirs).unwrap());
        let mut left = Options::new().upgrade(ours).unwrap();
        let mut right = other.join().unwrap();
        left.write_all(b"up").unwrap();
        let mut buf = [0; 2];
        right.read_exact(&mut buf).unwrap();
        assert_eq!(&buf, b"up");
        assert!(left.name().is_none());
    });
}
