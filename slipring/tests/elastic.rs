//! Rings that grow and shrink while bytes flow: each byte arrives once and in order, in every kind
//! of waiting; what was grown goes back, in both processes; and a refusal is an error that names
//! the limit.

mod common;

use common::bytes::{Sink, Source};
use common::process::{self, Other, alone, say, start, told};
use common::{GENEROUS, Place, Random, eventually, guard, guard_for, kind, setting};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use slipring::{
    EndReason, Error, GrowthRefused, Limit, Listener, Options, Readiness, Spin, Stream, frame,
};
use std::collections::BTreeMap;
use std::fs::{File, metadata, read_to_string};
use std::io::{self, BufRead, ErrorKind, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

const START: usize = 16 << 10;
const MOST: usize = 1 << 20;

#[test]
#[ignore = "another process, started by the tests here"]
fn child_process() {
    process::play(&[
        ("reads", reads),
        ("converses", converses),
        ("meets the limit of the process", meets_the_limit),
        ("takes back from calm streams", takes_back),
        ("has no descriptor left", has_no_descriptor),
        ("forks", forks),
        ("is idle", is_idle),
        ("gives back", gives_back),
    ]);
}

/// The shared memory of streams that a process has mapped: bytes that are allocated, and its part
/// of them (`Pss`).
fn memory(pid: u32) -> (u64, u64) {
    let (mut objects, mut pss, mut ours) = (BTreeMap::new(), 0, false);
    for line in read_to_string(format!("/proc/{pid}/smaps"))
        .unwrap()
        .lines()
    {
        if let Some(kilobytes) = line.strip_prefix("Pss:") {
            if ours {
                pss += 1024
                    * kilobytes
                        .trim_end_matches("kB")
                        .trim()
                        .parse::<u64>()
                        .unwrap();
            }
        } else if let Some((range, rest)) = line.split_once(' ')
            && range.contains('-')
        {
            ours = rest.contains("/memfd:slipring");
            let fields: Vec<_> = rest.split_whitespace().collect();
            let number = |text| u64::from_str_radix(text, 16).unwrap();
            let (from, to) = range.split_once('-').unwrap();
            let end = number(fields[1]) + number(to) - number(from);
            if ours {
                // As root the object itself can be asked. All pages of one are allocated.
                let path = format!("/proc/{pid}/map_files/{range}");
                let size = metadata(path).map_or(end, |object| 512 * object.blocks());
                let largest: &mut u64 = objects.entry(fields[3].to_owned()).or_default();
                *largest = size.max(*largest);
            }
        }
    }
    (objects.values().sum(), pss)
}

fn pair(options: &Options) -> (Stream, Stream) {
    options.pair().unwrap()
}

#[track_caller]
fn refusal<T>(outcome: io::Result<T>) -> GrowthRefused {
    let error = outcome.map(drop).unwrap_err();
    GrowthRefused::of(&error).unwrap_or_else(|| panic!("{error:?}"))
}

fn is_idle(_: &[&str]) {
    let before = memory(std::process::id()).0;
    let _pair = pair(&Options::new());
    let taken = memory(std::process::id()).0 - before;
    assert!(taken <= 48 << 10, "{taken}");
}

#[test]
fn an_idle_stream_takes_little_memory() {
    guard(|| alone("is idle"));
}

/// Reads until the end, and says so.
fn reads(arguments: &[&str]) {
    let mut stream = Options::new()
        .spin(Spin::Never)
        .connect(arguments[0])
        .unwrap();
    let mut sink = Sink::new(1);
    sink.drain(stream.reader()).unwrap();
    say("all of it");
}

/// Another process that reads what is written to the stream.
fn read_elsewhere(place: &Place, options: &Options) -> (Stream, Other) {
    let listener = options.bind(place.path().join("x")).unwrap();
    let reading = start(place, "reads", &[place.path().join("x").to_str().unwrap()]);
    (listener.accept().unwrap(), reading)
}

fn gives_back(_: &[&str]) {
    let place = Place::new();
    let (mut stream, mut reading) = read_elsewhere(&place, &Options::new());
    let pids = [std::process::id(), reading.id()];
    // The other side may not have mapped everything yet.
    let (allocated, pss) = memory(pids[0]);
    let mut source = Source::new(1);
    source.write_all(&mut stream, 64 << 20).unwrap();
    stream.writer().wait_consumed().unwrap();
    assert_eq!(stream.capacity(), MOST);
    for pid in pids {
        assert!(memory(pid).0 >= MOST as u64);
    }
    // A calm second, with small messages.
    eventually("it shrinks", || {
        source.write_all(&mut stream, 1).unwrap();
        stream.capacity() == START
    });
    for pid in pids {
        eventually("the memory has gone back", || {
            let (now, part) = memory(pid);
            now <= allocated + (16 << 10) && part <= pss + (16 << 10)
        });
    }
    let stats = stream.writer().stats();
    assert!(stats.grown >= 1 && stats.shrunk == 1, "{stats:?}");
    // And once more, on request.
    stream.writer().reserve(MOST).unwrap().commit(0);
    assert_eq!(stream.capacity(), MOST);
    eventually("it shrinks on request", || {
        stream.writer().shrink() == START
    });
    // The reader sleeps, and nothing is published: it is told all the same.
    let most = allocated + (16 << 10);
    eventually("it has gone back there", || memory(reading.id()).0 <= most);
    stream.writer().finish().unwrap();
    reading.expect("all of it");
    reading.succeed();
}

#[test]
fn what_was_grown_goes_back_in_both_processes() {
    guard(|| alone("gives back"));
}

#[test]
fn a_direction_that_never_writes_again_gives_back_when_its_stream_waits_to_read() {
    guard(|| {
        let (mut left, mut right) = pair(&Options::new().spin(Spin::Never));
        left.writer().reserve(MOST).unwrap().commit(1);
        right.read_exact(&mut [0]).unwrap();
        assert_eq!(left.capacity(), MOST);
        left.set_read_timeout(Some(Duration::from_millis(10)))
            .unwrap();
        eventually("it shrinks", || {
            assert_eq!(kind(left.read(&mut [0])), ErrorKind::WouldBlock);
            left.capacity() == START
        });
    });
}

/// It is called once, and sleeps.
#[test]
fn a_stream_that_only_reads_gives_back_in_its_sleep() {
    guard(|| {
        let (mut left, mut right) = pair(&Options::new().spin(Spin::Never));
        left.writer().reserve(MOST).unwrap().commit(1);
        right.read_exact(&mut [0]).unwrap();
        assert_eq!(right.peer_capacity(), MOST);
        let reading = thread::spawn(move || left.read(&mut [0]).map(|n| (n, left)));
        eventually("the other side sees the small ring", || {
            right.reader().available().unwrap() == 0 && right.peer_capacity() == START
        });
        right.write_all(b"x").unwrap();
        let (n, mut left) = reading.join().unwrap().unwrap();
        assert_eq!((n, left.capacity()), (1, START));
        assert_eq!(left.writer().stats().shrunk, 1);
    });
}

/// A reader that is not limited in any way lets its peer grow as far as that likes.
#[test]
fn any_size_of_a_peers_ring_may_be_accepted() {
    let options = Options::new().max_peer_capacity(usize::MAX);
    let (mut left, mut right) = pair(&options);
    assert_eq!(left.writer().max_capacity(), MOST);
    assert_eq!(right.reader().max_peer_capacity(), MOST);
}

/// A writer that polls in an event loop is told, and does not spin.
#[test]
fn arming_for_more_than_the_ring_may_hold_is_an_error() {
    let options = Options::new().max_capacity(1 << 16);
    let (mut left, _right) = pair(&options);
    assert_eq!(left.writer().arm(60_000).unwrap(), Readiness::Ready);
    assert_eq!(left.capacity(), 1 << 16);
    assert_eq!(refusal(left.writer().arm(70_000)).limit, Limit::MaxCapacity);
}

/// To a peer that is gone no ring can be passed: that is told as its end.
#[test]
fn a_dead_peer_is_no_lack_of_memory() {
    guard(|| {
        let place = Place::new();
        let (mut stream, mut reading) = read_elsewhere(&place, &Options::new());
        reading.kill();
        let error = stream.writer().reserve(100_000).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        assert_eq!(stream.writer().end().unwrap().reason, EndReason::PeerDied);
        assert_eq!(stream.writer().stats().refused, 0);
    });
}

#[test]
fn messages_of_up_to_half_the_largest_ring_are_lent_in_place() {
    guard(|| {
        let (left, right) = pair(&Options::new());
        let (mut sender, _left) = frame::split(left).unwrap();
        let (_right, mut receiver) = frame::split(right).unwrap();
        for len in [100, 10_000, 100_000, sender.max_in_place()] {
            sender.send_with(len, |to| to.fill(len as u8)).unwrap();
            let message = receiver.recv().unwrap().unwrap();
            assert_eq!((message.len(), message[len - 1]), (len, len as u8));
        }
        assert_eq!(sender.writer().capacity(), MOST / 2);
        // What may not be lent in place comes in parts, also through a ring that cannot grow.
        let options = Options::new().capacity(4096).max_capacity(1 << 16);
        let (left, right) = pair(&options);
        let (mut sender, _left) = frame::split(left).unwrap();
        let (_right, mut receiver) = frame::split(right).unwrap();
        let sending = thread::spawn(move || sender.send(&vec![7; 1 << 20]).unwrap());
        assert_eq!(receiver.recv().unwrap().unwrap().len(), 1 << 20);
        sending.join().unwrap();
    });
}

#[test]
fn a_reader_that_waits_for_more_than_the_ring_holds_makes_it_grow() {
    guard(|| {
        for spin in [Spin::Never, Spin::default(), Spin::Always] {
            let (mut left, mut right) = pair(&Options::new().spin(spin));
            let writing = thread::spawn(move || {
                let mut source = Source::new(2);
                for _ in 0..1000 {
                    source.write_all(&mut left, 700).unwrap();
                }
                left
            });
            let mut sink = Sink::new(2);
            for n in [20_000, 300_000, 10, 70_000, 300_000] {
                sink.take(&right.reader().fill_at_least(n).unwrap()[..n]);
                right.consume(n);
            }
            drop(writing.join().unwrap());
            sink.drain(right.reader()).unwrap();
        }
    });
}

/// Each limit is named, on the side whose call needs more, and the stream goes on.
#[test]
fn a_refusal_names_the_limit_on_either_side() {
    guard(|| {
        let (mut left, mut right) = pair(&Options::new().max_capacity(1 << 16));
        let refused = refusal(left.writer().reserve(70_000));
        assert_eq!(
            (refused.needed, refused.limit),
            (70_000, Limit::MaxCapacity)
        );
        assert_eq!(refused.capacity, START);
        let refused = refusal(right.reader().fill_at_least(70_000));
        assert_eq!(
            (refused.needed, refused.limit),
            (70_000, Limit::MaxCapacity)
        );
        assert_eq!(left.writer().max_capacity(), 1 << 16);

        // A ring that grows as far as it may, and is not free enough yet, has refused nothing more.
        let refused = left.writer().stats().refused;
        left.write_all(&[1; 10_000]).unwrap();
        assert_eq!(
            kind(left.writer().try_reserve(60_000).map(drop)),
            ErrorKind::WouldBlock
        );
        assert_eq!(
            (left.capacity(), left.writer().stats().refused),
            (1 << 16, refused)
        );

        // The peer accepts less than this side would take.
        let (ours, theirs) = UnixStream::pair().unwrap();
        let small = Options::new().max_peer_capacity(100_000);
        let other = thread::spawn(move || small.upgrade(theirs).unwrap());
        let mut stream = Options::new().upgrade(ours).unwrap();
        let mut other = other.join().unwrap();
        assert_eq!(stream.writer().max_capacity(), 1 << 16);
        assert_eq!(other.reader().max_peer_capacity(), 1 << 16);
        let limit = Limit::MaxPeerCapacity;
        assert_eq!(refusal(stream.writer().reserve(70_000)).limit, limit);
        assert_eq!(refusal(other.reader().fill_at_least(70_000)).limit, limit);
        stream.write_all(b"goes on").unwrap();
        assert_eq!(other.reader().fill_at_least(7).unwrap(), b"goes on");
        assert_eq!(stream.writer().stats().refused_by, Some(limit));

        for wrong in [0, 3, 4096, 3 << 20, 1 << 31] {
            let error = Options::new().max_capacity(wrong).pair().unwrap_err();
            assert!(matches!(error, Error::Capacity { asked, .. } if asked == wrong));
        }
    });
}

fn meets_the_limit(_: &[&str]) {
    slipring::set_memory_limit(100_000);
    let (mut left, mut right) = pair(&Options::new().spin(Spin::Never));
    left.writer().reserve(60_000).unwrap().commit(0);
    assert_eq!(slipring::grown_memory(), (64 << 10) - (16 << 10));
    let refused = refusal(left.writer().reserve(150_000));
    assert_eq!(refused.limit, Limit::ProcessMemory);
    assert_eq!(refused.capacity, 64 << 10);
    // Everything that needs no larger ring is as ever.
    let writing = thread::spawn(move || {
        let mut source = Source::new(3);
        source.write_all(&mut left, 3 << 20).unwrap();
        left
    });
    let mut sink = Sink::new(3);
    // The reader is told, however it waits, and may ask again.
    for timeout in [None, Some(GENEROUS)] {
        right.set_read_timeout(timeout).unwrap();
        let refused = refusal(right.reader().fill_at_least(150_000));
        assert_eq!(refused.limit, Limit::ProcessMemory);
        assert_eq!(refused.needed, 150_000);
    }
    right.set_nonblocking(true).unwrap();
    let error = loop {
        let error = right.reader().fill_at_least(150_000).unwrap_err();
        if error.kind() != ErrorKind::WouldBlock {
            break error;
        }
        thread::yield_now();
    };
    assert_eq!(
        GrowthRefused::of(&error).unwrap().limit,
        Limit::ProcessMemory
    );
    // In an event loop, the call that follows `arm` is told.
    let error = loop {
        match right.reader().arm(150_000).unwrap() {
            Readiness::Pending => wait_for(right.reader()),
            Readiness::Ready => break right.reader().fill_at_least(150_000).unwrap_err(),
        }
    };
    assert_eq!(refusal::<()>(Err(error)).limit, Limit::ProcessMemory);
    right.set_nonblocking(false).unwrap();
    sink.read_exact(&mut right, 3 << 20).unwrap();
    let left = writing.join().unwrap();
    drop((left, right));
    assert_eq!(slipring::grown_memory(), 0);
}

#[test]
fn the_limit_of_the_process_is_told_on_both_sides() {
    guard(|| alone("meets the limit of the process"));
}

fn takes_back(_: &[&str]) {
    slipring::set_memory_limit(MOST as u64);
    let options = Options::new().spin(Spin::Never);
    let (mut first, mut first_peer) = pair(&options);
    let (mut second, _second_peer) = pair(&options);
    first.writer().reserve(MOST).unwrap().commit(1);
    first_peer.read_exact(&mut [0]).unwrap();
    assert_eq!(slipring::grown_memory(), (MOST - START) as u64);
    let refused = refusal(second.writer().reserve(MOST));
    assert_eq!(refused.limit, Limit::ProcessMemory);
    // The first one is calm, and is used.
    eventually("the second one can grow", || {
        first.write_all(b"x").unwrap();
        first_peer.read_exact(&mut [0]).unwrap();
        second.writer().reserve(MOST).is_ok()
    });
    assert_eq!(first.capacity(), START);
}

#[test]
fn calm_streams_give_back_where_the_process_needs_it() {
    guard(|| alone("takes back from calm streams"));
}

/// A reader without a descriptor for the next ring says so, and loses nothing.
fn has_no_descriptor(arguments: &[&str]) {
    let mut stream = Options::new().connect(arguments[0]).unwrap();
    let usual = getrlimit(Resource::Nofile);
    let low = Rlimit {
        current: Some(64),
        ..usual
    };
    setrlimit(Resource::Nofile, low).unwrap();
    let mut taken = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        taken.push(file);
    }
    say("full");
    told();
    let mut sink = Sink::new(4);
    let mut buf = vec![0; 1000];
    let error = loop {
        match stream.read(&mut buf) {
            Ok(n) => sink.take(&buf[..n]),
            Err(error) => break error,
        }
    };
    assert_eq!(
        Error::of(&error).and_then(Error::raw_os_error),
        Some(libc::EMFILE)
    );
    assert_eq!(kind(stream.read(&mut buf)), error.kind());
    assert_eq!(stream.reader().end(), None);
    taken.clear();
    sink.drain(stream.reader()).unwrap();
    say("all of it");
}

