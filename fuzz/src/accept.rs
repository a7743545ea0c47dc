//! The handshake of a listener, which speaks second.

use crate::connect::{join, options, use_it};
use crate::{LONG, assert_settled, holdings, script};
use slipring::{Listener, Stream};
use std::cell::OnceCell;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Instant;

thread_local! {
    // Binding takes longer than a handshake, and a real listener meets many clients as well.
    static LISTENER: OnceCell<(tempfile::TempDir, Listener)> = const { OnceCell::new() };
}

/// A script is played to a listener, which has served a client by then or refused it. Returns why
/// it was refused.
pub fn accept(data: &[u8]) -> Option<String> {
    LISTENER.with(|listener| {
        let (_, listener) = listener.get_or_init(|| {
            let place = tempfile::tempdir().unwrap();
            let listener = options().bind(place.path().join("x")).unwrap();
            (place, listener)
        });
        let (before, refused) = (holdings(), listener.refused());
        let link = UnixStream::connect(listener.path()).unwrap();
        let served = thread::scope(|scope| {
            let mut playing = Some(scope.spawn(|| script::play(data, link)));
            let _listening = if script::is_concurrent(data) {
                None
            } else {
                playing.take().map(join)
            };
            let accepted = meet(listener, refused);
            drop(playing.map(join));
            accepted.map(use_it).is_some()
        });
        assert_eq!(listener.refused(), refused + u64::from(!served));
        assert_settled(before);
        listener.last_refusal().filter(|_| !served)
    })
}

/// The stream of the client that has come, if it was not refused.
fn meet(listener: &Listener, refused: u64) -> Option<Stream> {
    let started = Instant::now();
    while listener.refused() == refused {
        if let Some(stream) = listener.try_accept().unwrap() {
            return Some(stream);
        }
        assert!(started.elapsed() < LONG, "neither accepted nor refused");
    }
    None
}
