//! The parts of the protocol that a control leaves out. Each of these has at least one model that
//! fails because of it.

use super::mutant::Weakness;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    /// Nothing: the real code.
    None,

    // Orderings, left out of the real code by `Mutant`.
    /// No fence between `tail` and the reader's wake word in `Producer::publish`.
    PublishFence,
    /// No fence between `head` and the writer's wake word in `Consumer::consume`.
    ConsumeFence,
    /// No fence between a wake word and the poll of the peer in `arm`, of the reader.
    ReaderArmFence,
    /// The same, of the writer.
    WriterArmFence,
    /// The wake word of the reader stored Relaxed.
    ArmRelease,
    /// No fence between `fin` or `stop` and the wake word in `armed`.
    EndFence,
    /// `tail` stored Relaxed.
    TailRelease,
    /// `tail` loaded without an acquire.
    TailAcquire,
    /// `head` stored Relaxed.
    HeadRelease,
    /// `head` loaded without an acquire.
    HeadAcquire,
    /// `fin` and `stop` exchanged Relaxed.
    EndRelease,
    /// The word of the next ring stored Relaxed.
    AnnounceRelease,
    /// No fence between the word of the next ring and the reader's wake word.
    AnnounceFence,
    /// No fence between `taken` and the writer's wake word.
    TakenFence,
    /// `stop` loaded without an acquire.
    StopAcquire,

    // Orders and rules, which the halves of the models break by hand.
    /// The reader loads `tail`, then `fin`.
    FinAfterTail,
    /// `fin` is loaded without an acquire.
    FinAcquire,
    /// The half that learns of the hang-up tells the other half of its process Relaxed.
    GoneRelease,
    /// The other half asks for it Relaxed.
    GoneAcquire,
    /// The reader learns of the hang-up after it has loaded `fin`.
    HangUpAfterFin,
    /// A writer whose reader seems to starve, and has hung up, does not load `stop` again.
    HangUpAfterStop,
    /// The process hangs up, then stores `fin`.
    HangUpBeforeFin,
    /// `fin` and `stop` wake by the formula for indexes, `old < wanted <= new`.
    EndByFormula,
    /// `fin` and `stop` are stored, not exchanged.
    EndOverwrites,
    /// The code of an abort is stored after `fin`.
    CodeAfterEnd,
    /// A doorbell wakes who sleeps already, and keeps nothing for who is about to.
    BellForgets,
    /// A sleeper polls before it arms, not after.
    PollBeforeArm,
    /// An event loop takes the edges out of the set after it has polled, not before it arms.
    DrainAfterPoll,
    /// A reader does not wake a writer that waits for room which it will not make.
    NoStarvedWake,
    /// A writer does not make way for a reader that waits for more than there is.
    NoStarvingRule,
    /// A reader that only asks withdraws when it gives up.
    NoGiveUp,
    /// A half that has said that it never sleeps does so all the same.
    SleepsAfterAll,
    /// The wake word is loaded before the index is stored.
    WakeBeforeIndex,
    /// A half that sleeps after a flow does not end its sleep by itself.
    NoSecondLook,
    /// A half that sleeps after a flow takes a stale wake-up for the end of the moment.
    SettlesSoon,
    /// The next ring is passed after it was announced.
    PassedLate,
    /// The next ring holds what is written from then on, and not what is unread.
    NothingCopied,
    /// The next ring is announced after the first byte that is written to it.
    AnnouncedLate,
    /// A writer loads the wake word of a waiting reader without an acquire.
    WakeAcquire,
    /// A writer that sees a waiting reader does not load the reader's `head` once more.
    StarvingByOldHead,

    // Of feeds: orderings.
    /// `tail` and `last` stored Relaxed.
    FeedPublishRelease,
    /// No fence behind the store of `claim`.
    FeedClaimFence,
    /// `claim` stored Relaxed.
    FeedClaimRelease,
    /// `tail` and `claim` loaded without an acquire.
    FeedReadAcquire,
    /// No fence between `tail` and `calls` in `must_call`.
    FeedCallFence,
    /// No fence between a subscriber's wake word and `calls`.
    FeedArmFence,
    /// No fences in a round of the waker.
    FeedRoundFence,
    /// No fence between the position of a lossless subscriber and `claim`.
    FeedJoinFence,
    /// No fence between `claim` and the positions of lossless subscribers.
    FeedLookFence,

    // Of feeds: rules.
    /// A reader does not look whether a record was still whole.
    FeedNoValidation,
    /// A subscriber that sees that nobody sleeps does not announce.
    FeedNoAnnouncement,
    /// The waker does not look at `tail` again behind a round.
    FeedNoSecondLook,
    /// The waker that lets in the first subscriber which may sleep does not look again after a
    /// moment.
    FeedNoLookAfterJoin,
    /// A lossless subscriber begins wherever it is.
    FeedUnsafeStart,

    // Of boards: orderings.
    /// No fence behind the store that claims a slot.
    BoardClaimFence,
    /// The state of a slot stored Relaxed.
    BoardFlipRelease,
    /// The state of a slot loaded without an acquire.
    BoardReadAcquire,

    // Of boards: rules.
    /// A reader does not look whether a half was still whole.
    BoardNoValidation,
    /// A change is published before it is in its slot.
    BoardLogFirst,
    /// A reader takes its place in the log after it has read the slots.
    BoardSlotsFirst,
    /// A snapshot takes what is not published yet.
    BoardAhead,
}

