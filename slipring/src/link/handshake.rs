//! The handshake as a state machine that never blocks: whoever drives it polls the socket.

use super::message::{Hello, LEN, Message, Refusal, VERSIONS, Verdict, printable};
use super::verify::{self, DESCRIPTORS, Refused, Verified};
use crate::endpoint::{Connected, Endpoint};
use crate::error::{Error, Result};
use crate::fail_points::{Point, point};
use crate::lease::Lease;
use crate::name::Name;
use crate::options::{Options, Peers};
use crate::ring::Std;
use crate::sys::barrier;
use crate::sys::bell::{self, Bell, Bells};
use crate::sys::memory::{Outbox, header_len};
use crate::sys::process::Birth;
use crate::sys::socket::{self, Credentials};
use crate::sys::user;
use crate::sys::watch::{Watches, timespec};
use crate::wait::Spin;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

/// Who speaks first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum First {
    /// This side: it connected, or both do (`upgrade`).
    Me,
    /// The other one: it connected, and nothing is made for it before it is known to be acceptable.
    Peer,
}

/// What a step is waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    Done,
    /// The socket has to become readable, or writable where `write` says so.
    Wait {
        write: bool,
    },
}

/// How the halves of the stream will wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waits {
    /// By blocking on epoll sets of their own.
    Blocking,
    /// In an event loop.
    #[cfg(feature = "tokio")]
    Polled,
}

/// What this side made for itself.
#[derive(Debug)]
struct Mine {
    outbox: Outbox,
    bells: Bells,
    watches: Option<Watches>,
    lease: Lease,
    excuses: bool,
}

/// What is on its way out: bytes, and the descriptors that go with the first of them.
#[derive(Debug)]
struct Outgoing {
    bytes: Vec<u8>,
    memory: Option<OwnedFd>,
}

#[derive(Debug)]
pub(crate) struct Handshake {
    link: OwnedFd,
    options: Arc<Options>,
    name: Option<Name>,
    first: First,
    waits: Waits,
    birth: Birth,
    bell_kind: bell::Kind,
    mine: Option<Mine>,
    theirs: Option<Verified>,
    accepted: bool,
    outgoing: VecDeque<Outgoing>,
    /// The message that is coming in, and what came with it.
    incoming: [u8; LEN],
    arrived: usize,
    fds: Vec<OwnedFd>,
    truncated: bool,
    sender: Option<Credentials>,
}

impl Handshake {
    pub(crate) fn new(
        link: OwnedFd,
        options: Arc<Options>,
        name: Option<Name>,
        first: First,
        waits: Waits,
    ) -> Result<Handshake> {
        point(Point::Begun);
        socket::ask_for_credentials(link.as_fd()).map_err(|e| match e {
            Errno::OPNOTSUPP | Errno::NOPROTOOPT => Error::BadPeer {
                what: "the socket is not a Unix socket".into(),
            },
            e => Error::os("asking for credentials (SO_PASSCRED)")(e),
        })?;
        let made_by = socket::made_by(link.as_fd()).map_err(Error::os("asking who made the socket (SO_PEERCRED)"))?;
        // Someone else's process may hold the other end of my bells: see `bell::Kind`.
        let bell_kind = if options.peers == Peers::SameUser && made_by == user::me() {
            bell::Kind::Plain
        } else {
            bell::Kind::Inverted
        };
        let mut handshake = Handshake {
            link,
            options,
            name,
            first,
            waits,
            birth: Birth::here().map_err(Error::os("marking this process (madvise)"))?,
            bell_kind,
            mine: None,
            theirs: None,
            accepted: false,
            outgoing: VecDeque::new(),
            incoming: [0; LEN],
            arrived: 0,
            fds: Vec::new(),
            truncated: false,
            sender: None,
        };
        if first == First::Me {
            handshake.introduce()?;
        }
        Ok(handshake)
    }

    pub(crate) fn link(&self) -> BorrowedFd<'_> {
        self.link.as_fd()
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn timeout(&self) -> std::time::Duration {
        self.options.handshake_timeout_or_default()
    }

    /// Whether my halves never sleep, and can make up for it if they do.
    fn excuses(&self) -> bool {
        let blocking = matches!(self.waits, Waits::Blocking);
        blocking && self.options.spin == Spin::Always && barrier::is_known()
    }

