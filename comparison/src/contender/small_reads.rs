//! What lends its bytes, or is made to by a buffer.

use ::slipring::Spin;

use super::{Contender, UNIX_BUFFERED, contender};
use crate::{
    case::Kind,
    transport::{
        slipring::Slipring,
        small_reads::{BufferedUnix, SmallReads},
    },
};

pub fn all() -> [Contender; 3] {
    [
        contender(
            "small-slipring",
            "slipring, adaptive",
            "its reader as it is: fill_buf lends the ring's memory",
            SmallReads(Slipring(Spin::default())),
        ),
        contender(
            "small-slipring-sleeping",
            "slipring, sleeping",
            "the same, never spinning",
            SmallReads(Slipring(Spin::Never)),
        ),
        contender(
            UNIX_BUFFERED,
            "BufReader<UnixStream>",
            "8 KiB of buffer, the default",
            SmallReads(BufferedUnix),
        ),
    ]
    .map(|contender| contender.part(|case| matches!(case.kind, Kind::SmallReads(_))))
}
