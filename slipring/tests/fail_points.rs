//! A process that dies at each step that there is (`slipring::fail_points`), as the one that
//! connects and as the one that listens. The survivor reads exactly the bytes that were published,
//! then the documented end; the name is free at once; nothing is left behind.
//!
//! Every point that exists is gone through, and each has to be reached. `SLIPRING_FAIL_COUNTS` for
//! more of the first times that a point is come to, `SLIPRING_FAIL_ROUNDS` for more rounds at
//! random ones.

mod common;

use common::process::{self, say, sleeps, start, told};
use common::raw::Words;
use common::{GENEROUS, Place, Random, bytes, eventually, guard_for, kind, setting};
use rustix::fd::AsFd;
use slipring::{EndReason, Error, Listener, Options, Spin, Stream};
use std::collections::BTreeSet;
use std::fs::{File, read_dir, read_link, read_to_string};
use std::io::{self, BufRead, ErrorKind, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

const CAPACITY: usize = 512 * 1024;

const BULK: usize = 2 * CAPACITY + 77;

/// The bytes that one write publishes at once, for any kind of reader.
const STEP: usize = 16 * 1024;

/// The points of a stream's life. Those of feeds and boards are gone through in `feed_fail_points`
/// and `board_fail_points`.
fn points() -> Vec<(&'static str, &'static str)> {
    let of_streams = slipring::fail_points::ALL
        .iter()
        .filter(|(name, _)| !name.starts_with("feed-") && !name.starts_with("board-"));
    of_streams.copied().collect()
}

#[test]
#[ignore = "another process, started by the tests here"]
fn child_process() {
    process::play(&[
        ("connects and dies", connects_and_dies),
        ("listens and dies", listens_and_dies),
        ("connects and survives", connects_and_survives),
        ("listens and survives", listens_and_survives),
    ]);
}

fn options() -> Options {
    Options::new()
        .capacity(CAPACITY)
        .max_capacity(2 * CAPACITY)
        .spin(Spin::Never)
        .handshake_timeout(GENEROUS)
}

/// The progress of the doomed process, intended and done: in a file, which survives it.
struct Log(Words);

/// Words of the log: the end of the bytes that are about to be published; of the published bytes;
/// whether it is about to finish (1), or has (2).
const INTENDED: usize = 0;
const PUBLISHED: usize = 8;
const FINISHED: usize = 16;

impl Log {
    fn open(path: &str) -> Log {
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .unwrap();
        file.set_len(4096).unwrap();
        Log(Words::map(file.as_fd(), 4096, true).unwrap())
    }
}

/// One side of a conversation in which each step waits until the other side sleeps; so both come to
/// every step of sleeping and waking, regardless of which side is faster.
struct Talk {
    source: bytes::Source,
    sink: bytes::Sink,
    written: u64,
    log: Option<Log>,
}

impl Talk {
    fn new(seeds: (u64, u64), log: Option<Log>) -> Talk {
        Talk {
            source: bytes::Source::new(seeds.0),
            sink: bytes::Sink::new(seeds.1),
            written: 0,
            log,
        }
    }

    fn note(&self, what: usize, value: u64) {
        if let Some(log) = &self.log {
            log.0.store(what, value);
        }
    }

    fn publishing<T>(
        &mut self,
        most: usize,
        publish: impl FnOnce(&mut Self) -> io::Result<(T, usize)>,
    ) -> io::Result<T> {
        self.note(INTENDED, self.written + most as u64);
        let (result, n) = publish(self)?;
        self.written += n as u64;
        self.note(PUBLISHED, self.written);
        Ok(result)
    }

    fn speak(&mut self, stream: &mut Stream) -> io::Result<()> {
        until_asleep(stream);
        self.publishing(1000, |talk| {
            let n = stream.write(talk.source.take(1000))?;
            assert_eq!(n, 1000);
            Ok(((), n))
        })?;
        until_asleep(stream);
        self.publishing(500, |talk| {
            let mut grant = stream.writer().reserve(500)?;
            grant.copy_from_slice(talk.source.take(500));
            grant.commit(500);
            Ok(((), 500))
        })?;
        until_asleep(stream);
        self.publishing(300, |talk| {
            let mut batch = stream.writer().batch();
            batch.write_all(talk.source.take(100))?;
            batch.write_all(talk.source.take(200))?;
            batch.flush()?;
            Ok(((), 300))
        })?;
        // More than the ring holds: it is followed by a larger one.
        until_asleep(stream);
        self.publishing(400, |talk| {
            let mut grant = stream.writer().reserve(CAPACITY + 1)?;
            grant[..400].copy_from_slice(talk.source.take(400));
            grant.commit(400);
            Ok(((), 400))
        })?;
        // More than there is room for: this side sleeps.
        let bulk = self.source.take(BULK).to_vec();
        let mut rest = bulk.as_slice();
        while !rest.is_empty() {
            let part = &rest[..rest.len().min(STEP)];
            let n = self.publishing(part.len(), |_| stream.write(part).map(|n| (n, n)))?;
            rest = &rest[n..];
        }
        stream.writer().wait_consumed()?;
        // The other side takes the smaller ring when it reads, or as it sleeps.
        stream.writer().shrink();
        Ok(())
    }

    fn listen(&mut self, stream: &mut Stream) -> io::Result<()> {
        self.take(stream, 1000)?;
        // There may be more by now: a half that has been woken is not yet awake, and the other side
        // goes on.
        self.sink.take(&stream.reader().fill_at_least(500)?[..500]);
        stream.reader().consume(500);
        self.take(stream, 300 + 400)?;
        until_asleep(stream);
        self.take(stream, BULK)
    }

    /// Reads `n` bytes, and checks each of them, also of those before an end.
    fn take(&mut self, stream: &mut Stream, n: usize) -> io::Result<()> {
        let mut buf = vec![0; 50_000];
        let mut left = n;
        while left > 0 {
            let most = left.min(buf.len());
            let n = stream.read(&mut buf[..most])?;
            if n == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            self.sink.take(&buf[..n]);
            left -= n;
        }
        Ok(())
    }

    /// To the end of both directions, which this side comes to first or second.
    fn finish(&mut self, stream: &mut Stream, first: bool) -> io::Result<()> {
        if first {
            until_asleep(stream);
            self.finish_writing(stream)?;
            self.sink.drain(stream.reader())
        } else {
            self.sink.drain(stream.reader())?;
            until_asleep(stream);
            self.finish_writing(stream)
        }
    }

    fn finish_writing(&self, stream: &mut Stream) -> io::Result<()> {
        self.note(FINISHED, 1);
        stream.writer().finish()?;
        self.note(FINISHED, 2);
        Ok(())
    }

    /// All that the doomed one says, in turns with what [`answer`](Self::answer) says.
    fn ask(&mut self, stream: &mut Stream) -> io::Result<()> {
        for _ in 0..2 {
            self.speak(stream)?;
            self.listen(stream)?;
        }
        self.finish(stream, true)
    }

    fn answer(&mut self, stream: &mut Stream) -> io::Result<()> {
        for _ in 0..2 {
            self.listen(stream)?;
            self.speak(stream)?;
        }
        self.finish(stream, false)
    }
}

/// Until the peer sleeps on the stream, or is dead.
fn until_asleep(stream: &Stream) {
    let directory = format!("/proc/{}", stream.peer().pid.unwrap());
    eventually("the peer sleeps, or is dead", || {
        let stat = read_to_string(format!("{directory}/stat")).unwrap_or_default();
        let dead = stat
            .rsplit(") ")
            .next()
            .is_none_or(|rest| rest.is_empty() || rest.starts_with(['Z', 'X']));
        dead || read_dir(format!("{directory}/task")).is_ok_and(|tasks| {
            let numbers = tasks.filter_map(|task| task.ok()?.file_name().to_str()?.parse().ok());
            numbers.into_iter().any(sleeps)
        })
    });
}

fn connects_and_dies(arguments: &[&str]) {
    let mut stream = options().connect(arguments[0]).unwrap();
    let log = Log::open(arguments[1]);
    Talk::new((1, 2), Some(log)).ask(&mut stream).unwrap();
}

fn listens_and_dies(arguments: &[&str]) {
    let listener = options().bind(arguments[0]).unwrap();
    say("bound");
    let mut stream = listener.accept().unwrap();
    let log = Log::open(arguments[1]);
    Talk::new((1, 2), Some(log)).ask(&mut stream).unwrap();
}

/// The resources of this process: descriptors, and mappings of files or of shared memory.
fn belongings() -> BTreeSet<String> {
    let descriptors = read_dir("/proc/self/fd").unwrap();
    let held = descriptors.filter_map(|entry| {
        let path = entry.unwrap().path();
        // Not the one that lists them, which is gone by now.
        Some(format!(
            "{} -> {}",
            path.display(),
            read_link(&path).ok()?.display()
        ))
    });
    let maps = read_to_string("/proc/self/maps").unwrap();
    let mapped = maps
        .lines()
        .filter(|line| line.contains('/'))
        .map(str::to_owned);
    held.chain(mapped).collect()
}

/// The first act of every survivor, so that resources that are made once and stay are there.
fn settle(directory: &Path) -> BTreeSet<String> {
    let name = directory.join("settling");
    let listener = options().bind(&name).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| options().connect(&name).unwrap());
        listener.accept().unwrap();
    });
    drop(listener);
    belongings()
}

