//! The plot of the scenarios: a line a row, a mark a column, time to the right.

use std::fmt::Write;

use crate::table::{Row, columns};

const WIDTH: f64 = 900.0;
const LEFT: f64 = 60.0;
const TOP: f64 = 70.0;
const LINE: f64 = 34.0;
/// Milliseconds at both ends.
const ENDS: [f64; 2] = [2.0, 20_000.0];
/// Of floe and of each peer; they are told apart without colours by their shapes too.
const COLOURS: [&str; 4] = ["#0b6e4f", "#c8553d", "#3d5a98", "#8a6d00"];

fn x(ms: f64) -> f64 {
    let [first, last] = ENDS.map(f64::ln);
    LEFT + 10.0 + (ms.clamp(ENDS[0], ENDS[1]).ln() - first) / (last - first) * (WIDTH - LEFT - 90.0)
}

/// The mark of a column: a shape for each implementation, filled for floe's default Ta and for a peer's best settings.
fn mark(column: usize, x: f64, y: f64) -> String {
    let (of, colour) = (column / 2, COLOURS[column / 2]);
    let is_filled = if of == 0 { column == 0 } else { column % 2 == 1 };
    let fill = if is_filled { colour } else { "white" };
    let style = format!(r#"fill="{fill}" stroke="{colour}" stroke-width="1.5""#);
    let points = |shape: &[(f64, f64)]| {
        let all: Vec<_> = shape.iter().map(|(dx, dy)| format!("{:.1},{:.1}", x + dx, y + dy)).collect();
        format!(r#"<polygon points="{}" {style}/>"#, all.join(" "))
    };
    match of {
        0 => format!(r#"<circle cx="{x:.1}" cy="{y:.1}" r="6" {style}/>"#),
        1 => points(&[(-5.0, -5.0), (5.0, -5.0), (5.0, 5.0), (-5.0, 5.0)]),
        2 => points(&[(0.0, -6.0), (6.0, 5.0), (-6.0, 5.0)]),
        _ => points(&[(0.0, -7.0), (7.0, 0.0), (0.0, 7.0), (-7.0, 0.0)]),
    }
}

fn text(x: f64, y: f64, anchor: &str, words: &str) -> String {
    format!(r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{words}</text>"#)
}

pub(crate) fn svg(rows: &[Row]) -> String {
    let bottom = TOP + LINE * rows.len() as f64;
    let height = bottom + 40.0;
    let mut out = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>"#
    );
    out.push('\n');
    for (column, (name, settings)) in columns().iter().enumerate() {
        let (at, line) = (LEFT + 215.0 * (column / 2) as f64, 16.0 + 18.0 * (column % 2) as f64);
        let words = text(at + 12.0, line + 4.0, "start", &format!("{name}, {settings}"));
        writeln!(out, "{}{words}", mark(column, at, line)).expect("text");
    }
    for ms in [2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000] {
        let at = x(f64::from(ms));
        writeln!(
            out,
            r##"<line x1="{at:.1}" y1="{:.1}" x2="{at:.1}" y2="{bottom:.1}" stroke="#ddd"/>{}"##,
            TOP - 14.0,
            text(at, bottom + 16.0, "middle", &ms.to_string())
        )
        .expect("text");
    }
    let never = WIDTH - 40.0;
    writeln!(out, "{}", text(never, bottom + 16.0, "middle", "never")).expect("text");
    let caption = "ms until both agents are usable (L: 99th percentile of 1000 seeds)";
    writeln!(out, "{}", text(WIDTH / 2.0, bottom + 34.0, "middle", caption)).expect("text");
    for (row, number) in rows.iter().zip(0..) {
        let y = TOP + LINE * f64::from(number);
        let end = WIDTH - 20.0;
        writeln!(
            out,
            r##"<line x1="{LEFT}" y1="{y}" x2="{end}" y2="{y}" stroke="#bbb"/>{}"##,
            text(LEFT - 10.0, y + 4.0, "end", &row.name)
        )
        .expect("text");
        // floe last, so that it is not hidden; each column a little apart.
        for (column, cell) in row.cells.iter().enumerate().rev() {
            let at = if cell.late.is_finite() { x(cell.late) } else { never };
            let dy = (column as f64 - (row.cells.len() - 1) as f64 / 2.0) * 2.6;
            writeln!(out, "{}", mark(column, at, y + dy)).expect("text");
        }
    }
    out.push_str("</svg>\n");
    out
}
