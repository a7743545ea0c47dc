//! Records that are plain old data (feature `zerocopy`).

use super::Sequence;
use super::error::PublishError;
use super::event::Record;
use super::publisher::Publisher;
use zerocopy::{FromBytes, Immutable, IntoBytes};

impl Publisher {
    /// Publishes a value as a record.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    ///
    /// # Examples
    ///
    /// ```
    /// use slipring::feed::{Event, Publisher, Subscriber};
    /// use zerocopy::{FromBytes, Immutable, IntoBytes};
    /// # let name = format!("doc-feed-pod-{}", std::process::id());
    ///
    /// #[derive(FromBytes, IntoBytes, Immutable, Debug, PartialEq)]
    /// #[repr(C)]
    /// struct Quote {
    ///     price: u64,
    ///     size: u32,
    ///     venue: u32,
    /// }
    ///
    /// let mut publisher = Publisher::bind(&name)?;
    /// let mut subscriber = Subscriber::connect(&name)?;
    /// publisher.publish_pod(&Quote { price: 101, size: 7, venue: 2 })?;
    /// let Event::Record(record) = subscriber.recv()? else { panic!() };
    /// assert_eq!(record.pod(), Some(Quote { price: 101, size: 7, venue: 2 }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn publish_pod<T: IntoBytes + Immutable + ?Sized>(
        &mut self,
        value: &T,
    ) -> Result<Sequence, PublishError> {
        self.publish(value.as_bytes())
    }
}

impl<B: AsRef<[u8]>> Record<B> {
    /// The value that the record is; `None` if it has another size.
    pub fn pod<T: FromBytes>(&self) -> Option<T> {
        T::read_from_bytes(self.payload.as_ref()).ok()
    }
}
