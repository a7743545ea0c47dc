//! Senders and receivers of messages for the tests of them.

#![allow(dead_code, reason = "every test binary uses a part of it")]

use slipring::frame::{self, Error, Receiver, Sender};
use slipring::{Options, Stream};
use std::io::{self, ErrorKind};
use std::time::Duration;

/// The size of the rings, unless a test says otherwise.
pub const RING: usize = 4096;

/// No test takes this long unless it hangs.
pub const LONG: Duration = Duration::from_secs(60);

pub fn options() -> Options {
    Options::new().capacity(RING).max_capacity(RING)
}

pub fn raw_pair() -> (Stream, Stream) {
    options().pair().expect("a pair")
}

/// Blocking without end would hide a fault; so nothing here waits longer than `LONG`.
pub fn limited(sender: Sender, receiver: Receiver) -> (Sender, Receiver) {
    let (mut sender, mut receiver) = (sender, receiver);
    sender.set_timeout(Some(LONG)).unwrap();
    receiver.set_timeout(Some(LONG)).unwrap();
    (sender, receiver)
}

/// One direction, and the halves that keep the other direction open.
pub fn channel_with(options: &Options) -> (Sender, Receiver, (Sender, Receiver)) {
    let (left, right) = options.pair().expect("a pair");
    let (sender, other_receiver) = frame::split(left).unwrap();
    let (other_sender, receiver) = frame::split(right).unwrap();
    let (sender, receiver) = limited(sender, receiver);
    (sender, receiver, (other_sender, other_receiver))
}

pub fn channel() -> (Sender, Receiver, (Sender, Receiver)) {
    channel_with(&options())
}

/// A message that is unlike its neighbours and unlike itself shifted.
pub fn message(number: u64, len: usize) -> Vec<u8> {
    (0..len as u64)
        .map(|at| ((number << 32 | at).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8)
        .collect()
}

pub fn received(receiver: &mut Receiver) -> Vec<u8> {
    receiver.recv().unwrap().expect("a message").to_vec()
}

/// The error about messages that this failed with, and its kind.
pub fn fault<T: std::fmt::Debug>(outcome: io::Result<T>) -> (ErrorKind, Error) {
    let error = outcome.expect_err("an error");
    let fault = *Error::of(&error).unwrap_or_else(|| panic!("{error} is not about messages"));
    (error.kind(), fault)
}
