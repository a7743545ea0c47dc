//! The ring in a file: its layout, its waits, and its refusals.

mod common;

use common::bytes::made;
use common::mmf::Raw;
use common::{Place, guard, kind};
use slipring::Spin;
use slipring::mmf::{Duplex, Error, Reader, Role, Writer, wait_for_file};
use std::fs;
use std::io::{BufRead, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::thread;
use std::time::Duration;

/// A ring with `capacity` bytes of data, and both its ends.
fn ends(place: &Place, capacity: u64) -> (Writer, Reader, Raw) {
    let path = place.name("ring");
    let writer = Writer::create(&path, 16 + capacity).unwrap();
    (writer, Reader::open(&path).unwrap(), Raw::open(&path))
}

/// The error about the ring inside.
#[track_caller]
fn ring_error<T: std::fmt::Debug>(result: std::io::Result<T>) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
    format!("{:?}", Error::of(&error).expect("an error about the ring"))
}

#[test]
fn bytes_of_a_plain_ring_lie_where_the_layout_says() {
    let place = Place::new();
    let (mut writer, mut reader, raw) = ends(&place, 7);
    assert_eq!((raw.len(), raw.indexes()), (23, (0, 0)));
    writer.write_all(b"abcde").unwrap();
    assert_eq!(raw.indexes(), (0, 5));
    assert_eq!(raw.data(), b"abcde\0\0");
    reader.read_exact(&mut [0; 4]).unwrap();
    assert_eq!(raw.indexes(), (4, 5));
    writer.write_all(b"fghij").unwrap();
    assert_eq!(raw.indexes(), (4, 10));
    assert_eq!(raw.data(), b"hijdefg");
    let mut rest = [0; 6];
    reader.read_exact(&mut rest).unwrap();
    assert_eq!(&rest, b"efghij");
    assert_eq!(raw.indexes(), (10, 10));
}

#[test]
fn a_plain_ring_is_shared_with_another_program_both_ways() {
    let place = Place::new();
    let path = place.name("ring");
    let raw = Raw::create(&path, 9, 13, 5);
    raw.set_data(b"xabcd");
    // Position 9 lies at 4, and 10 at 0.
    let mut reader = Reader::open(&path).unwrap();
    assert_eq!(
        (
            reader.position(),
            reader.available().unwrap(),
            reader.capacity()
        ),
        (9, 4, 5)
    );
    let mut got = [0; 8];
    assert_eq!(reader.read(&mut got).unwrap(), 4);
    assert_eq!(&got[..4], b"dxab");
    let mut writer = Writer::open(&path).unwrap();
    assert_eq!((writer.position(), writer.space().unwrap()), (13, 5));
    writer.write_all(b"12").unwrap();
    assert_eq!((raw.indexes(), raw.data()), ((13, 15), b"xab12".to_vec()));
}

#[test]
fn a_write_that_fits_a_plain_ring_is_visible_at_once_and_a_larger_one_in_parts() {
    let place = Place::new();
    let (mut writer, mut reader, raw) = ends(&place, 10);
    writer.write_all(&[1; 6]).unwrap();
    assert_eq!(kind(writer.try_write(&[2; 5])), ErrorKind::WouldBlock);
    assert_eq!(raw.indexes(), (0, 6));
    assert_eq!(writer.try_write(&[2; 4]).unwrap(), 4);
    assert_eq!(kind(writer.try_write(&[3; 11])), ErrorKind::WouldBlock);
    reader.read_exact(&mut [0; 3]).unwrap();
    assert_eq!(writer.try_write(&[3; 11]).unwrap(), 3);
    assert_eq!(writer.try_write(&[]).unwrap(), 0);
    assert_eq!(raw.indexes(), (3, 13));
}

