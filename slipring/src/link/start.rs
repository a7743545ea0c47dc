//! How a handshake is begun: the steps of [`Options`] that blocking streams and tokio share.

use super::dial::{Dial, Patience, Queue};
use super::directory::RuntimeDirs;
use super::handshake::{First, Handshake, Origin, drive_pair};
use super::stream_side::Waits;
use super::verify::check_options;
use crate::endpoint::Connected;
use crate::error::{Error, Result};
use crate::name::Name;
use crate::options::Options;
use crate::sys::closing::Link;
use crate::sys::socket;
use std::os::fd::OwnedFd;
use std::sync::Arc;

impl Options {
    /// How long to wait in the queue of a living listener.
    pub(crate) fn queue(&self) -> Queue {
        Queue {
            of_another: self.backlog_timeout.or(self.handshake_timeout),
            of_this: self.handshake_timeout_or_default(),
        }
    }

    /// Connecting to a name.
    pub(crate) fn dialling(&self, name: &Name) -> Dial {
        let patience = match self.wait_for_listener {
            None => Patience::None,
            patience => Patience::of(patience),
        };
        Dial::new(
            RuntimeDirs::from_env(),
            name.clone(),
            patience,
            self.queue(),
        )
    }

    /// A handshake over a socket that was not made here, whose other end begins one as well.
    pub(crate) fn upgrading(&self, socket: OwnedFd, waits: Waits) -> Result<Handshake> {
        let origin = Origin {
            mine_alone: false,
            until: Some(Self::deadline(self.handshake_timeout_or_default())),
        };
        let link = Link::new(socket)?;
        Handshake::new(link, Arc::new(self.clone()), None, First::Me, waits, origin)
    }

    pub(crate) fn connected_pair(&self, waits: Waits) -> Result<[Connected; 2]> {
        check_options(self)?;
        let options = Arc::new(self.clone());
        let (left, right) =
            socket::pair().map_err(Error::os("making a pair of sockets (socketpair)"))?;
        let origin = Origin {
            mine_alone: true,
            until: None,
        };
        let side = |socket| -> Result<Handshake> {
            let link = Link::new(socket)?;
            Handshake::new(link, Arc::clone(&options), None, First::Me, waits, origin)
        };
        drive_pair(side(left)?, side(right)?)
    }
}
