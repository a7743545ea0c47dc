//! The publisher, which a signal ends while another thread uses it.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use slipring::{Name, board, feed};

use crate::duplex::abort_code;

/// How long a signal waits for a publication, which waits for lossless subscribers, before the
/// process ends all the same. For subscribers the publisher has died then.
const PATIENCE: Duration = Duration::from_secs(1);
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// The longest line of a board: what is too long for a key and a value is refused as such.
const LONGEST_LINE: usize = 1 << 20;

/// A feed or a board.
#[derive(Debug)]
pub enum Publisher {
    Feed(Box<feed::Publisher>),
    Board(Box<board::Publisher>),
}

impl Publisher {
    pub fn name(&self) -> &Name {
        match self {
            Self::Feed(feed) => feed.name(),
            Self::Board(board) => board.name(),
        }
    }

    /// How many subscribers there are.
    pub fn subscribers(&self) -> usize {
        match self {
            Self::Feed(feed) => feed.subscribers().len(),
            Self::Board(board) => board.subscribers().len(),
        }
    }

    /// Bytes of the longest record that is to be read.
    pub fn longest(&self) -> usize {
        match self {
            Self::Feed(feed) => feed.max_record(),
            Self::Board(board) => board.max_value() + LONGEST_LINE,
        }
    }

    fn finish(self) {
        match self {
            Self::Feed(feed) => feed.finish(),
            Self::Board(board) => board.finish(),
        }
    }

    fn abort(self, code: u32) {
        match self {
            Self::Feed(feed) => feed.abort(code),
            Self::Board(board) => board.abort(code),
        }
    }
}

/// The publisher, which a signal ends.
#[derive(Debug, Clone)]
pub struct Shared(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    publisher: Mutex<Option<Publisher>>,
    ending: AtomicBool,
}

impl Shared {
    pub fn new(publisher: Publisher) -> Self {
        Self(Arc::new(Inner {
            publisher: Mutex::new(Some(publisher)),
            ending: AtomicBool::new(false),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Publisher>> {
        // A publisher is whole between two calls, also after a panic.
        let publisher = &self.0.publisher;
        publisher.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with the publisher. If a signal has taken it, the process ends meanwhile.
    pub fn with<T>(&self, act: impl FnOnce(&mut Publisher) -> T) -> T {
        if !self.0.ending.load(SeqCst)
            && let Some(publisher) = &mut *self.lock()
        {
            return act(publisher);
        }
        loop {
            thread::park();
        }
    }

    /// Called by the thread that ends the process.
    pub fn end(&self, is_interrupt: bool) {
        self.0.ending.store(true, SeqCst);
        let deadline = Instant::now() + PATIENCE;
        let publisher = loop {
            match self.0.publisher.try_lock() {
                Ok(mut publisher) => break publisher.take(),
                Err(TryLockError::Poisoned(publisher)) => break publisher.into_inner().take(),
                Err(TryLockError::WouldBlock) if Instant::now() >= deadline => return,
                Err(TryLockError::WouldBlock) => thread::sleep(LOOK_AGAIN),
            }
        };
        match publisher {
            Some(publisher) if is_interrupt => publisher.abort(abort_code::INTERRUPTED),
            Some(publisher) => publisher.finish(),
            None => {}
        }
    }

    /// Ends in order, unless a signal has ended it.
    pub fn finish(&self) {
        if let Some(publisher) = self.lock().take() {
            publisher.finish();
        }
    }

    pub fn abort(&self) {
        if let Some(publisher) = self.lock().take() {
            publisher.abort(abort_code::FAILED);
        }
    }
}
