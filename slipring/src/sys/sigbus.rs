//! Living through a file that shrinks while it is mapped.
//!
//! A thread that touches a page behind the new end of a file gets SIGBUS, which ends the process.
//! Only a handler of that signal can prevent it (mmap(2), sigaction(2)): for a fault within a
//! mapping that is listed here, [`install`]'s puts zeros in place of the whole mapping, marks it as
//! lost, and lets the interrupted instruction run again. The mark is checked after the mapping was
//! touched. Any other SIGBUS is the matter of the handler that was there before.
//!
//! A handler belongs to the whole process; so nobody installs this one but a program that asks for
//! it.

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};
use std::io;
use std::mem::zeroed;
use std::ops::Range;
use std::ptr::{self, null_mut};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering, compiler_fence, fence};

/// The list of mappings: entries are added in front and never freed, only used again.
static FIRST: AtomicPtr<Entry> = AtomicPtr::new(null_mut());

/// The action for SIGBUS that was set before.
static BEFORE: OnceLock<libc::sigaction> = OnceLock::new();

/// A mapping in the list. A seqlock: the handler must not believe in a range half of which belongs
/// to the last user of the entry. The mapping that a thread faults in is in use by that thread, so
/// its entry does not change meanwhile.
#[derive(Debug)]
struct Entry {
    used: AtomicBool,
    /// Odd while the range is being changed.
    version: AtomicUsize,
    start: AtomicUsize,
    end: AtomicUsize,
    lost: AtomicBool,
    next: *mut Entry,
}

impl Entry {
    fn set(&self, range: Range<usize>) {
        // Relaxed, with fences: as in every seqlock whose data are atomics (Boehm, "Can seqlocks
        // get along with programming language memory models?", 2012). One thread at a time comes
        // here: the one that has set `used`.
        let version = self.version.load(Ordering::Relaxed);
        self.version
            .store(version.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        self.start.store(range.start, Ordering::Relaxed);
        self.end.store(range.end, Ordering::Relaxed);
        self.version
            .store(version.wrapping_add(2), Ordering::Release);
    }

    /// The range, unless it is being changed.
    fn range(&self) -> Option<Range<usize>> {
        let version = self.version.load(Ordering::Acquire);
        let range = self.start.load(Ordering::Relaxed)..self.end.load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        (version.is_multiple_of(2) && self.version.load(Ordering::Relaxed) == version)
            .then_some(range)
    }
}

/// A mapping that is listed for as long as this lives.
#[derive(Debug)]
pub(crate) struct Guarded(&'static Entry);

impl Guarded {
    /// Lists a mapping. The range is unmapped after this has been dropped, not before.
    pub(crate) fn new(range: Range<usize>) -> Guarded {
        let entry = reused().unwrap_or_else(added);
        // Relaxed: nobody else has the mapping yet.
        entry.lost.store(false, Ordering::Relaxed);
        entry.set(range);
        Guarded(entry)
    }

    /// Whether the mapping had to be replaced by zeros. To be asked after it was touched, by the
    /// thread that did.
    #[inline]
    pub(crate) fn is_lost(&self) -> bool {
        // The handler ran on this very thread, in the middle of the accesses before this line; only
        // the compiler could exchange the two.
        compiler_fence(Ordering::SeqCst);
        self.0.lost.load(Ordering::Relaxed)
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.0.set(0..0);
        // Release: the thread that uses the entry next finds the range taken out.
        self.0.used.store(false, Ordering::Release);
    }
}

fn entries() -> impl Iterator<Item = &'static Entry> {
    // Acquire: pairs with the exchange in `added`, so that the entry's fields are there.
    let mut next = FIRST.load(Ordering::Acquire);
    std::iter::from_fn(move || {
        // SAFETY: null, or an entry that `added` has leaked.
        let entry: Option<&'static Entry> = unsafe { next.as_ref() };
        next = entry?.next;
        entry
    })
}

fn reused() -> Option<&'static Entry> {
    // Acquire: pairs with the store in `drop`.
    entries().find(|entry| {
        entry
            .used
            .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    })
}