#[test]
fn gathered_writes_become_visible_at_once_and_reads_scatter() {
    let place = Place::new();
    let (mut writer, mut reader, raw) = ends(&place, 10);
    let gather = |writer: &mut Writer, parts: &[&[u8]]| {
        let parts: Vec<IoSlice> = parts.iter().map(|part| IoSlice::new(part)).collect();
        writer.write_vectored(&parts)
    };
    assert_eq!(gather(&mut writer, &[b"head", b"", b"body"]).unwrap(), 8);
    writer.set_nonblocking(true);
    assert_eq!(
        kind(gather(&mut writer, &[b"x", b"yz"])),
        ErrorKind::WouldBlock
    );
    assert_eq!(raw.indexes(), (0, 8));
    assert_eq!(gather(&mut writer, &[b"012", b"34567890"]).unwrap(), 2);
    let (mut one, mut two) = ([0; 6], [0; 9]);
    let mut parts = [IoSliceMut::new(&mut one), IoSliceMut::new(&mut two)];
    assert_eq!(reader.read_vectored(&mut parts).unwrap(), 10);
    assert_eq!((&one, &two[..4]), (b"headbo", &b"dy01"[..]));
    assert_eq!(raw.indexes(), (10, 10));
}

#[test]
fn a_plain_ring_lends_in_one_piece_or_two() {
    let place = Place::new();
    let (mut writer, mut reader, raw) = ends(&place, 8);
    writer.write_all(b"......").unwrap();
    assert_eq!(reader.fill_buf().unwrap(), b"......");
    reader.consume(5);
    writer.write_all(b"abcdef").unwrap();
    assert_eq!(reader.fill_pieces().unwrap(), [&b".ab"[..], b"cdef"]);
    assert_eq!(reader.fill_buf().unwrap(), b".ab");
    // Beyond the first piece, which both were lent in.
    reader.consume(4);
    assert_eq!(reader.fill_pieces().unwrap(), [&b"def"[..], b""]);
    assert_eq!((raw.indexes(), reader.position()), ((9, 12), 9));
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| reader.consume(4))).is_err());
}

#[test]
fn lines_go_over_the_end_of_a_plain_ring() {
    let place = Place::new();
    let (mut writer, mut reader, _) = ends(&place, 11);
    for number in 0..100 {
        writer
            .write_all(format!("line {number}\n").as_bytes())
            .unwrap();
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        assert_eq!(line, format!("line {number}\n"));
    }
}

#[test]
fn nonblocking_ends_of_a_plain_ring_do_not_block() {
    let place = Place::new();
    let (mut writer, mut reader, _) = ends(&place, 4);
    assert_eq!(kind(reader.try_read(&mut [0])), ErrorKind::WouldBlock);
    assert_eq!(reader.try_read(&mut []).unwrap(), 0);
    assert_eq!(reader.read(&mut []).unwrap(), 0);
    reader.set_nonblocking(true);
    writer.set_nonblocking(true);
    assert_eq!(kind(reader.read(&mut [0])), ErrorKind::WouldBlock);
    assert_eq!(
        kind(reader.fill_buf().map(<[u8]>::len)),
        ErrorKind::WouldBlock
    );
    writer.wait_consumed().unwrap();
    writer.write_all(b"full").unwrap();
    assert_eq!(kind(writer.write(b"x")), ErrorKind::WouldBlock);
    assert_eq!(kind(writer.wait_consumed()), ErrorKind::WouldBlock);
    assert_eq!(kind(writer.write_all(b"x")), ErrorKind::WouldBlock);
    writer.set_nonblocking(false);
    reader.set_nonblocking(false);
    for spin in [Spin::Never, Spin::Always, Spin::default()] {
        reader.set_spin(spin);
        writer.set_spin(spin);
        let timeout = Some(Duration::from_millis(3));
        writer.set_timeout(timeout).unwrap();
        assert_eq!(kind(writer.write(b"x")), ErrorKind::WouldBlock);
        let mut got = [0; 4];
        reader.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"full");
        reader.set_timeout(timeout).unwrap();
        assert_eq!(kind(reader.read(&mut got)), ErrorKind::WouldBlock);
        writer.write_all(b"full").unwrap();
    }
    assert_eq!(
        kind(reader.set_timeout(Some(Duration::ZERO))),
        ErrorKind::InvalidInput
    );
    assert_eq!(reader.timeout(), Some(Duration::from_millis(3)));
}

