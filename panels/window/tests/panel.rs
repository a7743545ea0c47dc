//! The panel without a window: what its accessibility tree says.

use eframe::egui::accesskit::Role;
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT, Queryable};
use slipring::board::{Publisher, PublisherOptions};
use slipring::{feed, frame};
use slipring_panels_engine::{Fill, Order, PROTOCOL, Quote, fills, now, orders};
use slipring_panels_window::Panel;
use std::thread;
use std::time::{Duration, Instant};

type Window = Harness<'static, Panel>;

fn window(name: &str) -> Window {
    Harness::builder()
        .with_size([1360.0, 820.0])
        .build_ui_state(|ui, panel: &mut Panel| panel.show(ui), Panel::new(name))
}

/// Paints frame after frame until this holds.
fn until(window: &mut Window, what: &str, holds: impl Fn(&Window) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds(window) {
        assert!(Instant::now() < deadline, "{what}: {:?}", window.root());
        thread::sleep(Duration::from_millis(5));
        window.step();
    }
}

fn has(window: &Window, label: &str) -> bool {
    window.query_all_by_label_contains(label).next().is_some()
}

/// The symbols of the table, from the top.
fn symbols(window: &Window) -> Vec<String> {
    let labels = window.query_all_by_role(Role::Label);
    let mut found: Vec<(f32, String)> = labels
        .filter(|node| node.rect().left() < 100.0)
        .filter_map(|node| Some((node.rect().top(), node.accesskit_node().value()?)))
        .filter(|(_, text)| ["BARD", "BAFK", "CEDN"].contains(&text.as_str()))
        .collect();
    found.sort_by(|one, other| one.0.total_cmp(&other.0));
    found.into_iter().map(|(_, symbol)| symbol).collect()
}

fn quote(last: i64) -> [u8; 48] {
    let quote = Quote {
        last,
        open: 10_000,
        bid: last - 1,
        ask: last + 1,
        volume: last,
        time: now(),
    };
    quote.to_bytes()
}

/// A board with three symbols, and a feed of fills.
fn engine(name: &str) -> (Publisher, feed::Publisher) {
    let feed = feed::PublisherOptions::new().protocol(PROTOCOL);
    let feed = feed.bind(fills(name)).unwrap();
    let board = PublisherOptions::new().protocol(PROTOCOL);
    let mut board = board.bind(name).unwrap();
    let mut batch = board.batch();
    for (symbol, last) in [("BARD", 10_150), ("CEDN", 9_900), ("BAFK", 10_050)] {
        batch.set(symbol.as_bytes(), &quote(last)).unwrap();
    }
    drop(batch);
    (board, feed)
}

#[test]
fn a_table_is_sorted_and_filtered() {
    let name = format!("panel-table-{}", std::process::id());
    let _engine = engine(&name);
    let mut window = window(&name);
    until(&mut window, "the most traded first", |window| {
        symbols(window) == ["BARD", "BAFK", "CEDN"]
    });
    assert!(has(&window, "+1.50") && has(&window, "-1.00"));
    window.get_by_label("Symbol").click();
    until(&mut window, "sorted by name", |window| {
        symbols(window) == ["BAFK", "BARD", "CEDN"]
    });
    window.get_by_label("Symbol ⏶").click();
    until(&mut window, "the other way round", |window| {
        symbols(window) == ["CEDN", "BARD", "BAFK"]
    });
    let field = window.get_by_role(Role::TextInput);
    field.focus();
    field.type_text("ba");
    until(&mut window, "filtered", |window| {
        symbols(window) == ["BARD", "BAFK"] && has(window, "2 of 3")
    });
    window.get_by_label("Clear").click();
    until(&mut window, "all again", |window| {
        symbols(window).len() == 3
    });
}

#[test]
fn a_lost_engine_is_said_and_another_one_too() {
    let name = format!("panel-lost-{}", std::process::id());
    let mut window = window(&name);
    until(&mut window, "it waits", |window| {
        has(window, "WAITING") && has(window, "no engine yet")
    });
    let (mut board, feed) = engine(&name);
    until(&mut window, "it is live", |window| {
        has(window, "LIVE") && symbols(window).len() == 3
    });
    board.set(b"CEDN", &quote(12_345)).unwrap();
    until(&mut window, "a new price", |window| has(window, "123.45"));
    board.remove(b"BAFK").unwrap();
    until(&mut window, "a symbol less", |window| {
        symbols(window) == ["CEDN", "BARD"]
    });
    drop((board, feed));
    until(&mut window, "it is lost", |window| {
        has(window, "ENGINE LOST") && has(window, "the publisher finished")
    });
    assert_eq!(symbols(&window).len(), 2, "the last prices stay");
    assert!(window.get_by_label("Buy").accesskit_node().is_disabled());
    let _engine = engine(&name);
    until(&mut window, "it goes on", |window| {
        has(window, "LIVE") && has(window, "New engine") && symbols(window).len() == 3
    });
}

#[test]
fn an_order_is_answered_and_its_fill_is_listed() {
    let name = format!("panel-order-{}", std::process::id());
    let (_board, mut feed) = engine(&name);
    let listener = slipring::Options::new().protocol(PROTOCOL);
    let listener = listener.bind(orders(&name)).unwrap();
    let serving = thread::spawn(move || {
        let stream = listener.accept().unwrap();
        let (mut answers, mut wishes) = frame::split(stream).unwrap();
        let order = Order::from_bytes(&wishes.recv().unwrap().unwrap()).unwrap();
        let fill = Fill {
            order,
            price: 10_151,
            pid: std::process::id(),
            time: now(),
        };
        feed.publish(&fill.to_bytes()).unwrap();
        answers.send(&fill.to_bytes()).unwrap();
        // The next order finds nobody.
        (order, feed)
    });
    let mut window = window(&name);
    until(&mut window, "it is live", |window| {
        symbols(window).len() == 3
    });
    window.get_by_label("Sell").click();
    until(&mut window, "the order is answered", |window| {
        has(window, "Sold 100 BARD at 101.51, answered in") && has(window, "1 of all panels")
    });
    let (order, _feed) = serving.join().unwrap();
    assert_eq!((order.symbol(), order.quantity), ("BARD", -100));
    window.get_by_label("Buy").click();
    until(&mut window, "it is not known to be filled", |window| {
        has(window, "Order 2 is not known to be filled")
    });
}
