//! How a reader of single bytes goes on without asking at each of them whether it still may.
//!
//! Whoever reads has to see that it is not a forked child's copy of the stream, and that no other thread has ended it: two looks,
//! which take as long as reading a byte. So what is known to be there is leased. One word says up to which position, and it is 0
//! for whoever must not go on: in a forked child because it lies in a page that is wiped for it, and after an end because
//! whoever ends the stream stores 0. The reader may be about to store a position at that very moment:
//!
//! ```text
//! reader                                        whoever ends the stream
//! L1  until.store(position)                     E1  local.store(CLOSED)
//! L2  fence(SeqCst)                             E2  fence(SeqCst)
//! L3  local no longer OPEN? until.store(0)      E3  until.store(0)
//! ```
//!
//! If L3 does not see E1, then L2 comes before E2, and L1 before E3 in the order of all stores to `until`. Whether by L3 or by E3,
//! the last one is 0; and whoever has learnt that the stream was ended, from the thread that did it, loads no older one than E3's.
//! L2 is the fence that giving back needs anyway.

use crate::sys::wiped::WipedWord;
use rustix::io;
use std::sync::atomic::{AtomicU64, Ordering};

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
            word: self.until.get(),
            until: 0,
        }
    }

    /// E3.
    pub(crate) fn revoke(&self) {
        // Relaxed: ordered by the fence E2.
        self.until.get().store(0, Ordering::Relaxed);
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

    /// L1. The reader gives back, which is L2, and revokes if the stream has been ended.
    pub(crate) fn grant(&mut self, until: u64) {
        self.until = until;
        // Relaxed: ordered by the fence L2.
        self.word.store(until, Ordering::Relaxed);
    }

    pub(crate) fn revoke(&mut self) {
        self.grant(0);
    }
}
