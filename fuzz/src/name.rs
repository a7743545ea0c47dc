//! Names, as a user writes them.

use slipring::{Error, Name, Scope};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// A name is taken or refused as its documentation says, and is displayed so that it can be read
/// again.
pub fn name(data: &[u8]) {
    let text = OsStr::from_bytes(data);
    match Name::parse(text) {
        Ok(name) => {
            assert_eq!(Some(name.scope()), scope(data), "{text:?}");
            if let Ok(text) = str::from_utf8(data) {
                let shown = name.to_string();
                assert_eq!(Name::parse(&shown).unwrap(), name);
                assert!(name.scope() != Scope::Path || shown == text);
            }
        }
        Err(error) => {
            assert!(matches!(error, Error::InvalidName { .. }), "{error:?}");
            assert_eq!(scope(data), None, "{text:?}: {error}");
            assert!(error.to_string().len() < 2000, "an error is to be read");
        }
    }
}

/// The scope of a name, if it is one: the documentation, once more.
fn scope(name: &[u8]) -> Option<Scope> {
    let (scope, bare) = match name {
        [b'/', ..] => {
            let last = name.rsplit(|byte| *byte == b'/').next()?;
            let file = !name.contains(&0) && ![&b""[..], b".", b".."].contains(&last);
            return file.then_some(Scope::Path);
        }
        [b'L', b'o', b'c', b'a', b'l', b'/' | b'\\', bare @ ..] => (Scope::Local, bare),
        [b'G', b'l', b'o', b'b', b'a', b'l', b'/' | b'\\', bare @ ..] => (Scope::Global, bare),
        bare => (Scope::Local, bare),
    };
    let allowed =
        |byte: &u8| matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
    let right = (1..=64).contains(&bare.len()) && bare[0] != b'.' && bare.iter().all(allowed);
    right.then_some(scope)
}
