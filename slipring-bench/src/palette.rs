//! The same colour for a contender in every chart, and one hue for those of a side.

use crate::{
    chart::Stroke,
    contender::Side,
    figures::{CaseFigures, Figures},
    medians,
};

const SLIPRING: [&str; 5] = ["#005e3c", "#189e62", "#7ac294", "#8ca014", "#3c7a78"];
const LIMIT: [&str; 4] = ["#282828", "#6e6e6e", "#a0a0a0", "#8a7f6a"];
const PEER: [&str; 8] = [
    "#c43428", "#e4861c", "#b02c70", "#2e6eaa", "#543c8c", "#8c68c4", "#118ab2", "#8a6d00",
];
/// Told apart by more than their colour, if there are many.
const DASHES: [&str; 4] = ["none", "7 3", "2 2", "9 3 2 3"];

/// How each contender is drawn.
pub(crate) struct Palette(Vec<(String, Stroke)>);

impl Palette {
    pub(crate) fn of<'r>(cases: impl Iterator<Item = &'r CaseFigures>) -> Palette {
        let mut used = [0; 3];
        let mut stroke = |one: &Figures| {
            let (side, colours, width) = match one.side {
                Side::Slipring => (0, &SLIPRING[..], 3.0),
                Side::Limit => (1, &LIMIT[..], 1.5),
                Side::Library | Side::Peer => (2, &PEER[..], 2.0),
            };
            let number = used[side];
            used[side] += 1;
            let stroke = Stroke {
                colour: colours[number % colours.len()],
                dashes: DASHES[number / colours.len() % DASHES.len()],
                width,
            };
            (one.transport.clone(), stroke)
        };
        let contenders = medians::contenders(cases);
        Palette(contenders.into_iter().map(&mut stroke).collect())
    }

    pub(crate) fn stroke(&self, contender: &Figures) -> Stroke {
        let found = self.0.iter().find(|(name, _)| *name == contender.transport);
        found.map_or(
            Stroke {
                colour: "#000000",
                dashes: "none",
                width: 1.0,
            },
            |(_, stroke)| *stroke,
        )
    }
}
