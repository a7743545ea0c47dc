//! The table of newest prices.

use crate::look::{self, grouped};
use crate::market::{Market, Row, State};
use eframe::egui::{self, Align, Color32, Layout, Pos2, Rect, RichText, Sense, Stroke, Ui};
use egui_extras::{Column as Width, TableBuilder};
use slipring_panels_engine::price;
use std::cmp::Ordering;
use std::time::Instant;

/// How long a change is seen, in seconds.
const FLASH: f32 = 0.7;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    Symbol,
    Last,
    Change,
    Percent,
    Bid,
    Ask,
    Volume,
    Line,
}

const COLUMNS: [(Column, &str); 8] = [
    (Column::Symbol, "Symbol"),
    (Column::Last, "Last"),
    (Column::Change, "Change"),
    (Column::Percent, "%"),
    (Column::Bid, "Bid"),
    (Column::Ask, "Ask"),
    (Column::Volume, "Volume"),
    (Column::Line, "Last minute"),
];

/// Which rows are shown, and in which order.
pub(crate) struct View {
    pub filter: String,
    pub column: Column,
    pub falling: bool,
    pub chosen: Option<String>,
}

impl Default for View {
    fn default() -> View {
        View {
            filter: String::new(),
            column: Column::Volume,
            falling: true,
            chosen: None,
        }
    }
}

impl View {
    /// The rows that pass the filter, in order.
    pub fn rows<'a>(&self, rows: &'a [Row]) -> Vec<&'a Row> {
        let filter = self.filter.trim().to_uppercase();
        let mut shown: Vec<&Row> = rows
            .iter()
            .filter(|row| row.symbol.to_uppercase().contains(&filter))
            .collect();
        shown.sort_by(|one, other| {
            let order = self.compare(one, other);
            let order = if self.falling { order.reverse() } else { order };
            order.then_with(|| one.symbol.cmp(&other.symbol))
        });
        shown
    }

    fn compare(&self, one: &Row, other: &Row) -> Ordering {
        let key = |row: &Row| match self.column {
            Column::Last => row.quote.last,
            Column::Change => row.quote.last - row.quote.open,
            Column::Bid => row.quote.bid,
            Column::Ask => row.quote.ask,
            _ => row.quote.volume,
        };
        match self.column {
            Column::Symbol => one.symbol.cmp(&other.symbol),
            Column::Percent => one.quote.percent().total_cmp(&other.quote.percent()),
            Column::Line => minute(one).total_cmp(&minute(other)),
            _ => key(one).cmp(&key(other)),
        }
    }

    /// Once more the same column turns the order around.
    fn sort_by(&mut self, column: Column) {
        self.falling = if self.column == column {
            !self.falling
        } else {
            column != Column::Symbol
        };
        self.column = column;
    }
}

/// By which part of itself the price has changed since the line began.
fn minute(row: &Row) -> f64 {
    let first = row.line.front().map_or(0.0, |point| point[1]);
    (row.quote.last as f64 / 100.0 - first) / first.max(0.01)
}

pub(crate) fn show(ui: &mut Ui, market: &Market, view: &mut View) {
    let rows = view.rows(&market.rows);
    ui.horizontal(|ui| {
        let field = egui::TextEdit::singleline(&mut view.filter)
            .hint_text("Filter symbols")
            .desired_width(190.0)
            .margin(egui::Margin::symmetric(10, 6));
        let field = ui.add(field);
        field.widget_info(|| {
            egui::WidgetInfo::labeled(egui::WidgetType::TextEdit, true, "Filter symbols")
        });
        if !view.filter.is_empty() && ui.button("Clear").clicked() {
            view.filter.clear();
        }
        let count = format!("{} of {}", rows.len(), market.rows.len());
        ui.label(RichText::new(count).color(look::FAINT));
    });
    ui.add_space(4.0);
    if matches!(market.state, State::Lost(..)) {
        ui.multiply_opacity(0.5);
    }
    ui.spacing_mut().item_spacing = egui::vec2(0.0, 1.0);
    let mut table = TableBuilder::new(ui)
        .striped(true)
        .sense(Sense::click())
        .auto_shrink(false)
        .cell_layout(Layout::right_to_left(Align::Center))
        .column(Width::exact(92.0));
    for (column, _) in &COLUMNS[1..] {
        table = table.column(match column {
            Column::Line => Width::remainder().at_least(110.0),
            Column::Percent => Width::exact(78.0),
            _ => Width::exact(98.0),
        });
    }
    let table = table.header(30.0, |mut header| {
        for (column, title) in COLUMNS {
            header.col(|ui| heading(ui, view, column, title));
        }
    });
    let now = Instant::now();
    table.body(|body| {
        body.rows(27.0, rows.len(), |mut line| {
            let row = rows[line.index()];
            line.set_selected(view.chosen.as_ref() == Some(&row.symbol));
            for (column, _) in COLUMNS {
                line.col(|ui| cell(ui, row, column, now));
            }
            if line.response().clicked() {
                view.chosen = Some(row.symbol.clone());
            }
        });
    });
}

