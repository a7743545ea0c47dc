//! The clients that are shaking hands, and which of them makes way when there are too many.

use crate::link::handshake::Handshake;
use crate::link::side::Side;
use crate::sys::descriptor_limit;
use std::collections::BTreeMap;
use std::time::Instant;

/// How many there may be at a time, and the part of this process's descriptors that they may have.
const MOST: usize = 2048;
const PART_OF_DESCRIPTORS: u64 = 4;

/// The part of them that may be of one user other than this process's own.
const PART_OF_A_STRANGER: usize = 4;

/// One of them.
#[derive(Debug)]
pub(super) struct Client<S: Side> {
    pub(super) handshake: Handshake<S>,
    pub(super) deadline: Instant,
    /// Its link is watched for room as well.
    pub(super) writes: bool,
}

impl<S: Side> Client<S> {
    pub(super) fn user(&self) -> u32 {
        self.handshake.made_by()
    }
}

/// All of them, by number. A higher number came later and has the later deadline.
#[derive(Debug)]
pub(super) struct Clients<S: Side> {
    pub(super) by_number: BTreeMap<u64, Client<S>>,
    /// The number of the next one.
    pub(super) next: u64,
    most: usize,
}

impl<S: Side> Clients<S> {
    /// None, with numbers from `first` on.
    pub(super) fn new(first: u64) -> Clients<S> {
        let descriptors = descriptor_limit::soft().unwrap_or(u64::MAX);
        let part = usize::try_from(descriptors / PART_OF_DESCRIPTORS).unwrap_or(usize::MAX);
        Clients {
            by_number: BTreeMap::new(),
            next: first,
            most: part.clamp(1, MOST),
        }
    }

    /// The one that makes way for another one of this user, if there would be too many.
    pub(super) fn one_too_many(&self, user: u32, is_stranger: bool) -> Option<u64> {
        if self.by_number.len() >= self.most {
            return self.first_to_go(None);
        }
        let mut its_own = self.of(user);
        let oldest = its_own.next()?;
        let count = 1 + its_own.count();
        (is_stranger && count >= self.most.div_ceil(PART_OF_A_STRANGER)).then_some(oldest)
    }

    /// The oldest of the user that has the most; `spared` is not counted, nor chosen.
    pub(super) fn first_to_go(&self, spared: Option<u64>) -> Option<u64> {
        let others = || {
            self.by_number
                .iter()
                .filter(|(number, _)| Some(**number) != spared)
        };
        let mut counts = BTreeMap::<u32, usize>::new();
        for (_, client) in others() {
            *counts.entry(client.user()).or_default() += 1;
        }
        let (user, _) = counts.into_iter().max_by_key(|(_, count)| *count)?;
        let (oldest, _) = others().find(|(_, client)| client.user() == user)?;
        Some(*oldest)
    }

    /// Those of one user, oldest first.
    fn of(&self, user: u32) -> impl Iterator<Item = u64> {
        let its_own = self
            .by_number
            .iter()
            .filter(move |(_, client)| client.user() == user);
        its_own.map(|(number, _)| *number)
    }

    /// When the time of the first of them is up.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.by_number
            .first_key_value()
            .map(|(_, client)| client.deadline)
    }

    /// Takes out one whose time is up.
    pub(super) fn take_late(&mut self, now: Instant) -> Option<Client<S>> {
        let oldest = self.by_number.first_entry()?;
        (oldest.get().deadline <= now).then(|| oldest.remove())
    }
}
