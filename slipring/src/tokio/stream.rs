//! Both halves on tokio.

use super::finding;
use super::handshake::drive;
use super::registered::LinkFd;
use super::{Reader, Writer};
use crate::endpoint::{Connected, Whole};
use crate::endpoint::{ReadHalf, WriteHalf};
use crate::error::{Error, Result};
use crate::link::{Handshake, Waits, check_options};
use crate::name::Name;
use crate::options::Options;
use crate::peer::Peer;
use crate::stream::Closer;
use std::ffi::OsStr;
use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;

/// A full-duplex byte stream to another process; the counterpart of [`crate::Stream`], and of
/// [`tokio::net::UnixStream`].
///
/// Dropping it ends it, in order if all was read. What an end looks like to either side is said at
/// [`crate::Stream`].
///
/// # Relays
///
/// `tokio::io::copy_bidirectional` returns at the first error, and dropping both streams then is no
/// error for the other side if all of its bytes were read. So a relay that fails has to say so:
///
/// ```
/// use slipring::tokio::Stream;
/// use tokio::io::copy_bidirectional;
///
/// async fn relay(mut here: Stream, mut there: Stream) -> std::io::Result<(u64, u64)> {
///     let copied = copy_bidirectional(&mut here, &mut there).await;
///     if copied.is_err() {
///         // Both sides get `ConnectionAborted`, in place of an end that looks complete.
///         here.closer().abort(1);
///         there.closer().abort(1);
///     }
///     copied
/// }
/// # let _ = relay;
/// ```
///
/// `docs/servers.md` has one that also does so when its task is cancelled.
#[doc(alias = "UnixStream")]
#[derive(Debug)]
pub struct Stream {
    // Dropped before the halves.
    whole: Whole,
    reader: Reader,
    writer: Writer,
}

impl Stream {
    pub(super) fn new(connected: Connected) -> Result<Stream> {
        let (reader, writer, _) = connected.into_halves();
        Stream::of_halves(reader, writer)
    }

    fn of_halves(reader: ReadHalf, writer: WriteHalf) -> Result<Stream> {
        let register = || -> io::Result<Stream> {
            let link = LinkFd::register(reader.endpoint())?;
            Ok(Stream::of(
                Reader::new(reader, link.clone())?,
                Writer::new(writer, link)?,
            ))
        };
        register().map_err(Error::os("registering with the runtime"))
    }

    /// A stream of its own halves.
    pub(super) fn of(reader: Reader, writer: Writer) -> Stream {
        Stream {
            whole: Whole::of(reader.endpoint()),
            reader,
            writer,
        }
    }

    /// Connects to a name with the default [`Options`].
    ///
    /// # Errors
    ///
    /// See [`Options::connect`].
    ///
    /// # Cancel safety
    ///
    /// Dropped before it resolves, it leaves no connection behind, and waits no more: neither a
    /// thread nor the runtime's end is held up. (A look at the file system that has begun ends by
    /// itself.) The other side may have seen a connection that is gone.
    pub async fn connect(name: impl AsRef<OsStr>) -> Result<Stream> {
        Stream::connect_with(&Options::new(), name).await
    }

