//! A listener as that of an [axum](https://docs.rs/axum) server (feature `axum`).

use super::{Listener, Stream};
use crate::error::Error;
use crate::peer::Peer;
use axum::extract::connect_info::Connected;
use axum::serve::{self, IncomingStream};
use std::future::pending;
use std::io;
use std::time::Duration;
use tokio::time::sleep;

/// How long to wait after a failed accept: as long as axum does after one of a TCP listener.
const AFTER_A_FAILURE: Duration = Duration::from_secs(1);

/// `axum::serve(listener, routes)` serves the clients that connect to the name.
///
/// The address of a client is who it is, by the kernel's word: a handler gets it as
/// `ConnectInfo<Peer>` if the routes are served by `into_make_service_with_connect_info::<Peer>()`.
///
/// axum wants no errors of an accept. If this process is out of descriptors or memory, the next
/// accept comes a second later, as it does with a TCP listener, and nothing is logged. After
/// [`Stopper::stop`](crate::Stopper::stop) nobody is accepted any more;
/// `with_graceful_shutdown` ends the server.
///
/// # Examples
///
/// ```
/// use axum::{Router, extract::ConnectInfo, routing::get};
/// use slipring::{Peer, tokio::{Listener, Stream}};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
/// # let name = format!("doc-axum-{}", std::process::id());
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
///
/// async fn who(ConnectInfo(peer): ConnectInfo<Peer>) -> String {
///     format!("process {}", peer.pid.unwrap())
/// }
///
/// let routes = Router::new().route("/", get(who));
/// let routes = routes.into_make_service_with_connect_info::<Peer>();
/// let listener = Listener::bind(&name)?;
/// tokio::spawn(async { axum::serve(listener, routes).await });
///
/// let mut client = Stream::connect(&name).await?;
/// client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await?;
/// let mut answer = String::new();
/// client.read_to_string(&mut answer).await?;
/// assert!(answer.ends_with(&format!("process {}", std::process::id())));
/// # Ok::<(), std::io::Error>(()) })?;
/// # Ok::<(), std::io::Error>(())
/// ```
impl serve::Listener for Listener {
    type Io = Stream;
    type Addr = Peer;

    async fn accept(&mut self) -> (Stream, Peer) {
        loop {
            match Listener::accept(self).await {
                Ok(stream) => {
                    let peer = stream.peer().clone();
                    return (stream, peer);
                }
                Err(Error::Stopped) => pending().await,
                Err(_) => sleep(AFTER_A_FAILURE).await,
            }
        }
    }

    /// # Errors
    ///
    /// `Unsupported`: a name is no address of this kind. [`Listener::name`] and [`Listener::path`]
    /// say where it listens.
    fn local_addr(&self) -> io::Result<Peer> {
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "a listener at a name has no peer; ask for its name or its path before it is served",
        ))
    }
}

/// Who asks, as the kernel says: `ConnectInfo<Peer>`.
impl Connected<IncomingStream<'_, Listener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Listener>) -> Peer {
        stream.remote_addr().clone()
    }
}
