//! Subscribers that must not miss a record: the publisher waits for them, within a budget.
//!
//! ```text
//! subscriber, joining                       publisher, before each claim
//! -------------------                       ----------------------------
//! J1  read.store(p)                         C1  claim.store(previous)
//! J2  fence(SeqCst)                         C2  fence(SeqCst)
//! J3  claim.load(): is p safe, also if      C3  each read.load(): waits for those that are behind
//!     one more claim comes?                 C4  claim.store(next)
//! ```
//!
//! *Nothing is overwritten that such a subscriber has not read.* If J2 comes before C2, C3 sees
//! where it stands, and C4 waits for it. If C2 comes first, J3 sees the claim of C1, and counts on
//! that of C4; later ones have a C2 of their own, to which the same applies. A subscriber for which
//! J3 says no takes another position and begins again.

use super::layout::NOT_BEGUN;
use super::memory::PeerPage;
use crate::ring::{Atomics, Std, Word, load_peer};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What lossless subscribers may take.
///
/// # Examples
///
/// ```
/// use slipring::feed::{Budget, PublisherOptions};
/// use std::time::Duration;
/// # let name = format!("doc-feed-budget-{}", std::process::id());
///
/// let budget = Budget { bytes: 256 * 1024, time: Duration::from_millis(50) };
/// let publisher = PublisherOptions::new().lossless(budget).bind(&name)?;
/// # drop(publisher);
/// # Ok::<(), slipring::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// How far a subscriber may be behind, in bytes of the ring. A ring's capacity at most.
    pub bytes: usize,
    /// How long a publication waits for one that is further behind. Then that one is cut off, with
    /// [`EndReason::TooSlow`](super::EndReason::TooSlow). [`Duration::MAX`] is for ever.
    pub time: Duration,
}

impl Budget {
    /// Waits for ever for a subscriber that is further behind than so many bytes. One that is
    /// stopped holds the publisher up until it goes on or its process ends.
    pub const fn for_ever(bytes: usize) -> Budget {
        Budget {
            bytes,
            time: Duration::MAX,
        }
    }
}

/// The lossless subscribers of a feed.
#[derive(Debug, Default)]
pub(crate) struct Lossless {
    pages: Mutex<Pages>,
    /// Changes with the list.
    version: AtomicU64,
}

#[derive(Debug, Default)]
struct Pages {
    next: u64,
    list: Vec<(u64, Arc<PeerPage>)>,
}

/// One of them, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Admitted {
    lossless: Arc<Lossless>,
    pub(crate) number: u64,
}

impl Lossless {
    fn pages(&self) -> MutexGuard<'_, Pages> {
        // It is whole at any time, also after a panic.
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From the next claim on the publisher heeds this page.
    pub(crate) fn admit(self: &Arc<Lossless>, page: &Arc<PeerPage>) -> Admitted {
        let mut pages = self.pages();
        let number = pages.next;
        pages.next += 1;
        pages.list.push((number, Arc::clone(page)));
        // Relaxed: the handshake goes on after this, and what it sends orders it.
        self.version.fetch_add(1, Ordering::Relaxed);
        Admitted {
            lossless: Arc::clone(self),
            number,
        }
    }

    /// From now on this one is not heeded.
    fn dismiss(&self, number: u64) {
        self.pages().list.retain(|(one, _)| *one != number);
        // Relaxed: until the publisher sees it, it waits in vain, and not for ever.
        self.version.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.lossless.dismiss(self.number);
    }
}

/// The publisher's view of them.
#[derive(Debug)]
pub(crate) struct Heeded {
    lossless: Arc<Lossless>,
    version: u64,
    list: Vec<(u64, Arc<PeerPage>)>,
}

impl Heeded {
    pub(crate) fn new(lossless: &Arc<Lossless>) -> Heeded {
        Heeded {
            lossless: Arc::clone(lossless),
            version: 0,
            list: Vec::new(),
        }
    }

    /// Those that have not read everything before `limit`.
    pub(crate) fn behind(&mut self, limit: u64) -> Vec<u64> {
        before_looking::<Std>();
        // Relaxed: the fence orders it.
        let version = self.lossless.version.load(Ordering::Relaxed);
        if version != self.version {
            self.list = self.lossless.pages().list.clone();
            self.version = version;
        }
        let behind = self
            .list
            .iter()
            .filter(|(_, page)| is_behind::<Std>(&page.words().progress.0.read, limit));
        behind.map(|(number, _)| *number).collect()
    }
}

/// To be called before each claim, before [`is_behind`].
pub(crate) fn before_looking<A: Atomics>() {
    A::fence(Ordering::SeqCst);
}

/// Whether this subscriber has not read everything before `limit`.
pub(crate) fn is_behind<A: Atomics>(read: &A::U64, limit: u64) -> bool {
    // Acquire: what the subscriber has copied by then may be overwritten.
    let read = load_peer::<A, _>(read);
    read != NOT_BEGUN && read < limit
}

impl Heeded {
    /// Does without these, which are put out.
    pub(crate) fn forget(&mut self, numbers: &[u64]) {
        self.list.retain(|(number, _)| !numbers.contains(number));
        for number in numbers {
            self.lossless.dismiss(*number);
        }
    }
}

/// A lossless subscriber has read everything before `position`.
#[inline]
pub(crate) fn has_read<A: Atomics>(word: &A::U64, position: u64) {
    // Release: the publisher may overwrite what was copied before this.
    word.store(position, Ordering::Release);
}

/// Says where a lossless subscriber begins; whether it may.
pub(crate) fn begins<A: Atomics>(
    word: &A::U64,
    position: u64,
    is_safe: impl FnOnce() -> bool,
) -> bool {
    // Relaxed: the fence orders it.
    word.store(position, Ordering::Relaxed);
    A::fence(Ordering::SeqCst);
    is_safe()
}

/// How far back a publication may reach that claims up to `claim`.
pub(crate) fn limit(claim: u64, capacity: u64, budget: Budget) -> u64 {
    claim.saturating_sub(capacity.min(budget.bytes as u64))
}
