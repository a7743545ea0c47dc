//! The publisher.

use super::Sequence;
use super::calls::must_call;
use super::error::PublishError;
use super::event::EndReason;
use super::layout::{PART_OF_A_RECORD, longest, record_size};
use super::lossless::{Budget, Heeded, Lossless, limit};
use super::memory::{Facts, OwnFeed};
use super::options::PublisherOptions;
use super::service::{Departure, Service, SubscriberInfo};
use super::sides::{Beside, PublisherSide};
use super::writer::Writer;
use crate::endpoint::ring_memory::is_capacity;
use crate::error::{Error, Result};
use crate::fail_points::{Point, point};
use crate::link::{Acceptor, check_options};
use crate::name::Name;
use crate::ring::ended;
use crate::sys::process::ForkGuard;
use std::ffi::OsStr;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

/// Between two looks at a lossless subscriber that a publication waits for.
const LOOK_AGAIN: Duration = Duration::from_micros(100);

/// Between two looks for subscribers that have begun, which they do not announce.
const LOOK_FOR_SUBSCRIBERS: Duration = Duration::from_millis(1);

/// The writer of a feed: records that any number of subscribers read.
///
/// Publishing copies a record once, whatever the number of subscribers, and never waits for one,
/// unless [lossless](PublisherOptions::lossless) ones are admitted. It makes a system call only if
/// a subscriber sleeps: one; or, if there are up to four of them, one for each that sleeps.
///
/// A thread of this process, `slipring-feed`, lets subscribers in, wakes them if they are more than
/// four, and notices that they are gone; [`own_thread`](PublisherOptions::own_thread) does without
/// it. One thread publishes at a time. It works as it is within a runtime such as tokio's.
///
/// # Closing a feed
///
/// A publisher that is dropped or [finished](Self::finish) ends the feed in order:
/// subscribers receive what is kept, then [`Event::Ended`](super::Event::Ended). One that is killed
/// leaves what it published, and subscribers learn that it died.
///
/// # Fork
///
/// A forked child publishes nothing, and its parent's feed goes on.
///
/// # Examples
///
/// ```
/// use slipring::feed::{Event, Publisher, Subscriber};
/// # let name = format!("doc-feed-publisher-{}", std::process::id());
///
/// let mut publisher = Publisher::bind(&name)?;
/// let mut panel = Subscriber::connect(&name)?;
/// assert_eq!(publisher.publish(b"first")?, 0);
/// assert_eq!(publisher.publish(b"second")?, 1);
/// let Event::Record(record) = panel.recv()? else { panic!() };
/// assert_eq!((record.sequence, record.payload), (0, &b"first"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Publisher {
    writer: Writer,
    memory: Arc<OwnFeed>,
    service: Arc<Service>,
    thread: Option<JoinHandle<()>>,
    max_record: usize,
    timed: bool,
    heeded: Option<(Heeded, Budget)>,
    /// For records that are written in place.
    scratch: Vec<u8>,
    epoch: u64,
    fork_guard: ForkGuard,
}

impl PublisherOptions {
    /// Binds a name and lets subscribers in.
    ///
    /// # Errors
    ///
    /// As [`Options::bind`](crate::Options::bind); [`Error::Capacity`] also for a `max_record` that
    /// the capacity has no room for.
    pub fn bind(&self, name: impl AsRef<OsStr>) -> Result<Publisher> {
        self.bind_beside(name, |_| Ok(None))
    }

