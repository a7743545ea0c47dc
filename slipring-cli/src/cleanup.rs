//! Removes the sockets of listeners when a signal ends the process, which runs no destructor.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
    low_level::emulate_default_handler,
};

use crate::failure::Failure;

/// The file that a listener made. Told apart by inode, because someone may have replaced it meanwhile.
#[derive(Debug, Clone)]
pub struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl SocketFile {
    pub fn at(path: &Path) -> io::Result<Self> {
        let metadata = fs::symlink_metadata(path)?;
        // Absolute, so that it can be removed whatever the current directory is by then.
        Ok(Self {
            path: std::path::absolute(path)?,
            device: metadata.dev(),
            inode: metadata.ino(),
        })
    }

    pub fn remove(&self) {
        if fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == (self.device, self.inode))
        {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// As long as this lives, SIGINT, SIGTERM and SIGHUP remove the files before they end the process.
#[must_use = "dropped at once, it watches over nothing"]
pub struct Watch(Arc<Mutex<Vec<SocketFile>>>);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// From here on these signals remove `files` and then end the process as they always do. With nothing to
/// remove the signals are left alone.
pub fn on_signal(files: Vec<SocketFile>) -> Result<Watch, Failure> {
    let nothing = files.is_empty();
    let files = Arc::new(Mutex::new(files));
    if nothing {
        return Ok(Watch(files));
    }
    let watch = Watch(Arc::clone(&files));
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).map_err(Failure::doing("watch for signals"))?;
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for signal in signals.forever() {
                let files = files.lock().unwrap_or_else(PoisonError::into_inner);
                files.iter().for_each(SocketFile::remove);
                let _ = emulate_default_handler(signal);
            }
        })
        .map_err(Failure::doing("start a thread"))?;
    Ok(watch)
}