    /// Connects to a name.
    ///
    /// # Errors
    ///
    /// See [`Options::connect`].
    ///
    /// # Cancel safety
    ///
    /// As [`connect`](Self::connect).
    ///
    /// # Examples
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// # use slipring::{Options, tokio::{Listener, Stream}};
    /// # use std::time::Duration;
    /// # let name = format!("doc-tokio-connect-with-{}", std::process::id());
    /// let patient = Options::new().wait_for_listener(Duration::from_secs(30));
    /// let (client, server) = tokio::join!(Stream::connect_with(&patient, &name), async {
    ///     Listener::bind(&name)?.accept().await
    /// });
    /// # drop((client?, server?));
    /// # Ok::<(), std::io::Error>(()) })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub async fn connect_with(options: &Options, name: impl AsRef<OsStr>) -> Result<Stream> {
        check_options(options)?;
        let name = Name::parse(name)?;
        let options = Arc::new(options.clone());
        let dialed = finding::dial(&options, &name).await?;
        let handshake = Handshake::of_client(dialed, Arc::clone(&options), name, Waits::Polled)?;
        Stream::new(drive(handshake).await?)
    }

    /// Meets one other process at a name with the default [`Options`]; see [`Options::rendezvous`].
    ///
    /// # Errors
    ///
    /// See [`Options::rendezvous`].
    ///
    /// # Cancel safety
    ///
    /// Dropped before it resolves, it gives the name up and meets nobody, and nothing goes on in
    /// the background. If the other side had come just then, its stream ends in order at once.
    ///
    /// # Examples
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// # use slipring::tokio::Stream;
    /// # let name = format!("doc-tokio-rendezvous-{}", std::process::id());
    /// // In two processes, which say just the same.
    /// let (one, other) = tokio::join!(Stream::rendezvous(&name), Stream::rendezvous(&name));
    /// # drop((one?, other?));
    /// # Ok::<(), std::io::Error>(()) })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub async fn rendezvous(name: impl AsRef<OsStr>) -> Result<Stream> {
        Stream::rendezvous_with(&Options::new(), name).await
    }

    /// Meets one other process at a name.
    ///
    /// # Errors
    ///
    /// See [`Options::rendezvous`].
    ///
    /// # Cancel safety
    ///
    /// As [`rendezvous`](Self::rendezvous).
    pub async fn rendezvous_with(options: &Options, name: impl AsRef<OsStr>) -> Result<Stream> {
        check_options(options)?;
        let name = Name::parse(name)?;
        let options = Arc::new(options.clone());
        Stream::new(finding::meet(&options, name).await?)
    }

    /// Makes a stream of a connected Unix socket with the default [`Options`]; see
    /// [`Options::upgrade`].
    ///
    /// # Errors
    ///
    /// See [`Options::upgrade`].
    ///
    /// # Cancel safety
    ///
    /// Dropped before it resolves, it closes the socket.
    ///
    /// # Examples
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// # use slipring::tokio::Stream;
    /// use tokio::net::UnixStream;
    ///
    /// let (ours, theirs) = UnixStream::pair()?;
    /// let (here, there) = tokio::join!(Stream::upgrade(ours), Stream::upgrade(theirs));
    /// # drop((here?, there?));
    /// # Ok::<(), std::io::Error>(()) })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub async fn upgrade(socket: UnixStream) -> Result<Stream> {
        Stream::upgrade_with(&Options::new(), socket).await
    }

    /// Makes a stream of a connected Unix socket.
    ///
    /// # Errors
    ///
    /// See [`Options::upgrade`].
    ///
    /// # Cancel safety
    ///
    /// As [`upgrade`](Self::upgrade).
    pub async fn upgrade_with(options: &Options, socket: UnixStream) -> Result<Stream> {
        check_options(options)?;
        let socket = socket
            .into_std()
            .map_err(Error::os("taking over the socket"))?;
        let handshake = options.upgrading(socket.into(), Waits::Polled)?;
        Stream::new(drive(handshake).await?)
    }

    /// Two connected endpoints within this process, with the default [`Options`].
    ///
    /// # Errors
    ///
    /// See [`Options::pair`].
    pub fn pair() -> Result<(Stream, Stream)> {
        Stream::pair_with(&Options::new())
    }

    /// Two connected endpoints within this process.
    ///
    /// # Errors
    ///
    /// See [`Options::pair`].
    pub fn pair_with(options: &Options) -> Result<(Stream, Stream)> {
        let [left, right] = options.connected_pair(Waits::Polled)?;
        Ok((Stream::new(left)?, Stream::new(right)?))
    }

    /// Takes over a blocking stream, where it stands. It keeps the [`Options`] it was made with, of
    /// which [`poll_spin`](Options::poll_spin) counts from now on.
    ///
    /// Blocks the thread for one or two milliseconds if the stream was in full flow: many waits
    /// without a sleep, or many writes in a row.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] if it cannot be registered with the runtime; [`Error::NeverSleeps`] if it was
    /// made with [`Spin::Always`](crate::Spin::Always). The stream is dropped then.
    ///
    /// # Examples
    ///
    /// ```
    /// # use tokio::io::{AsyncReadExt, AsyncWriteExt};
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// let (left, right) = slipring::Stream::pair()?;
    /// let mut left = slipring::tokio::Stream::from_blocking(left)?;
    /// left.write_all(b"from a task").await?;
    ///
    /// let mut right = slipring::tokio::Stream::from_blocking(right)?;
    /// right.read_exact(&mut [0; 5]).await?;
    /// let mut right = right.into_blocking()?;
    /// let mut rest = [0; 6];
    /// std::io::Read::read_exact(&mut right, &mut rest)?;
    /// assert_eq!(&rest, b"a task");
    /// # Ok::<(), std::io::Error>(()) })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn from_blocking(stream: crate::Stream) -> Result<Stream> {
        let (reader, writer) = stream.into_split();
        Stream::of_halves(reader.into_half()?, writer.into_half()?)
    }

    /// The same stream for blocking use, where it stands. It keeps the [`Options`] it was made
    /// with, of which [`spin`](Options::spin) counts from now on.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] if the process is out of descriptors; the stream is dropped then.
    pub fn into_blocking(self) -> Result<crate::Stream> {
        let (reader, writer) = self.into_split();
        let (reader, writer) = (reader.into_blocking()?, writer.into_blocking()?);
        Ok(crate::Stream::of_halves(reader, writer))
    }

    /// The reading half.
    pub fn reader(&mut self) -> &mut Reader {
        &mut self.reader
    }

    /// The writing half.
    pub fn writer(&mut self) -> &mut Writer {
        &mut self.writer
    }

    /// Both halves, borrowed.
    ///
    /// # Examples
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// # use slipring::tokio::Stream;
    /// # use tokio::io::{AsyncReadExt, AsyncWriteExt};
    /// let (mut left, mut right) = Stream::pair()?;
    /// right.write_all(b"to the left").await?;
    /// let (reader, writer) = left.halves();
    /// let mut word = [0; 11];
    /// let (wrote, read) = tokio::join!(writer.write_all(b"right"), reader.read_exact(&mut word));
    /// wrote?;
    /// read?;
    /// # Ok::<(), std::io::Error>(()) })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[doc(alias = "split")]
    pub fn halves(&mut self) -> (&mut Reader, &mut Writer) {
        (&mut self.reader, &mut self.writer)
    }

    /// Both halves, owned, for two tasks. Dropping one ends its direction. [`Reader::reunite`] puts
    /// them together again.
    ///
    /// # Examples
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// # use slipring::tokio::Stream;
    /// # use tokio::io::{AsyncReadExt, AsyncWriteExt};
    /// let (left, mut right) = Stream::pair()?;
    /// let (mut reader, mut writer) = left.into_split();
    /// tokio::spawn(async move { writer.write_all(b"from another task").await });
    /// right.read_exact(&mut [0; 17]).await?;
    /// right.write_all(b"answer").await?;
    /// reader.read_exact(&mut [0; 6]).await?;
    /// # Ok::<(), std::io::Error>(()) })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[doc(alias = "try_clone")]
    pub fn into_split(self) -> (Reader, Writer) {
        self.whole.take_apart();
        (self.reader, self.writer)
    }

    /// Waits until there is something to read, or the end; see [`Reader::readable`].
    ///
    /// # Errors
    ///
    /// As [`Reader::readable`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is consumed.
    pub async fn readable(&mut self) -> io::Result<()> {
        self.reader.readable().await
    }

    /// Waits until there is room to write, or the direction has ended; see [`Writer::writable`].
    ///
    /// # Errors
    ///
    /// As [`Writer::writable`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn writable(&mut self) -> io::Result<()> {
        self.writer.writable().await
    }

    /// Reads what is there, without waiting; see [`Reader::try_read`].
    ///
    /// # Errors
    ///
    /// As [`Reader::try_read`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::tokio::Stream;
    /// # use std::io::ErrorKind;
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// let (mut left, mut right) = Stream::pair()?;
    /// let mut buf = [0; 16];
    /// assert_eq!(right.try_read(&mut buf).unwrap_err().kind(), ErrorKind::WouldBlock);
    /// left.writable().await?;
    /// left.try_write(b"tick")?;
    /// right.readable().await?;
    /// assert_eq!(right.try_read(&mut buf)?, 4);
    /// # Ok::<(), std::io::Error>(()) })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[doc(alias = "recv")]
    pub fn try_read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.reader.try_read(buf)
    }

    /// Writes what fits, without waiting; see [`Writer::try_write`].
    ///
    /// # Errors
    ///
    /// As [`Writer::try_write`].
    #[doc(alias = "send")]
    pub fn try_write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.writer.try_write(buf)
    }

    /// Who is at the other end.
    #[doc(alias = "peer_cred")]
    #[doc(alias = "SO_PEERCRED")]
    pub fn peer(&self) -> &Peer {
        self.reader.peer()
    }

    /// The name over which the stream was set up, if it was over one.
    #[doc(alias = "local_addr")]
    #[doc(alias = "peer_addr")]
    pub fn name(&self) -> Option<&Name> {
        self.reader.endpoint().name.as_ref()
    }

    /// The size of the ring that this side writes into now, in bytes; see [`Writer::capacity`].
    pub fn capacity(&self) -> usize {
        self.writer.capacity()
    }

    /// The size of the ring that the peer writes into now, in bytes; see
    /// [`Reader::peer_capacity`].
    pub fn peer_capacity(&self) -> usize {
        self.reader.peer_capacity()
    }

    /// A handle that ends the stream from any thread or task.
    ///
    /// # Examples
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// # use slipring::tokio::Stream;
    /// # use tokio::io::AsyncReadExt;
    /// let (_left, mut right) = Stream::pair()?;
    /// let closer = right.closer();
    /// tokio::spawn(async move { closer.close() });
    /// assert_eq!(right.read(&mut [0; 8]).await?, 0);
    /// # Ok::<(), std::io::Error>(()) })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[doc(alias = "try_clone")]
    #[doc(alias = "shutdown")]
    pub fn closer(&self) -> Closer {
        self.reader.closer()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.reader).poll_read(cx, buf);
        if outcome.is_pending() {
            let _ = self.writer.half.rest();
        }
        outcome
    }
}