#[test]
fn a_blocked_end_of_a_plain_ring_goes_on_when_the_other_has_moved() {
    guard(|| {
        for spin in [Spin::Never, Spin::Always, Spin::default()] {
            let place = Place::new();
            let (mut writer, mut reader, _) = ends(&place, 7);
            reader.set_spin(spin);
            writer.set_spin(spin);
            let sent = made(1, 0, 10_000);
            let expected = sent.clone();
            let writing = thread::spawn(move || {
                writer.write_all(&sent).unwrap();
                writer.wait_consumed().unwrap();
                writer.position()
            });
            let mut got = vec![0; 10_000];
            reader.read_exact(&mut got).unwrap();
            assert!(got == expected);
            assert_eq!(writing.join().unwrap(), 10_000);
        }
    });
}

#[test]
fn both_ends_of_a_plain_ring_go_on_where_they_stopped() {
    let place = Place::new();
    let path = place.name("ring");
    let mut got = [0; 3];
    for round in 0..20 {
        let mut writer = Writer::create_or_open(&path, 16 + 10).unwrap();
        assert_eq!(writer.position(), 3 * round);
        writer.write_all(&made(2, writer.position(), 3)).unwrap();
        drop(writer);
        if round > 0 {
            let mut reader = Reader::create_or_open(&path, 16 + 10).unwrap();
            assert_eq!(reader.position(), 3 * (round - 1));
            let position = reader.position();
            reader.read_exact(&mut got).unwrap();
            assert_eq!(got.to_vec(), made(2, position, 3));
        }
    }
}

#[test]
fn a_duplex_of_two_plain_rings_goes_both_ways() {
    guard(|| {
        let place = Place::new();
        let (to, from) = (place.name("to"), place.name("from"));
        let mut left = Duplex::create(&from, &to, 100).unwrap();
        let mut right = Duplex::open(&to, &from).unwrap();
        let echo = thread::spawn(move || {
            let (reader, writer) = right.halves();
            std::io::copy(&mut reader.take(100_000), writer).unwrap()
        });
        let (reader, writer) = left.halves();
        thread::scope(|scope| {
            scope.spawn(|| writer.write_all(&made(3, 0, 100_000)).unwrap());
            let mut got = vec![0; 100_000];
            reader.read_exact(&mut got).unwrap();
            assert!(got == made(3, 0, 100_000));
        });
        assert_eq!(echo.join().unwrap(), 100_000);
        let (reader, writer) = left.into_split();
        assert_eq!(
            (reader.path(), writer.path()),
            (from.as_path(), to.as_path())
        );
    });
}

#[test]
fn files_of_plain_rings_are_made_once_and_for_this_user() {
    let place = Place::new();
    let path = place.name("ring");
    assert!(matches!(Reader::open(&path), Err(Error::NotThere { .. })));
    let writer = Writer::create(&path, 100).unwrap();
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(Raw::open(&path).data(), vec![0; 84]);
    assert!(matches!(
        Reader::create(&path, 100),
        Err(Error::Exists { .. })
    ));
    assert!(matches!(
        Reader::create_or_open(&path, 101),
        Err(Error::WrongSize {
            expected: 101,
            found: 100,
            ..
        })
    ));
    Reader::create_or_open(&path, 100).unwrap();
    // Nothing is left beside it.
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    drop(writer);
}

/// A link may lead anywhere: a missing target is neither made nor searched for without end.
#[test]
fn symbolic_links_that_lead_nowhere_are_told() {
    guard(|| {
        let place = Place::new();
        let (link, target) = (place.name("link"), place.name("target"));
        for to in [&target, &place.name("nowhere").join("target"), &link] {
            std::os::unix::fs::symlink(to, &link).unwrap();
            let dangling = to != &link;
            for _ in 0..2 {
                let error = Writer::create_or_open(&link, 100).unwrap_err();
                assert_eq!(
                    matches!(error, Error::DanglingLink { .. }),
                    dangling,
                    "{error}"
                );
                let error = Reader::create_or_open(&link, 100).unwrap_err();
                assert_eq!(
                    matches!(error, Error::DanglingLink { .. }),
                    dangling,
                    "{error}"
                );
                let error = Duplex::create_or_open(&link, &link, 100).unwrap_err();
                assert_eq!(
                    matches!(error, Error::DanglingLink { .. }),
                    dangling,
                    "{error}"
                );
            }
            assert!(Reader::open(&link).is_err() && Reader::create(&link, 100).is_err());
            assert!(!target.exists());
            fs::remove_file(&link).unwrap();
        }
        // One that leads to a ring is as good as the ring.
        std::os::unix::fs::symlink(&target, &link).unwrap();
        let mut writer = Writer::create(&target, 100).unwrap();
        writer.write_all(b"abc").unwrap();
        assert_eq!(
            Reader::create_or_open(&link, 100)
                .unwrap()
                .available()
                .unwrap(),
            3
        );
    });
}

