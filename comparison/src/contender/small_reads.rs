//! What lends its bytes, or is made to by a buffer.

use ::slipring::Spin;

use super::{Contender, UNIX_BUFFERED, contender};
use crate::{
    case::Kind,
    transport::{
        slipring::Slipring,
        small_reads::{Buffered, SmallReads},
        unix::Unix,
    },
};

pub fn all() -> [Contender; 4] {
    [
        contender(
            "small-slipring",
            "slipring, adaptive",
            "its reader as it is: fill_buf lends the ring's memory",
            SmallReads(Slipring::new(Spin::default())),
        ),
        contender(
            "small-slipring-sleeping",
            "slipring, sleeping",
            "the same, never spinning",
            SmallReads(Slipring::new(Spin::Never)),
        ),
        contender(
            "small-slipring-buffered",
            "BufReader<slipring>, adaptive",
            "its reader in a BufReader, as a socket would be: 8 KiB of buffer, the default",
            SmallReads(Buffered(Slipring::new(Spin::default()))),
        ),
        contender(
            UNIX_BUFFERED,
            "BufReader<UnixStream>",
            "8 KiB of buffer, the default",
            SmallReads(Buffered(Unix)),
        ),
    ]
    .map(|contender| contender.part(|case| matches!(case.kind, Kind::SmallReads(_))))
}
