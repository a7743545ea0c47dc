//! The bar at the top: how the engine is, and what is measured.

use crate::look::{self, grouped};
use crate::market::{Market, State};
use eframe::egui::{self, Align, Align2, Color32, CornerRadius, Layout, RichText, Sense, Ui};

pub(crate) fn bar(ui: &mut Ui, market: &Market, name: &str) {
    ui.horizontal(|ui| {
        ui.label(RichText::new("slipring").font(look::words(21.0)).strong());
        ui.label(
            RichText::new(name)
                .font(look::words(21.0))
                .color(look::FAINT),
        );
        ui.add_space(6.0);
        let (word, colour) = match &market.state {
            State::Waiting => ("WAITING", look::NEWS),
            State::Live => ("LIVE", look::UP),
            State::Lost(..) => ("ENGINE LOST", look::DOWN),
        };
        pill(ui, word, colour);
        if let (State::Live, Some(pid)) = (&market.state, market.engine()) {
            ui.add_space(4.0);
            let engine = format!("engine {pid}");
            ui.label(RichText::new(engine).small().color(look::FAINT));
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let figures = market.figures;
            ui.spacing_mut().item_spacing.x = 8.0;
            figure(ui, "frames/s", format!("{:.0}", figures.frames));
            figure(ui, "longest lag", look::time(figures.longest_lag));
            figure(ui, "lag", look::time(figures.lag));
            figure(ui, "painted/s", grouped(figures.told as i64));
            figure(ui, "published/s", grouped(figures.published as i64));
            figure(ui, "symbols", grouped(market.rows.len() as i64));
        });
    });
}

/// A strip that says what is out of the ordinary, if anything is.
pub(crate) fn news(ui: &mut Ui, market: &Market) {
    let (text, colour) = match &market.state {
        State::Waiting => (
            "There is no engine yet. Waiting for one.".to_owned(),
            look::NEWS,
        ),
        State::Lost(since, why) => {
            let age = look::time(since.elapsed().as_secs_f64());
            let text = format!(
                "Engine lost {age} ago: {why}. The prices below are the last ones. Waiting for a \
                 new engine."
            );
            (text, look::DOWN)
        }
        State::Live if market.has_new_engine() => {
            let pid = market.engine().unwrap_or(0);
            let text = format!(
                "New engine: process {pid}, number {} since this window was opened. All prices \
                 are its own.",
                market.engines
            );
            (text, look::NEWS)
        }
        State::Live => match &market.error {
            Some(error) => (error.clone(), look::DOWN),
            None => return,
        },
    };
    egui::Frame::new()
        .fill(colour.gamma_multiply(0.18))
        .stroke(egui::Stroke::new(1.0, colour.gamma_multiply(0.6)))
        .corner_radius(CornerRadius::same(6))
        .inner_margin(egui::Margin::symmetric(12, 7))
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.label(RichText::new(text).color(look::TEXT).strong());
        });
}

fn pill(ui: &mut Ui, word: &str, colour: Color32) {
    let font = look::words(12.5);
    let text = ui.painter().layout_no_wrap(word.to_owned(), font, colour);
    let size = text.size() + egui::vec2(34.0, 10.0);
    let (rect, response) = ui.allocate_exact_size(size, Sense::hover());
    response.widget_info(|| egui::WidgetInfo::labeled(egui::WidgetType::Label, true, word));
    let painter = ui.painter();
    painter.rect_filled(rect, rect.height() / 2.0, colour.gamma_multiply(0.16));
    let dot = egui::pos2(rect.left() + 14.0, rect.center().y);
    painter.circle_filled(dot, 4.0, colour);
    let place = Align2::LEFT_CENTER.anchor_size(dot + egui::vec2(11.0, 0.0), text.size());
    painter.galley(place.min, text, colour);
}

fn figure(ui: &mut Ui, what: &str, value: String) {
    let size = egui::vec2(88.0, 34.0);
    ui.allocate_ui_with_layout(size, Layout::top_down(Align::Max), |ui| {
        ui.set_min_width(size.x);
        ui.spacing_mut().item_spacing.y = 1.0;
        ui.label(RichText::new(value).font(look::digits(15.0)));
        let what = RichText::new(what).font(look::words(11.5));
        ui.label(what.color(look::FAINT));
    });
}
