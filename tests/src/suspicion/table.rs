//! The results for people: false verdicts per 1,000 hours, and how soon a death is noticed, beside fixed time-outs over
//! the same beats and beside what others publish.

use super::fixed::FIXED;
use super::world::Report;
use super::{Time, models};

/// Figures of other systems as published; nothing here was measured by us.
pub const PUBLISHED: &str = "\
Published by others, not measured here:
  memberlist LAN    probe 1 s, ack 0.5 s, then suspicion of 4 s for up to 10 members, 8 s for 100, and up to 6 times that
                    while nobody confirms it; with fewer than 4 members the lower bound at once (config.go, util.go, state.go)
  Lifeguard         more than 50 times fewer false positives than SWIM, or detection 45 % sooner with 3 times fewer
                    (arXiv:1707.00788, abstract)
  NUT               POLLFREQ 5 s, data stale after MAXAGE 15 s, DEADTIME 15 s: a silent end is noticed in 15 to 20 s
                    (upsmon.conf(5), upsd.conf(5)); a 4 s link flap has powered a secondary off (nut#2454)
  keepalived        3 to 4 s at 1 s adverts (keepalived#2469)
  corosync          token raised from 1 s to 3 s because of unexpected failovers (RHEL 8.4 notes)";

/// Both tables.
pub fn print(reports: &[(&models::Model, Report)]) {
    println!("False `lost` per 1,000 hours            pistop   {}   overdue  power-offs  probes/h", names());
    for (model, report) in reports {
        println!("{}", wrong_row(model.name, report));
    }
    println!("\nCut link to `lost`, s        deaths  p50    p99    max      fixed, p50 / p99: {}", names());
    for (model, report) in reports {
        println!("{}", noticed_row(model.name, report));
    }
    println!("\n{PUBLISHED}");
}

fn names() -> String {
    FIXED.map(|timeout| format!("{:>9}", format!("{timeout} s"))).concat()
}

fn wrong_row(name: &str, report: &Report) -> String {
    let rate = |count: u64| 1000.0 * count as f64 / report.hours;
    let fixed = report.fixed.wrong.map(|wrong| format!("{:>9.1}", rate(wrong))).concat();
    let hours = format!("{:.0} h", report.hours);
    format!(
        "  {name:<24}{hours:>8}   {:>9.2}   {fixed}   {:>7}  {:>10}  {:>8.1}",
        rate(report.wrong),
        report.overdue,
        report.power_offs,
        report.probes as f64 / report.hours,
    )
}

fn noticed_row(name: &str, report: &Report) -> String {
    let [p50, p99, max] = [0.5, 0.99, 1.0].map(|share| percentile(&report.noticed, share));
    let fixed = |noticed: &Vec<Time>| {
        let both = format!("{:.1}/{:.1}", percentile(noticed, 0.5), percentile(noticed, 0.99));
        format!("{both:>10}")
    };
    let fixed: String = report.fixed.noticed.iter().map(fixed).collect();
    format!("  {name:<24}{:>8}  {p50:<5.2}  {p99:<5.2}  {max:<6.2}                     {fixed}", report.deaths)
}

/// In seconds; the smallest value that is no less than this share of all.
pub fn percentile(values: &[Time], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let index = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(index.saturating_sub(1)).map_or(f64::NAN, |&value| value as f64 / 1e9)
}