    /// The same, with what is passed beside the feed's memory; it is made for an epoch.
    pub(crate) fn bind_beside(
        &self,
        name: impl AsRef<OsStr>,
        make: impl FnOnce(u64) -> Result<Option<Beside>>,
    ) -> Result<Publisher> {
        check_options(&self.base)?;
        let name = Name::parse(name)?;
        let capacity = self.base.capacity as u64;
        let most = longest(capacity) as usize;
        let max_record = self.max_record.unwrap_or(most);
        if max_record > most {
            return Err(Error::Capacity {
                asked: self.base.capacity,
                why: format!(
                    "its records have up to {most} bytes, and max_record asks for {max_record}; {}",
                    enough_for(max_record as u64)
                ),
            });
        }
        let fork_guard = ForkGuard::here().map_err(Error::os("marking this process (madvise)"))?;
        let epoch = RandomState::new().build_hasher().finish();
        let facts = Facts {
            epoch,
            max_record: max_record as u64,
            lossless: self.lossless.is_some(),
            never_sleeps: false,
        };
        let memory = Arc::new(OwnFeed::create(self.base.capacity, facts)?);
        let lossless = self.lossless.map(|_| Arc::new(Lossless::default()));
        let side = PublisherSide {
            memory: Arc::clone(&memory),
            beside: make(epoch)?.map(Arc::new),
            lossless: lossless.clone(),
        };
        let acceptor = Acceptor::of(Arc::new(self.base.clone()), name, side)?;
        let service = Arc::new(Service::new(acceptor, Arc::clone(&memory), fork_guard)?);
        let thread = self.own_thread.then(|| serve(&service)).transpose()?;
        Ok(Publisher {
            writer: Writer::new(capacity),
            memory,
            service,
            thread,
            max_record,
            timed: self.timestamps,
            heeded: lossless
                .zip(self.lossless)
                .map(|(lossless, budget)| (Heeded::new(&lossless), budget)),
            scratch: Vec::new(),
            epoch,
            fork_guard,
        })
    }
}

/// Which capacity has room for such records, in words.
fn enough_for(max_record: u64) -> String {
    let needed = max_record
        .saturating_add(longest_head())
        .saturating_mul(PART_OF_A_RECORD)
        .checked_next_power_of_two();
    match needed.filter(|needed| is_capacity(*needed as usize)) {
        Some(needed) => format!("a capacity of {needed} would do"),
        None => "no ring is large enough for that: send it over a stream, or in parts".into(),
    }
}

/// Bytes of a record before its payload, with a time.
fn longest_head() -> u64 {
    record_size(0, true)
}

/// Starts the thread that serves subscribers.
fn serve(service: &Arc<Service>) -> Result<JoinHandle<()>> {
    let service = Arc::clone(service);
    thread::Builder::new()
        .name("slipring-feed".into())
        .stack_size(256 << 10)
        .spawn(move || service.run())
        .map_err(Error::os("starting the thread that serves subscribers"))
}

impl Publisher {
    /// Binds a name with the default [`PublisherOptions`].
    ///
    /// # Errors
    ///
    /// See [`PublisherOptions::bind`].
    pub fn bind(name: impl AsRef<OsStr>) -> Result<Publisher> {
        PublisherOptions::new().bind(name)
    }

    /// Publishes a record; returns its number.
    ///
    /// # Errors
    ///
    /// [`PublishError`]: the record is too long, or this is a forked child.
    #[inline]
    pub fn publish(&mut self, record: &[u8]) -> std::result::Result<Sequence, PublishError> {
        let sequence = self.write(record)?;
        self.flush();
        Ok(sequence)
    }