#[test]
fn times_that_no_clock_reaches_are_no_limits_at_a_plain_ring() {
    guard(|| {
        let place = Place::new();
        for spin in [
            Spin::UpTo(Duration::MAX),
            Spin::Adaptive { max: Duration::MAX },
            Spin::Never,
        ] {
            let (mut writer, mut reader, _raw) = ends(&place, 10);
            writer.set_spin(spin);
            writer.set_timeout(Some(Duration::MAX)).unwrap();
            reader.set_spin(spin);
            reader.set_timeout(Some(Duration::MAX)).unwrap();
            reader.set_longest_sleep(Duration::MAX);
            let writing = thread::spawn(move || writer.write_all(&[7; 1000]).unwrap());
            reader.read_exact(&mut [0; 1000]).unwrap();
            writing.join().unwrap();
            assert_eq!(
                wait_for_file(place.name("ring"), Some(Duration::MAX)).unwrap(),
                26
            );
            fs::remove_file(place.name("ring")).unwrap();
        }
    });
}

#[test]
fn sizes_that_no_plain_ring_can_have_are_refused() {
    let place = Place::new();
    let path = place.name("ring");
    for size in [0, 16, u64::MAX] {
        assert!(
            matches!(Writer::create(&path, size), Err(Error::BadSize { .. })),
            "{size}"
        );
        assert!(
            matches!(
                Reader::create_or_open(&path, size),
                Err(Error::BadSize { .. })
            ),
            "{size}"
        );
    }
    assert!(!path.exists());
    for size in [1, 15, 16] {
        fs::write(&path, vec![0; size]).unwrap();
        assert!(
            matches!(Reader::open(&path), Err(Error::TooShort { size: found, .. })
                if found == size as u64)
        );
        assert!(matches!(
            Reader::create_or_open(&path, 17),
            Err(Error::WrongSize { .. })
        ));
    }
    fs::write(&path, [0; 17]).unwrap();
    assert_eq!(Reader::open(&path).unwrap().capacity(), 1);
}

/// As a program in C# makes it: the file first, then its size.
#[test]
fn a_plain_file_without_a_size_is_given_one_or_waited_for() {
    guard(|| {
        let place = Place::new();
        let path = place.name("ring");
        fs::write(&path, []).unwrap();
        let writer = Writer::create_or_open(&path, 100).unwrap();
        assert_eq!((writer.capacity(), Raw::open(&path).len()), (84, 100));
        drop(writer);

        let other = place.name("other");
        fs::write(&other, []).unwrap();
        let opening = thread::spawn({
            let other = other.clone();
            move || loop {
                // It gives up after a second, which this machine may take for anything.
                match Reader::open(&other) {
                    Err(Error::TooShort { size: 0, .. }) => {}
                    result => return result.unwrap().capacity(),
                }
            }
        });
        Raw::open(&other).set_len(50);
        assert_eq!(opening.join().unwrap(), 34);
    });
}

#[test]
fn a_file_of_a_plain_ring_can_be_waited_for() {
    guard(|| {
        let place = Place::new();
        let path = place.name("ring");
        let timeout = Some(Duration::from_millis(10));
        assert!(
            matches!(wait_for_file(&path, timeout), Err(Error::NotThere { waited, .. })
                if !waited.is_zero())
        );
        fs::write(&path, [0; 16]).unwrap();
        assert!(matches!(
            wait_for_file(&path, timeout),
            Err(Error::TooShort { size: 16, .. })
        ));
        assert!(matches!(
            wait_for_file(place.path(), timeout),
            Err(Error::NotAFile { .. })
        ));
        let waiting = thread::spawn({
            let path = path.clone();
            move || wait_for_file(path, None).unwrap()
        });
        Raw::open(&path).set_len(1000);
        assert_eq!(waiting.join().unwrap(), 1000);
    });
}

