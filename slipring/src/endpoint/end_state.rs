//! How a direction ended, as its half on this side knows it.

use super::end::{End, EndReason};
use super::{Endpoint, local};
use crate::ring::{Status, Std, ended, load_peer};

/// The end of one direction. The first one stays.
#[derive(Debug, Default)]
pub(super) struct EndState(Option<End>);

impl EndState {
    pub(super) fn get(&self) -> Option<End> {
        self.0
    }

    #[inline(always)]
    pub(super) fn is_open(&self) -> bool {
        self.0.is_none()
    }

    /// This side ends it.
    pub(super) fn set(&mut self, reason: EndReason, position: u64) {
        self.0.get_or_insert(End { reason, position });
    }

    /// Lifts an end in order by this side, so that the peer's state can be asked for.
    pub(super) fn take_finished(&mut self) -> Option<End> {
        self.0.take_if(|end| end.reason == EndReason::Finished)
    }

    /// Puts back the end that was lifted, whatever was found meanwhile.
    pub(super) fn restore(&mut self, end: End) {
        self.0 = Some(end);
    }

    /// The direction has ended: because of this side ([`Endpoint::local`]), or as `status` says.
    /// `closed`: the reason if the peer ended it in order. `may_reset`: the peer may say that it
    /// dropped the stream with bytes unread.
    #[cold]
    pub(super) fn resolve(
        &mut self,
        endpoint: &Endpoint,
        status: Status,
        closed: EndReason,
        may_reset: bool,
        position: u64,
    ) -> End {
        *self.0.get_or_insert_with(|| {
            let reason = match (status, endpoint.local()) {
                (_, local::CLOSED | local::ABORTED) => EndReason::Closed,
                (_, local::CORRUPT) => EndReason::Corrupt,
                (Status::Ended(ended::CLOSED), _) => closed,
                (Status::Ended(ended::ABORTED), _) => EndReason::Aborted {
                    code: load_peer::<Std, _>(&endpoint.headers().peer.published.0.code),
                },
                (Status::Ended(ended::POISONED), _) => EndReason::Rejected,
                (Status::Ended(ended::REFUSED), _) => EndReason::Refused,
                (Status::Ended(ended::RESET), _) if may_reset => EndReason::Reset,
                // The word is one that no version of this protocol stores.
                (Status::Ended(_), _) => {
                    endpoint.poison();
                    EndReason::Corrupt
                }
                _ => EndReason::PeerDied,
            };
            End { reason, position }
        })
    }
}