impl AsyncBufRead for Stream {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.reader).poll_fill_buf(cx);
        if outcome.is_pending() {
            let _ = this.writer.half.rest();
        }
        outcome
    }

    fn consume(mut self: Pin<&mut Self>, n: usize) {
        Pin::new(&mut self.reader).consume(n);
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.writer).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.writer).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_shutdown(cx)
    }
}

impl Reader {
    /// Puts both halves of one stream together again.
    ///
    /// # Errors
    ///
    /// [`ReuniteError`] with both halves, if they are not of the same stream.
    ///
    /// # Examples
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// # use slipring::tokio::Stream;
    /// let (left, _right) = Stream::pair()?;
    /// let (reader, writer) = left.into_split();
    /// let left = reader.reunite(writer).expect("halves of one stream");
    /// # drop(left);
    /// # Ok::<(), std::io::Error>(()) })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn reunite(self, writer: Writer) -> std::result::Result<Stream, ReuniteError> {
        if Arc::ptr_eq(self.endpoint(), writer.endpoint()) {
            Ok(Stream::of(self, writer))
        } else {
            Err(ReuniteError(Box::new(self), Box::new(writer)))
        }
    }
}

/// Two halves that are not of the same stream; see [`Reader::reunite`].
///
/// # Examples
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// # use slipring::tokio::Stream;
/// let (left, right) = Stream::pair()?;
/// let ((reader, _), (_, writer)) = (left.into_split(), right.into_split());
/// assert!(reader.reunite(writer).is_err());
/// # Ok::<(), std::io::Error>(()) })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct ReuniteError(pub Box<Reader>, pub Box<Writer>);

impl fmt::Display for ReuniteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the reader and the writer are halves of different streams")
    }
}

impl std::error::Error for ReuniteError {}
