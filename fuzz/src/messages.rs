//! Messages whose sender and receiver are interrupted, taken apart and made again at any moment.

use crate::format::RING;
use crate::input::Input;
use slipring::frame::{self, Error, Receiver, Sender};
use slipring::{Options, Spin};
use std::io::{self, ErrorKind};

/// A sender and a receiver of one thread, neither of which waits. Each message that is received was
/// sent, in order; and none is missing but those that a receiver had begun to take when it was
/// taken apart, or let go of for a newer one.
pub fn messages(data: &[u8]) {
    let mut input = Input::new(data);
    let options = Options::new()
        .capacity(RING)
        .max_capacity(RING)
        .spin(Spin::Never)
        .copy_reads(input.byte() & 1 != 0);
    let (left, right) = options.pair().unwrap();
    let (mut sender, _left_receiver) = frame::split(left).unwrap();
    let (_right_sender, mut receiver) = frame::split(right).unwrap();
    sender.set_nonblocking(true);
    receiver.set_nonblocking(true);

    let mut scene = Scene::default();
    while !input.is_empty() {
        let what = input.byte();
        match what % 8 {
            0 | 1 => scene.send(&mut sender, size(what, input.byte())),
            2 => scene.send_several(&mut sender, what >> 3, size(0, input.byte())),
            3 => {
                sender = Sender::new(sender.into_inner()).unwrap();
                scene.torn = false;
            }
            4 | 5 => scene
                .receive(&mut receiver, what >> 3)
                .unwrap_or_else(|e| wait(&e)),
            6 => scene.latest(&mut receiver).unwrap_or_else(|e| wait(&e)),
            _ => {
                receiver = Receiver::new(receiver.into_inner()).unwrap();
                // One of which parts had come.
                scene.may_lack += 1;
            }
        }
    }
    drop(sender);
    let end = loop {
        if let Err(e) = scene.receive(&mut receiver, 0) {
            break e;
        }
        if scene.ended {
            assert_eq!(scene.sent.len() - scene.found, scene.lacks());
            return;
        }
    };
    assert!(scene.torn, "{end}");
    assert!(matches!(Error::of(&end), Some(Error::Torn { .. })), "{end}");
}

/// The one error that is none.
fn wait(error: &io::Error) {
    assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
}

/// Small ones, ones that go at once, and ones that go in parts; these may be larger than the ring.
fn size(what: u8, byte: u8) -> usize {
    usize::from(byte) * [1, 8, 16, 64][usize::from(what >> 3) % 4]
}

fn message(number: usize, len: usize) -> Vec<u8> {
    (0..len)
        .map(|at| ((number << 16 | at).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8)
        .collect()
}

#[derive(Default)]
struct Scene {
    /// Those whose sending was told to have succeeded.
    sent: Vec<Vec<u8>>,
    /// How many were begun, whether or not they were sent.
    begun: usize,
    /// How many of them have been received, or passed over.
    found: usize,
    /// How many may be missing from here on.
    may_lack: usize,
    /// Some of a message was sent, and perhaps not all.
    torn: bool,
    ended: bool,
}

impl Scene {
    fn send(&mut self, sender: &mut Sender, len: usize) {
        let message = message(self.begun, len);
        self.begun += 1;
        self.note(sender.send(&message), message, sender.max_in_place());
    }

    fn send_several(&mut self, sender: &mut Sender, count: u8, len: usize) {
        let most = sender.max_in_place();
        let mut batch = sender.batch();
        for _ in 0..count {
            let message = message(self.begun, len);
            self.begun += 1;
            let sent = batch.send_with(len, |place| place.copy_from_slice(&message));
            self.note(sent, message, most);
        }
    }

    fn note(&mut self, sent: io::Result<()>, message: Vec<u8>, at_once: usize) {
        match sent {
            Ok(()) => {
                self.sent.push(message);
                self.torn = false;
            }
            Err(e) => {
                wait(&e);
                self.torn |= message.len() > at_once;
            }
        }
    }

    fn receive(&mut self, receiver: &mut Receiver, how: u8) -> io::Result<()> {
        let mut memory = Vec::new();
        let got = if how.is_multiple_of(2) {
            let got = receiver.try_recv()?;
            got.map(|got| memory.extend_from_slice(&got))
        } else {
            receiver.recv_into(&mut memory)?.map(drop)
        };
        match got {
            Some(()) => self.find(&memory),
            None => self.ended = true,
        }
        Ok(())
    }

    fn latest(&mut self, receiver: &mut Receiver) -> io::Result<()> {
        if let Some(latest) = receiver.latest()? {
            self.may_lack += usize::try_from(latest.skipped).unwrap();
            self.find(&latest.message);
        }
        Ok(())
    }

    /// A message was received: it is the next that was sent, or one of the next, as far as some may
    /// be missing.
    fn find(&mut self, message: &[u8]) {
        let candidates = &self.sent[self.found..];
        let Some(lacking) = candidates
            .iter()
            .take(self.may_lack + 1)
            .position(|sent| sent == message)
        else {
            panic!("{} bytes that nobody sent, or not now", message.len());
        };
        self.may_lack -= lacking;
        self.found += lacking + 1;
    }

    /// How many of those that were sent last may be missing at the end.
    fn lacks(&self) -> usize {
        self.may_lack.min(self.sent.len() - self.found)
    }
}
