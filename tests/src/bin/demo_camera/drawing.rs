//! The time line as a drawing: what each camera did, what was recorded of it, where the storage was, what arrived when.

use crate::gaps::{Gap, time};
use crate::page::{Shown, plain};
use crate::scenes::Mark;
use crate::stage::{BAD, GOOD};
use std::fmt::Write;

const WIDTH: f64 = 1100.0;
const LEFT: f64 = 120.0;
const LANE: f64 = 34.0;
const BAR: f64 = 22.0;
const LANES: [&str; 5] = ["cam1 recorded", "cam2 does", "cam2 recorded", "the storage", "arrives"];

/// Milliseconds since 1970 to the left and the right end.
struct Scale {
    from_ms: u64,
    to_ms: u64,
}

impl Scale {
    fn x(&self, at_ms: u64) -> f64 {
        let share = at_ms.saturating_sub(self.from_ms) as f64 / self.to_ms.saturating_sub(self.from_ms).max(1) as f64;
        LEFT + share.min(1.0) * (WIDTH - LEFT - 10.0)
    }
}

/// An SVG element.
pub fn svg(shown: &Shown<'_>) -> String {
    let from_ms = shown.stage.timeline.began_ms();
    let scale = Scale { from_ms, to_ms: shown.stage.timeline.ended_ms() };
    let height = LANE * LANES.len() as f64 + 30.0;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n"
    );
    for (lane, name) in LANES.iter().enumerate() {
        let _ = writeln!(text, "<text x=\"4\" y=\"{}\">{name}</text>", top(lane) + 15.0);
    }
    text += &axis(&scale);
    text += &recorded(shown, &scale);
    text += &shown.marks.faults.iter().map(|mark| done(mark, 1, "#d88", &scale)).collect::<String>();
    text += &shown.marks.outage.iter().map(|mark| done(mark, 3, "#aaa", &scale)).collect::<String>();
    text += &shown.gaps.iter().map(|gap| missing(gap, &scale)).collect::<String>();
    text += &arrivals(shown, &scale);
    text + "</svg>\n"
}

fn top(lane: usize) -> f64 {
    4.0 + lane as f64 * LANE
}

/// A line each ten seconds.
fn axis(scale: &Scale) -> String {
    let mut text = String::new();
    let bottom = top(LANES.len());
    for seconds in (0..=(scale.to_ms - scale.from_ms) / 1000).step_by(10) {
        let x = scale.x(scale.from_ms + seconds * 1000);
        let _ = writeln!(text, "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"0\" y2=\"{bottom}\" stroke=\"#ddd\"/>");
        let _ = writeln!(text, "<text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{seconds} s</text>", bottom + 16.0);
    }
    text
}

fn bar(lane: usize, (from_ms, to_ms): (u64, u64), fill: &str, title: &str, scale: &Scale) -> String {
    let (x, right) = (scale.x(from_ms), scale.x(to_ms));
    format!(
        "<rect x=\"{x:.1}\" y=\"{}\" width=\"{:.1}\" height=\"{BAR}\" fill=\"{fill}\" stroke=\"#fff\">\
         <title>{}</title></rect>\n",
        top(lane),
        (right - x).max(1.0),
        plain(title)
    )
}

fn lane_of(camera: &str) -> usize {
    if camera == GOOD { 0 } else { 2 }
}

fn recorded(shown: &Shown<'_>, scale: &Scale) -> String {
    let one = |stored: &tests::world::stored::Stored| {
        let span = (stored.start_ms(), stored.start_ms() + stored.duration_ms());
        let fill = if stored.is_marked() { "#e8a317" } else { "#4a90d9" };
        let title = format!(
            "{}, {:.1} s, ends by {}",
            stored.key,
            stored.duration_ms() as f64 / 1000.0,
            stored.beside("reason")
        );
        bar(lane_of(stored.camera()), span, fill, &title, scale)
    };
    shown.stored.iter().map(one).collect()
}

fn done(mark: &Mark, lane: usize, fill: &str, scale: &Scale) -> String {
    let x = scale.x(mark.from_ms) + 3.0;
    let label = format!("<text x=\"{x:.1}\" y=\"{}\" font-size=\"10\">{}</text>\n", top(lane) + 15.0, plain(mark.what));
    bar(lane, (mark.from_ms, mark.to_ms), fill, mark.what, scale) + &label
}

fn missing(gap: &Gap, scale: &Scale) -> String {
    let title = format!("{} missing from {} to {}: {}", gap.camera, time(gap.from_ms), time(gap.to_ms), gap.reason);
    let lane = if gap.camera == BAD { 2 } else { 0 };
    bar(lane, (gap.from_ms, gap.to_ms), "#fdd", &title, scale)
}

fn arrivals(shown: &Shown<'_>, scale: &Scale) -> String {
    let one = |done: &tests::world::ears::Heard| {
        let key = done.text("key");
        let marked = shown.stored.iter().any(|stored| stored.key == key && stored.is_marked());
        let (x, y) = (scale.x(done.said_ms), top(4) + if key.starts_with(GOOD) { 6.0 } else { 16.0 });
        let fill = if marked { "#e8a317" } else { "#4a90d9" };
        format!("<circle cx=\"{x:.1}\" cy=\"{y}\" r=\"4\" fill=\"{fill}\"><title>{}</title></circle>\n", plain(key))
    };
    shown.stage.ears.facts("upload-done").iter().map(one).collect()
}
