//! How a reader goes on without asking each time whether it still may.
//!
//! Before it lends bytes it has to see that it is not a forked child's copy of the stream, and that
//! no other thread has ended it: two looks. So what is known to be there is leased. One word says
//! up to which position, and it is 0 for whoever must not go on: in a forked child because it lies
//! in a page that is wiped for it, and after an end because whoever ends the stream stores 0. The
//! reader may be about to store a position at that very moment:
//!
//! ```text
//! reader                                        whoever ends the stream
//! L1  until.store(position)                     E1  local.store(CLOSED)
//! L2  fence(SeqCst)                             E2  fence(SeqCst)
//! L3  local no longer OPEN? until.store(0)      E3  until.store(0)
//! ```
//!
//! If L3 does not see E1, then L2 comes before E2, and L1 before E3 in the order of all stores to `until`. Whether by L3 or by E3,
//! the last one is 0; and whoever has learnt that the stream was ended, from a thread that has done it, loads no older one than
//! its E3. Of several that end it only the first is told to the peer, but each does E2 and E3: the first may not have come that
//! far when the second is done. L2 is the fence that giving back needs anyway, but towards a peer that excuses from it; a renewal never
//! takes that excuse (`Consumer::consume_fenced`). `ring::models::lease` runs this under loom.

use crate::endpoint::local;
use crate::ring::{Atomics, Std, Word};
use crate::sys::wiped::WipedWord;
use rustix::io;
use std::sync::atomic::{AtomicU64, Ordering};

/// Ends the stream on this side, E1 to E3. Says whether this was the first end.
pub(crate) fn end<A: Atomics>(local: &A::U32, how: u32, until: &A::U64) -> bool {
    // Release: orders nothing that the halves need (see `Endpoint::local`), but costs nothing here.
    let first = local.replace(local::OPEN, how, Ordering::Release);
    A::fence(Ordering::SeqCst);
    // Relaxed: ordered by the fence.
    until.store(0, Ordering::Relaxed);
    first
}

/// L1 to L3, around giving back with a fence, which is L2. Says whether it stands.
#[inline(always)]
pub(crate) fn renew<A: Atomics, T>(
    until: &A::U64,
    position: u64,
    give_back: impl FnOnce() -> T,
    is_open: impl FnOnce() -> bool,
) -> (T, bool) {
    // Relaxed, here and below: ordered by the fence of giving back.
    until.store(position, Ordering::Relaxed);
    let given = give_back();
    let stands = is_open();
    if !stands {
        until.store(0, Ordering::Relaxed);
    }
    (given, stands)
}

/// The lease of one endpoint's reader.
#[derive(Debug)]
pub(crate) struct Lease {
    until: WipedWord,
}

impl Lease {
    /// Nothing is leased.
    pub(crate) fn new() -> io::Result<Lease> {
        Ok(Lease {
            until: WipedWord::new()?,
        })
    }

    /// For the one reader, who keeps the endpoint, and with it the lease.
    pub(crate) fn leased(&self) -> Leased {
        Leased {
            word: self.word(),
            until: 0,
        }
    }

    /// For [`end`].
    pub(crate) fn word(&self) -> &'static AtomicU64 {
        self.until.get()
    }
}

/// What the reader knows of it. A pointer more on the way to the word would cost a tenth of reading a byte.
#[derive(Debug)]
pub(crate) struct Leased {
    word: &'static AtomicU64,
    /// What the reader has stored there last.
    until: u64,
}

impl Leased {
    /// Whether the byte at `position` may be read with no more ado.
    #[inline(always)]
    pub(crate) fn covers(&self, position: u64) -> bool {
        // Relaxed: a position is the reader's own store, and 0 is coherent with what the thread that stored it has told (above). The
        // bytes are visible since their `tail` was loaded.
        position < self.word.load(Ordering::Relaxed)
    }

    /// The end of what is leased, unless somebody else has revoked it.
    #[inline(always)]
    pub(crate) fn until(&self) -> u64 {
        self.until
    }

    /// Leases what lies before `until`, while `give_back` gives back, if then the stream `is_open`.
    #[inline(always)]
    pub(crate) fn renew<T>(&mut self, until: u64, give_back: impl FnOnce() -> T, is_open: impl FnOnce() -> bool) -> T {
        let (given, stands) = renew::<Std, T>(self.word, until, give_back, is_open);
        self.until = if stands { until } else { 0 };
        given
    }

    /// Leases nothing any more.
    pub(crate) fn revoke(&mut self) {
        self.until = 0;
        // Relaxed: for this thread itself.
        self.word.store(0, Ordering::Relaxed);
    }
}
