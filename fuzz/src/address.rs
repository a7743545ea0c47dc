//! Addresses, as `slipring forward` takes them.

use crate::command_address::{Address, Place};

/// An address is refused with a text, or is displayed so that it can be read again.
pub fn address(data: &[u8]) {
    // The command line is text by then.
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    match text.parse::<Address>() {
        Ok(address) => {
            let shown = address.to_string();
            assert_eq!(
                shown.parse::<Address>().as_ref(),
                Ok(&address),
                "{text:?} is shown as {shown:?}"
            );
            match &address.place {
                Place::Tcp { host, port } => {
                    assert!(!host.is_empty());
                    assert!(*port != 0 || address.listen);
                }
                Place::Slip(name) => assert!(slipring::Name::parse(name).is_ok()),
                Place::Unix(path) => assert!(!path.as_os_str().is_empty()),
                Place::Mmf(_) | Place::Standard => {}
            }
        }
        Err(why) => assert!(!why.is_empty()),
    }
}
