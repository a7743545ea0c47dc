//! One end of a ring in a file: the memory, the lock, and the watch over both.

use super::error::{Error, Result};
use super::file::{self, Way, os};
use super::indexes::{HEADER, Role, filled, pieces};
use crate::sys::clock::CoarseInstant;
use crate::sys::file::fstat;
use crate::sys::process::ForkGuard;
use crate::sys::range_lock;
use crate::sys::shared_file::SharedFile;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// The damage that makes a ring useless for good, found once and reported ever after.
#[derive(Debug, Clone, Copy)]
enum Damage {
    Indexes {
        head: u64,
        tail: u64,
        why: &'static str,
    },
    Resized {
        found: u64,
    },
}

#[derive(Debug)]
pub(super) struct Ring {
    role: Role,
    memory: SharedFile,
    /// Bytes of data.
    capacity: u64,
    /// The index that this end alone moves. Kept here; the value in the file is only compared.
    own: u64,
    /// The other end's index, as it was last loaded.
    other: u64,
    damage: Option<Damage>,
    /// The tick of the coarse clock at which the size of the file was checked.
    checked: CoarseInstant,
    fork_guard: ForkGuard,
    path: PathBuf,
    /// Keeps the lock.
    file: OwnedFd,
}

impl Ring {
    pub(super) fn open(path: &Path, way: Way, role: Role) -> Result<Ring> {
        let (file, size) = file::find(path, way)?;
        let own = role.own_index() as u64;
        if !range_lock::try_lock(&file, own..own + 8).map_err(os("locking", path))? {
            let path = path.to_owned();
            return Err(Error::InUse { path, role });
        }
        let len = usize::try_from(size).map_err(|_| Error::BadSize { size })?;
        let mut ring = Ring {
            role,
            memory: SharedFile::map(&file, len).map_err(os("mapping", path))?,
            capacity: size - HEADER,
            own: 0,
            other: 0,
            damage: None,
            checked: CoarseInstant::now(),
            fork_guard: ForkGuard::here().map_err(os("preparing to use", path))?,
            path: path.to_owned(),
            file,
        };
        ring.check_file()?;
        // Acquire, as in `refresh`. Of the two only the other end's can move in between, and only
        // towards a valid state.
        let head = ring.word(Role::Reader).load(Acquire);
        let tail = ring.word(Role::Writer).load(Acquire);
        (ring.own, ring.other) = match role {
            Role::Reader => (head, tail),
            Role::Writer => (tail, head),
        };
        ring.check(ring.other)?;
        Ok(ring)
    }

    #[inline]
    fn word(&self, role: Role) -> &AtomicU64 {
        self.memory.word(role.own_index())
    }

    pub(super) fn capacity(&self) -> u64 {
        self.capacity
    }

    /// The process that opened it.
    pub(super) fn fork_guard(&self) -> ForkGuard {
        self.fork_guard
    }