#[test]
fn a_plain_ring_that_is_no_file_or_cannot_be_written_is_refused() {
    let place = Place::new();
    assert!(matches!(
        Reader::open(place.path()),
        Err(Error::NotAFile { .. })
    ));
    let pipe = place.name("pipe");
    let status = std::process::Command::new("mkfifo")
        .arg(&pipe)
        .status()
        .unwrap();
    assert!(status.success());
    assert!(matches!(Writer::open(&pipe), Err(Error::NotAFile { .. })));
    assert!(matches!(
        Writer::open("/dev/null"),
        Err(Error::NotAFile { .. })
    ));
    let error = Writer::create("/proc/ring", 100).unwrap_err();
    assert!(matches!(error, Error::Os { .. }), "{error}");
    let error = Writer::create(place.name("missing").join("ring"), 100).unwrap_err();
    assert!(error.to_string().contains("missing/ring"), "{error}");
    // A program that runs cannot be written, not even by root; and a reader would write its index.
    let error = Reader::open(std::env::current_exe().unwrap()).unwrap_err();
    assert!(
        error.to_string().contains("to read and to write"),
        "{error}"
    );
}

#[test]
fn a_full_file_system_is_an_error_and_no_signal() {
    let place = Place::new();
    let path = place.name("ring");
    // More than any disk has, and no file system can be short of it later.
    let error = Writer::create(&path, 1 << 55).unwrap_err();
    assert!(matches!(&error, Error::Os { .. }), "{error:?}");
    assert!(!path.exists());
}

#[test]
fn a_plain_ring_has_one_reader_and_one_writer() {
    let place = Place::new();
    let (writer, reader, _) = ends(&place, 10);
    let path = place.name("ring");
    assert!(matches!(
        Writer::open(&path),
        Err(Error::InUse {
            role: Role::Writer,
            ..
        })
    ));
    let error = Reader::create_or_open(&path, 26).unwrap_err();
    assert!(matches!(
        &error,
        Error::InUse {
            role: Role::Reader,
            ..
        }
    ));
    assert!(
        error.to_string().contains("a slipring reader already"),
        "{error}"
    );
    assert_eq!(kind::<()>(Err(error.into())), ErrorKind::ResourceBusy);
    // A file may also be locked as .NET does it.
    let file = fs::File::open(&path).unwrap();
    rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockShared).unwrap();
    drop(writer);
    Writer::open(&path).unwrap();
    drop(reader);
    Reader::open(&path).unwrap();
}

#[test]
fn a_file_of_nonsense_is_refused_when_it_is_opened() {
    let place = Place::new();
    for (number, (head, tail)) in [
        (1, 0),
        (0, 11),
        (5, 16),
        (u64::MAX, 0),
        (0, u64::MAX),
        (1 << 63, 1 << 63),
    ]
    .into_iter()
    .enumerate()
    {
        let path = place.name(&number.to_string());
        Raw::create(&path, head, tail, 10);
        for error in [
            Reader::open(&path).unwrap_err(),
            Writer::open(&path).unwrap_err(),
        ] {
            let text = error.to_string();
            assert!(
                matches!(error, Error::Indexes { head: h, tail: t, capacity: 10, .. }
                    if (h, t) == (head, tail)),
                "{text}"
            );
            assert!(
                text.contains(&head.to_string()) && text.contains(&tail.to_string()),
                "{text}"
            );
        }
    }
}

#[test]
fn a_tail_that_cannot_be_ends_the_reader() {
    for (tail, why) in [
        (4, "tail is behind head"),
        (6, "tail has gone back"),
        (16, "more is said to be there"),
        (u64::MAX, "more is said to be there"),
        (0, "tail is behind head"),
    ] {
        let place = Place::new();
        let path = place.name("ring");
        let raw = Raw::create(&path, 5, 7, 10);
        let mut reader = Reader::open(&path).unwrap();
        assert_eq!(reader.available().unwrap(), 2);
        raw.set_tail(tail);
        let error = ring_error(reader.available());
        assert!(
            error.contains(&format!("head: 5, tail: {tail}, capacity: 10")),
            "{error}"
        );
        assert!(error.contains(why) || tail == u64::MAX, "{error}");
        // It stays so, even if it makes sense again.
        raw.set_tail(7);
        assert_eq!(ring_error(reader.read(&mut [0; 10])), error);
        assert_eq!(ring_error(reader.try_read(&mut [0; 10])), error);
        assert_eq!(ring_error(reader.fill_pieces().map(|_| ())), error);
        assert_eq!(raw.indexes(), (5, 7));
    }
}

