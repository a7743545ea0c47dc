//! Values that are plain old data (feature `zerocopy`).

use super::error::SetError;
use super::event::{Change, Value};
use super::publisher::{Batch, Publisher};
use crate::feed::Sequence;
use zerocopy::{FromBytes, Immutable, IntoBytes};

impl Publisher {
    /// Gives a key a value.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set).
    ///
    /// # Examples
    ///
    /// ```
    /// use slipring::board::{Publisher, Subscriber};
    /// use zerocopy::{FromBytes, Immutable, IntoBytes};
    /// # let name = format!("doc-board-pod-{}", std::process::id());
    ///
    /// #[derive(FromBytes, IntoBytes, Immutable, Debug, PartialEq)]
    /// #[repr(C)]
    /// struct Quote {
    ///     bid: u64,
    ///     ask: u64,
    /// }
    ///
    /// let mut publisher = Publisher::bind(&name)?;
    /// let mut panel = Subscriber::connect(&name)?;
    /// publisher.set_pod(b"EUR/USD", &Quote { bid: 117, ask: 118 })?;
    /// let value = panel.get(b"EUR/USD")?.unwrap();
    /// assert_eq!(value.pod(), Some(Quote { bid: 117, ask: 118 }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_pod<T: IntoBytes + Immutable + ?Sized>(
        &mut self,
        key: &[u8],
        value: &T,
    ) -> Result<Sequence, SetError> {
        self.set(key, value.as_bytes())
    }
}

impl Batch<'_> {
    /// Gives a key a value.
    ///
    /// # Errors
    ///
    /// As [`Publisher::set`].
    pub fn set_pod<T: IntoBytes + Immutable + ?Sized>(
        &mut self,
        key: &[u8],
        value: &T,
    ) -> Result<Sequence, SetError> {
        self.set(key, value.as_bytes())
    }
}

impl Value<'_> {
    /// The value; `None` if it has another size.
    pub fn pod<T: FromBytes>(&self) -> Option<T> {
        T::read_from_bytes(self.value).ok()
    }
}

impl Change<'_> {
    /// The value that was set; `None` if it has another size, or the key was removed.
    pub fn pod<T: FromBytes>(&self) -> Option<T> {
        match self {
            Change::Set { value, .. } => T::read_from_bytes(value).ok(),
            Change::Removed { .. } => None,
        }
    }
}
