//! The chosen symbol with its price line, orders for it, and the fills.

use crate::look;
use crate::market::{self, Market, Row, State};
use crate::orders::Outcome;
use crate::table::signed;
use eframe::egui::{self, Align, Color32, Layout, RichText, ScrollArea, Ui};
use egui_plot::{GridMark, HLine, Line, LineStyle, Plot, PlotPoints};
use slipring_panels_engine::{Fill, now, price};

pub(crate) fn show(ui: &mut Ui, market: &mut Market, chosen: Option<&str>, quantity: &mut i64) {
    let row = chosen.and_then(|symbol| market.row(symbol));
    let name = row.map(|row| row.symbol.clone());
    look::card().show(ui, |ui| {
        ui.set_width(ui.available_width());
        match row {
            Some(row) => symbol(ui, row, market.seconds()),
            None => {
                ui.label(RichText::new("No symbol is chosen").color(look::FAINT));
                ui.add_space(250.0);
            }
        }
    });
    ui.add_space(8.0);
    look::card().show(ui, |ui| {
        ui.set_width(ui.available_width());
        ticket(ui, market, name.as_deref(), quantity);
    });
    ui.add_space(8.0);
    look::card().show(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.set_height(ui.available_height());
        fills(ui, market);
    });
}

fn symbol(ui: &mut Ui, row: &Row, seconds: f64) {
    let quote = row.quote;
    let change = quote.last - quote.open;
    ui.horizontal(|ui| {
        ui.label(RichText::new(&row.symbol).font(look::words(24.0)).strong());
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let text = format!(
                "{} ({}%)",
                signed(price(change), change),
                signed(format!("{:.2}", quote.percent()), change)
            );
            let colour = look::of(change as f64);
            ui.label(RichText::new(text).font(look::digits(14.0)).color(colour));
            ui.label(
                RichText::new(price(quote.last))
                    .font(look::digits(24.0))
                    .strong(),
            );
        });
    });
    let points: PlotPoints = row
        .line
        .iter()
        .map(|[time, price]| [time - seconds, *price])
        .chain([[0.0, quote.last as f64 / 100.0]])
        .collect();
    let first = row.line.front().map_or(0.0, |point| point[1]);
    let colour = look::of(quote.last as f64 / 100.0 - first);
    let colour = if colour == look::FAINT {
        look::ACCENT
    } else {
        colour
    };
    Plot::new("price line")
        .height(210.0)
        .allow_zoom(false)
        .allow_drag(false)
        .allow_scroll(false)
        .allow_boxed_zoom(false)
        .allow_double_click_reset(false)
        .show_background(false)
        .show_crosshair(false)
        .include_x(-60.0)
        .include_x(1.0)
        .set_margin_fraction(egui::vec2(0.0, 0.12))
        .x_grid_spacer(|_| quarters())
        .x_axis_formatter(|mark, _| format!("{:.0} s", mark.value))
        .y_axis_formatter(|mark, _| format!("{:.2}", mark.value))
        .y_axis_min_width(52.0)
        .grid_spacing(8.0..=60.0)
        .grid_color(look::LINE)
        .show(ui, |plot| {
            let dashed = LineStyle::dashed_loose();
            plot.hline(HLine::new("first", first).color(look::LINE).style(dashed));
            plot.line(Line::new("price", points).color(colour).width(2.0));
        });
}

/// A grid line for each quarter of the minute.
fn quarters() -> Vec<GridMark> {
    let quarter = |number: i32| GridMark {
        value: f64::from(15 * number),
        step_size: 15.0,
    };
    (-4..=0).map(quarter).collect()
}

fn ticket(ui: &mut Ui, market: &mut Market, symbol: Option<&str>, quantity: &mut i64) {
    let can_order = market.state == State::Live && symbol.is_some();
    ui.horizontal(|ui| {
        ui.label("Quantity");
        ui.add(
            egui::DragValue::new(quantity)
                .range(1..=100_000)
                .speed(10.0),
        );
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            for (word, colour, sign) in [("Sell", look::DOWN, -1), ("Buy", look::UP, 1)] {
                let text = RichText::new(word).strong().color(Color32::WHITE);
                let button = egui::Button::new(text)
                    .fill(colour.gamma_multiply(0.8))
                    .min_size(egui::vec2(92.0, 32.0));
                let response = ui.add_enabled(can_order, button);
                if let (true, Some(symbol)) = (response.clicked(), symbol) {
                    market.order(symbol, sign * *quantity);
                }
            }
        });
    });
    let (text, colour) = match &market.outcome {
        None if can_order => (
            "Orders go to the engine over a stream".to_owned(),
            look::FAINT,
        ),
        None => (
            "Orders can be given while the engine is live".to_owned(),
            look::FAINT,
        ),
        Some(Outcome::Filled(fill, took)) => {
            let took = look::time(took.as_secs_f64());
            let text = format!(
                "{} at {}, answered in {took}",
                market::shown(&fill.order),
                price(fill.price)
            );
            (text, look::TEXT)
        }
        Some(Outcome::Failed(order, why)) => {
            let text = format!("Order {} is not known to be filled: {why}", order.id);
            (text, look::DOWN)
        }
    };
    ui.label(RichText::new(text).font(look::words(13.0)).color(colour));
}

fn fills(ui: &mut Ui, market: &Market) {
    ui.horizontal(|ui| {
        ui.label(RichText::new("Fills").font(look::words(16.0)).strong());
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let count = format!("{} of all panels", market.fills.len());
            ui.label(RichText::new(count).small().color(look::FAINT));
        });
    });
    ui.separator();
    if market.fills.is_empty() {
        ui.label(RichText::new("None yet").color(look::FAINT));
        return;
    }
    let height = ui.text_style_height(&egui::TextStyle::Monospace);
    let area = ScrollArea::vertical().auto_shrink(false);
    area.show_rows(ui, height, market.fills.len(), |ui, places| {
        for fill in market.fills.range(places) {
            fill_line(ui, fill);
        }
    });
}

fn fill_line(ui: &mut Ui, fill: &Fill) {
    let is_sale = fill.order.quantity < 0;
    ui.horizontal(|ui| {
        let (rect, _) = ui.allocate_exact_size(egui::vec2(3.0, 14.0), egui::Sense::hover());
        if market::is_own(fill) {
            ui.painter().rect_filled(rect, 1.0, look::ACCENT);
        }
        let colour = if is_sale { look::DOWN } else { look::UP };
        let what = market::shown(&fill.order);
        ui.label(RichText::new(what).font(look::digits(13.0)).color(colour));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let age = now().saturating_sub(fill.time) / 1_000_000_000;
            let age = format!("{age:>3} s ago");
            ui.label(
                RichText::new(age)
                    .font(look::digits(12.0))
                    .color(look::FAINT),
            );
            ui.label(RichText::new(price(fill.price)).font(look::digits(13.0)));
        });
    });
}