#[test]
fn a_reader_without_a_descriptor_loses_nothing() {
    guard(|| {
        let place = Place::new();
        let listener = Listener::bind(place.path().join("x")).unwrap();
        let path = place.path().join("x");
        let mut other = start(&place, "has no descriptor left", &[path.to_str().unwrap()]);
        let mut stream = listener.accept().unwrap();
        other.expect("full");
        let mut source = Source::new(4);
        source.write_all(&mut stream, 1000).unwrap();
        let mut grant = stream.writer().reserve(500_000).unwrap();
        grant.copy_from_slice(source.take(500_000));
        grant.commit(500_000);
        other.tell("read");
        source.write_all(&mut stream, 3 << 20).unwrap();
        stream.writer().finish().unwrap();
        other.expect("all of it");
        other.succeed();
    });
}

/// A borrowed slice stays what it is while the writer goes over to other rings.
#[test]
fn a_borrowed_slice_outlasts_an_exchange() {
    guard(|| {
        let (mut left, mut right) = pair(&Options::new());
        let (mut source, mut sink) = (Source::new(5), Sink::new(5));
        source.write_all(&mut left, 10_000).unwrap();
        let lent = right.fill_buf().unwrap();
        source.write_all(&mut left, 5_000).unwrap();
        left.writer().reserve(MOST / 2).unwrap().commit(0);
        source.write_all(&mut left, 300_000).unwrap();
        sink.take(lent);
        let n = lent.len();
        right.consume(n);
        sink.read_exact(&mut right, 315_000 - n).unwrap();
    });
}

