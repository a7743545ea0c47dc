//! slipring, by its ways of waiting.

use ::slipring::Spin;

use super::{Contender, contender, part::*};
use crate::transport::{in_place::InPlace, slipring::Slipring};

pub fn all() -> [Contender; 4] {
    [
        contender(
            "slipring-spinning",
            "slipring, spinning",
            "uses up the receiver's core",
            Slipring::new(Spin::Always),
        )
        .part(|case| usual(case) || filled(case) || batched(case)),
        contender(
            "slipring-adaptive",
            "slipring, adaptive",
            "the default: spins where that has paid, else sleeps",
            Slipring::new(Spin::default()),
        )
        .part(|case| sharing(case) || crowded(case) || filled(case) || batched(case)),
        contender(
            "slipring-sleeping",
            "slipring, sleeping",
            "never spins; woken by an eventfd",
            Slipring::new(Spin::Never),
        )
        .part(|case| sharing(case) || crowded(case) || filled(case) || batched(case)),
        contender(
            "slipring-in-place",
            "slipring, spinning, in place",
            "filled in a grant, read in the peer's memory; uses up the receiver's core",
            InPlace(Slipring::new(Spin::Always)),
        )
        .part(filled),
    ]
}
