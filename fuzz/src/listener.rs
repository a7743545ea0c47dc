//! A listener as a whole: many clients that come, speak, listen and leave in any order, while
//! descriptors run short and the files of the name are removed.

use crate::connect::options;
use crate::input::Input;
use crate::raw::{self, PAGE, Side, Words, at, receive, send_as};
use crate::script::{self, CAPACITY};
use crate::{LONG, assert_settled, holdings, settle};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use slipring::{Condition, Error, Listener, Stream};
use std::collections::{BTreeMap, VecDeque};
use std::fs::remove_file;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

const MOST_CLIENTS: usize = 12;
const MOST_STEPS: usize = 64;

/// A listener needs no more descriptors than this for any one client.
const ENOUGH: usize = 8;

/// Steps of up to twelve clients, of their listener, and of the streams that it has accepted.
pub fn listener(data: &[u8]) {
    let before = holdings();
    let mut input = Input::new(data);
    let mut scene = Scene::new(1 + input.below(MOST_CLIENTS));
    for _ in 0..MOST_STEPS {
        if input.is_empty() {
            break;
        }
        scene.step(&mut input);
    }
    scene.end();
    assert_settled(before);
}

struct Scene {
    listener: Listener,
    place: tempfile::TempDir,
    /// The resources held while there was the listener, and no client.
    before: (usize, usize),
    clients: Vec<Option<Client>>,
    streams: Vec<Accepted>,
    /// How many have come, and how many streams were made of them.
    connected: u8,
    accepted: u8,
    refused: u64,
    /// How many descriptors there are for the listener, if they are counted.
    room: Option<usize>,
    /// They were counted at some time.
    was_short: bool,
    is_stopped: bool,
    lock_gone: bool,
    socket_gone: bool,
    pairs: Pairs,
}

impl Scene {
    fn new(clients: usize) -> Scene {
        let place = tempfile::tempdir().unwrap();
        let options = options().handshake_timeout(3 * LONG);
        let listener = options.bind(place.path().join("x")).unwrap();
        Scene {
            listener,
            place,
            before: holdings(),
            clients: (0..clients).map(|_| None).collect(),
            streams: Vec::new(),
            connected: 0,
            accepted: 0,
            refused: 0,
            room: None,
            was_short: false,
            is_stopped: false,
            lock_gone: false,
            socket_gone: false,
            pairs: Pairs::default(),
        }
    }

    fn step(&mut self, input: &mut Input<'_>) {
        let what = input.byte() % 32;
        match what {
            0..=15 | 25 | 26 => self.step_of_client(what, input),
            16..=19 => drop(self.accept(None)),
            20 => drop(self.accept(Some(Duration::from_millis(1)))),
            21..=24 => {
                let which = input.byte() as usize;
                if !self.streams.is_empty() {
                    self.step_of_stream(what, which % self.streams.len());
                }
            }
            27 => self.room = Some(input.below(ENOUGH + 2)),
            28 => self.room = None,
            29 => self.remove_files(input.byte()),
            30 => self.repair(),
            _ if input.byte().is_multiple_of(8) => {
                self.listener.stopper().stop();
                self.is_stopped = true;
            }
            _ => self.check(),
        }
    }

    fn step_of_client(&mut self, what: u8, input: &mut Input<'_>) {
        let which = input.below(self.clients.len());
        let is_there = self.clients[which].is_some();
        if what <= 1 || what <= 10 && !is_there {
            self.clients[which] = self.connect();
        }
        let Some(client) = &mut self.clients[which] else {
            return;
        };
        match what {
            0 | 1 => {}
            2..=6 => client.say(usize::MAX),
            7 | 8 => client.say(1 + input.below(raw::LEN)),
            9 | 10 => {
                client.is_honest = false;
                script::message(input, &client.link, &client.side);
            }
            11..=13 => client.listen(),
            14 | 15 => self.clients[which] = None,
            25 => client.write(1 + input.below(64)),
            _ => client.look(&mut self.pairs),
        }
    }

    /// A client, unless there is no way to the listener.
    fn connect(&mut self) -> Option<Client> {
        match UnixStream::connect(self.listener.path()) {
            Ok(link) => {
                self.connected += 1;
                Some(Client::new(link, self.connected))
            }
            Err(error) => {
                assert!(self.socket_gone, "{error:?}");
                None
            }
        }
    }

