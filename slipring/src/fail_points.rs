//! For tests: places where a process can be made to die, with the feature `fail-points`. Without it
//! they are nothing.
//!
//! A process that has `SLIPRING_FAIL_POINT=NAME:N` in its environment kills itself (SIGKILL) when
//! it comes to the point `NAME` for the `N`th time. The names are in [`ALL`].

macro_rules! points {
    ($($point:ident $name:literal $what:literal;)*) => {
        /// A step after which a process can die.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Point {
            $(#[doc = $what] $point,)*
        }

        /// The name of each point, and the step that has just been done there.
        #[cfg(feature = "fail-points")]
        pub const ALL: &[(&str, &str)] = &[$(($name, $what)),*];
    };
}

// In the order of a stream's life.
points! {
    Locked "locked" "the lock of a name was taken; there is no socket";
    Bound "bound" "the socket was bound; nobody listens";
    Listening "listening" "somebody listens, and is not known to the caller yet";
    Taken "taken" "a connection was taken from the backlog";
    Begun "begun" "a handshake has begun; nothing was made or said";
    Introduced "introduced" "the peer's hello was accepted; nothing was made for it";
    MemoryMade "memory-made" "this side's memory was made; there are no doorbells";
    AllMade "all-made" "everything was made; nothing was said";
    Sending "sending" "a message of the handshake is about to be sent";
    Sent "sent" "a message of the handshake was sent";
    Received "received" "a message of the handshake was received";
    Verified "verified" "the peer's memory and doorbells were verified and mapped";
    Connected "connected" "the handshake is done, and its caller does not know";
    WriteBegun "write-begun" "a write has begun";
    Copied "copied" "bytes were copied into the ring, and not published";
    Committed "committed" "bytes were written in place, and not published";
    Published "published" "bytes were published; nobody was woken";
    Read "read" "bytes were copied out of the ring, and not given back";
    Consumed "consumed" "bytes were given back; nobody was woken";
    ReaderArmed "reader-armed" "a reader asked to be woken; it has not polled again";
    ReaderDisarmed "reader-disarmed" "a reader took that back";
    WriterArmed "writer-armed" "a writer asked to be woken; it has not polled again";
    WriterDisarmed "writer-disarmed" "a writer took that back";
    Sleeping "sleeping" "a half is about to sleep";
    Woken "woken" "a half was woken; it has not polled yet";
    Ringing "ringing" "the peer is about to be woken";
    Rung "rung" "the peer was woken";
    RingMade "ring-made" "the next ring was made; nothing is in it";
    RingPassed "ring-passed" "the next ring was passed, with what is unread; it is not announced";
    RingAnnounced "ring-announced" "the next ring was announced; nobody was woken";
    RingMapped "ring-mapped" "the peer's next ring was mapped; this side has not said so";
    RingTaken "ring-taken" "the peer's next ring was taken; nobody was woken";
    WritingEnded "writing-ended" "the end of writing was stored; nobody was woken";
    ReadingEnded "reading-ended" "the end of reading was stored; nobody was woken";
    HangingUp "hanging-up" "the link is about to be shut down";
    HungUp "hung-up" "the link was shut down; everything is still mapped";
    Claimed "feed-claimed" "a block of a feed was claimed; nothing was written over it";
    RecordWritten "feed-written" "a record was written, and not published";
    RecordPublished "feed-published" "records were published; nobody was called";
    Calling "feed-calling" "the waking thread is about to be called";
    Called "feed-called" "the waking thread was called";
    SubscriberArmed "feed-armed" "a subscriber asked to be woken; it has not polled again";
    Announced "feed-announced" "a subscriber announced that it sleeps";
    SubscriberWoken "feed-woken" "a subscriber was woken; it has not polled yet";
    RecordCopied "feed-copied" "a record was copied; its caller does not have it yet";
    SlotClaimed "board-claimed" "a slot is going to be written; nothing was written";
    SlotWritten "board-written" "the older half of a slot was written; the slot was not flipped";
    SlotFlipped "board-flipped" "a slot was flipped; its change was not published";
    SlotRead "board-read" "slots were read; their changes are not with the caller yet";
    SocketRemoved "socket-removed" "the socket of a name was removed; its lock is held";
}

/// Dies here, if that is asked for.
#[cfg(feature = "fail-points")]
pub(crate) fn point(here: Point) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    static PLAN: OnceLock<Option<(usize, AtomicU32)>> = OnceLock::new();
    let plan = PLAN.get_or_init(|| {
        let text = std::env::var("SLIPRING_FAIL_POINT").ok()?;
        let parsed = text.split_once(':').and_then(|(name, count)| {
            let index = ALL.iter().position(|(known, _)| *known == name)?;
            Some((
                index,
                AtomicU32::new(count.parse().ok().filter(|n| *n > 0)?),
            ))
        });
        Some(parsed.unwrap_or_else(|| {
            panic!("SLIPRING_FAIL_POINT={text}: not the NAME:N of a fail point")
        }))
    });
    // Relaxed: only the count itself matters. It wraps after the last one, and then nobody is left.
    if let Some((index, left)) = plan
        && *index == here as usize
        && left.fetch_sub(1, Ordering::Relaxed) == 1
    {
        crate::sys::process::die();
    }
}

/// How long a half in doubt sleeps, if a test says so: `SLIPRING_MOMENT_SECONDS=N`.
#[cfg(feature = "fail-points")]
pub(crate) fn moment() -> Option<std::time::Duration> {
    use std::sync::OnceLock;

    static SECONDS: OnceLock<Option<u64>> = OnceLock::new();
    let seconds =
        SECONDS.get_or_init(|| {
            let text = std::env::var("SLIPRING_MOMENT_SECONDS").ok()?;
            let seconds = text.parse();
            Some(seconds.unwrap_or_else(|_| {
                panic!("SLIPRING_MOMENT_SECONDS={text}: not a number of seconds")
            }))
        });
    seconds.map(std::time::Duration::from_secs)
}

/// Whether halves enter a flow: not with `SLIPRING_NO_FLOW` in the environment.
#[cfg(feature = "fail-points")]
pub(crate) fn may_flow() -> bool {
    use std::sync::OnceLock;

    static MAY: OnceLock<bool> = OnceLock::new();
    *MAY.get_or_init(|| std::env::var_os("SLIPRING_NO_FLOW").is_none())
}

/// They do.
#[cfg(not(feature = "fail-points"))]
#[inline(always)]
pub(crate) fn may_flow() -> bool {
    true
}

/// As it is.
#[cfg(not(feature = "fail-points"))]
#[inline(always)]
pub(crate) fn moment() -> Option<std::time::Duration> {
    None
}

/// Nothing.
#[cfg(not(feature = "fail-points"))]
#[inline(always)]
pub(crate) fn point(_: Point) {}
