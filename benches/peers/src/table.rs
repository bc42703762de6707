//! The table of the scenarios: floe at both Ta, each peer at its defaults and at its best.

use std::fmt::Write;

use crate::networks::{Distribution, GOALS, LOSSES, Outcome, Packets, Scenario, lossy, scenarios};
use crate::peer::Contender;
use crate::{completed, contenders, place, run, usable};

/// Seeds of the rows with loss.
const SEEDS: u64 = 1000;

/// A number of the table: when the later agent is usable, and what is written.
pub(crate) struct Cell {
    pub(crate) late: f64,
    /// When the earlier one is; of many runs how many never are.
    early: f64,
    /// When the later one has completed.
    completed: f64,
    packets: f64,
    text: String,
    settings: &'static str,
}

pub(crate) struct Row {
    pub(crate) name: String,
    goal: String,
    /// As [`columns`] says.
    pub(crate) cells: Vec<Cell>,
}

/// What the columns are: two of floe, and two of each peer.
pub(crate) fn columns() -> Vec<(&'static str, &'static str)> {
    let mut columns = vec![("floe", "Ta 5 ms"), ("floe", "Ta 50 ms")];
    for name in names().into_iter().skip(1) {
        columns.extend([(name, "default"), (name, "best")]);
    }
    columns
}

pub(crate) fn names() -> Vec<&'static str> {
    let mut names: Vec<_> = contenders().iter().map(|it| it.name).collect();
    names.dedup();
    names
}

fn time(ms: f64) -> String {
    // Worlds are asked twice a millisecond.
    if ms.is_finite() { format!("{}", (ms * 2.0).round() / 2.0) } else { "never".to_owned() }
}

fn cell(contender: &Contender, it: &Outcome) -> Cell {
    let [first, all] = it.packets;
    let all = if it.completed.iter().all(|at| at.is_finite()) { all.to_string() } else { "–".to_owned() };
    Cell {
        late: it.usable[0].max(it.usable[1]),
        early: it.usable[0].min(it.usable[1]),
        completed: it.completed[0].max(it.completed[1]),
        packets: f64::from(first),
        text: format!("{} / {} · {first}, {all}", time(it.usable[0]), time(it.usable[1])),
        settings: contender.settings,
    }
}

fn lossy_cell(contender: &Contender, loss: f64) -> Cell {
    let run = |number| lossy(loss, number, &mut place(contender), [&usable, &completed]);
    let it = Distribution::of(&(0..SEEDS).map(run).collect::<Vec<_>>());
    let never = match it.never[0] {
        0 => String::new(),
        count => format!(" ({count} never)"),
    };
    Cell {
        late: it.p99[0],
        early: it.never[0] as f64,
        completed: it.p99[1],
        packets: it.packets[0],
        text: format!(
            "{} / {} · {:.1}, {:.1}{never}",
            time(it.p99[0]),
            time(it.p99[1]),
            it.packets[0],
            it.packets[1]
        ),
        settings: contender.settings,
    }
}

/// An agent that draws from the operating system, as the peers do, need not do the same twice: the best of five.
fn best_of(scenario: &Scenario, contender: &Contender) -> Outcome {
    let runs = (0..5).map(|_| run(scenario, contender));
    let late = |it: &Outcome| it.usable[0].max(it.usable[1]);
    let early = |it: &Outcome| it.usable[0].min(it.usable[1]);
    let better = |a: &Outcome, b: &Outcome| {
        late(a).total_cmp(&late(b)).then(early(a).total_cmp(&early(b))).then(a.packets.cmp(&b.packets))
    };
    runs.min_by(better).expect("five runs")
}

/// One cell a contender becomes one cell a column.
fn choose(mut cells: Vec<(&'static str, Cell)>) -> Vec<Cell> {
    let mut chosen = Vec::new();
    for name in names() {
        let (own, rest) = cells.into_iter().partition::<Vec<_>, _>(|(of, _)| *of == name);
        cells = rest;
        let mut own: Vec<Cell> = own.into_iter().map(|(_, cell)| cell).collect();
        if name == "floe" {
            chosen.extend(own);
            continue;
        }
        let better = |a: &Cell, b: &Cell| {
            a.late.total_cmp(&b.late).then(a.early.total_cmp(&b.early)).then(a.packets.total_cmp(&b.packets))
        };
        let best = (0..own.len()).min_by(|a, b| better(&own[*a], &own[*b])).expect("a setting");
        let copy = Cell { text: own[best].text.clone(), ..own[best] };
        own.truncate(1);
        chosen.extend(own);
        chosen.push(copy);
    }
    chosen
}

/// A goal, and how it ended.
fn goal(text: &str, is_met: bool) -> String {
    format!("{text}{}", if is_met { "" } else { ": missed" })
}

pub(crate) fn rows() -> Vec<Row> {
    let all = contenders();
    let mut rows = Vec::new();
    for (scenario, (_, usable, packets)) in scenarios().iter().zip(GOALS) {
        let outcomes: Vec<_> = all.iter().map(|it| (it, best_of(scenario, it))).collect();
        let own = outcomes[0].1;
        let (limit, sent, of) = match packets {
            Packets::Usable(limit) => (limit, own.packets[0], "until usable"),
            Packets::Completed(limit) => (limit, own.packets[1], "until completed"),
        };
        let is_met = own.usable[0] <= usable[0] && own.usable[1] <= usable[1] && sent <= limit;
        let text = format!("{} / {} · {limit} {of}", usable[0], usable[1]);
        let cells = choose(outcomes.iter().map(|(it, outcome)| (it.name, cell(it, outcome))).collect());
        rows.push(Row { name: scenario.name.to_owned(), goal: goal(&text, is_met), cells });
    }
    for loss in [0.1, 0.3] {
        let cells = choose(all.iter().map(|it| (it.name, lossy_cell(it, loss))).collect());
        let mut goals = String::new();
        let of_loss = LOSSES.iter().filter(|(of, ..)| (of - loss).abs() < 0.01);
        for ((_, ta, [usable, completed]), own) in of_loss.zip(&cells) {
            let text = format!("Ta {ta}: {usable} / {completed}");
            let is_met = own.late <= *usable && own.completed <= *completed;
            let separator = if goals.is_empty() { "" } else { "; " };
            write!(goals, "{separator}{}", goal(&text, is_met)).expect("text");
        }
        rows.push(Row { name: format!("L{}", loss * 100.0), goal: goals, cells });
    }
    rows
}

/// As Markdown.
pub(crate) fn markdown(rows: &[Row]) -> String {
    let mut text = String::from("| row | goal of floe |");
    for (name, settings) in columns() {
        write!(text, " {name}, {settings} |").expect("text");
    }
    text.push_str("\n|---|---|");
    text.push_str(&"---|".repeat(columns().len()));
    let mut used: Vec<&str> = Vec::new();
    for row in rows {
        write!(text, "\n| {} | {} |", row.name, row.goal).expect("text");
        for ((_, of), cell) in columns().iter().zip(&row.cells) {
            if *of == "best" && cell.settings != "default" {
                let note = used.iter().position(|it| *it == cell.settings).unwrap_or_else(|| {
                    used.push(cell.settings);
                    used.len() - 1
                });
                write!(text, " {} [{}] |", cell.text, note + 1).expect("text");
            } else {
                write!(text, " {} |", cell.text).expect("text");
            }
        }
    }
    text.push('\n');
    for (settings, number) in used.iter().zip(1..) {
        write!(text, "\n[{number}] {settings}.").expect("text");
    }
    text.push('\n');
    text
}