    /// Makes what is mine, and says hello.
    fn introduce(&mut self) -> Result<()> {
        // As for the bells: not where somebody else's process may hold the other end, who is not known yet.
        let open = self.options.trust_peer && self.bell_kind == bell::Kind::Plain;
        let (outbox, memory) = Outbox::create(self.options.capacity, open)?;
        point(Point::MemoryMade);
        let bells = Bells {
            reader: Bell::new(self.bell_kind)?,
            writer: Bell::new(self.bell_kind)?,
        };
        let watches = match self.waits {
            Waits::Blocking => Some(Watches::new(&bells, self.link.as_fd())?),
            #[cfg(feature = "tokio")]
            Waits::Polled => None,
        };
        let lease = Lease::new().map_err(Error::os("making a page that a forked child does not see (madvise)"))?;
        let excuses = self.excuses();
        self.mine = Some(Mine {
            outbox,
            bells,
            watches,
            lease,
            excuses,
        });
        point(Point::AllMade);
        let hello = Message::Hello(Hello {
            versions: VERSIONS,
            capacity: self.options.capacity as u64,
            header_len: header_len() as u32,
            bells: self.bell_kind,
            excuses,
            protocol: self.options.protocol.clone().into_bytes(),
        });
        self.outgoing.push_back(Outgoing {
            bytes: hello.encode().to_vec(),
            memory: Some(memory),
        });
        Ok(())
    }

    /// Goes as far as it can without blocking. An error is final; the peer has been told if it was refused.
    pub(crate) fn step(&mut self) -> Result<Progress> {
        loop {
            self.flush()?;
            if self.accepted && self.outgoing.is_empty() {
                return Ok(Progress::Done);
            }
            if self.accepted {
                return Ok(Progress::Wait { write: true });
            }
            match self.receive()? {
                Some(message) => self.handle(message)?,
                None => {
                    return Ok(Progress::Wait {
                        write: !self.outgoing.is_empty(),
                    });
                }
            }
        }
    }

