//! The same colour for a transport in every chart, and one hue for those of a kind.

use plotters::style::{BLACK, RGBColor};

const SLIPRING: [RGBColor; 4] = [
    RGBColor(0, 94, 60),
    RGBColor(24, 158, 98),
    RGBColor(122, 194, 148),
    RGBColor(140, 160, 20),
];
const CSHARP: [RGBColor; 3] = [
    RGBColor(84, 48, 140),
    RGBColor(140, 104, 196),
    RGBColor(186, 162, 222),
];
const KERNEL: [RGBColor; 3] = [
    RGBColor(196, 52, 40),
    RGBColor(228, 134, 28),
    RGBColor(176, 44, 110),
];
const BARE: [RGBColor; 3] = [
    RGBColor(40, 40, 40),
    RGBColor(46, 110, 170),
    RGBColor(120, 168, 208),
];

pub struct Palette(Vec<(String, RGBColor)>);

impl Palette {
    /// For transports with these names, which may come several times.
    pub fn of<'n>(names: impl IntoIterator<Item = &'n str>) -> Palette {
        let mut palette = Palette(Vec::new());
        let mut used = [0; 4];
        for name in names {
            if palette.0.iter().any(|(known, _)| known == name) {
                continue;
            }
            let (kind, colours) = match name.split_once('-') {
                Some(("slipring", _)) => (0, &SLIPRING[..]),
                Some(("mmf", _)) => (1, &CSHARP[..]),
                Some(("bare" | "eventfd", _)) => (2, &BARE[..]),
                _ => (3, &KERNEL[..]),
            };
            palette
                .0
                .push((name.into(), colours[used[kind] % colours.len()]));
            used[kind] += 1;
        }
        palette
    }

    pub fn colour(&self, name: &str) -> RGBColor {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map_or(BLACK, |(_, colour)| *colour)
    }
}
