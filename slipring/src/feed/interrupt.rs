//! Ending a wait from another thread.

use crate::error::{Error, Result};
use crate::sys::eventfd::Eventfd;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Interrupts the calls of a subscriber that wait, from any thread.
///
/// The call that waits, or the next one that would, fails with
/// [`ErrorKind::Interrupted`](std::io::ErrorKind::Interrupted), once for however many
/// [`interrupt`](Self::interrupt) came before. The subscriber stays as it is, and nothing is lost:
/// the next call goes on. On a subscriber that is gone it does nothing.
///
/// # Examples
///
/// ```
/// use slipring::feed::{Publisher, Subscriber};
/// use std::io::ErrorKind;
/// # let name = format!("doc-feed-interrupter-{}", std::process::id());
///
/// let publisher = Publisher::bind(&name)?;
/// let mut subscriber = Subscriber::connect(&name)?;
/// let interrupter = subscriber.interrupter()?;
/// let panel = std::thread::spawn(move || subscriber.recv().map(|_| ()));
/// interrupter.interrupt();
/// assert_eq!(panel.join().unwrap().unwrap_err().kind(), ErrorKind::Interrupted);
/// # drop(publisher);
/// # Ok::<(), slipring::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Interrupter {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    raised: AtomicBool,
    bell: Eventfd,
}

impl Interrupter {
    pub(crate) fn new() -> Result<Interrupter> {
        let bell = Eventfd::new().map_err(Error::os("making an eventfd"))?;
        let raised = AtomicBool::new(false);
        Ok(Interrupter {
            shared: Arc::new(Shared { raised, bell }),
        })
    }

    /// Interrupts the call that waits, or the next one that would. Does not block.
    pub fn interrupt(&self) {
        // Release: the call that is interrupted finds what this thread has done before.
        self.shared.raised.store(true, Ordering::Release);
        self.shared.bell.raise();
    }

    /// Whether there was an interrupt since the last time. To be called before each sleep.
    pub(super) fn take(&self) -> bool {
        // Relaxed: the common case orders nothing.
        let is_raised = self.shared.raised.load(Ordering::Relaxed);
        // Acquire: pairs with the release above.
        is_raised && self.shared.raised.swap(false, Ordering::Acquire)
    }

    /// Makes it unreadable, after each sleep and before [`take`](Self::take). An interrupt that is
    /// not taken after this makes it readable again; one that was taken before its bell rang ends
    /// one sleep in vain.
    pub(super) fn drain(&self) {
        self.shared.bell.clear();
    }
}

/// Readable after an interrupt.
impl AsFd for Interrupter {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.bell.as_fd()
    }
}