    /// Whether this is the process that opened it.
    #[inline]
    pub(super) fn is_owner(&self) -> bool {
        self.fork_guard.is_owner()
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes ever moved by this end.
    pub(super) fn position(&self) -> u64 {
        self.own
    }

    /// How far the other end has come, by the last load.
    pub(super) fn progress(&self) -> u64 {
        self.other
    }

    /// Bytes in the ring, by the index last loaded.
    #[inline]
    pub(super) fn filled(&self) -> u64 {
        match self.role {
            Role::Reader => self.other - self.own,
            Role::Writer => self.own - self.other,
        }
    }

    /// Loads the peer's index, and believes it if it can be true.
    #[inline]
    pub(super) fn refresh(&mut self) -> Result<()> {
        let other = match self.role {
            Role::Reader => Role::Writer,
            Role::Writer => Role::Reader,
        };
        // Acquire: for the reader, pairs with the release by which the writer publishes, so that
        // the bytes up to tail are there; for the writer, with that by which the reader consumes,
        // so that it has done with the bytes that are overwritten next. In C# these are
        // `Volatile.Write`, or any store on x86-64.
        let seen = self.word(other).load(Acquire);
        self.check(seen)?;
        self.other = seen;
        Ok(())
    }

    #[inline]
    fn check(&mut self, other: u64) -> Result<()> {
        let (head, tail) = self.head_and_tail(other);
        let why = match filled(head, tail, self.capacity) {
            Ok(_) if other >= self.other => None,
            Ok(_) if self.role == Role::Reader => Some("tail has gone back"),
            Ok(_) => Some("head has gone back"),
            Err(why) => Some(why),
        };
        match why {
            // Zeros in place of the file would make no sense either, but they would not be the
            // cause.
            Some(why) if !self.memory.is_lost() => self.nonsense(head, tail, why),
            _ => self.check_memory(),
        }
    }

    /// `own` and `other` by their names.
    fn head_and_tail(&self, other: u64) -> (u64, u64) {
        match self.role {
            Role::Reader => (self.own, other),
            Role::Writer => (other, self.own),
        }
    }

    /// Copies `bytes`, which fit, to where the writer stands, `ahead` bytes further.
    #[inline]
    pub(super) fn put(&mut self, ahead: usize, bytes: &[u8]) {
        let [first, second] = pieces(self.own + ahead as u64, bytes.len(), self.capacity);
        let (to_the_end, rest) = bytes.split_at(first.len);
        self.memory.write(first.offset, to_the_end);
        self.memory.write(second.offset, rest);
    }

    /// Copies the bytes that lie `ahead` bytes further than where the reader stands.
    #[inline]
    pub(super) fn get(&mut self, ahead: usize, to: &mut [u8]) {
        let [first, second] = pieces(self.own + ahead as u64, to.len(), self.capacity);
        let (to_the_end, rest) = to.split_at_mut(first.len);
        self.memory.read(first.offset, to_the_end);
        self.memory.read(second.offset, rest);
    }

    /// Everything that was in the ring by the index last loaded, where it lies; for the reader.
    pub(super) fn lend(&self) -> [&[u8]; 2] {
        debug_assert_eq!(self.role, Role::Reader);
        // No more than the capacity, which is mapped.
        pieces(self.own, self.filled() as usize, self.capacity).map(|piece| {
            // SAFETY: published, being before the tail that was seen and checked; not consumed
            // while `self` is borrowed, since `moved` needs it exclusively. That the other side
            // leaves it alone until then, and the file's size as well, is asked of it ("Trust" in
            // the module's documentation).
            unsafe { self.memory.slice(piece.offset, piece.len) }
        })
    }

    /// Publishes, or gives back, `n` bytes.
    #[inline]
    pub(super) fn moved(&mut self, n: u64) -> Result<()> {
        let own = self.word(self.role);
        // Relaxed: nobody but this process stores it, or else it is another value, whichever.
        let found = own.load(Relaxed);
        if found != self.own && !self.memory.is_lost() {
            let (head, tail, why) = match self.role {
                Role::Reader => (found, self.other, "head was moved by somebody else"),
                Role::Writer => (self.other, found, "tail was moved by somebody else"),
            };
            return self.nonsense(head, tail, why);
        }
        // Release: an end that sees the new index sees the bytes written before it, or, of a head,
        // that they have been read. In C# `Volatile.Read` sees it, or any load on x86-64.
        own.store(self.own + n, Release);
        self.own += n;
        self.check_memory()
    }

    /// To be asked before anything is done, and while waiting: may this end still be used? Checks
    /// the file's size each time that the coarse clock has ticked, which costs a system call every
    /// few milliseconds.
    #[inline]
    pub(super) fn check_if_due(&mut self) -> Result<()> {
        if !self.fork_guard.is_owner() {
            let path = self.path.clone();
            return Err(Error::Forked { path });
        }
        if self.damage.is_some() {
            return self.check_memory();
        }
        let now = CoarseInstant::now();
        if now != self.checked {
            self.checked = now;
            return self.check_file();
        }
        Ok(())
    }

    /// Checks the file's size.
    pub(super) fn check_file(&mut self) -> Result<()> {
        let found = self.size_now()?;
        if self.damage.is_none() && found != HEADER + self.capacity {
            return self.damaged(Damage::Resized { found });
        }
        self.check_memory()
    }

    /// Fails if this end is of no use any more.
    #[inline]
    fn check_memory(&mut self) -> Result<()> {
        match self.damage {
            None if !self.memory.is_lost() => Ok(()),
            _ => self.broken(),
        }
    }

    /// The indexes cannot be true; a file that has been cut explains that better.
    #[cold]
    fn nonsense(&mut self, head: u64, tail: u64, why: &'static str) -> Result<()> {
        self.check_file()?;
        self.damaged(Damage::Indexes { head, tail, why })
    }

    #[cold]
    fn broken(&mut self) -> Result<()> {
        let damage = match self.damage {
            Some(damage) => damage,
            // The file was too short for a moment at least.
            None => Damage::Resized {
                found: self.size_now()?,
            },
        };
        self.damaged(damage)
    }

    #[cold]
    fn damaged(&mut self, damage: Damage) -> Result<()> {
        self.damage = Some(damage);
        let path = self.path.clone();
        Err(match damage {
            Damage::Indexes { head, tail, why } => Error::Indexes {
                path,
                head,
                tail,
                capacity: self.capacity,
                why,
            },
            Damage::Resized { found } => Error::Resized {
                path,
                expected: HEADER + self.capacity,
                found,
            },
        })
    }

    fn size_now(&self) -> Result<u64> {
        let stat = fstat(&self.file).map_err(os("checking", &self.path))?;
        // The size of a regular file is not negative.
        Ok(stat.st_size as u64)
    }
}