/// The end that the survivor of a stream has to see.
fn survive(mut stream: Stream, log: &str, point: &str) {
    let mut talk = Talk::new((2, 1), None);
    // The other side decides how far it comes.
    let _ = talk.answer(&mut stream);
    let read = talk.sink.drain(stream.reader()).map_err(|e| e.kind());
    let log = Log::open(log).0;
    let (intended, published) = (log.load(INTENDED), log.load(PUBLISHED));
    let position = talk.sink.position;
    match point {
        // Unless it comes to an end before that.
        "published" if log.load(FINISHED) == 0 => assert!(
            published < position && position <= intended,
            "{published} {position} {intended}"
        ),
        // For bytes that were published just now, or for bytes that were read.
        "ringing" | "rung" => assert!(published <= position && position <= intended),
        _ => assert_eq!(position, published),
    }
    let end = stream.reader().end().unwrap();
    assert_eq!(end.position, position);
    match log.load(FINISHED) {
        0 => assert_eq!(
            (read, end.reason),
            (Err(ErrorKind::ConnectionReset), EndReason::PeerDied)
        ),
        _ => assert_eq!((read, end.reason), (Ok(()), EndReason::Finished)),
    }
    // Writing fails once there is no room left, or at the next tick of the clock.
    eventually("writing fails", || match stream.write(b"x") {
        Ok(_) => false,
        Err(e) => {
            assert_eq!(e.kind(), ErrorKind::BrokenPipe);
            true
        }
    });
    assert_eq!(kind(stream.write(b"x")), ErrorKind::BrokenPipe, "it stays");
}