/// A peer that is stopped takes nothing: what is written is kept, and the second exchange waits.
#[test]
fn a_stopped_peer_gets_everything_later() {
    guard(|| {
        let place = Place::new();
        let (mut stream, mut reading) = read_elsewhere(&place, &Options::new());
        reading.signal(Signal::STOP);
        let mut source = Source::new(1);
        stream.set_nonblocking(true).unwrap();
        let mut written = 0;
        loop {
            let bytes = source.take(50_000).to_vec();
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let Ok(n) = stream.write(rest) else {
                    break;
                };
                rest = &rest[n..];
                written += n;
            }
            if !rest.is_empty() {
                // The large ring is full, after one exchange.
                assert_eq!(stream.writer().stats().grown, 1);
                stream.set_nonblocking(false).unwrap();
                reading.signal(Signal::CONT);
                stream.write_all(rest).unwrap();
                break;
            }
        }
        assert!(written > START, "{written}");
        source.write_all(&mut stream, 3 << 20).unwrap();
        stream.writer().finish().unwrap();
        reading.expect("all of it");
        reading.succeed();
    });
}

/// A forked child changes nothing for its parent, whose rings are exchanged.
fn forks(_: &[&str]) {
    let (mut left, mut right) = pair(&Options::new());
    left.writer().reserve(100_000).unwrap().commit(1);
    // SAFETY: a call without pointers. The child calls nothing that allocates with a lock held
    // elsewhere: this process has no other thread that does anything.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let failed = left.write(b"x").is_err() && right.read(&mut [0]).is_err();
        drop((left, right));
        // SAFETY: ends the child at once.
        unsafe { libc::_exit(if failed { 0 } else { 1 }) };
    }
    let mut status = 0;
    // SAFETY: `status` is alive.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0);
    assert_eq!(slipring::grown_memory(), (128 << 10) - (16 << 10));
    // The reader has not taken the first one.
    left.writer().reserve(200_000).unwrap().commit(1);
    right.read_exact(&mut [0; 2]).unwrap();
    left.writer().reserve(500_000).unwrap().commit(500_000);
    right.read_exact(&mut vec![0; 500_000]).unwrap();
}

