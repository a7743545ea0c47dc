//! The verification of mixed lengths finds transports that are faulty there, though they carry
//! equal messages unchanged.
//!
//! The measured processes are this program started anew, so it has a `main` of its own. It is run
//! as other tests are: it knows a filter, `--exact`, `--list` and `--ignored`.

use std::{
    env,
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    process::ExitCode,
};

use slipring_bench::{
    case::{self, Case},
    clock::MILLISECOND,
    contender::{Contender, Delivers},
    machine::Machine,
    results::Setup,
    runner::{self, Runner},
    transport::{End, Link, Transport},
    verification::Verification,
    worker,
};

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    if let [command, task] = &args[..]
        && command == worker::SUBCOMMAND
    {
        let work = |name: &str, _: &Case| {
            let found = contenders().into_iter().find(|one| one.name == name);
            found.map(|one| one.work)
        };
        return worker::run(task, work).unwrap_or(ExitCode::FAILURE);
    }
    let is = |flag: &str| args.iter().any(|arg| arg == flag);
    if is("--ignored") {
        return ExitCode::SUCCESS;
    }
    if is("--list") {
        TESTS.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let filters: Vec<_> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    for (name, test) in TESTS {
        let wanted = |filter: &&String| match is("--exact") {
            true => *filter == name,
            false => name.contains(*filter),
        };
        if filters.is_empty() || filters.iter().any(wanted) {
            test();
            println!("test {name} ... ok");
        }
    }
    ExitCode::SUCCESS
}

const TESTS: [(&str, fn()); 2] = [
    (
        "faults_of_mixed_lengths_are_found",
        faults_of_mixed_lengths_are_found,
    ),
    ("what_fails_is_not_measured", what_fails_is_not_measured),
];

/// The faults of the transports below.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    None,
    /// A read that ends where the last write ends gets the bytes of that write, whatever its own
    /// length is.
    LastWrite,
    /// As many bytes are copied as the message before had; the others are those that were there.
    OldLength,
}

fn contenders() -> [Contender; 3] {
    [
        Contender::new("faultless", "", "", Framed(Fault::None)),
        Contender::new("last-write", "", "", Framed(Fault::LastWrite)),
        Contender::new("old-length", "", "", Framed(Fault::OldLength)).delivers(Delivers::Messages),
    ]
}

fn setup() -> Setup {
    Setup {
        commit: None,
        date: String::new(),
        command: String::new(),
        machine: Machine::look(None),
        cpus: None,
        rounds: 1,
        slice: MILLISECOND,
        idle: 0,
        repeats: 0,
    }
}

fn faults_of_mixed_lengths_are_found() {
    let (setup, contenders) = (setup(), contenders());
    let cases = case::all().into_iter().chain(case::mixed()).collect();
    let only = ["rtt-64/", "rtt-1k/", "rate-10k/", "mixed-"].map(String::from);
    let entries = runner::plan(&setup, cases, &contenders, &only).expect("there are such cases");
    let found = Runner::new(&setup, &|| false, &|_| {}).verify(&entries);
    let Verification {
        passed,
        failed,
        exempt,
    } = &found;

    let failed: Vec<&str> = failed.iter().map(|(name, _)| name.as_str()).collect();
    let expected = [
        "mixed-turns/old-length",
        "mixed-flow/old-length",
        "mixed-cuts/last-write",
    ];
    assert_eq!(failed, expected, "{found}");
    let exempt: Vec<&String> = exempt.values().flatten().collect();
    assert_eq!(exempt, ["mixed-cuts/old-length"], "{found}");
    assert_eq!(passed.len(), 6 * 3 - failed.len() - exempt.len(), "{found}");
    let summary = "every byte checked: 14 passed, 3 failed, 1 not applicable\n";
    assert!(found.to_string().ends_with(summary), "{found}");
}

fn what_fails_is_not_measured() {
    let (setup, contenders) = (setup(), contenders());
    let only = ["rtt-64/".to_string()];
    let entries = runner::plan(&setup, case::all(), &contenders, &only).expect("there is one");
    let result = Runner::new(&setup, &|| false, &|_| {}).run(&entries[0]);
    for row in &result.rows {
        let name = &row.contender.name;
        match (name.as_str(), &row.failure) {
            ("faultless", None) => assert_eq!(row.rounds.len(), 1),
            ("last-write" | "old-length", Some(why)) => {
                assert!(why.starts_with("mixed lengths, "), "{name}: {why}");
                assert!(row.rounds.is_empty(), "{name}");
            }
            (_, failure) => panic!("{name}: {failure:?}"),
        }
    }
    assert_eq!(result.rows.len(), 3);
}

/// Messages over a Unix socket, each with its length before it.
struct Framed(Fault);

struct Frames {
    socket: UnixStream,
    fault: Fault,
    /// that came and were not read yet
    unread: Vec<u8>,
    /// the last message that came
    last: Vec<u8>,
}

impl Transport for Framed {
    type Link = Frames;

    fn open(&self, end: End) -> io::Result<Frames> {
        Ok(Frames {
            socket: end.socket,
            fault: self.0,
            unread: Vec::new(),
            last: Vec::new(),
        })
    }
}

impl Frames {
    fn take_message(&mut self) -> io::Result<()> {
        let mut length = [0; 4];
        self.socket.read_exact(&mut length)?;
        let mut message = vec![0; u32::from_le_bytes(length) as usize];
        self.socket.read_exact(&mut message)?;
        if self.fault == Fault::OldLength
            && !self.last.is_empty()
            && message.len() > self.last.len()
        {
            message[self.last.len()..].fill(0);
        }
        self.unread.extend(&message);
        self.last = message;
        Ok(())
    }
}

impl Link for Frames {
    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        let length = message.len() as u32;
        self.socket.write_all(&length.to_le_bytes())?;
        self.socket.write_all(message)
    }

    fn receive_some(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.unread.is_empty() {
            self.take_message()?;
        }
        let length = buffer.len().min(self.unread.len());
        buffer[..length].copy_from_slice(&self.unread[..length]);
        self.unread.drain(..length);
        Ok(length)
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        while self.unread.len() < buffer.len() {
            self.take_message()?;
        }
        let length = buffer.len();
        let at_end = self.unread.len() == length;
        buffer.copy_from_slice(&self.unread[..length]);
        self.unread.drain(..length);
        if self.fault == Fault::LastWrite && at_end {
            for (place, byte) in buffer.iter_mut().zip(self.last.iter().cycle()) {
                *place = *byte;
            }
        }
        Ok(())
    }
}
