//! Ctrl-C: the first one asks for an orderly end, the second one ends the process at once.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
};

use crate::signals;

/// Tells whether, and by which signal, the user has asked this process to end.
#[derive(Clone)]
pub struct Interrupt {
    signal: Arc<AtomicUsize>,
}

impl Interrupt {
    /// Takes over SIGINT and SIGTERM, unless they were ignored when the program started.
    pub fn install() -> io::Result<Self> {
        let signal = Arc::new(AtomicUsize::new(0));
        for number in signals::not_ignored(&[SIGINT, SIGTERM]) {
            let seen = Arc::new(AtomicBool::new(false));
            // Handlers run in the order of their registration: this one finds the flag set only
            // when the signal comes a second time.
            flag::register_conditional_shutdown(number, 128 + number, Arc::clone(&seen))?;
            flag::register(number, seen)?;
            flag::register_usize(number, Arc::clone(&signal), number as usize)?;
        }
        Ok(Interrupt { signal })
    }

    pub fn requested(&self) -> bool {
        self.signal().is_some()
    }

    /// The exit code that shells expect after an interruption: 128 + the signal's number.
    pub fn exit_code(&self) -> Option<u8> {
        self.signal().map(|number| 128 + number as u8)
    }

    fn signal(&self) -> Option<usize> {
        // Relaxed: the number is all that the handler hands over, no other memory goes with it.
        match self.signal.load(Ordering::Relaxed) {
            0 => None,
            number => Some(number),
        }
    }
}

/// For child processes: a Ctrl-C reaches the whole foreground process group, but the parent alone
/// decides when its children end.
pub fn leave_to_the_parent() -> io::Result<()> {
    // A handler that only sets a flag nobody reads: unlike SIG_IGN it needs no unsafe code.
    for number in signals::not_ignored(&[SIGINT]) {
        flag::register(number, Arc::new(AtomicBool::new(false)))?;
    }
    Ok(())
}
