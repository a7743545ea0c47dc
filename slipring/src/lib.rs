//! A full-duplex byte stream between two processes on one machine, in shared memory, that behaves
//! like a connected socket.
//!
//! In the steady state no system call is made and no lock is taken: a byte costs a cache-line
//! transfer. Blocking reads and writes, back-pressure, end of file, half-close, listeners and names
//! are those of a Unix socket, and so are `Read`, `BufRead` and `Write`. What sockets cannot do
//! comes on top: reading and writing in place, "at least n bytes" as one slice, batches, positions,
//! and an end that says how it came about.
//!
//! ```
//! use slipring::{Listener, Stream};
//! use std::io::{Read, Write};
//! # let name = format!("doc-crate-{}", std::process::id());
//!
//! // In one process:
//! let listener = Listener::bind(&name)?;
//! # let other = std::thread::spawn({ let name = name.clone(); move || -> std::io::Result<()> {
//!
//! // In another:
//! let mut stream = Stream::connect(&name)?;
//! stream.write_all(b"ping")?;
//! # stream.read_exact(&mut [0; 4]) }});
//!
//! // And in the first again:
//! let mut stream = listener.accept()?;
//! let mut word = [0; 4];
//! stream.read_exact(&mut word)?;
//! assert_eq!(&word, b"ping");
//! stream.write_all(b"pong")?;
//! # other.join().unwrap()?;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! The same on [tokio](https://docs.rs/tokio), with the feature `tokio`: hundreds of such streams
//! live on one thread.
//!
#![cfg_attr(feature = "tokio", doc = "```")]
#![cfg_attr(not(feature = "tokio"), doc = "```ignore")]
//! use slipring::tokio::{Listener, Stream};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! # let name = format!("doc-crate-tokio-{}", std::process::id());
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! # runtime.block_on(async {
//!
//! // In one process:
//! let listener = Listener::bind(&name)?;
//! # let other = tokio::spawn({ let name = name.clone(); async move {
//!
//! // In another:
//! let mut stream = Stream::connect(&name).await?;
//! stream.write_all(b"ping").await?;
//! # stream.read_exact(&mut [0; 4]).await }});
//!
//! // And in the first again:
//! let mut stream = listener.accept().await?;
//! let mut word = [0; 4];
//! stream.read_exact(&mut word).await?;
//! assert_eq!(&word, b"ping");
//! stream.write_all(b"pong").await?;
//! # other.await.unwrap()?;
//! # Ok::<(), std::io::Error>(()) })?;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # What it cannot do
//!
//! * It connects processes of one machine, and of one kernel. Containers have to share the socket's
//!   directory.
//! * It needs 64-bit little-endian Linux, 5.1 or newer, with `/proc` mounted; 5.8 for peers of
//!   other users.
//! * A stream has two ends. One writer and many readers are a [`feed`] or a [`board`].
//! * It carries bytes (and [messages](frame) on top of them), but no descriptors.
//! * It costs memory: both rings are allocated and populated when the stream is made (256 KiB a
//!   side, by default).
//! * It costs descriptors: seven an endpoint, five on tokio. See [below](#descriptors).
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `tokio` | `slipring::tokio`, the same types for tokio 1.47 or newer |
//! | `axum` | a listener is that of an axum server; includes `tokio` |
//! | `tonic` | a stream is the connection of a tonic server; includes `tokio` |
//! | `bytes` | messages that own their bytes, and with `tokio` a `Stream` of them |
//! | `zerocopy` | messages and records that are plain old data |
//! | `mmf` | `slipring::mmf`, the ring of C# programs on `MemoryMappedFile` |
//!
//! None is on by default. It needs Rust 1.88.
//!
//! # Names
//!
//! `NAME` and `Local/NAME` belong to this user: the socket lies in `$XDG_RUNTIME_DIR/slipring/`, or
//! `/run/user/UID/slipring/`, or `/tmp/slipring-UID/`. `Global/NAME` is machine-wide
//! (`/run/slipring/`). `Local\NAME` and `Global\NAME` are other spellings of the same. An absolute
//! path is a name as well. A name lives as long as its [`Listener`]; what a killed one leaves
//! behind is replaced.
//!
//! A listener binds in the first of its directories, and a client looks into all of its own. If the
//! listener's `$XDG_RUNTIME_DIR` is neither the client's nor `/run/user/UID`, the client does not
//! find it; an absolute path is the same for both. If something cleans up where the socket lies,
//! [`Listener::check`] finds out and [`Listener::repair`] makes it anew.
//!
//! Without a name: [`Options::upgrade`] over any connected Unix socket, [`Options::pair`] within a
//! process, and [`Options::rendezvous`] for two that do not want to say who is first.
//!
//! # Coming from `UnixStream`
//!
//! [`Listener::bind`] takes the place of `UnixListener::bind`, and [`Stream::connect`] that of
//! `UnixStream::connect`. Then this is different:
//!
//! | with sockets | here |
//! |---|---|
//! | `bind("app.sock")`, a file in the working directory | a *name*, the same from every directory; a file is an absolute path |
//! | `let (stream, address) = listener.accept()?` | `let stream = listener.accept()?` |
//! | `peer_addr()?`, `peer_cred()?` | [`Stream::peer`] |
//! | `try_clone()?`, to read and write on two threads | [`Stream::into_split`], or [`Stream::halves`] with scoped threads |
//! | `try_clone()?`, to write from several threads | a `Mutex<Writer>` |
//! | `try_clone()?`, to `shutdown` from another thread | [`Stream::closer`] |
//! | `Read` and `Write` for `&UnixStream` | for `&mut`; a stream is `BufRead` itself |
//! | `listener.set_nonblocking(true)` | [`Listener::try_accept`], [`Listener::accept_timeout`] |
//!
//! * **A ring has one writer and one reader.** It needs no lock for that reason. Two handles that
//!   could both write would have to take one.
//! * **`connect` returns after `accept`**, not from the backlog, and waits there for its turn; see
//!   [`Options::backlog_timeout`].
//! * **A whole stream that is dropped with unread bytes is reset**, as a socket is; halves end one
//!   by one, in order. A program that gives up within an answer, or a relay that fails, with
//!   everything read, calls [`Writer::abort`] or [`Closer::abort`], or the peer takes the part for
//!   the whole.
//! * **Leaving without dropping is a death.** After `process::exit`, a signal, or a `main` that
//!   returns while a thread holds the stream, the peer gets `ConnectionReset` (after the last
//!   byte), where a socket shows an end of file. [`Writer::finish`] before leaving is the cure.
//! * **`fork`**: a forked child can neither use nor end its parent's streams. As long as it lives,
//!   though, and has not called `exec`, a parent that is *killed* does not seem dead to its peers.
//!
//! The whole table, and a program before and after: `docs/from-unixstream.md`.
//!
//! # Ends
//!
//! | what happened | the reader gets | the writer gets |
//! |---|---|---|
//! | the peer's writer finished or was dropped | every byte, then `Ok(0)` | goes on writing |
//! | the peer's reader was dropped | goes on reading | `BrokenPipe` |
//! | the peer dropped its stream with bytes unread | every byte, then `ConnectionReset` | `BrokenPipe` |
//! | the peer died | every byte that was published, then `ConnectionReset` | `BrokenPipe`; without ever filling the ring, within 10 ms of writing |
//! | the peer aborted | the bytes up to the abort, then `ConnectionAborted` | `ConnectionAborted` |
//! | the peer's header makes no sense | `InvalidData` | `InvalidData` |
//!
//! [`Reader::end`] and [`Writer::end`] tell the reason and the position. A peer that is paused is
//! not dead, however long. A timeout is `WouldBlock`, as with sockets.
//!
//! # Errors
//!
//! Setting up fails with an [`Error`], whose text says what happened and what to do next, and whose
//! `Debug` is that text. `?` makes an [`std::io::Error`] of it; [`Error::kind`] is the kind, and
//! [`Error::raw_os_error`] the number of the operating system. Streams fail with plain
//! [`std::io::Error`]s.
//!
//! If [`Listener::accept`] fails, this process lacks descriptors or memory, and the listener goes
//! on: so should the loop around it. Which kind a program acts upon, and how: `docs/errors.md`.
//!
//! # Logging
//!
//! There is none. A refused client makes no call return: [`Listener::refused`] counts them, and
//! [`Listener::last_refusal`] says why the last one was. `docs/errors.md` lists what is worth a
//! line in a log.
//!
//! # Descriptors
//!
//! | descriptors | what for | blocking | tokio |
//! |---|---|---|---|
//! | the link | the kernel closes it when the peer dies | 1 | 1 |
//! | own doorbells | what the reader and the writer sleep on | 2 | 2 |
//! | the peer's doorbells | what this side rings | 2 | 2 |
//! | epoll sets | each half sleeps on its doorbell and the link at once; on tokio the reactor does | 2 | |
//! | in all | | 7 | 5 |
//!
//! Many systems start programs with a limit of 1,024, which is enough for about 140 streams, or 200
//! on tokio. [`raise_descriptor_limit`] raises it to what the system allows.
//!
//! # Testing
//!
//! [`Stream::pair`] makes both ends within one process, on tokio too. For tests with a name each
//! takes one of its own; `connect` and `accept` are called by two threads, or two futures. More of
//! it: `docs/testing.md`.
//!
//! # Trust
//!
//! A peer is of the same user (or root) unless [`Options::allow`] says otherwise. It cannot write
//! one byte of this process's memory, nor shrink or thin out what both share: the kernel sees to
//! that. Whatever it writes into its own memory is input here: loaded once, checked, then used;
//! nonsense ends that stream with an error and touches nothing else. Two things rest on the good
//! behaviour of a peer of the same user, who could as well attach a debugger: that it does not
//! rewrite published bytes while this side holds them borrowed
//! ([`fill_buf`](std::io::BufRead::fill_buf), [`Reader::fill_at_least`]; [`Options::copy_reads`]
//! does without that), and that it does not block a doorbell. Towards other users neither is relied
//! on: views are copied, and doorbells are of a kind that cannot block. `read` copies always.
//!
//! # Waiting
//!
//! A blocked call looks, spins for a while if that has paid lately, then sleeps in the kernel until
//! it is woken by the other side; it never polls. [`Spin`] chooses, within a bound for the whole
//! process. An idle stream costs nothing.
//!
//! An event loop waits by itself: `slipring::tokio` with the feature `tokio`, any other by
//! [`Reader::arm`] and a descriptor to poll; see [`Readiness`].
//!
//! # More
//!
//! The documents named above, and these, are in the folder `docs` of the repository and of the
//! package. Some are on docs.rs as the module `guide` as well.
//!
//! * `docs/choosing.md`: how to wait, and which capacity, with measurements.
//! * `docs/servers.md`: beside a TCP listener, axum, relays, panels that fall behind.
//! * `docs/operating.md`: limits, locked memory, cgroups, names, containers, priorities.
//! * `docs/deploying.md`: containers, systemd, limits, priorities, each with the test that shows
//!   it.
//!
//! # Coming from C#
//!
//! `slipring::mmf`, with the feature `mmf`, talks to programs that are built on `MemoryMappedFile`,
//! through the ring that they use.
//! Everything above is about streams; that ring has none of it.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(missing_debug_implementations)]