fn heading(ui: &mut Ui, view: &mut View, column: Column, title: &str) {
    let is_sorted = view.column == column;
    let arrow = match (is_sorted, view.falling) {
        (false, _) => "",
        (true, true) => " ⏷",
        (true, false) => " ⏶",
    };
    let colour = if is_sorted { look::ACCENT } else { look::FAINT };
    let text = RichText::new(format!("{title}{arrow}"))
        .font(look::words(13.0))
        .color(colour);
    let layout = if column == Column::Symbol {
        Layout::left_to_right(Align::Center)
    } else {
        Layout::right_to_left(Align::Center)
    };
    ui.with_layout(layout, |ui| {
        ui.add_space(12.0);
        let label = ui.add(egui::Label::new(text).sense(Sense::click()));
        if label
            .on_hover_cursor(egui::CursorIcon::PointingHand)
            .clicked()
        {
            view.sort_by(column);
        }
    });
}

fn cell(ui: &mut Ui, row: &Row, column: Column, now: Instant) {
    let quote = row.quote;
    let change = quote.last - quote.open;
    let (text, colour) = match column {
        Column::Symbol => {
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                ui.add_space(12.0);
                ui.label(RichText::new(&row.symbol).font(look::digits(14.0)).strong());
            });
            return;
        }
        Column::Line => return line(ui, row),
        Column::Last => {
            if let Some(shade) = flash(row, now) {
                ui.painter().rect_filled(ui.max_rect(), 3.0, shade);
            }
            (price(quote.last), look::TEXT)
        }
        Column::Change => (signed(price(change), change), look::of(change as f64)),
        Column::Percent => {
            let percent = quote.percent();
            (
                signed(format!("{percent:.2}"), change),
                look::of(change as f64),
            )
        }
        Column::Bid => (price(quote.bid), look::FAINT),
        Column::Ask => (price(quote.ask), look::FAINT),
        Column::Volume => (grouped(quote.volume), look::FAINT),
    };
    ui.add_space(12.0);
    ui.label(RichText::new(text).font(look::digits(13.5)).color(colour));
}

pub(crate) fn signed(text: String, change: i64) -> String {
    if change > 0 { format!("+{text}") } else { text }
}

/// The colour behind a price that has just moved.
fn flash(row: &Row, now: Instant) -> Option<Color32> {
    let (since, is_up) = row.moved?;
    let age = now.saturating_duration_since(since).as_secs_f32() / FLASH;
    let colour = if is_up { look::UP } else { look::DOWN };
    (age < 1.0).then(|| colour.gamma_multiply(0.6 * (1.0 - age)))
}

/// The price of the last minute, as a line.
fn line(ui: &mut Ui, row: &Row) {
    let room = ui.max_rect().shrink2(egui::vec2(12.0, 6.0));
    let colour = look::of(minute(row));
    let points = points(row, room);
    ui.painter().line(points, Stroke::new(1.3, colour));
}

fn points(row: &Row, room: Rect) -> Vec<Pos2> {
    let prices = || row.line.iter().map(|point| point[1]);
    let least = prices().fold(f64::INFINITY, f64::min);
    let most = prices().fold(f64::NEG_INFINITY, f64::max);
    let Some([begin, _]) = row.line.front() else {
        return Vec::new();
    };
    let seconds = row.line.back().map_or(0.0, |end| end[0] - begin).max(5.0);
    row.line
        .iter()
        .map(|[time, price]| {
            let across = ((time - begin) / seconds) as f32;
            let up = ((price - least) / (most - least).max(0.01)) as f32;
            egui::pos2(
                room.left() + across * room.width(),
                room.bottom() - up * room.height(),
            )
        })
        .collect()
}