    fn step_of_stream(&mut self, what: u8, which: usize) {
        let stream = &mut self.streams[which];
        match what {
            21 | 22 => stream.read(&mut self.pairs),
            23 => stream.write(),
            _ => drop(self.streams.swap_remove(which)),
        }
    }

    /// A call of the listener, which returns soon.
    fn call<T>(&mut self, call: impl FnOnce(&Listener) -> T) -> T {
        let started = Instant::now();
        let scarcity = self
            .room
            .map(|room| Scarcity::new(self.listener.as_fd(), room));
        let result = call(&self.listener);
        if scarcity.is_some() {
            self.was_short = true;
            for client in self.clients.iter_mut().flatten() {
                client.met_scarcity = true;
            }
        }
        drop(scarcity);
        assert!(started.elapsed() < LONG, "it blocks");
        let refused = self.listener.refused();
        assert!(self.refused <= refused, "fewer are refused");
        self.refused = refused;
        assert!(refused + u64::from(self.accepted) <= u64::from(self.connected));
        result
    }

    /// Accepts once. Whether a stream came of it.
    fn accept(&mut self, timeout: Option<Duration>) -> bool {
        let accepted = self.call(|listener| match timeout {
            None => listener.try_accept(),
            Some(timeout) => listener.accept_timeout(timeout).map(Some),
        });
        assert_eq!(self.is_stopped, matches!(accepted, Err(Error::Stopped)));
        match accepted {
            Ok(None) | Err(Error::Stopped) => return false,
            Err(Error::Timeout { .. }) if timeout.is_some() => return false,
            Err(error) => {
                self.assert_want(&error);
                return false;
            }
            Ok(Some(stream)) => {
                self.accepted += 1;
                self.streams.push(Accepted::new(stream, self.accepted));
            }
        }
        true
    }

    fn assert_want(&self, error: &Error) {
        let is_want = error.raw_os_error() == Some(Errno::MFILE.raw_os_error());
        assert!(is_want && self.room.is_some(), "{error:?}");
    }

    fn remove_files(&mut self, which: u8) {
        let socket = self.listener.path().to_owned();
        let lock = PathBuf::from(format!("{}.lock", socket.display()));
        if which & 1 == 0 {
            assert_eq!(remove_file(socket).is_err(), self.socket_gone);
            self.socket_gone = true;
        }
        if which & 2 != 0 {
            assert_eq!(remove_file(lock).is_err(), self.lock_gone);
            self.lock_gone = true;
        }
        self.check();
    }

    fn check(&mut self) {
        let condition = self.call(Listener::check).unwrap();
        assert_eq!(condition, self.condition());
    }

    fn condition(&self) -> Condition {
        match (self.lock_gone, self.socket_gone) {
            (true, _) => Condition::LockGone,
            (false, true) => Condition::SocketGone,
            (false, false) => Condition::Sound,
        }
    }

    fn repair(&mut self) {
        match self.call(Listener::repair) {
            Ok(repaired) => {
                assert_eq!(repaired, self.lock_gone || self.socket_gone);
                (self.lock_gone, self.socket_gone) = (false, false);
            }
            Err(error) => {
                self.assert_want(&error);
                // It may have made one of the two.
                match self.listener.check().unwrap() {
                    Condition::LockGone => assert!(self.lock_gone),
                    Condition::SocketGone => self.lock_gone = false,
                    condition => panic!("{condition:?} after {error:?}"),
                }
            }
        }
        self.check();
    }

    /// Accepts until nothing is left to be done.
    fn accept_all(&mut self) {
        for _ in 0..2 * MOST_STEPS {
            let mut fds = [PollFd::new(&self.listener, PollFlags::IN)];
            if self.is_stopped || poll(&mut fds, Some(&Timespec::default())) == Ok(0) {
                return;
            }
            self.accept(None);
        }
        panic!("there is always more to be done");
    }