#[test]
fn a_forked_child_does_not_disturb_an_exchange() {
    guard(|| alone("forks"));
}

/// A size of up to two to the power of `most`, of any order of magnitude.
fn size(random: &mut Random, most: u64) -> usize {
    let power = random.below(most + 1);
    1 + random.below(1 << power) as usize
}

/// How one side of a conversation waits.
fn modes() -> [&'static str; 5] {
    ["never", "adaptive", "always", "polls", "tokio"]
}

fn mode_options(mode: &str) -> Options {
    let options = Options::new().capacity(4096).max_capacity(1 << 18);
    match mode {
        "never" => options.spin(Spin::Never),
        "always" => options.spin(Spin::Always),
        _ => options,
    }
}

/// Both directions at once, with pieces of every size, by every call, and rings that are exchanged
/// all the time.
fn converses(arguments: &[&str]) {
    let mode = arguments[1];
    let bytes: usize = arguments[3].parse().unwrap();
    let seeds: [u64; 2] = if arguments[2] == "first" {
        [6, 7]
    } else {
        [7, 6]
    };
    if mode == "tokio" {
        return on_tokio(arguments, bytes, seeds);
    }
    let options = mode_options(mode);
    let stream = if arguments[2] == "first" {
        let listener = options.bind(arguments[0]).unwrap();
        say("bound");
        listener.accept().unwrap()
    } else {
        options.connect(arguments[0]).unwrap()
    };
    let (mut reader, mut writer) = stream.into_split();
    let polls = mode == "polls";
    let writing = thread::spawn(move || {
        let (mut source, mut random) = (Source::new(seeds[0]), Random::new(seeds[0]));
        let mut left = bytes;
        writer.set_nonblocking(polls);
        while left > 0 {
            let n = size(&mut random, 16).min(left);
            let piece = source.take(n).to_vec();
            let mut rest = &piece[..];
            let whole = random.below(3) == 0;
            while !rest.is_empty() {
                let outcome = if whole {
                    writer.reserve(rest.len()).map(|mut grant| {
                        grant.copy_from_slice(rest);
                        grant.commit(rest.len());
                        rest.len()
                    })
                } else {
                    writer.write(rest)
                };
                match outcome {
                    Ok(n) => rest = &rest[n..],
                    Err(e) if e.kind() == ErrorKind::WouldBlock => {
                        if writer.arm(rest.len()).unwrap() == Readiness::Pending {
                            wait_for(&writer);
                        }
                    }
                    Err(e) => panic!("{e:?}"),
                }
            }
            left -= n;
            if random.below(200) == 0 {
                writer.shrink();
            }
        }
        writer
    });
    let (mut sink, mut random) = (Sink::new(seeds[1]), Random::new(seeds[1] + 10));
    let mut left = bytes;
    reader.set_nonblocking(polls);
    while left > 0 {
        let most = size(&mut random, 17).min(left);
        let outcome = match random.below(3) {
            0 => reader.fill_at_least(most).map(|lent| {
                sink.take(lent);
                lent.len()
            }),
            1 => reader.fill_buf().map(|lent| {
                sink.take(lent);
                lent.len()
            }),
            _ => {
                let mut buf = vec![0; most];
                match reader.read(&mut buf) {
                    Ok(n) => {
                        sink.take(&buf[..n]);
                        left -= n;
                        assert!(n > 0, "the end before all came");
                        continue;
                    }
                    Err(e) => Err(e),
                }
            }
        };
        match outcome {
            Ok(n) => {
                reader.consume(n);
                left -= n;
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                if reader.arm(most).unwrap() == Readiness::Pending {
                    wait_for(&reader);
                }
            }
            Err(e) => panic!("{e:?}"),
        }
    }
    let writer = writing.join().unwrap();
    let stats = writer.stats();
    say(&format!("exchanged {}", stats.grown + stats.shrunk));
    told();
}