/// The one that connects survives.
fn connects_and_survives(arguments: &[&str]) {
    let [name, log, point] = arguments else {
        panic!()
    };
    let directory = Path::new(name).parent().unwrap();
    let before = settle(directory);
    match options().connect(name) {
        Ok(stream) => survive(stream, log, point),
        Err(Error::PeerGone | Error::NotBound { .. }) => {}
        Err(e) => panic!("{e:?}"),
    }
    assert_eq!(told().as_deref(), Some("gone"));
    drop(Listener::bind(name).unwrap());
    assert_eq!(belongings(), before);
}

/// The one that listens survives, and serves the next.
fn listens_and_survives(arguments: &[&str]) {
    let [name, log, point] = arguments else {
        panic!()
    };
    let directory = Path::new(name).parent().unwrap();
    let before = settle(directory);
    let listener = options().bind(name).unwrap();
    thread::scope(|scope| {
        let next = scope.spawn(|| {
            assert_eq!(told().as_deref(), Some("gone"));
            let mut stream = options().connect(name).unwrap();
            stream.write_all(b"next").unwrap();
        });
        say("bound");
        loop {
            let mut stream = listener.accept().unwrap();
            if stream.peer().pid == Some(std::process::id()) {
                let mut buf = Vec::new();
                stream.read_to_end(&mut buf).unwrap();
                assert_eq!(buf, b"next");
                break;
            }
            survive(stream, log, point);
        }
        next.join().unwrap();
    });
    drop(listener);
    drop(Listener::bind(name).unwrap());
    assert_eq!(belongings(), before);
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Doomed {
    Connects,
    Listens,
}

/// One life and one death. Says whether the point was reached that often.
fn dies(doomed: Doomed, point: &str, count: u64) -> bool {
    let (place, elsewhere) = (Place::new(), Place::new());
    let (name, log) = (place.name("x"), elsewhere.name("log"));
    let (name, log) = (name.to_str().unwrap(), log.to_str().unwrap());
    let die = |role| {
        let mut command = process::command(&elsewhere, role, &[name, log]);
        command.env("SLIPRING_FAIL_POINT", format!("{point}:{count}"));
        process::start_as(command, role)
    };
    let (mut dying, mut survivor);
    match doomed {
        Doomed::Connects => {
            survivor = start(&elsewhere, "listens and survives", &[name, log, point]);
            survivor.expect("bound");
            dying = die("connects and dies");
        }
        Doomed::Listens => {
            dying = die("listens and dies");
            // Or it is dead by now.
            dying.try_hear();
            survivor = start(&elsewhere, "connects and survives", &[name, log, point]);
        }
    }
    let status = dying.wait();
    let reached = status.signal() == Some(libc::SIGKILL);
    assert!(
        reached || status.success(),
        "{doomed:?} at {point}:{count}: {status}"
    );
    survivor.tell_if_there("gone");
    let survived = survivor.wait();
    assert!(
        survived.success(),
        "{doomed:?} at {point}:{count}, the survivor: {survived}"
    );
    let left: Vec<_> = read_dir(place.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(left.is_empty(), "{doomed:?} at {point}:{count}: {left:?}");
    reached
}

/// The first times that each point is come to. Returns those that were reached at all.
fn each_point(doomed: Doomed) -> BTreeSet<&'static str> {
    let counts = setting("SLIPRING_FAIL_COUNTS", 2);
    let names = points().into_iter().map(|(name, _)| name);
    names
        .filter(|name| {
            (1..=counts)
                .take_while(|count| dies(doomed, name, *count))
                .count()
                > 0
        })
        .collect()
}

#[test]
fn a_death_at_any_step_leaves_what_was_published_and_nothing_else() {
    guard_for(Duration::from_secs(3600), || {
        let listening = thread::spawn(|| each_point(Doomed::Listens));
        let mut reached = each_point(Doomed::Connects);
        reached.extend(listening.join().unwrap());
        for (name, what) in points() {
            assert!(
                reached.contains(name),
                "the point `{name}` ({what}) was never reached"
            );
        }
    });
}

#[test]
fn a_death_anywhere_in_the_handshake_leaves_no_stream() {
    guard_for(Duration::from_secs(3600), || {
        let rounds = (0..setting("SLIPRING_FAIL_ROUNDS", 100)).filter(|seed| {
            let mut random = Random::new(*seed);
            let doomed = random.choose(&[Doomed::Connects, Doomed::Listens]);
            let (point, _) = random.choose(&points());
            dies(doomed, point, 1 + random.below(60))
        });
        assert!(rounds.count() > 0, "nobody has died");
    });
}

#[test]
fn a_fail_point_that_does_not_exist_is_found_out() {
    let place = Place::new();
    let mut command = process::command(
        &place,
        "listens and dies",
        &[place.name("x").to_str().unwrap(), "log"],
    );
    command
        .env("SLIPRING_FAIL_POINT", "nowhere:1")
        .stderr(std::process::Stdio::null());
    assert_eq!(
        process::start_as(command, "listens and dies").wait().code(),
        Some(101)
    );
}
