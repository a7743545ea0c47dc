//! Colours and text styles.

use eframe::egui::{self, Color32, CornerRadius, FontFamily, FontId, Margin, Stroke, TextStyle};

pub(crate) const BACK: Color32 = Color32::from_rgb(13, 17, 23);
pub(crate) const CARD: Color32 = Color32::from_rgb(21, 27, 36);
pub(crate) const STRIPE: Color32 = Color32::from_rgb(17, 22, 30);
pub(crate) const LINE: Color32 = Color32::from_rgb(42, 51, 64);
pub(crate) const TEXT: Color32 = Color32::from_rgb(222, 228, 236);
pub(crate) const FAINT: Color32 = Color32::from_rgb(139, 151, 168);
pub(crate) const UP: Color32 = Color32::from_rgb(38, 194, 129);
pub(crate) const DOWN: Color32 = Color32::from_rgb(239, 83, 80);
pub(crate) const NEWS: Color32 = Color32::from_rgb(245, 176, 65);
pub(crate) const ACCENT: Color32 = Color32::from_rgb(88, 150, 255);

/// How a rise, a fall, or neither is coloured.
pub(crate) fn of(change: f64) -> Color32 {
    if change > 0.0 {
        UP
    } else if change < 0.0 {
        DOWN
    } else {
        FAINT
    }
}

/// Numbers under each other have digits of one width.
pub(crate) fn digits(size: f32) -> FontId {
    FontId::new(size, FontFamily::Monospace)
}

pub(crate) fn words(size: f32) -> FontId {
    FontId::new(size, FontFamily::Proportional)
}

/// Nine thousand nine hundred and ninety-nine is `9,999`.
pub(crate) fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::from(if number < 0 { "-" } else { "" });
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A length of time with three digits or so.
pub(crate) fn time(seconds: f64) -> String {
    match seconds {
        0.0..0.001 => format!("{:.0} µs", seconds * 1e6),
        0.001..0.01 => format!("{:.1} ms", seconds * 1e3),
        0.01..1.0 => format!("{:.0} ms", seconds * 1e3),
        _ => format!("{seconds:.1} s"),
    }
}

pub(crate) fn apply(context: &egui::Context) {
    context.set_theme(egui::Theme::Dark);
    context.all_styles_mut(|style| {
        let sizes = [
            (TextStyle::Heading, words(20.0)),
            (TextStyle::Body, words(14.0)),
            (TextStyle::Button, words(14.0)),
            (TextStyle::Small, words(12.0)),
            (TextStyle::Monospace, digits(13.5)),
        ];
        style.text_styles.extend(sizes);
        style.spacing.item_spacing = egui::vec2(8.0, 6.0);
        style.spacing.button_padding = egui::vec2(12.0, 5.0);
        style.spacing.scroll.floating = false;
        style.interaction.selectable_labels = false;
        let visuals = &mut style.visuals;
        visuals.panel_fill = BACK;
        visuals.window_fill = CARD;
        visuals.extreme_bg_color = STRIPE;
        visuals.faint_bg_color = STRIPE;
        visuals.override_text_color = Some(TEXT);
        visuals.selection.bg_fill = ACCENT.gamma_multiply(0.30);
        visuals.selection.stroke = Stroke::new(1.0, ACCENT);
        visuals.hyperlink_color = ACCENT;
        let radius = CornerRadius::same(6);
        let widgets = &mut visuals.widgets;
        for widget in [
            &mut widgets.noninteractive,
            &mut widgets.inactive,
            &mut widgets.hovered,
            &mut widgets.active,
            &mut widgets.open,
        ] {
            widget.corner_radius = radius;
        }
        widgets.noninteractive.bg_stroke = Stroke::new(1.0, LINE);
        widgets.hovered.bg_fill = LINE.gamma_multiply(0.6);
        widgets.inactive.bg_fill = LINE;
        widgets.inactive.weak_bg_fill = LINE;
    });
}

/// A part of the window with a frame around it.
pub(crate) fn card() -> egui::Frame {
    egui::Frame::new()
        .fill(CARD)
        .stroke(Stroke::new(1.0, LINE))
        .corner_radius(CornerRadius::same(8))
        .inner_margin(Margin::same(12))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        let texts = [0, 999, 1_000, -1_234_567].map(grouped);
        assert_eq!(texts, ["0", "999", "1,000", "-1,234,567"]);
    }

    #[test]
    fn times_have_the_unit_that_fits() {
        let texts = [0.000_05, 0.0012, 0.0166, 3.25].map(time);
        assert_eq!(texts, ["50 µs", "1.2 ms", "17 ms", "3.2 s"]);
    }
}