impl Flaw {
    fn weakness(self, here: &[(Flaw, Weakness)]) -> Weakness {
        here.iter()
            .find(|(flaw, _)| *flaw == self)
            .map_or(Weakness::Nothing, |(_, weakness)| *weakness)
    }

    pub(super) fn in_feed_publish(self) -> Weakness {
        self.weakness(&[(Flaw::FeedPublishRelease, Weakness::Release)])
    }

    pub(super) fn in_feed_write(self) -> Weakness {
        self.weakness(&[
            (Flaw::FeedClaimFence, Weakness::ReleaseFence),
            (Flaw::FeedClaimRelease, Weakness::Release),
        ])
    }

    pub(super) fn in_feed_read(self) -> Weakness {
        self.weakness(&[(Flaw::FeedReadAcquire, Weakness::Acquire)])
    }

    pub(super) fn in_board_write(self) -> Weakness {
        self.weakness(&[
            (Flaw::BoardClaimFence, Weakness::ReleaseFence),
            (Flaw::BoardFlipRelease, Weakness::Release),
        ])
    }

    pub(super) fn in_board_read(self) -> Weakness {
        self.weakness(&[(Flaw::BoardReadAcquire, Weakness::Acquire)])
    }

    pub(super) fn in_feed_call(self) -> Weakness {
        self.weakness(&[(Flaw::FeedCallFence, Weakness::SeqCst)])
    }

    pub(super) fn in_feed_arm(self) -> Weakness {
        self.weakness(&[(Flaw::FeedArmFence, Weakness::SeqCst)])
    }

    pub(super) fn in_feed_round(self) -> Weakness {
        self.weakness(&[(Flaw::FeedRoundFence, Weakness::SeqCst)])
    }

    pub(super) fn in_feed_join(self) -> Weakness {
        self.weakness(&[(Flaw::FeedJoinFence, Weakness::SeqCst)])
    }

    pub(super) fn in_feed_look(self) -> Weakness {
        self.weakness(&[(Flaw::FeedLookFence, Weakness::SeqCst)])
    }

    pub(super) fn in_publish(self) -> Weakness {
        self.weakness(&[
            (Flaw::PublishFence, Weakness::SeqCst),
            (Flaw::TailRelease, Weakness::Release),
        ])
    }

    pub(super) fn in_consume(self) -> Weakness {
        self.weakness(&[
            (Flaw::ConsumeFence, Weakness::SeqCst),
            (Flaw::HeadRelease, Weakness::Release),
        ])
    }

    pub(super) fn in_writer_refresh(self) -> Weakness {
        self.weakness(&[(Flaw::HeadAcquire, Weakness::Acquire)])
    }

    pub(super) fn in_writer_poll(self) -> Weakness {
        self.weakness(&[(Flaw::StopAcquire, Weakness::Acquire)])
    }

    pub(super) fn in_reader_refresh(self) -> Weakness {
        self.weakness(&[(Flaw::TailAcquire, Weakness::Acquire)])
    }

    pub(super) fn in_writer_arm(self) -> Weakness {
        self.weakness(&[(Flaw::WriterArmFence, Weakness::SeqCst)])
    }

    pub(super) fn in_reader_arm(self) -> Weakness {
        self.weakness(&[
            (Flaw::ReaderArmFence, Weakness::SeqCst),
            (Flaw::ArmRelease, Weakness::Release),
        ])
    }

    pub(super) fn in_announce(self) -> Weakness {
        self.weakness(&[
            (Flaw::AnnounceRelease, Weakness::Release),
            (Flaw::AnnounceFence, Weakness::SeqCst),
        ])
    }

    pub(super) fn in_take(self) -> Weakness {
        self.weakness(&[(Flaw::TakenFence, Weakness::SeqCst)])
    }

    pub(super) fn in_end(self) -> Weakness {
        self.weakness(&[
            (Flaw::EndFence, Weakness::SeqCst),
            (Flaw::EndRelease, Weakness::Release),
        ])
    }
}