fn added() -> &'static Entry {
    let entry = Box::leak(Box::new(Entry {
        used: AtomicBool::new(true),
        version: AtomicUsize::new(0),
        start: AtomicUsize::new(0),
        end: AtomicUsize::new(0),
        lost: AtomicBool::new(false),
        next: null_mut(),
    }));
    let mut first = FIRST.load(Ordering::Acquire);
    loop {
        entry.next = first;
        // Release: a thread that finds the entry finds its fields.
        match FIRST.compare_exchange_weak(first, entry, Ordering::Release, Ordering::Acquire) {
            Ok(_) => return entry,
            Err(other) => first = other,
        }
    }
}

/// Handles SIGBUS from now on, for the whole process. Once is enough.
pub(crate) fn install() -> io::Result<()> {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    if INSTALLED.get().is_some() {
        return Ok(());
    }
    // SAFETY: all zeros is a `sigaction`: the default action, an empty mask, no flags.
    let mut before: libc::sigaction = unsafe { zeroed() };
    // SAFETY: only asks; `before` is a valid place for the answer.
    if unsafe { libc::sigaction(libc::SIGBUS, ptr::null(), &raw mut before) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // Before the handler can run, which needs it. Two threads that come here at once both find the
    // action that was there before, or the second finds the handler itself, and its answer is not
    // kept.
    let _ = BEFORE.set(before);
    // SAFETY: as above.
    let mut action: libc::sigaction = unsafe { zeroed() };
    let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) = on_sigbus;
    action.sa_sigaction = handler as libc::sighandler_t;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
    // SAFETY: `action` is a valid action with a handler that does only what a handler may (see
    // there).
    if unsafe { libc::sigaction(libc::SIGBUS, &raw const action, null_mut()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let _ = INSTALLED.set(());
    Ok(())
}

/// Loads of atomics and a bare system call: a signal handler may do all of it (signal-safety(7)).
extern "C" fn on_sigbus(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    // SAFETY: the kernel passes a valid `siginfo_t` to a handler with SA_SIGINFO.
    let what = unsafe { &*info };
    if what.si_code == libc::BUS_ADRERR {
        // SAFETY: with this code the address is the one that was touched.
        let address = unsafe { what.si_addr() } as usize;
        for entry in entries() {
            if let Some(range) = entry.range()
                && range.contains(&address)
                && put_zeros(range)
            {
                // Relaxed: read by this thread alone, which this interrupts (`is_lost`).
                entry.lost.store(true, Ordering::Relaxed);
                return;
            }
        }
    }
    pass_on(signal, info, context);
}

/// Private zeros in place of a mapping of a file; says whether that could be done.
fn put_zeros(range: Range<usize>) -> bool {
    let (at, len) = (
        ptr::with_exposed_provenance_mut(range.start),
        range.end - range.start,
    );
    let flags = MapFlags::PRIVATE | MapFlags::FIXED;
    // SAFETY: the range is a mapping of a file that is in the list, so it is mapped, and its owner
    // uses it through raw pointers and atomics alone, or lends slices of it on the condition that
    // the file stays as it is (`mmf`).
    unsafe { mmap_anonymous(at, len, ProtFlags::READ | ProtFlags::WRITE, flags) }.is_ok()
}

/// Leaves the signal to the handler that had it before.
fn pass_on(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    match BEFORE.get() {
        Some(before) if before.sa_sigaction == libc::SIG_IGN => {}
        Some(before) if before.sa_sigaction != libc::SIG_DFL => {
            if before.sa_flags & libc::SA_SIGINFO != 0 {
                // SAFETY: neither of the two special values, so a function; with SA_SIGINFO it is
                // one of three arguments, and these are the ones that the kernel has passed.
                let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) =
                    unsafe { std::mem::transmute(before.sa_sigaction) };
                handler(signal, info, context);
            } else {
                // SAFETY: as above; without SA_SIGINFO it is a function of one argument.
                let handler: extern "C" fn(libc::c_int) =
                    unsafe { std::mem::transmute(before.sa_sigaction) };
                handler(signal);
            }
        }
        _ => {
            // Ends the process as soon as this returns and the signal is no longer blocked.
            // SAFETY: both may be called in a handler.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
            // SAFETY: as above.
            unsafe { libc::raise(signal) };
        }
    }
}