#[cfg(not(all(
    target_os = "linux",
    target_pointer_width = "64",
    target_endian = "little"
)))]
compile_error!("slipring needs 64-bit little-endian Linux");

pub mod board;
mod descriptor_limit;
mod endpoint;
mod error;
#[cfg(not(feature = "fail-points"))]
mod fail_points;
#[cfg(feature = "fail-points")]
pub mod fail_points;
pub mod feed;
pub mod frame;
mod growth;
mod link;
mod memory_limit;
#[cfg(feature = "mmf")]
pub mod mmf;
#[cfg(test)]
mod models;
mod name;
mod options;
mod peer;
mod ring;
mod stats;
mod stream;
mod sys;
#[cfg(feature = "tokio")]
pub mod tokio;
mod wait;

pub use descriptor_limit::{DescriptorLimit, raise_descriptor_limit};
pub use endpoint::{End, EndReason};
pub use error::{Error, Result};
pub use growth::{GrowthRefused, Limit};
pub use link::{
    BoundName, Condition, Leftover, ListenerFd, NameState, Stopper, inherited_fd, names, pass_fd,
    passed_over, remove_leftovers,
};
pub use memory_limit::{grown_memory, memory_limit, set_memory_limit};
pub use name::{Name, Scope};
pub use options::Options;
pub use peer::{Peer, Peers};
pub use stats::{ReaderStats, WriterStats};
pub use stream::{
    Batch, Closer, Grant, Incoming, Listener, Reader, Readiness, Reconnect, ReuniteError, Session,
    Stream, Writer,
};
pub use wait::Spin;

/// Pages that are no reference: how to come from sockets, what to do about errors, how to fit a
/// stream into a server, how to test, and what operators ask. They are the files of the folder
/// `docs`, and their code is compiled with the tests.
#[cfg(all(doc, feature = "tokio"))]
#[cfg_attr(docsrs, doc(auto_cfg = false))]
pub mod guide {
    #[doc = include_str!("../docs/from-unixstream.md")]
    pub mod from_unixstream {}
    #[doc = include_str!("../docs/errors.md")]
    pub mod errors {}
    #[doc = include_str!("../docs/servers.md")]
    pub mod servers {}
    #[doc = include_str!("../docs/testing.md")]
    pub mod testing {}
    #[doc = include_str!("../docs/operating.md")]
    pub mod operating {}
}

/// The code in the other documents is compiled with the tests as well. They are links to those of
/// the repository, which the package has as files.
#[cfg(doctest)]
mod documents {
    #[cfg(feature = "tokio")]
    #[doc = include_str!("../README.md")]
    struct Readme;

    #[cfg(feature = "mmf")]
    #[doc = include_str!("../docs/from-csharp.md")]
    struct FromCSharp;
}
