//! The page: everything on it is in it, so that it can be sent to somebody.

use crate::drawing;
use crate::gaps::{Gap, time};
use crate::pictures::Thumbnails;
use crate::scenes::Marks;
use crate::stage::Stage;
use crate::timeline::Moment;
use std::fs;
use std::path::Path;
use tests::checks::{Checks, Line};
use tests::world::stored::Stored;

/// What is on it.
pub struct Shown<'a> {
    pub stage: &'a Stage,
    pub marks: &'a Marks,
    pub stored: &'a [Stored],
    pub gaps: &'a [Gap],
    pub thumbnails: &'a Thumbnails,
    pub checks: &'a Checks,
}

const STYLE: &str = "body{font-family:sans-serif;max-width:1140px;margin:2em auto;color:#222}\
    table{border-collapse:collapse}td{padding:2px 10px 2px 0;vertical-align:top;font-size:13px}\
    figure{display:inline-block;margin:4px;width:166px;font-size:11px}figure img{border:3px solid #4a90d9}\
    figure.marked img{border-color:#e8a317}";

/// Writes it.
pub fn leave(path: &Path, shown: &Shown<'_>) {
    fs::write(path, html(shown)).expect("target can be written");
}

fn html(shown: &Shown<'_>) -> String {
    let parts = [
        drawing::svg(shown),
        "<p>Blue: recorded. Yellow: recorded and marked as evidence, which is brought away first. Pale: missing.</p>"
            .into(),
        section("What was expected", &rows(shown.checks.lines(), check)),
        section("What is missing", &rows(shown.gaps, gap)),
        format!(
            "<h2>What was recorded</h2>\n{}",
            shown.stored.iter().map(|stored| figure(stored, shown.thumbnails)).collect::<String>()
        ),
        section("What is in the bucket", &rows(shown.stored, object)),
        section("What happened", &rows(&shown.stage.timeline.moments(), moment)),
    ];
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>two cameras</title>\n\
         <style>{STYLE}</style></head>\n\
         <body><h1>Two cameras, and a storage that is away for a while</h1>\n{}</body></html>\n",
        parts.concat()
    )
}

fn section(title: &str, rows: &str) -> String {
    format!("<h2>{title}</h2>\n<table>\n{rows}</table>\n")
}

fn rows<T>(all: &[T], cells: impl Fn(&T) -> Vec<String>) -> String {
    let row = |one: &T| {
        let cells: String = cells(one).iter().map(|cell| format!("<td>{}</td>", plain(cell))).collect();
        format!("<tr>{cells}</tr>\n")
    };
    all.iter().map(row).collect()
}

fn check(line: &Line) -> Vec<String> {
    vec![if line.good { "ok" } else { "NOT OK" }.into(), line.what.clone(), line.seen.clone()]
}

fn gap(gap: &Gap) -> Vec<String> {
    let seconds = gap.to_ms.saturating_sub(gap.from_ms) as f64 / 1000.0;
    vec![gap.camera.clone(), time(gap.from_ms), time(gap.to_ms), format!("{seconds:.1} s"), gap.reason.to_string()]
}

fn object(stored: &Stored) -> Vec<String> {
    let marked = if stored.is_marked() { "marked" } else { "" };
    vec![stored.key.clone(), format!("{} bytes", stored.content.len()), stored.beside("reason").into(), marked.into()]
}

fn moment(moment: &Moment) -> Vec<String> {
    vec![time(moment.at_ms), moment.who.clone(), moment.what.clone()]
}

fn figure(stored: &Stored, thumbnails: &Thumbnails) -> String {
    let jpeg = thumbnails.get(&stored.key).map(|jpeg| data_encoding::BASE64.encode(jpeg)).unwrap_or_default();
    let class = if stored.is_marked() { " class=\"marked\"" } else { "" };
    let seconds = stored.duration_ms() as f64 / 1000.0;
    let below = format!("{} {}, {seconds:.1} s, {}", stored.camera(), time(stored.start_ms()), stored.beside("reason"));
    format!(
        "<figure{class}><img src=\"data:image/jpeg;base64,{jpeg}\" width=\"160\" height=\"120\" alt=\"\">{}</figure>\n",
        plain(&below)
    )
}

/// As it is written in HTML.
pub fn plain(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