    /// Publishes a record of `len` bytes that `fill` writes; they are zeros before. `fill` writes
    /// into private memory, from which the record is copied.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::feed::Publisher;
    /// # let name = format!("doc-feed-with-{}", std::process::id());
    /// let mut publisher = Publisher::bind(&name)?;
    /// publisher.publish_with(16, |record| record[..8].copy_from_slice(&7u64.to_le_bytes()))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn publish_with(
        &mut self,
        len: usize,
        fill: impl FnOnce(&mut [u8]),
    ) -> std::result::Result<Sequence, PublishError> {
        self.check(len)?;
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        scratch.resize(len, 0);
        fill(&mut scratch);
        let sequence = self.publish(&scratch);
        self.scratch = scratch;
        sequence
    }

    /// Several records that are published together, and wake subscribers once.
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::feed::Publisher;
    /// # let name = format!("doc-feed-batch-{}", std::process::id());
    /// let mut publisher = Publisher::bind(&name)?;
    /// let mut batch = publisher.batch();
    /// batch.publish(b"one")?;
    /// batch.publish(b"two")?;
    /// drop(batch);
    /// assert_eq!(publisher.next(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn batch(&mut self) -> Batch<'_> {
        Batch { publisher: self }
    }

    /// The number of the next record.
    pub fn next(&self) -> Sequence {
        self.writer.next()
    }

    /// A number that this publisher alone has: another one of the same name has another.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The name that is bound.
    pub fn name(&self) -> &Name {
        self.service.acceptor().name()
    }

    /// The longest record, in bytes.
    pub fn max_record(&self) -> usize {
        self.max_record
    }

    /// Everybody who is connected.
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::feed::{Publisher, Subscriber};
    /// # let name = format!("doc-feed-subscribers-{}", std::process::id());
    /// let mut publisher = Publisher::bind(&name)?;
    /// let panel = Subscriber::connect(&name)?;
    /// publisher.publish(b"tick")?;
    /// # while !publisher.subscribers().iter().any(|one| one.begun) { std::thread::yield_now() }
    /// for subscriber in publisher.subscribers() {
    ///     println!("process {:?}: {} behind", subscriber.peer.pid, subscriber.behind);
    /// }
    /// # drop(panel);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn subscribers(&self) -> Vec<SubscriberInfo> {
        self.service.subscribers(self.writer.next())
    }

    /// Puts a subscriber out, for a reason that it is told
    /// ([`EndReason::Disconnected`]). Returns whether there was one of this
    /// [`id`](SubscriberInfo::id).
    pub fn disconnect(&self, id: u64, reason: u32) -> bool {
        self.fork_guard.is_owner()
            && self
                .service
                .put_out(|number, _| number == id, EndReason::Disconnected { reason })
    }

    /// Those that are not connected any more: each once, in the order in which they went. Of more
    /// than 1,024 since the last call, the newest.
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::feed::{Departed, Publisher, Subscriber};
    /// # let name = format!("doc-feed-departures-{}", std::process::id());
    /// let publisher = Publisher::bind(&name)?;
    /// drop(Subscriber::connect(&name)?);
    /// # while !publisher.subscribers().is_empty() { std::thread::yield_now() }
    /// for gone in publisher.departures() {
    ///     println!("process {:?}: {:?}", gone.peer.pid, gone.how);
    ///     assert_eq!(gone.how, Departed::Left);
    /// }
    /// # Ok::<(), slipring::Error>(())
    /// ```
    pub fn departures(&self) -> Vec<Departure> {
        self.service.departures()
    }

    /// Waits until so many subscribers have [begun](SubscriberInfo::begun), or `timeout` is over;
    /// whether they have. A publisher without a thread of its own serves them meanwhile.
    ///
    /// # Errors
    ///
    /// As [`poll`](Self::poll).
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::feed::{Publisher, Subscriber};
    /// # use std::time::Duration;
    /// # let name = format!("doc-feed-wait-for-{}", std::process::id());
    /// let publisher = Publisher::bind(&name)?;
    /// # let panel = Subscriber::connect(&name)?;
    /// assert!(publisher.wait_for_subscribers(1, Duration::from_secs(60))?);
    /// # Ok::<(), slipring::Error>(())
    /// ```
    pub fn wait_for_subscribers(&self, count: usize, timeout: Duration) -> Result<bool> {
        // A timeout beyond the end of the clock is none.
        let deadline = Instant::now().checked_add(timeout);
        loop {
            self.poll()?;
            if self.service.begun() >= count {
                return Ok(true);
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(false);
            }
            thread::sleep(LOOK_FOR_SUBSCRIBERS);
        }
    }

    /// How many subscribers have been refused so far.
    pub fn refused(&self) -> u64 {
        self.service.acceptor().refused()
    }

    /// Why the last of them was.
    pub fn last_refusal(&self) -> Option<String> {
        self.service.acceptor().last_refusal()
    }

    /// Lets subscribers in, wakes them, and notices that they are gone, without blocking: for a
    /// publisher without [a thread of its own](PublisherOptions::own_thread), whenever its
    /// [descriptor](#impl-AsFd-for-Publisher) is readable. With such a thread there is nothing to
    /// do.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] if this process lacks descriptors or memory for a subscriber that wants to
    /// come in: the publisher goes on.
    pub fn poll(&self) -> Result<()> {
        if self.thread.is_some() || !self.fork_guard.is_owner() {
            return Ok(());
        }
        self.service.serve(Some(Duration::ZERO))
    }

    /// Ends the feed in order, as dropping does.
    pub fn finish(self) {}

    /// Ends the feed with a code: subscribers receive what is kept, then
    /// [`EndReason::Aborted`].
    pub fn abort(self, code: u32) {
        if self.fork_guard.is_owner() {
            self.end(ended::ABORTED, code);
        }
    }

    /// Whether a record of that size has those before it published first.
    pub(crate) fn is_full(&self, len: usize) -> bool {
        self.writer.is_full(len, self.timed)
    }

    pub(crate) fn is_owner(&self) -> bool {
        self.fork_guard.is_owner()
    }

    #[inline]
    fn check(&self, len: usize) -> std::result::Result<(), PublishError> {
        if !self.fork_guard.is_owner() {
            return Err(PublishError::Forked);
        }
        if len > self.max_record {
            return Err(PublishError::TooLong {
                len,
                max: self.max_record,
            });
        }
        Ok(())
    }

    /// Writes a record, to be published.
    #[inline]
    pub(crate) fn write(&mut self, record: &[u8]) -> std::result::Result<Sequence, PublishError> {
        self.check(record.len())?;
        if self.writer.is_full(record.len(), self.timed) {
            self.flush();
        }
        if self.heeded.is_some()
            && let Some(claim) = self.writer.next_claim(record.len(), self.timed)
        {
            self.wait_for_lossless(claim);
        }
        let time = self.timed.then(now);
        let (header, ring) = (self.memory.header(), self.memory.ring());
        Ok(self.writer.write(header, &ring, time, record))
    }

    /// Publishes what is written, and has subscribers woken if any sleeps.
    #[inline]
    pub(crate) fn flush(&mut self) {
        let header = self.memory.header();
        self.writer.publish(header);
        if must_call(header, self.service.sleepers()) {
            self.service.have_woken();
        }
    }

    /// Waits until the ring may be overwritten up to `claim`, within the budget.
    #[cold]
    fn wait_for_lossless(&mut self, claim: u64) {
        let Some((heeded, budget)) = &mut self.heeded else {
            return;
        };
        let limit = limit(claim, self.memory.capacity(), *budget);
        if heeded.behind(limit).is_empty() {
            return;
        }
        let deadline = Instant::now().checked_add(budget.time);
        // They may be waiting for what is written and not published.
        if self.writer.published() < self.writer.end() {
            self.flush();
        }
        loop {
            let Some((heeded, _)) = &mut self.heeded else {
                return;
            };
            let behind = heeded.behind(limit);
            if behind.is_empty() {
                return;
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                self.service.put_out(
                    |_, member| behind.iter().any(|number| member.is_lossless(*number)),
                    EndReason::TooSlow,
                );
                heeded.forget(&behind);
                return;
            }
            thread::sleep(LOOK_AGAIN);
            if self.thread.is_none() {
                // Nobody else notices that one of them is gone.
                let _ = self.service.serve(Some(Duration::ZERO));
            }
        }
    }

    fn end(&self, how: u32, code: u32) {
        let published = &self.memory.header().published.0;
        // Relaxed: this thread alone stores it.
        if published.fin.load(Ordering::Relaxed) != ended::OPEN {
            return;
        }
        // Relaxed: published by the next store.
        published.code.store(code, Ordering::Relaxed);
        // Release: a subscriber that sees the end sees everything before it.
        published.fin.store(how, Ordering::Release);
        point(Point::WritingEnded);
    }
}

