//! Messages, from a writer that sends anything at all.

use crate::format::{Ending, RING, model};
use crate::input::Input;
use slipring::frame::{self, Error};
use slipring::{Options, Spin};
use std::io::{self, ErrorKind, Write};

/// Bytes arrive in pieces. A receiver makes of them the messages that the format defines, however
/// it is called. If a receiver is taken apart and made again between the pieces, it makes no more
/// messages of them, and fewer only by those that it had begun to take.
pub fn frames(data: &[u8]) {
    let mut input = Input::new(data);
    let how = input.byte();
    let max = if how & 1 == 0 {
        1 << 30
    } else {
        2 * input.byte() as usize
    };
    let piece = 1 + 16 * input.byte() as usize;
    let bytes = input.take(RING);
    let again = how & 8 != 0;

    let options = Options::new()
        .capacity(RING)
        .max_capacity(RING)
        .spin(Spin::Never)
        .copy_reads(how & 2 != 0);
    let (left, right) = options.pair().unwrap();
    let (_reader, mut writer) = left.into_split();
    let (_sender, receiver) = frame::split(right).unwrap();
    let mut receiver = receiver.with_max(max);
    receiver.set_nonblocking(true);

    let mut messages = Vec::new();
    let mut ending = None;
    for part in bytes.chunks(piece) {
        // After a failure it has let go of its direction.
        if ending.is_none() {
            writer.write_all(part).unwrap();
        }
        ending = ending.or(receive(&mut receiver, how, &mut messages));
        if again {
            receiver = frame::Receiver::new(receiver.into_inner())
                .unwrap()
                .with_max(max);
        }
    }
    drop(writer);
    let ending = ending
        .or(receive(&mut receiver, how, &mut messages))
        .expect("an end");
    if again {
        // A message that is passed over may be as long as it likes, so another end may come in
        // front of one that is for the length.
        let (all, without_limit) = model(bytes, usize::MAX);
        let mut rest = all.iter();
        assert!(
            messages
                .iter()
                .all(|message| rest.any(|sent| sent == message))
        );
        assert!(ending == without_limit || ending == Ending::TooLarge && max < usize::MAX);
    } else {
        assert_eq!((messages, ending), model(bytes, max));
    }
    let again = receiver
        .try_recv()
        .map(|message| message.map(|message| message.len()));
    assert_eq!(
        matches!(again, Ok(None)),
        ending == Ending::Clean,
        "an end stays: {again:?}"
    );
}

/// All messages that are there; and the end, if it has come.
fn receive(receiver: &mut frame::Receiver, how: u8, messages: &mut Vec<Vec<u8>>) -> Option<Ending> {
    loop {
        let mut memory = Vec::new();
        let result: io::Result<Option<()>> = if how & 4 == 0 {
            receiver
                .try_recv()
                .map(|message| message.map(|message| memory.extend_from_slice(&message)))
        } else {
            receiver.recv_into(&mut memory).map(|len| len.map(drop))
        };
        match result {
            Ok(Some(())) => messages.push(memory),
            Ok(None) => return Some(Ending::Clean),
            Err(e) if e.kind() == ErrorKind::WouldBlock => return None,
            Err(e) => {
                let ending = Ending::of(Error::of(&e).expect("an error about messages"));
                let torn = ending == Ending::Torn;
                assert_eq!(
                    e.kind(),
                    if torn {
                        ErrorKind::UnexpectedEof
                    } else {
                        ErrorKind::InvalidData
                    }
                );
                return Some(ending);
            }
        }
    }
}
