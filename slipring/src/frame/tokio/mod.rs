//! The same messages on tokio (feature `tokio`).
//!
//! ```
//! use slipring::frame::tokio::split;
//! use slipring::tokio::Stream;
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! # runtime.block_on(async {
//!
//! let (left, right) = Stream::pair()?;
//! let (mut requests, mut answers) = split(left)?;
//! let server = tokio::spawn(async move {
//!     let (mut answers, mut requests) = split(right)?;
//!     while let Some(request) = requests.recv().await? {
//!         answers.send(&request.to_ascii_uppercase()).await?;
//!     }
//!     Ok::<(), std::io::Error>(())
//! });
//!
//! requests.send(b"hello").await?;
//! assert_eq!(*answers.recv().await?.expect("an answer"), *b"HELLO");
//! drop(requests);
//! assert!(answers.recv().await?.is_none());
//! server.await.unwrap()?;
//! # Ok::<(), std::io::Error>(())
//! # })?;
//! # Ok::<(), std::io::Error>(())
//! ```

#[cfg(feature = "bytes")]
mod messages;
mod receiver;
mod sender;

#[cfg(feature = "bytes")]
pub use messages::Messages;
pub use receiver::Receiver;
pub use sender::{Batch, Sender, split};
