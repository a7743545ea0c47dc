//! Which bytes of a large write a reader gets first, and when: the writer dies at one of its
//! publications (`slipring::fail_points`).

mod common;

use common::process::{self, told};
use common::{GENEROUS, Place, eventually, guard_for, kind};
use slipring::{Options, Spin};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

/// The first bytes of a large write that a reader gets if it waits without sleeping.
const STEP: usize = 16 * 1024;

/// The first bytes that any other reader gets.
const PART: usize = 64 * 1024;

#[test]
#[ignore = "another process, started by the tests here"]
fn child_process() {
    process::play(&[("writes a large message and dies", writes_much_and_dies)]);
}

fn options() -> Options {
    Options::new()
        .capacity(512 * 1024)
        .max_capacity(512 * 1024)
        .spin(Spin::Never)
        .handshake_timeout(GENEROUS)
}

/// Writes as many bytes as it was told, and then many more.
fn writes_much_and_dies(arguments: &[&str]) {
    let [name, first, then] = arguments else {
        panic!()
    };
    let mut stream = options().connect(name).unwrap();
    stream.write_all(&vec![1; first.parse().unwrap()]).unwrap();
    assert_eq!(told().as_deref(), Some("now"));
    let n = stream.write(&vec![2; then.parse().unwrap()]).unwrap();
    panic!("{n} bytes were written, and it is alive");
}

/// A reader that has nothing left and does not sleep gets the beginning of a large write while the
/// rest is still written.
#[test]
fn a_reader_that_waits_for_a_large_write_gets_it_in_steps() {
    #[derive(Debug, Clone, Copy)]
    enum Reader {
        /// It has read all, and does not sleep.
        Waits,
        Sleeps,
        /// It has not read the bytes written first.
        IsBehind,
    }
    use Reader::*;
    let cases = [
        // Of so many bytes so many are there when it publishes for the nth time.
        (Waits, 2 * STEP - 1, 1, 2 * STEP - 1),
        (Waits, 2 * STEP, 1, STEP),
        (Waits, 2 * STEP, 2, 2 * STEP),
        (Waits, 2 * STEP + 1, 2, 2 * STEP),
        (Waits, 2 * STEP + 1, 3, 2 * STEP + 1),
        (Waits, PART - 1, 4, PART - 1),
        (Waits, PART + 1, 4, PART),
        (Waits, PART + 1, 5, PART + 1),
        (Waits, 3 * PART, 1, STEP),
        (Waits, 3 * PART, 3, 3 * STEP),
        (Waits, 3 * PART, 4, PART),
        (Waits, 3 * PART, 5, 2 * PART),
        (Waits, 3 * PART, 6, 3 * PART),
        (Sleeps, PART, 1, PART),
        (Sleeps, 3 * PART, 2, 2 * PART),
        (IsBehind, PART, 1, PART),
        (IsBehind, 3 * PART, 2, 2 * PART),
    ];
    guard_for(Duration::from_secs(3600), move || {
        for (reader, then, publication, there) in cases {
            let what = format!("{reader:?} for {then} bytes, publication {publication}");
            let place = Place::new();
            let name = place.name("x");
            let listener = options().bind(&name).unwrap();
            let first = if matches!(reader, IsBehind) { 1 } else { 0 };
            let arguments = [
                name.to_str().unwrap(),
                &first.to_string(),
                &then.to_string(),
            ];
            let mut command =
                process::command(&place, "writes a large message and dies", &arguments);
            command.env(
                "SLIPRING_FAIL_POINT",
                format!("published:{}", publication + first),
            );
            let mut writer = process::start_as(command, "writes a large message and dies");
            let mut stream = listener.accept().unwrap();
            match reader {
                Sleeps => {
                    let reading = process::asleep(move || {
                        stream.read_exact(&mut [0]).unwrap();
                        stream
                    });
                    writer.tell("now");
                    stream = reading.join().unwrap();
                }
                Waits | IsBehind => {
                    eventually("the first bytes are there", || {
                        stream.reader().available().unwrap() == first
                    });
                    writer.tell("now");
                }
            }
            assert_eq!(writer.wait().signal(), Some(libc::SIGKILL), "{what}");
            let rest = io::copy(&mut stream, &mut io::sink());
            assert_eq!(kind(rest), ErrorKind::ConnectionReset, "{what}");
            let end = stream.reader().end().unwrap();
            assert_eq!(end.position, (first + there) as u64, "{what}");
        }
    });
}