/// Nanoseconds since 1970.
fn now() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |time| time.as_nanos() as u64)
}

impl Drop for Publisher {
    fn drop(&mut self) {
        if !self.fork_guard.is_owner() {
            return;
        }
        self.end(ended::CLOSED, 0);
        self.service.stop();
        if let Some(thread) = self.thread.take() {
            // It has not panicked, and it is not this one.
            let _ = thread.join();
        }
        point(Point::HangingUp);
        self.service.close();
        point(Point::HungUp);
    }
}

/// A descriptor that is readable when [`poll`](Publisher::poll) has something to do.
impl AsFd for Publisher {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.service.as_fd()
    }
}

/// The number of the descriptor that [`AsFd`] lends.
impl AsRawFd for Publisher {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

/// Records that are published together when this is dropped; see [`Publisher::batch`].
///
/// Records that take more than a quarter of the ring are published in between, so that they do not
/// overwrite each other.
#[must_use = "the records are published when it is dropped"]
#[derive(Debug)]
pub struct Batch<'a> {
    publisher: &'a mut Publisher,
}

impl Batch<'_> {
    /// Adds a record; returns its number.
    ///
    /// # Errors
    ///
    /// As [`Publisher::publish`].
    #[inline]
    pub fn publish(&mut self, record: &[u8]) -> std::result::Result<Sequence, PublishError> {
        self.publisher.write(record)
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        let publisher = &mut *self.publisher;
        let has_any = publisher.writer.published() < publisher.writer.end();
        if has_any && publisher.fork_guard.is_owner() {
            publisher.flush();
        }
    }
}