    fn end(mut self) {
        self.room = None;
        self.accept_all();
        for client in self.clients.iter_mut().flatten() {
            client.listen();
            if client.is_honest && !self.is_stopped {
                client.assert_answered();
            }
            client.write(1);
        }
        for stream in &mut self.streams {
            stream.read(&mut self.pairs);
            stream.write();
        }
        for client in self.clients.iter_mut().flatten() {
            client.look(&mut self.pairs);
        }
        for client in self.clients.iter().flatten() {
            assert!(!client.is_served() || self.pairs.streams.contains_key(&client.number));
        }
        self.clients.clear();
        self.accept_all();
        self.streams.clear();
        if !self.is_stopped {
            let (descriptors, mappings) = self.before;
            // The descriptor in reserve may be on loan.
            let or_fewer = (descriptors - usize::from(self.was_short), mappings);
            let held = settle(&[self.before, or_fewer]);
            assert!(
                held == self.before || held == or_fewer,
                "{held:?}, not {:?}",
                self.before
            );
        }
        if !self.is_stopped && !self.was_short {
            let met = self.refused + u64::from(self.accepted);
            assert_eq!(
                met,
                u64::from(self.connected),
                "each was accepted or refused"
            );
        }
        drop(self.listener);
        let left: Vec<_> = self.place.path().read_dir().unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

/// A client, written by hand.
struct Client {
    link: UnixStream,
    side: Side,
    /// Each client has its own number, which is all that it writes.
    number: u8,
    /// The messages that the client has not sent yet, by the rules, and whether descriptors go with
    /// the next byte of them.
    unsaid: VecDeque<(Vec<u8>, bool)>,
    /// It has said nothing else.
    is_honest: bool,
    /// The listener had few descriptors at some time since it came.
    met_scarcity: bool,
    /// The kinds of the messages that it was answered.
    answers: Vec<u8>,
    was_hung_up: bool,
    theirs: Option<(Words, [OwnedFd; 4])>,
    written: usize,
}

const HELLO: u8 = 1;
const REFUSED: u8 = 2;
const MEMORY: u8 = 3;

impl Client {
    fn new(link: UnixStream, number: u8) -> Client {
        link.set_nonblocking(true).unwrap();
        let side = Side::new(CAPACITY);
        let hello = (side.hello.encode().to_vec(), false);
        let memory = (side.passing.encode().to_vec(), true);
        Client {
            link,
            side,
            number,
            unsaid: VecDeque::from([hello, memory]),
            is_honest: true,
            met_scarcity: false,
            answers: Vec::new(),
            was_hung_up: false,
            theirs: None,
            written: 0,
        }
    }

    /// Sends up to so many of the next bytes.
    fn say(&mut self, most: usize) {
        let Some((bytes, with_fds)) = self.unsaid.front_mut() else {
            return;
        };
        let all = self.side.fds();
        let fds = if *with_fds { &all[..] } else { &[] };
        let n = most.min(bytes.len());
        // The listener may have hung up, or the socket may be full.
        if send_as(&self.link, &bytes[..n], fds, true).is_ok() {
            *with_fds = false;
            bytes.drain(..n);
            if bytes.is_empty() {
                self.unsaid.pop_front();
            }
        }
    }

    /// Takes in all that it was answered.
    fn listen(&mut self) {
        while !self.was_hung_up {
            match receive(&self.link) {
                Ok((bytes, fds)) => self.hear(bytes[8], &bytes, fds),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => self.was_hung_up = true,
            }
        }
    }

    fn hear(&mut self, kind: u8, bytes: &[u8], fds: Vec<OwnedFd>) {
        assert!(bytes.starts_with(b"slipring"));
        let before = self.answers.last().copied();
        self.answers.push(kind);
        if self.is_honest {
            match (before, kind) {
                (None, HELLO | REFUSED) | (Some(HELLO), MEMORY | REFUSED) => {}
                _ => panic!("answers {:?}", self.answers),
            }
        }
        assert!(kind == MEMORY || fds.is_empty());
        if kind == MEMORY {
            let fds = <[OwnedFd; 4]>::try_from(fds).unwrap();
            let (header, ring) = (fds[0].as_fd(), fds[1].as_fd());
            let words = Words::both(header, ring, CAPACITY, false).unwrap();
            self.theirs = Some((words, fds));
        }
    }

    /// One that is right is served or told why not, as soon as it has said everything.
    fn assert_answered(&mut self) {
        let answers = match self.unsaid.len() {
            0 => &[HELLO, MEMORY][..],
            1 => &[HELLO],
            _ => &[],
        };
        // Its stream may have been dropped again.
        let may_hang_up = self.unsaid.is_empty();
        let started = Instant::now();
        loop {
            let as_it_should = self.answers == answers && (may_hang_up || !self.was_hung_up);
            let was_told = self.was_hung_up || self.answers.last() == Some(&REFUSED);
            if as_it_should || self.met_scarcity && was_told {
                return;
            }
            // A queue that could not be emptied for want of descriptors is closed by a thread.
            assert!(
                self.met_scarcity && started.elapsed() < LONG,
                "answers {:?} after all but {}, hung up: {}",
                self.answers,
                self.unsaid.len(),
                self.was_hung_up
            );
            thread::sleep(Duration::from_micros(100));
            self.listen();
        }
    }

    /// Somebody has a stream to it.
    fn is_served(&self) -> bool {
        self.is_honest && self.theirs.is_some() && !self.was_hung_up
    }

    /// Writes into its ring.
    fn write(&mut self, n: usize) {
        let n = n.min(CAPACITY - self.written);
        self.side
            .words
            .put(PAGE + self.written, &vec![self.number; n]);
        self.written += n;
        self.side.words.store(at::TAIL, self.written as u64);
        if let Some((_, [_, doorbells @ ..])) = &self.theirs {
            for doorbell in doorbells {
                let _ = rustix::io::write(doorbell, &1u64.to_ne_bytes());
            }
        }
    }

    /// Checks the ring of the other side: everything in it is of one stream.
    fn look(&mut self, pairs: &mut Pairs) {
        let Some((words, _)) = &self.theirs else {
            return;
        };
        let tail = words.load(at::TAIL) as usize;
        assert!(tail <= CAPACITY);
        let bytes = (0..tail).map(|at| words.load(PAGE + at / 8 * 8).to_le_bytes()[at % 8]);
        for byte in bytes {
            pairs.note(self.number, byte);
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Closing alone would not do: the socket may be on its way through itself.
        let _ = self.link.shutdown(Shutdown::Both);
    }
}

/// A stream that was accepted, and its number, which is all that is written to it.
struct Accepted {
    stream: Stream,
    number: u8,
}

impl Accepted {
    fn new(mut stream: Stream, number: u8) -> Accepted {
        stream.set_nonblocking(true).unwrap();
        Accepted { stream, number }
    }

    /// Everything that is read is of one client.
    fn read(&mut self, pairs: &mut Pairs) {
        let mut buf = [0; 64];
        match self.stream.read(&mut buf) {
            Ok(n) => {
                assert_ne!(n, 0, "no client ends its stream in order");
                buf[..n]
                    .iter()
                    .for_each(|client| pairs.note(*client, self.number));
            }
            Err(error) => {
                let documented = [ErrorKind::WouldBlock, ErrorKind::ConnectionReset];
                assert!(documented.contains(&error.kind()), "{error:?}");
            }
        }
    }

    fn write(&mut self) {
        if let Err(error) = self.stream.write(&[self.number; 50]) {
            let documented = [ErrorKind::WouldBlock, ErrorKind::BrokenPipe];
            assert!(documented.contains(&error.kind()), "{error:?}");
        }
    }
}

/// Which client and which stream have heard each other.
#[derive(Default)]
struct Pairs {
    streams: BTreeMap<u8, u8>,
    clients: BTreeMap<u8, u8>,
}

impl Pairs {
    fn note(&mut self, client: u8, stream: u8) {
        assert_eq!(*self.streams.entry(client).or_insert(stream), stream);
        assert_eq!(*self.clients.entry(stream).or_insert(client), client);
    }
}

/// While it is there, this process can have so many more descriptors.
struct Scarcity(Rlimit);

impl Scarcity {
    fn new(any: BorrowedFd<'_>, room: usize) -> Scarcity {
        // The lowest that are free, and the next one.
        let free: Vec<OwnedFd> = (0..=room)
            .map(|_| fcntl_dupfd_cloexec(any, 0).unwrap())
            .collect();
        let limit = free.last().map(|next| next.as_raw_fd() as u64);
        drop(free);
        let before = getrlimit(Resource::Nofile);
        let now = Rlimit {
            current: limit,
            ..before
        };
        setrlimit(Resource::Nofile, now).unwrap();
        Scarcity(before)
    }
}

impl Drop for Scarcity {
    fn drop(&mut self) {
        setrlimit(Resource::Nofile, self.0).unwrap();
    }
}