    /// Sends what is waiting to be sent, as far as the socket takes it.
    fn flush(&mut self) -> Result<()> {
        while let Some(next) = self.outgoing.front_mut() {
            point(Point::Sending);
            let sent = match (&next.memory, &self.mine) {
                (Some(memory), Some(mine)) => {
                    let fds: [BorrowedFd<'_>; DESCRIPTORS] =
                        [memory.as_fd(), mine.bells.reader.as_fd(), mine.bells.writer.as_fd()];
                    socket::send(self.link.as_fd(), &next.bytes, &fds)
                }
                _ => socket::send(self.link.as_fd(), &next.bytes, &[]),
            };
            match sent {
                Ok(n) => {
                    point(Point::Sent);
                    // Descriptors travel with the first byte.
                    next.memory = None;
                    next.bytes.drain(..n);
                    if next.bytes.is_empty() {
                        self.outgoing.pop_front();
                    }
                }
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                // A peer that refused and left has said why, and that can still be read.
                Err(Errno::PIPE | Errno::CONNRESET) if !self.accepted => {
                    self.outgoing.clear();
                    break;
                }
                Err(Errno::PIPE | Errno::CONNRESET) => return Err(Error::PeerGone),
                Err(e) => return Err(Error::os("sending the handshake")(e)),
            }
        }
        Ok(())
    }

    /// Takes in what has arrived; a whole message, or `None` if there is nothing more for now.
    fn receive(&mut self) -> Result<Option<Message>> {
        while self.arrived < LEN {
            match socket::receive(self.link.as_fd(), &mut self.incoming[self.arrived..]) {
                Ok(received) => {
                    self.fds.extend(received.fds);
                    self.truncated |= received.truncated;
                    self.sender = self.sender.or(received.credentials);
                    if self.fds.len() > DESCRIPTORS {
                        return Err(self.refuse(Refused::bad("more descriptors than expected")));
                    }
                    if received.len == 0 {
                        return Err(Error::PeerGone);
                    }
                    self.arrived += received.len;
                }
                Err(Errno::AGAIN) => return Ok(None),
                Err(Errno::INTR) => {}
                Err(Errno::CONNRESET | Errno::PIPE) => return Err(Error::PeerGone),
                Err(e) => return Err(Error::os("receiving the handshake")(e)),
            }
        }
        self.arrived = 0;
        point(Point::Received);
        match Message::decode(&self.incoming) {
            Ok(message) => Ok(Some(message)),
            Err(_) => Err(Error::NotSlipring),
        }
    }

    fn handle(&mut self, message: Message) -> Result<()> {
        match message {
            Message::Hello(hello) if self.theirs.is_none() => {
                let fds = std::mem::take(&mut self.fds);
                let verified = verify::verify(&hello, fds, self.truncated, self.sender, &self.options);
                self.theirs = Some(verified.map_err(|refused| self.refuse(refused))?);
                point(Point::Verified);
                if self.mine.is_none() {
                    self.introduce().map_err(|e| self.refuse(Refused::resources(e)))?;
                }
                if self.first == First::Me {
                    self.accept();
                }
                Ok(())
            }
            Message::Verdict(Verdict::Refused(why, detail)) => Err(self.refused(why, &detail)),
            Message::Verdict(Verdict::Accepted) if self.theirs.is_some() && self.fds.is_empty() => {
                self.accepted = true;
                point(Point::Accepted);
                if self.first == First::Peer {
                    // The last word: nothing can go wrong here any more, and the caller gets the stream.
                    self.accept();
                }
                Ok(())
            }
            _ => Err(self.refuse(Refused::bad("a message out of turn"))),
        }
    }

    /// Tells the peer that it is accepted.
    fn accept(&mut self) {
        let verdict = Message::Verdict(Verdict::Accepted);
        self.outgoing.push_back(Outgoing {
            bytes: verdict.encode().to_vec(),
            memory: None,
        });
    }

    /// Tells the peer why it is refused, as far as the socket takes it at once.
    fn refuse(&mut self, refused: Refused) -> Error {
        let verdict = Message::Verdict(Verdict::Refused(refused.why, refused.detail)).encode();
        // Unless something else is still on its way: half a message before it would be nonsense.
        if self.outgoing.is_empty() {
            let _ = socket::send(self.link.as_fd(), &verdict, &[]);
        }
        refused.error
    }

    /// What the peer's refusal means here.
    fn refused(&self, why: Refusal, detail: &[u8]) -> Error {
        let detail = printable(detail);
        let mut versions = detail.splitn(2, '-').map(str::parse);
        match (why, versions.next(), versions.next()) {
            (Refusal::Version, Some(Ok(lowest)), Some(Ok(highest))) => Error::Version {
                ours: VERSIONS,
                theirs: (lowest, highest),
            },
            (Refusal::Protocol, ..) => Error::Protocol {
                ours: self.options.protocol.clone(),
                theirs: detail,
            },
            (Refusal::Capacity, ..) => Error::Refused {
                why: format!(
                    "this side's capacity of {} bytes is too large; {detail}",
                    self.options.capacity
                ),
            },
            (Refusal::User, ..) => Error::Refused {
                why: format!(
                    "it does not allow user {}; it would have to with Options::allow",
                    user::me()
                ),
            },
            (Refusal::Descriptors, ..) => Error::Refused {
                why: format!("what this side sent is not right: {detail}"),
            },
            (Refusal::Resources, ..) => Error::Refused {
                why: "it has no memory or no descriptors left".into(),
            },
            _ => Error::Refused { why: detail },
        }
    }

    /// The stream's endpoint, after [`Progress::Done`].
    pub(crate) fn finish(self) -> Result<Connected> {
        let (Some(mine), Some(theirs)) = (self.mine, self.theirs) else {
            return Err(Error::BadPeer {
                what: "the handshake is not complete".into(),
            });
        };
        point(Point::Connected);
        let endpoint = Arc::new(Endpoint::new(
            mine.outbox,
            theirs.inbox,
            self.link,
            mine.bells,
            theirs.bells,
            self.birth,
            mine.lease,
            theirs.peer,
            self.name,
            theirs.copy_reads,
            theirs.excusable,
            mine.excuses,
        ));
        Ok(Connected {
            endpoint,
            watches: mine.watches,
        })
    }
}

/// Drives a handshake to its end, blocking until `deadline`.
pub(crate) fn drive(mut handshake: Handshake, deadline: Instant) -> Result<Connected> {
    loop {
        let Progress::Wait { write } = handshake.step()? else {
            return handshake.finish();
        };
        let now = Instant::now();
        if now >= deadline {
            return Err(Error::Timeout {
                what: "the handshake (a listener may be there without calling accept)",
                after: handshake.options.handshake_timeout_or_default(),
            });
        }
        let mut interest = PollFlags::IN;
        interest.set(PollFlags::OUT, write);
        match poll(
            &mut [PollFd::new(&handshake.link, interest)],
            Some(&timespec(deadline - now)),
        ) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(e) => return Err(Error::os("waiting for the handshake (poll)")(e)),
        }
    }
}

/// Drives both sides of a handshake within this thread.
pub(crate) fn drive_pair(mut left: Handshake, mut right: Handshake) -> Result<[Connected; 2]> {
    // Each message fits into the socket's buffer at once, so each round takes both sides a message further.
    for _ in 0..4 {
        if (left.step()?, right.step()?) == (Progress::Done, Progress::Done) {
            return Ok([left.finish()?, right.finish()?]);
        }
    }
    Err(Error::BadPeer {
        what: "the two sides did not come together".into(),
    })
}

const _: () = {
    // The handshake may be handed from one thread to another, and so may what it makes.
    const fn send<T: Send>() {}
    const fn sync<T: Sync>() {}
    send::<Handshake>();
    send::<Endpoint>();
    sync::<Endpoint>();
    send::<crate::ring::Producer<Std>>();
};
