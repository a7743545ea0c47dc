//! The handshake as a state machine that never blocks: its driver polls the socket.

use super::dial::Dialed;
use super::message::{Hello, LEN, Memory, Message, Refusal, VERSIONS, printable};
use super::side::{Parts, Side};
use super::stream_side::Waits;
use super::verify::{self, Fault, Introduced, Refused};
use crate::endpoint::header_page::header_len;
use crate::error::{Error, Result};
use crate::fail_points::{Point, point};
use crate::name::Name;
use crate::options::Options;
use crate::peer::Admission;
use crate::sys::closing::{self, Link, Passed};
use crate::sys::errno::Errno;
use crate::sys::poll;
use crate::sys::socket::{self, Credentials};
use crate::sys::user;
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The side that speaks first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum First {
    /// This side: it connected, or both do (`upgrade`).
    Me,
    /// The peer: it connected, and nothing is made for it before it is known to be acceptable.
    Peer,
}

/// How far a step has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    Done,
    /// Everything of the peer's has arrived. The next step checks and maps it, which takes longer
    /// than any other.
    Arrived,
    /// The socket has to become readable, or writable where `write` says so.
    Wait {
        write: bool,
    },
}

/// A message on its way out: bytes, and the descriptors that go with the first of them.
#[derive(Debug)]
struct Outgoing {
    bytes: Vec<u8>,
    with_mine: bool,
}

/// Everything that is known of a socket before anything is said over it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Origin {
    /// The kernel has let no other user but root get to the other end. This decides for a user
    /// whose number identifies nobody ([`user`]).
    pub(crate) mine_alone: bool,
    /// How long the peer may take before it says anything: a listener that does not accept. `None`:
    /// for ever.
    pub(crate) until: Option<Instant>,
}

#[derive(Debug)]
pub(crate) struct Handshake<S: Side = Waits> {
    link: Link,
    options: Arc<Options>,
    name: Option<Name>,
    first: First,
    side: S,
    origin: Origin,
    started: Instant,
    /// The process that made the other end of the socket.
    made_by: Credentials,
    /// The contents of the peer's hello, and when it came.
    introduced: Option<(Introduced, Instant)>,
    /// The message about the peer's memory and its descriptors, not checked yet.
    unchecked: Option<(Memory, Vec<Passed>)>,
    theirs: Option<S::Theirs>,
    mine: Option<S::Mine>,
    outgoing: VecDeque<Outgoing>,
    /// The message that is coming in, and the descriptors that came with it.
    incoming: [u8; LEN],
    arrived: usize,
    fds: Vec<Passed>,
    sender: Option<Credentials>,
}

impl<S: Side> Handshake<S> {
    pub(crate) fn new(
        link: Link,
        options: Arc<Options>,
        name: Option<Name>,
        first: First,
        side: S,
        origin: Origin,
    ) -> Result<Handshake<S>> {
        point(Point::Begun);
        socket::ask_for_credentials(link.as_fd()).map_err(|e| match e {
            Errno::OPNOTSUPP | Errno::NOPROTOOPT => Error::BadPeer {
                what: "the socket is not a Unix socket".into(),
            },
            e => Error::os("asking for credentials (SO_PASSCRED)")(e),
        })?;
        let made_by = socket::made_by(link.as_fd())
            .map_err(Error::os("asking who made the socket (SO_PEERCRED)"))?;
        let mut handshake = Handshake {
            link,
            options,
            name,
            first,
            side,
            origin,
            started: Instant::now(),
            made_by,
            introduced: None,
            unchecked: None,
            theirs: None,
            mine: None,
            outgoing: VecDeque::new(),
            incoming: [0; LEN],
            arrived: 0,
            fds: Vec::new(),
            sender: None,
        };
        if first == First::Me {
            handshake.say_hello();
        }
        Ok(handshake)
    }

    /// A client's, over a socket that is connected to a listener.
    pub(crate) fn of_client(
        dialed: Dialed,
        options: Arc<Options>,
        name: Name,
        side: S,
    ) -> Result<Handshake<S>> {
        let origin = Origin {
            mine_alone: dialed.owner_is_me,
            until: dialed.queue_until,
        };
        let link = Link::new(dialed.socket)?;
        Handshake::new(link, options, Some(name), First::Me, side, origin)
    }

    /// Refuses the user that made the other end of the socket, if it may not be there. This is a
    /// first check, of the facts that are known before anything was said.
    pub(crate) fn screen(&mut self) -> Result<()> {
        let uid = self.made_by.uid;
        match self.options.admits(uid, self.origin.mine_alone) {
            Admission::Refused(why) => Err(self.refuse(Refused::user(uid, why))),
            _ => Ok(()),
        }
    }

