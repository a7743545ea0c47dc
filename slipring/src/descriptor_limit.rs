//! How many descriptors the process may have open, and may give to its children.

use crate::error::Result;
use crate::sys::descriptor_limit;
use std::process::Command;

/// Raises the soft limit of open descriptors of this process to the hard one, and returns the limit
/// as it was.
///
/// Many systems start programs with a soft limit of 1,024 for the sake of `select`, which knows no
/// descriptor beyond that, and with a far higher hard one. A process with many streams calls this
/// once at its start, if nothing in it uses `select`.
///
/// Children inherit the raised limit. A program that closes "all" descriptors one by one, or that
/// uses `select`, may not bear it: [`DescriptorLimit::give_to`] gives a child the old one.
///
/// Never blocks. A limit that is as high as it can be stays as it is.
///
/// # Errors
///
/// [`Error::Os`](crate::Error::Os) if the system refuses it. It does if `fs.nr_open` is now lower
/// than the hard limit, or if a seccomp filter forbids `prlimit64`.
///
/// # Examples
///
/// ```
/// use std::process::Command;
///
/// let before = slipring::raise_descriptor_limit()?;
///
/// // The child finds the limit as this process did.
/// let output = before.give_to(Command::new("sh").args(["-c", "ulimit -Sn"])).output()?;
/// if let Some(soft) = before.soft() {
///     assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), soft.to_string());
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn raise_descriptor_limit() -> Result<DescriptorLimit> {
    let soft = descriptor_limit::raise()?;
    Ok(DescriptorLimit { soft })
}

/// A limit of open descriptors as it was before [`raise_descriptor_limit`], to be given to
/// children.
#[must_use = "children are to get it back; see `give_to`"]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DescriptorLimit {
    soft: Option<u64>,
}

impl DescriptorLimit {
    /// How many descriptors the process could have open; `None` if nothing limited it.
    ///
    /// # Examples
    ///
    /// ```
    /// let before = slipring::raise_descriptor_limit()?;
    /// println!("it was {:?} before", before.soft());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn soft(&self) -> Option<u64> {
        self.soft
    }

    /// Makes `command` start its program with this limit, rather than with the raised one.
    ///
    /// Sets nothing and blocks nowhere by itself. If the child cannot set the limit, since the hard
    /// one has been lowered meanwhile, it is [`Command::spawn`] that fails.
    ///
    /// # Examples
    ///
    /// See [`raise_descriptor_limit`].
    pub fn give_to<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        descriptor_limit::start_with(command, self.soft)
    }
}