#[test]
fn a_head_that_cannot_be_ends_the_writer() {
    for head in [4, 16, 0, u64::MAX] {
        let place = Place::new();
        let path = place.name("ring");
        let raw = Raw::create(&path, 5, 7, 10);
        let mut writer = Writer::open(&path).unwrap();
        raw.set_head(head);
        // Room that is known to be free is not polled for again.
        writer.write_all(b"12345678").unwrap();
        let tail = 15;
        let error = ring_error(writer.write(b"x"));
        assert!(
            error.contains(&format!("head: {head}, tail: {tail}")),
            "{error}"
        );
        raw.set_head(5);
        assert_eq!(ring_error(writer.space()), error);
        assert_eq!(ring_error(writer.try_write(b"x")), error);
        assert_eq!(raw.indexes(), (5, tail));
    }
    let place = Place::new();
    let path = place.name("ring");
    let raw = Raw::create(&path, 5, 7, 10);
    let mut writer = Writer::open(&path).unwrap();
    raw.set_head(7);
    assert_eq!(writer.space().unwrap(), 10);
    raw.set_head(6);
    assert!(ring_error(writer.space()).contains("head has gone back"));
}

#[test]
fn a_second_writer_or_reader_that_takes_no_lock_is_found_out() {
    let place = Place::new();
    let (mut writer, mut reader, raw) = ends(&place, 10);
    writer.write_all(b"12").unwrap();
    raw.set_tail(5);
    let error = ring_error(writer.write(b"34"));
    assert!(
        error.contains("tail was moved by somebody else") && error.contains("head: 0, tail: 5"),
        "{error}"
    );
    assert_eq!(raw.indexes(), (0, 5));
    assert_eq!(reader.read(&mut [0; 2]).unwrap(), 2);
    raw.set_head(3);
    // Nobody asks for an error there; the next read tells it.
    assert_eq!(reader.fill_buf().unwrap().len(), 3);
    reader.consume(1);
    let error = ring_error(reader.read(&mut [0]));
    assert!(
        error.contains("head was moved by somebody else") && error.contains("head: 3, tail: 5"),
        "{error}"
    );
    assert_eq!(raw.indexes(), (3, 5));
}

/// Random indexes: an error or bytes, never a panic, a hang or anything outside of the file.
#[test]
fn no_indexes_of_a_plain_ring_do_any_harm() {
    let place = Place::new();
    let mut random = common::Random::new(11);
    let path = place.name("ring");
    let (mut moved, mut refused) = (0, 0);
    let mut judge = |result: std::io::Result<usize>| match result {
        Ok(n) => moved += n,
        Err(e) if e.kind() == ErrorKind::WouldBlock => {}
        Err(e) => {
            assert_eq!(e.kind(), ErrorKind::InvalidData, "{e:?}");
            refused += 1;
        }
    };
    for round in 0..3000 {
        let _ = fs::remove_file(&path);
        let capacity = 1 + random.below(40);
        let raw = Raw::create(&path, 0, 0, capacity);
        let mut reader = Reader::open(&path).unwrap();
        let mut writer = Writer::open(&path).unwrap();
        reader.set_nonblocking(true);
        writer.set_nonblocking(true);
        for _ in 0..10 {
            let near = random.below(2 * capacity);
            let word = random.choose(&[
                near,
                random.clone().next(),
                writer.position(),
                reader.position(),
            ]);
            match random.below(6) {
                0 => raw.set_head(word),
                1 => raw.set_tail(word),
                2 => judge(reader.read(&mut vec![0; near as usize])),
                3 => judge(writer.write(&vec![round as u8; near as usize])),
                4 => {
                    let lent = reader.fill_pieces();
                    let lent = lent.map(|[one, two]| one.len() + two.len());
                    if let Ok(lent) = lent {
                        assert!(lent as u64 <= capacity);
                        reader.consume(lent);
                    }
                    judge(lent);
                }
                _ => judge(writer.space().map(|_| 0)),
            }
        }
        assert_eq!(raw.len(), 16 + capacity);
    }
    assert!(moved > 0 && refused > 0, "{moved} bytes, {refused} refused");
}