    pub(crate) fn link(&self) -> BorrowedFd<'_> {
        self.link.as_fd()
    }

    /// The user that made the other end of the socket.
    pub(crate) fn made_by(&self) -> u32 {
        self.made_by.uid
    }

    /// Whether the listener is this process's own, which has to accept in another thread.
    fn is_within(&self) -> bool {
        self.name.is_some() && self.made_by.pid == std::process::id()
    }

    /// When it has taken too long. The time of the handshake itself runs from the peer's first
    /// word.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let timeout = self.options.handshake_timeout_or_default();
        let since = |start: Instant| Some(Options::later(start, timeout));
        match &self.introduced {
            Some((_, at)) => since(*at),
            // A listener of this very process: without a limit it would wait for itself.
            None if self.is_within() => self
                .origin
                .until
                .into_iter()
                .chain(since(self.started))
                .min(),
            None => self.origin.until,
        }
    }

    /// The error for a handshake that has taken too long.
    pub(crate) fn late(&self) -> Error {
        let timeout = self.options.handshake_timeout_or_default();
        let (what, after) = match &self.introduced {
            Some(_) => ("the handshake, which the other side had begun,", timeout),
            None if self.is_within() => (
                "waiting for this process itself to accept, which it has to do in another thread \
                    while one connects,",
                timeout,
            ),
            None if self.name.is_some() => (
                "waiting for the other side to accept (it is there, and perhaps busy)",
                self.options.queue().of_another.unwrap_or(timeout),
            ),
            None => (
                "waiting for the other side of the socket, which has to upgrade it too,",
                timeout,
            ),
        };
        Error::Timeout { what, after }
    }

    fn say_hello(&mut self) {
        let hello = Message::Hello(Hello {
            versions: VERSIONS,
            kind: self.side.kind() as u8,
            capacity: self.side.capacity(&self.options),
            growth: self.side.growth(&self.options),
            header_len: header_len() as u32,
            protocol: self.options.protocol.clone().into_bytes(),
        });
        self.outgoing.push_back(Outgoing {
            bytes: hello.encode().to_vec(),
            with_mine: false,
        });
    }

    /// Makes this side's memory and doorbells, and passes them. If it fails nothing is left, and it
    /// can be tried again. `of_my_user`: the peer speaks as this process's own user.
    fn pass_mine(&mut self, of_my_user: bool) -> Result<()> {
        // A socket that another user made may have an end that is that user's, whichever speaks
        // there: see `doorbell::Kind`.
        let is_mine = of_my_user && user::is_same(self.made_by.uid, self.origin.mine_alone);
        let (mine, memory) = self.side.make(&self.options, self.link.as_fd(), is_mine)?;
        self.mine = Some(mine);
        point(Point::AllMade);
        self.outgoing.push_back(Outgoing {
            bytes: Message::Memory(memory).encode().to_vec(),
            with_mine: true,
        });
        Ok(())
    }

    /// Goes as far as it can without blocking. An error is final, and the peer has been told.
    pub(crate) fn step(&mut self) -> Result<Progress> {
        self.try_step().inspect_err(|error| self.tell(error))
    }

    /// Like [`step`](Self::step), with one difference. If the error [is a want](Error::is_want) of
    /// this process, the peer has not been told, and it can be tried again.
    pub(crate) fn try_step(&mut self) -> Result<Progress> {
        loop {
            self.flush()?;
            if let Some((memory, fds)) = self.unchecked.take() {
                self.check(memory, fds)?;
            }
            // Each side passes its memory once it knows enough of the peer's. The side that spoke
            // first needs the peer's hello; the other side needs all of the peer's memory.
            let of_my_user = match (&self.introduced, self.first) {
                (Some((introduced, _)), First::Me) => Some(introduced.of_my_user),
                (Some((introduced, _)), First::Peer) if self.theirs.is_some() => {
                    Some(introduced.of_my_user)
                }
                _ => None,
            };
            if let Some(of_my_user) = of_my_user
                && self.mine.is_none()
            {
                self.pass_mine(of_my_user)?;
                continue;
            }
            if self.theirs.is_some() && self.mine.is_some() {
                return Ok(if self.outgoing.is_empty() {
                    Progress::Done
                } else {
                    Progress::Wait { write: true }
                });
            }
            match self.receive()? {
                Some(message) => self.handle(message)?,
                None => {
                    return Ok(Progress::Wait {
                        write: !self.outgoing.is_empty(),
                    });
                }
            }
            if self.unchecked.is_some() {
                return Ok(Progress::Arrived);
            }
        }
    }

    /// Sends the messages that wait to be sent, as far as the socket takes them.
    fn flush(&mut self) -> Result<()> {
        while let Some(next) = self.outgoing.front_mut() {
            point(Point::Sending);
            let fds = match &self.mine {
                Some(mine) if next.with_mine => S::passed(mine),
                _ => Vec::new(),
            };
            let sent = socket::send(self.link.as_fd(), &next.bytes, &fds);
            match sent {
                Ok(n) => {
                    point(Point::Sent);
                    // Descriptors travel with the first byte.
                    if let Some(mine) = &mut self.mine
                        && std::mem::take(&mut next.with_mine)
                    {
                        S::sent(mine);
                    }
                    next.bytes.drain(..n);
                    if next.bytes.is_empty() {
                        self.outgoing.pop_front();
                    }
                }
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                // A peer that refused and left has said why, and that can still be read.
                Err(Errno::PIPE | Errno::CONNRESET) if self.theirs.is_none() => {
                    self.outgoing.clear();
                    break;
                }
                Err(Errno::PIPE | Errno::CONNRESET) => return Err(Error::PeerGone),
                Err(Errno::INVAL) if !user::has_number() => {
                    return Err(Error::Unsupported {
                        what: "number for this process's user or group in its user namespace",
                        needs: "a line for it in /proc/self/uid_map and gid_map",
                    });
                }
                Err(e) => {
                    // Then something else can be said: nothing of it has been.
                    if next.bytes.len() == LEN {
                        self.outgoing.clear();
                    }
                    return Err(Error::os("sending the handshake")(e));
                }
            }
        }
        Ok(())
    }

    /// Receives the bytes that have arrived; a whole message, or `None` if there is nothing more
    /// for now.
    fn receive(&mut self) -> Result<Option<Message>> {
        while self.arrived < LEN {
            let received = match closing::peek(self.link.as_fd()) {
                // The peer is at fault, whether there is room for all of them or not.
                Ok(ahead) if ahead.descriptors > self.side.descriptors() => {
                    return Err(self.refuse(Refused::bad("more descriptors than expected")));
                }
                Ok(ahead) if !ahead.truncated => {
                    socket::receive(self.link.as_fd(), &mut self.incoming[self.arrived..])
                }
                // There is room for all that the kernel can pass. So this process has no
                // descriptors left.
                Ok(_) => return Err(Error::os("receiving the peer's descriptors")(Errno::MFILE)),
                Err(e) => Err(e),
            };
            match received {
                Ok(received) => {
                    self.fds.extend(received.fds.into_iter().map(Passed::new));
                    // The kernel delivers the bytes of different senders apart. A message is one
                    // sender's, from its first byte to its last.
                    let is_same = self.arrived == 0
                        || received.len == 0
                        || received.credentials == self.sender;
                    self.sender = self.sender.or(received.credentials);
                    if !is_same {
                        return Err(self.refuse(Refused::bad("a message of several senders")));
                    }
                    if received.truncated {
                        // Another thread took the room, and the descriptors that came are lost.
                        // This is final, and the peer is told.
                        let error = self.refuse(Refused::resources());
                        return Err(match self.first {
                            First::Me => {
                                Error::os("receiving the peer's descriptors")(Errno::MFILE)
                            }
                            First::Peer => error,
                        });
                    }
                    if self.fds.len() > self.side.descriptors() {
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
        let (fds, sender) = (std::mem::take(&mut self.fds), self.sender.take());
        match (message, &self.introduced) {
            (Message::Refused(why, detail), _) => Err(self.refused(why, &detail)),
            (Message::Hello(hello), None) => {
                let mut introduced = verify::hello(
                    self.side.kind(),
                    |capacity| self.side.expects_capacity(capacity),
                    &hello,
                    sender,
                    self.origin.mine_alone,
                    &self.options,
                )
                .map_err(|refused| self.refuse(refused))?;
                // A stranger may have lent its socket to one that is trusted.
                let made_by = self
                    .options
                    .admits(self.made_by.uid, self.origin.mine_alone);
                introduced.trusted &= made_by == Admission::Trusted;
                if !fds.is_empty() {
                    return Err(self.refuse(Refused::bad("more descriptors than expected")));
                }
                self.introduced = Some((introduced, Instant::now()));
                point(Point::Introduced);
                if self.first == First::Peer {
                    self.say_hello();
                }
                Ok(())
            }
            (Message::Memory(memory), Some((introduced, _))) if self.theirs.is_none() => {
                if sender != Some(introduced.sender) {
                    return Err(self.refuse(Refused::bad(
                        "its memory comes from another process than its hello",
                    )));
                }
                self.unchecked = Some((memory, fds));
                Ok(())
            }
            _ => Err(self.refuse(Refused::bad("a message out of turn"))),
        }
    }

    /// Checks and maps the memory that the peer has passed.
    fn check(&mut self, memory: Memory, fds: Vec<Passed>) -> Result<()> {
        let Some((introduced, _)) = &self.introduced else {
            return Err(self.refuse(Refused::bad("a message out of turn")));
        };
        match self.side.verify(memory, fds, introduced, &self.options) {
            Ok(verified) => {
                self.theirs = Some(verified);
                point(Point::Verified);
                Ok(())
            }
            Err(Fault::Theirs(refused)) => Err(self.refuse(refused)),
            Err(Fault::Mine(error)) => Err(error),
        }
    }

    /// Tells the peer why it is refused, as far as the socket takes it at once.
    fn refuse(&mut self, refused: Refused) -> Error {
        let message = Message::Refused(refused.why, refused.detail).encode();
        // Unless something else is still on its way: half a message before it would be nonsense.
        if self.outgoing.is_empty() {
            let _ = socket::send(self.link.as_fd(), &message, &[]);
        }
        // A peer that has this side's memory may have gone on with the stream, and reads nothing
        // here any more.
        if let Some(mine) = &self.mine {
            S::refuse(mine);
        }
        refused.error
    }

    /// Refuses a peer whose user leaves descriptors that were passed to it unreceived.
    pub(crate) fn turn_away(&mut self) -> Error {
        self.refuse(Refused::unreceived())
    }

    /// Tells the peer that this process lacks something.
    pub(crate) fn tell(&mut self, error: &Error) {
        if error.is_want() {
            self.refuse(Refused::resources());
        }
    }

    /// The error of this side for a refusal by the peer.
    fn refused(&self, why: Refusal, detail: &[u8]) -> Error {
        let detail = printable(detail);
        let mut versions = detail.splitn(2, '-').map(str::parse);
        match (why, versions.next(), versions.next()) {
            (Refusal::Version, Some(Ok(lowest)), Some(Ok(highest))) => Error::Version {
                ours: VERSIONS,
                theirs: (lowest, highest),
            },
            (Refusal::Kind, ..) => Error::Kind {
                ours: self.side.kind().name(),
                theirs: detail,
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

    /// What has come of it, after [`Progress::Done`].
    pub(crate) fn finish(self) -> Result<S::Connected> {
        let (Some(mine), Some(theirs), Some((introduced, _))) =
            (self.mine, self.theirs, self.introduced)
        else {
            return Err(Error::BadPeer {
                what: "the handshake is not complete".into(),
            });
        };
        point(Point::Connected);
        Ok(self.side.connect(Parts {
            link: self.link,
            peer: introduced.peer(),
            trusted: introduced.trusted,
            name: self.name,
            options: self.options,
            mine,
            theirs,
        }))
    }
}

/// Drives a handshake to its end, blocking until its deadline.
pub(crate) fn drive<S: Side>(mut handshake: Handshake<S>) -> Result<S::Connected> {
    loop {
        let write = match handshake.step()? {
            Progress::Done => return handshake.finish(),
            Progress::Arrived => continue,
            Progress::Wait { write } => write,
        };
        let left = handshake
            .deadline()
            .map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if left == Some(Duration::ZERO) {
            return Err(handshake.late());
        }
        match poll::wait(Some(handshake.link()), write, left) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(e) => return Err(Error::os("waiting for the handshake (poll)")(e)),
        }
    }
}

/// Drives both sides of a handshake within this thread.
pub(crate) fn drive_pair<S: Side>(
    mut left: Handshake<S>,
    mut right: Handshake<S>,
) -> Result<[S::Connected; 2]> {
    // Each message fits into the socket's buffer at once, so each round takes both sides a step
    // further.
    for _ in 0..6 {
        if (left.step()?, right.step()?) == (Progress::Done, Progress::Done) {
            return Ok([left.finish()?, right.finish()?]);
        }
    }
    Err(Error::BadPeer {
        what: "the two sides did not come together".into(),
    })
}

const _: () = {
    // The handshake may be handed from one thread to another, and so may everything that it makes.
    const fn send<T: Send>() {}
    const fn sync<T: Sync>() {}
    send::<Handshake>();
    send::<crate::endpoint::Endpoint>();
    sync::<crate::endpoint::Endpoint>();
    send::<crate::ring::Producer<crate::ring::Std>>();
};
