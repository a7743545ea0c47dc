//! Removes the paths of listening Unix sockets when a signal ends the process.

use std::thread;

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
    low_level::emulate_default_handler,
};

use super::unix_listener::SocketFile;
use crate::failure::Failure;

/// From here on SIGINT, SIGTERM and SIGHUP remove `files` and then end the process as they always
/// do. With nothing to remove the signals are left alone.
pub fn on_signal(files: Vec<SocketFile>) -> Result<(), Failure> {
    if files.is_empty() {
        return Ok(());
    }
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).map_err(Failure::doing("watch for signals"))?;
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for signal in signals.forever() {
                files.iter().for_each(SocketFile::remove);
                let _ = emulate_default_handler(signal);
            }
        })
        .map_err(Failure::doing("start a thread"))?;
    Ok(())
}