/// Polls a descriptor until it is readable.
fn wait_for(half: &impl rustix::fd::AsFd) {
    use rustix::event::{PollFd, PollFlags, poll};
    poll(&mut [PollFd::new(half, PollFlags::IN)], None).unwrap();
}

fn on_tokio(arguments: &[&str], bytes: usize, seeds: [u64; 2]) {
    use slipring::tokio::{Listener, Stream};
    use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .worker_threads(2)
        .build()
        .unwrap();
    runtime.block_on(async {
        let options = mode_options("tokio");
        let stream = if arguments[2] == "first" {
            let listener = Listener::bind_with(&options, arguments[0]).unwrap();
            say("bound");
            listener.accept().await.unwrap()
        } else {
            Stream::connect_with(&options, arguments[0]).await.unwrap()
        };
        let (mut reader, mut writer) = stream.into_split();
        let writing = tokio::spawn(async move {
            let (mut source, mut random) = (Source::new(seeds[0]), Random::new(seeds[0]));
            let mut left = bytes;
            while left > 0 {
                let n = size(&mut random, 16).min(left);
                let piece = source.take(n).to_vec();
                if random.below(3) == 0 {
                    let mut grant = writer.reserve(n).await.unwrap();
                    grant.copy_from_slice(&piece);
                    grant.commit(n);
                } else {
                    writer.write_all(&piece).await.unwrap();
                }
                left -= n;
                if random.below(200) == 0 {
                    writer.shrink();
                }
            }
            writer
        });
        let (mut sink, mut random) = (Sink::new(seeds[1]), Random::new(seeds[1] + 10));
        let mut left = bytes;
        while left > 0 {
            let most = size(&mut random, 17).min(left);
            let n = match random.below(3) {
                0 => {
                    let lent = reader.fill_at_least(most).await.unwrap();
                    sink.take(lent);
                    lent.len()
                }
                1 => {
                    let lent = reader.fill_buf().await.unwrap();
                    sink.take(lent);
                    lent.len()
                }
                _ => {
                    let mut buf = vec![0; most];
                    let n = reader.read(&mut buf).await.unwrap();
                    sink.take(&buf[..n]);
                    left -= n;
                    assert!(n > 0, "the end before all came");
                    continue;
                }
            };
            reader.consume(n);
            left -= n;
        }
        let stats = writing.await.unwrap().stats();
        say(&format!("exchanged {}", stats.grown + stats.shrunk));
        told();
    });
}

/// `SLIPRING_ELASTIC_MIB` for more bytes each way.
#[test]
fn every_byte_arrives_whatever_the_rings_do() {
    let bytes = (setting("SLIPRING_ELASTIC_MIB", 8) << 20).to_string();
    guard_for(10 * GENEROUS, move || {
        for mode in modes() {
            for other in [mode, "never"] {
                let place = Place::new();
                let path = place.path().join("x");
                let path = path.to_str().unwrap();
                let mut first = start(&place, "converses", &[path, mode, "first", &bytes]);
                first.expect("bound");
                let mut second = start(&place, "converses", &[path, other, "second", &bytes]);
                for side in [&mut first, &mut second] {
                    let said = side.hear();
                    let exchanged: u64 = said.strip_prefix("exchanged ").unwrap().parse().unwrap();
                    assert!(exchanged > 0, "{mode} with {other}");
                }
                for mut side in [first, second] {
                    side.tell("done");
                    side.succeed();
                }
            }
        }
    });
}
