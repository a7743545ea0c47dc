//! A stream as the connection of a [tonic](https://docs.rs/tonic) server (feature `tonic`).

use super::Stream;
use crate::peer::Peer;
use tonic::transport::server::Connected;

/// Who asks is in each request, as the kernel says: `request.extensions().get::<slipring::Peer>()`.
impl Connected for Stream {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer().clone()
    }
}
