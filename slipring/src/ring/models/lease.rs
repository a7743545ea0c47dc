//! Nothing is read by a lease once it is known that the stream has been ended.

use super::super::atomics::model::Loom;
use super::super::{Atomics, Consumer, Header, Headers, Word, wake};
use super::mutant::weakly;
use super::{Flaw, Mutant, Why, fails, holds};
use crate::lease;
use loom::thread;
use std::sync::Arc;
use std::sync::atomic::Ordering;

struct Words<A: Atomics> {
    local: A::U32,
    until: A::U64,
    /// Set by either of those who end the stream, when they have.
    told: [A::U32; 2],
}

/// Two threads end the stream while a third renews its lease, twice.
fn ended_by_two<A: Atomics>(flaw: Flaw)
where
    Words<A>: Send + Sync,
{
    let words = Arc::new(Words::<A> {
        local: A::U32::new(0),
        until: A::U64::new(0),
        told: [A::U32::new(0), A::U32::new(0)],
    });
    let ends = [0, 1].map(|which| {
        let words = Arc::clone(&words);
        thread::spawn(move || {
            end(&words, flaw);
            words.told[which].store(1, Ordering::Release);
        })
    });
    // A writer that excuses from fences has written two bytes.
    let (own, peer) = (Header::<A>::new(4096, 2), Header::<A>::new(4096, 2));
    peer.published.0.tail.store(2, Ordering::Relaxed);
    peer.wake_at_head.0.store(wake::UNFENCED, Ordering::Relaxed);
    let headers = Headers { own: &own, peer: &peer };
    let mut ring = Consumer::<A>::new(2);
    ring.set_excusable(true);
    ring.refresh(headers).expect("an honest writer");
    for position in [1, 2] {
        let give_back = || {
            weakly(flaw.in_consume(), || match flaw {
                Flaw::RenewExcused => ring.consume(headers, 1),
                _ => ring.consume_fenced(headers, 1),
            })
        };
        let is_open = || flaw == Flaw::RenewUnlooked || words.local.load(Ordering::Relaxed) == 0;
        lease::renew::<A, _>(&words.until, position, give_back, is_open);
        if words.told.iter().any(|told| told.load(Ordering::Acquire) == 1) {
            let until = words.until.load(Ordering::Relaxed);
            assert_eq!(until, 0, "the end: it is known, and something is leased");
        }
    }
    for end in ends {
        end.join().unwrap();
    }
    assert_eq!(words.until.load(Ordering::Relaxed), 0, "the end: a lease outlives it");
}

fn end<A: Atomics>(words: &Words<A>, flaw: Flaw) {
    if flaw == Flaw::OnlyTheFirstRevokes && words.local.load(Ordering::Relaxed) != 0 {
        return;
    }
    if flaw == Flaw::EndKeepsLease {
        words.local.store(1, Ordering::Release);
        return;
    }
    weakly(flaw.in_lease_end(), || lease::end::<A>(&words.local, 1, &words.until));
}

#[test]
fn an_end_ends_the_lease() {
    holds("ended by two", ended_by_two::<Loom>);
    for flaw in [
        Flaw::EndKeepsLease,
        Flaw::OnlyTheFirstRevokes,
        Flaw::RenewUnlooked,
        Flaw::ConsumeFence,
        Flaw::RenewExcused,
        Flaw::LeaseEndFence,
    ] {
        fails(ended_by_two::<Mutant>, flaw, Why::WrongEnd);
    }
}
