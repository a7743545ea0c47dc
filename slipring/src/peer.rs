//! The user at the other end, and which users are allowed there.

/// Which users may be at the other end.
///
/// This process's own user and root are always allowed: they could do anything to this process
/// anyway. Towards any other user borrowed views are copied through private memory and doorbells
/// are of a kind that cannot block the waker; that needs Linux 5.8. Both sides have to allow each
/// other.
///
/// # Examples
///
/// ```
/// use slipring::{Options, Peers};
///
/// let mine_alone = Options::new();
/// let two_more = Options::new().allow(Peers::Users(vec![1000, 1001]));
/// let everybody = Options::new().allow(Peers::Anyone);
/// # drop((mine_alone.pair()?, two_more.pair()?, everybody.pair()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Peers {
    /// Only this process's effective user, and root. The default.
    #[default]
    SameUser,
    /// These users as well, by their numbers.
    Users(Vec<u32>),
    /// Anyone who can reach the name.
    Anyone,
}

/// The rights of a user at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Be there, and be relied on: it is this process's own user, or root.
    Trusted,
    /// Be there.
    Allowed,
    /// Nothing, and why.
    Refused(&'static str),
}

/// The process at the other end, by the kernel's word at the time of the handshake.
///
/// # Examples
///
/// ```
/// use slipring::{Peer, Stream};
///
/// let (left, _right) = Stream::pair()?;
/// let Peer { pid, uid, gid, .. } = left.peer();
/// println!("process {pid:?} of user {uid} and group {gid}");
/// # assert_eq!(*pid, Some(std::process::id()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// The process; `None` if it is not visible from this pid namespace.
    pub pid: Option<u32>,
    /// Its effective user.
    pub uid: u32,
    /// Its effective group.
    pub gid: u32,
}
